"""Masks written back to DICOM series, read by other programs than the one that wrote them."""

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from matplotlib.path import Path as Polygon

from napari_dycon.errors import StudyError
from napari_dycon.io.dicom_identity import identity_path
from napari_dycon.study.exchange import exporting, importing
from napari_dycon.study.exchange.exporting import ExportRequest, export_all
from napari_dycon.study.exchange.formats import formats
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from tests.dicom_series import CANARIES, FRAME, SERIES, SLICES, STUDY, write_series

FORMS = ("dicom-seg", "rtstruct")
STRUCTURES = [
    Structure(value=2, name="left atrium", color="#e6550d"),
    Structure(value=5, name="scar \\ fibrosis", color="#3182bd"),
    Structure(value=9, name="not there"),
]


@pytest.fixture
def study(tmp_path):
    with Study.create(tmp_path / "study", STRUCTURES) as made:
        yield made


def blobs(shape):
    """Two structures with holes, corners that touch, single voxels, and slices without any."""
    rng = np.random.default_rng(7)
    mask = rng.choice(np.array([0, 2, 5], np.uint8), shape, p=(0.5, 0.3, 0.2))
    mask[..., [0, 3]] = 0
    mask[0, 0, 1], mask[-1, -1, 1] = 2, 5
    return mask


def label(study, folder, mask=blobs):
    _, event = importing.add_scans(study, [folder])
    assert event.problem is None
    array = mask(event.case.shape)
    study.save_annotation(event.case.id, Annotation.full(array), "complete")
    return event.case, array


def written(study, tmp_path, form):
    end = export_all(study, ExportRequest(tmp_path / "out", form=form))
    assert not end.problems, end.problems
    return [path for path, _ in end.masks]


def source(folder):
    """Grid of the series as ITK reads it, and which images lie in its slices."""
    reader = sitk.ImageSeriesReader()
    names = reader.GetGDCMSeriesFileNames(str(folder))
    reader.SetFileNames(names)
    return reader.Execute(), [pydicom.dcmread(name, stop_before_pixels=True) for name in names]


def slice_of(image, position):
    """Slice of a grid that a position lies in, which must be right there."""
    x, y, z = image.TransformPhysicalPointToContinuousIndex([float(value) for value in position])
    assert (x, y, z) == pytest.approx((0, 0, round(z)), abs=1e-3)
    return round(z)


def segments_by_place(path, image):
    """Segment numbers (x, y, z) on a grid; pixels as ITK reads them, places as pydicom does."""
    dataset = pydicom.dcmread(path)
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    np.testing.assert_array_equal(frames > 0, dataset.pixel_array.reshape(frames.shape) > 0)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    spacing = [float(value) for value in shared.PixelMeasuresSequence[0].PixelSpacing]
    assert spacing[::-1] == pytest.approx(image.GetSpacing()[:2])
    axes = np.reshape(image.GetDirection(), (3, 3))[:, :2].T.ravel()
    turned = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    assert np.array(turned, float) == pytest.approx(axes, abs=1e-6)
    found = np.zeros(image.GetSize(), np.uint8)
    for frame, groups in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        index = slice_of(image, groups.PlanePositionSequence[0].ImagePositionPatient)
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        assert not found[..., index][frame.T > 0].any()
        found[..., index][frame.T > 0] = number
    return found


def regions_by_place(path, image):
    """Regions of interest filled on a grid, by number: even-odd, each contour in the image it refers to."""
    dataset = pydicom.dcmread(path)
    found = {}
    for roi in dataset.ROIContourSequence:
        inside = found.setdefault(int(roi.ReferencedROINumber), np.zeros(image.GetSize(), bool))
        for contour in roi.get("ContourSequence", ()):
            points = np.reshape(np.array(contour.ContourData, float), (-1, 3))
            assert contour.ContourGeometricType == "CLOSED_PLANAR"
            assert len(points) == contour.NumberOfContourPoints
            corners = np.array([image.TransformPhysicalPointToContinuousIndex(point) for point in points])
            index = round(corners[0, 2])
            assert np.abs(corners[:, 2] - index).max() < 1e-3
            centres = np.argwhere(np.ones(inside.shape[:2]))
            filled = Polygon(corners[:, :2]).contains_points(centres).reshape(inside.shape[:2])
            inside[..., index] ^= filled
    return found


def numbered(mask, *values):
    """The mask with its values renumbered from 1."""
    return sum((np.uint8(number) * (mask == value) for number, value in enumerate(values, 1)), np.uint8(0))


