import json

import numpy as np
import pydicom
import pytest

from napari_dycon.errors import GridMismatchError, VolumeError
from napari_dycon.io.dicom import convert_series, find_series
from napari_dycon.io.dicom_identity import identity_of, identity_path, read_identity, write_identity
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.volumes import read_volume
from tests.dicom_series import CANARIES, FRAME, SERIES, SLICES, write_series


@pytest.fixture
def converted(tmp_path):
    """Convert a series with some attributes changed; return its scan, with its identity beside it."""

    def convert(**changes):
        (series,) = find_series(write_series(tmp_path / "dicom", **changes))
        scan = tmp_path / "scan.nii.gz"
        convert_series(series, scan)
        write_identity(scan, read_identity(series))
        return scan

    return convert


def test_what_the_images_state_is_kept_in_the_order_of_the_volume(converted):
    scan = converted()
    identity = identity_of(scan)
    kept = {name: value for name, value in identity.patient_and_study.items() if value}
    assert kept == CANARIES
    assert (identity.series, identity.frame_of_reference, identity.modality) == (SERIES, FRAME, "MR")
    assert [item.instance for item in identity.slices] == [f"{SERIES}.{n + 1}" for n in range(SLICES)]
    assert identity.geometry.matches(read_volume(scan).geometry, 1e-4)


@pytest.mark.parametrize(
    "series", ["11-T1post-18670", "11_HCropVolume", "36468-FLAIRreg-58706"], ids=lambda name: name[:6]
)
def test_the_identity_of_a_real_series_lies_where_its_scan_does(brain_dicom, tmp_path, series):
    (found,) = find_series(brain_dicom / series)
    scan = tmp_path / "scan.nii.gz"
    convert_series(found, scan)
    write_identity(scan, read_identity(found))
    identity = identity_of(scan)
    volume = read_volume(scan)
    assert identity.geometry.matches(volume.geometry, 1e-3)
    assert identity.patient_and_study["PatientName"] == "Albus^Dumbledore"
    mask = np.random.default_rng(0).integers(0, 3, volume.geometry.shape).astype(np.uint8)
    np.testing.assert_array_equal(identity.lay(mask, volume.geometry), mask)


def test_a_mask_stored_along_other_axes_is_laid_on_the_images(converted):
    scan = converted()
    identity, geometry = identity_of(scan), read_volume(scan).geometry
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = geometry.shape[0] - 1
    mask = np.random.default_rng(0).integers(0, 3, geometry.shape).astype(np.uint8)
    laid = identity.lay(mask[::-1], Geometry(geometry.shape, geometry.affine @ flip))
    np.testing.assert_array_equal(laid, mask)


def test_a_scan_that_lies_elsewhere_is_refused(converted):
    scan = converted()
    geometry = read_volume(scan).geometry
    affine = geometry.affine.copy()
    affine[2, 3] += 1
    with pytest.raises(GridMismatchError, match="import the series again"):
        identity_of(scan).lay(np.zeros(geometry.shape, np.uint8), Geometry(geometry.shape, affine))


def test_an_attribute_that_only_some_images_state_is_found(tmp_path):
    folder = write_series(tmp_path / "dicom")
    first = find_series(folder)[0].files[0]
    image = pydicom.dcmread(first)
    del image.AccessionNumber
    image.save_as(first)
    (series,) = find_series(folder)
    assert read_identity(series).patient_and_study["AccessionNumber"] == "CANARYACC"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"FrameOfReferenceUID": None}, "frame of reference"),
        ({"StudyInstanceUID": None}, "of their study"),
        ({"SOPClassUID": ""}, "images"),
        ({"FrameOfReferenceUID": "", "StudyInstanceUID": None}, "study and frame of reference"),
        ({"SOPInstanceUID": "1.2.3"}, "one identifier"),
    ],
)
def test_images_that_nothing_can_refer_to_are_imported_and_refused_by_name(converted, changes, word):
    scan = converted(**changes)
    with pytest.raises(VolumeError, match=word) as told:
        identity_of(scan)
    assert "CANARY" not in str(told.value)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_odd_values_are_no_reason_to_refuse_a_series_and_are_told_nowhere(tmp_path, recwarn, caplog):
    odd = {"PatientBirthDate": "CANARY", "PatientName": "CANARY" * 30, "PatientID": "a\\b", "PatientSex": "?"}
    folder = write_series(tmp_path / "dicom", **odd)
    recwarn.clear()
    caplog.clear()
    (series,) = find_series(folder)
    convert_series(series, tmp_path / "scan.nii.gz")
    kept = read_identity(series).patient_and_study
    assert {name: kept[name] for name in odd} == odd
    assert not caplog.text and not recwarn.list


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: b"",
        lambda kept: b"{}",
        lambda kept: b'{"slices": "CANARY"}',
        lambda kept: b"\xff\xfe",
        lambda kept: kept[:-20],
        lambda kept: json.dumps({**json.loads(kept), "pixel_spacing": [0, 1]}).encode(),
        lambda kept: json.dumps({**json.loads(kept), "slices": json.loads(kept)["slices"][:1]}).encode(),
    ],
)
def test_a_damaged_identity_is_refused_without_its_content(converted, damage):
    scan = converted()
    identity_path(scan).write_bytes(damage(identity_path(scan).read_bytes()))
    with pytest.raises(VolumeError, match="cannot be read") as told:
        identity_of(scan)
    assert told.value.__cause__ is None and "CANARY" not in str(told.value)


def test_a_scan_without_identity_is_refused(tmp_path):
    with pytest.raises(VolumeError, match="import its DICOM series again"):
        identity_of(tmp_path / "scan.nii.gz")