def test_a_segmentation_is_voxel_exact_for_itk_and_pydicom(study, tmp_path):
    case, mask = label(study, write_series(tmp_path / "dicom"))
    (path,) = written(study, tmp_path, "dicom-seg")
    assert path.name == f"{case.id}.seg.dcm"
    image, _ = source(tmp_path / "dicom")
    np.testing.assert_array_equal(segments_by_place(path, image), numbered(mask, 2, 5))


def test_a_segmentation_is_voxel_exact_for_highdicom(study, tmp_path):
    _, mask = label(study, write_series(tmp_path / "dicom"))
    (path,) = written(study, tmp_path, "dicom-seg")
    read = highdicom.seg.segread(path)
    assert [read.get_segment_description(number).segment_label for number in read.segment_numbers] == [
        "left atrium",
        "scar / fibrosis",
    ]
    instances = [f"{SERIES}.{number + 1}" for number in range(SLICES)]
    frames = read.get_pixels_by_source_instance(
        instances, combine_segments=True, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(frames.T, numbered(mask, 2, 5))


@pytest.mark.parametrize("form", FORMS)
def test_it_belongs_to_patient_study_and_frame_of_the_series_and_to_a_series_of_its_own(
    study, tmp_path, form
):
    case, _ = label(study, write_series(tmp_path / "dicom"))
    (path,) = written(study, tmp_path, form)
    dataset = pydicom.dcmread(path)
    assert {name: str(dataset.get(name)) for name in CANARIES} == CANARIES
    assert dataset.FrameOfReferenceUID == FRAME
    assert dataset.SeriesInstanceUID not in (SERIES, "") and dataset.SOPInstanceUID
    assert dataset.Modality == {"dicom-seg": "SEG", "rtstruct": "RTSTRUCT"}[form]
    again = written(study, tmp_path / "again", form)[0]
    assert pydicom.dcmread(again).SOPInstanceUID != dataset.SOPInstanceUID
    assert "CANARY" not in (tmp_path / "out" / "volumes.csv").read_text()
    assert identity_path(study.scan_path(case.id)).is_file()


def test_every_image_of_the_series_is_referred_to(study, tmp_path):
    label(study, write_series(tmp_path / "dicom"))
    everyone = {f"{SERIES}.{number + 1}" for number in range(SLICES)}
    dataset = pydicom.dcmread(written(study, tmp_path, "rtstruct")[0])
    study_item = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    assert study_item.ReferencedSOPInstanceUID == STUDY
    images = study_item.RTReferencedSeriesSequence[0].ContourImageSequence
    assert {image.ReferencedSOPInstanceUID for image in images} == everyone
    dataset = pydicom.dcmread(written(study, tmp_path / "seg", "dicom-seg")[0])
    images = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {image.ReferencedSOPInstanceUID for image in images} == everyone


def test_contours_filled_in_again_are_the_mask(study, tmp_path):
    _, mask = label(study, write_series(tmp_path / "dicom"))
    (path,) = written(study, tmp_path, "rtstruct")
    image, _ = source(tmp_path / "dicom")
    found = regions_by_place(path, image)
    assert set(found) == {2, 5}
    for value, region in found.items():
        np.testing.assert_array_equal(region, mask == value)
    names = {int(roi.ROINumber): roi.ROIName for roi in pydicom.dcmread(path).StructureSetROISequence}
    assert names == {2: "left atrium", 5: "scar / fibrosis"}


def test_each_contour_lies_in_the_image_it_refers_to(study, tmp_path):
    label(study, write_series(tmp_path / "dicom"))
    (path,) = written(study, tmp_path, "rtstruct")
    images = {image.SOPInstanceUID: image for image in source(tmp_path / "dicom")[1]}
    for roi in pydicom.dcmread(path).ROIContourSequence:
        for contour in roi.ContourSequence:
            (reference,) = contour.ContourImageSequence
            image = images[reference.ReferencedSOPInstanceUID]
            normal = np.cross(*np.reshape(np.array(image.ImageOrientationPatient, float), (2, 3)))
            points = np.reshape(np.array(contour.ContourData, float), (-1, 3))
            offset = (points - np.array(image.ImagePositionPatient, float)) @ normal
            assert np.abs(offset).max() < 1e-3


def ball(shape):
    """A ball with a hollow in it."""
    place = np.stack(np.mgrid[tuple(slice(0, size) for size in shape)])
    distance = np.sqrt(sum(((place[axis] - shape[axis] / 2) / shape[axis]) ** 2 for axis in range(3)))
    return np.where(distance < 0.12, 5, np.where(distance < 0.3, 2, 0)).astype(np.uint8)


@pytest.mark.parametrize("name", ["11-T1post-18670", "11_HCropVolume"])
def test_real_oblique_series_get_their_masks_back(study, brain_dicom, tmp_path, name):
    _, mask = label(study, brain_dicom / name, ball)
    image, _ = source(brain_dicom / name)
    (path,) = written(study, tmp_path, "dicom-seg")
    np.testing.assert_array_equal(segments_by_place(path, image), numbered(mask, 2, 5))
    (path,) = written(study, tmp_path / "rt", "rtstruct")
    for value, region in regions_by_place(path, image).items():
        np.testing.assert_array_equal(region, mask == value)


@pytest.mark.parametrize("form", FORMS)
def test_a_case_in_which_nothing_was_found_is_written_too(study, tmp_path, form):
    label(study, write_series(tmp_path / "dicom"), lambda shape: np.zeros(shape, np.uint8))
    (path,) = written(study, tmp_path, form)
    image, _ = source(tmp_path / "dicom")
    if form == "dicom-seg":
        assert len(pydicom.dcmread(path).SegmentSequence) == 3
        assert not segments_by_place(path, image).any()
    else:
        regions = regions_by_place(path, image)
        assert set(regions) == {2, 5, 9} and not any(region.any() for region in regions.values())


@pytest.mark.parametrize("form", FORMS)
def test_scans_that_did_not_come_from_dicom_are_refused_one_by_one(
    study, make_scan, make_labels, tmp_path, form
):
    importing.add_scan(study, make_scan("plain"), make_labels("plain", values=(2,)))
    case, _ = label(study, write_series(tmp_path / "dicom"))
    end = export_all(study, ExportRequest(tmp_path / "out", form=form))
    ((refused, sentence),) = end.problems
    assert refused == "plain" and "import its DICOM series again" in sentence
    assert sorted(path.name.split(".")[0] for path in (tmp_path / "out").iterdir()) == [case.id, "volumes"]


@pytest.mark.parametrize("form", FORMS)
def test_neutral_names_and_the_name_of_the_patient_do_not_go_together(study, tmp_path, form):
    label(study, write_series(tmp_path / "dicom"))
    with pytest.raises(StudyError, match="names the patient"):
        export_all(study, ExportRequest(tmp_path / "out", form=form, pseudonyms=True))
    assert not (tmp_path / "out").exists()


def test_a_package_that_is_not_installed_is_named_before_anything_is_written(study, tmp_path, monkeypatch):
    label(study, write_series(tmp_path / "dicom"))
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(StudyError, match="pip install highdicom"):
        export_all(study, ExportRequest(tmp_path / "out", form="dicom-seg"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_odd_values_of_the_patient_are_written_as_they_are_and_told_nowhere(
    study, tmp_path, form, caplog, recwarn
):
    odd = {"PatientBirthDate": "CANARY", "PatientName": "CANARY" * 30, "PatientSex": "?", "StudyDate": ""}
    folder = write_series(tmp_path / "dicom", **odd)
    caplog.clear()
    recwarn.clear()
    label(study, folder)
    (path,) = written(study, tmp_path, form)
    assert not caplog.text and not recwarn.list
    dataset = pydicom.dcmread(path)
    assert {name: str(dataset.get(name)) for name in odd} == odd


@pytest.mark.parametrize(
    ("form", "where"),
    [
        ("dicom-seg", "highdicom.seg.Segmentation"),
        ("rtstruct", "napari_dycon.study.exchange.writers.rtstruct.outline"),
    ],
)
def test_what_cannot_be_built_is_one_sentence_without_the_patient(study, tmp_path, form, where, monkeypatch):
    def fail(*_, **__):
        raise ValueError("CANARY is no name")

    label(study, write_series(tmp_path / "dicom"))
    formats.names()
    monkeypatch.setattr(where, fail)
    end = export_all(study, ExportRequest(tmp_path / "out", form=form))
    ((_, sentence),) = end.problems
    assert "does not fit together" in sentence and "CANARY" not in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", FORMS)
def test_long_names_stay_apart(tmp_path, form):
    names = ["x" * 70 + end for end in "ab"]
    structures = [Structure(value=value, name=name) for value, name in zip((2, 5), names, strict=True)]
    with Study.create(tmp_path / "study", structures) as study:
        label(study, write_series(tmp_path / "dicom"))
        dataset = pydicom.dcmread(written(study, tmp_path, form)[0])
    if form == "dicom-seg":
        found = [segment.SegmentLabel for segment in dataset.SegmentSequence]
    else:
        found = [roi.ROIName for roi in dataset.StructureSetROISequence]
    assert len(set(found)) == 2 and all(len(name) <= 64 for name in found)
