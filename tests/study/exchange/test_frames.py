"""A 4D NIfTI becomes cases of one patient or images of one case, each volume exactly where it was."""

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange.exporting import ExportRequest, export
from napari_dycon.study.exchange.frames import parse_frames
from napari_dycon.study.exchange.importing import CollectingScans, add_scans
from napari_dycon.study.truth.annotations import Annotation

SHAPE = (7, 6, 5, 3)
AFFINE = np.array([[-0.9, 0.1, 0, 12], [0.1, -1.1, 0.2, -7], [0, 0.3, 2.5, 31], [0, 0, 0, 1.0]])


@pytest.fixture
def stored():
    return np.random.default_rng(0).integers(-300, 900, SHAPE).astype(np.int16)


@pytest.fixture
def write_4d(tmp_path, stored):
    """Write the volumes, with a scaling, in either byte order, as NIfTI-1 or NIfTI-2."""

    def write(name="cine.nii.gz", kind=nib.Nifti1Image, endianness="<", voxels=stored):
        path = tmp_path / "images" / name
        path.parent.mkdir(exist_ok=True)
        image = kind(voxels, AFFINE, header=kind.header_class(endianness=endianness))
        image.set_sform(AFFINE, 1)
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_slope_inter(2, -5)
        nib.save(image, path)
        return path

    return write


def bring_in(study, path, frames, **more):
    events = list(add_scans(study, [path], frames=frames, **more))
    return [event for event in events if not isinstance(event, CollectingScans)]


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("endianness", ["<", ">"])
def test_time_points_become_cases_of_one_patient_voxel_by_voxel(study, write_4d, kind, endianness):
    path = write_4d(kind=kind, endianness=endianness)
    whole = nib.load(path)
    events = bring_in(study, path, "cases")
    assert [event.problem for event in events] == [None] * 3
    assert {event.path for event in events} == {path}
    assert [case.name for case in study.cases] == ["cine_t01", "cine_t02", "cine_t03"]
    assert len({case.patient for case in study.cases}) == 1
    for number, case in enumerate(study.cases):
        frame = nib.load(study.scan_path(case.id))
        np.testing.assert_array_equal(np.asarray(frame.dataobj), np.asarray(whole.dataobj)[..., number])
        assert frame.affine.tobytes() == whole.affine.tobytes()
        assert frame.get_data_dtype() == whole.get_data_dtype()
        assert study.scan_path(case.id).is_relative_to(study.path / "scans")


def test_images_of_one_case_are_channels_in_their_order(study, write_4d):
    path = write_4d()
    whole = np.asarray(nib.load(path).dataobj)
    (event,) = bring_in(study, path, "channels")
    assert event.problem is None
    (case,) = study.cases
    assert case.name == "cine"
    assert study.record.channels == ("volume 1", "volume 2", "volume 3")
    for number, channel in enumerate(("", "volume 2", "volume 3")):
        np.testing.assert_array_equal(study.volume(case.id, channel).array, whole[..., number])


def test_channels_are_called_as_a_person_says(study, write_4d):
    bring_in(study, write_4d(), "channels", endings={"T1": "t1", "FLAIR": "flair", "T2": "t2"})
    assert study.record.channels == ("T1", "FLAIR", "T2")
    assert list(study.cases[0].images) == ["FLAIR", "T2"]


def test_labels_of_the_case_stay_with_it_and_come_out_on_its_grid(study, write_4d, tmp_path):
    labels = np.zeros(SHAPE[:3], np.uint8)
    labels[2:5, 2:4, 1:3] = 1
    (tmp_path / "labels").mkdir()
    nib.save(nib.Nifti1Image(labels, AFFINE), tmp_path / "labels" / "cine.nii.gz")
    bring_in(study, write_4d(), "channels", labels_dir=tmp_path / "labels")
    (case,) = study.cases
    assert case.status == "complete"
    list(export(study, ExportRequest(tmp_path / "out")))
    mask = nib.load(next((tmp_path / "out").glob("*.nii.gz")))
    assert mask.shape == SHAPE[:3]
    assert mask.affine.tobytes() == nib.load(tmp_path / "images" / "cine.nii.gz").affine.tobytes()
    np.testing.assert_array_equal(np.asarray(mask.dataobj), labels)


def test_of_time_points_nobody_knows_whose_the_labels_are(study, write_4d, tmp_path):
    (tmp_path / "labels").mkdir()
    nib.save(nib.Nifti1Image(np.ones(SHAPE[:3], np.uint8), AFFINE), tmp_path / "labels" / "cine.nii.gz")
    events = bring_in(study, write_4d(), "cases", labels_dir=tmp_path / "labels")
    assert all("do not say of which time point" in event.problem for event in events)
    assert [case.status for case in study.cases] == ["unlabelled"] * 3


def test_once_more_they_are_there_already_and_leave_no_files(study, write_4d):
    path = write_4d()
    bring_in(study, path, "cases")
    study.save_annotation(study.cases[0].id, Annotation.full(np.ones(SHAPE[:3], np.uint8)), "complete")
    before = sorted((study.path / "scans").iterdir())
    events = bring_in(study, path, "cases")
    assert [event.outcome for event in events] == ["already there"] * 3
    assert sorted((study.path / "scans").iterdir()) == before
    assert len(study.cases) == 3


def test_without_being_told_it_is_refused_and_says_how(study, write_4d):
    (event,) = bring_in(study, write_4d(), None)
    assert "holds 3 volumes" in event.problem and "--frames cases" in event.problem
    assert not study.cases


def test_3d_scans_beside_it_come_as_ever(study, write_4d, stored):
    path = write_4d()
    write_4d("flat.nii.gz", voxels=stored[..., 0] + 1)
    events = bring_in(study, path.parent, "cases")
    assert sorted(case.name for case in study.cases) == ["cine_t01", "cine_t02", "cine_t03", "flat"]
    assert all(event.problem is None for event in events)


def test_what_cannot_be_taken_apart_is_refused_and_leaves_no_files(study, write_4d, stored):
    damaged = write_4d("damaged.nii", voxels=stored)
    damaged.write_bytes(damaged.read_bytes()[:-9])
    five = write_4d("five.nii.gz", voxels=np.stack([stored, stored], axis=-1))
    events = bring_in(study, damaged, "cases") + bring_in(study, five, "cases")
    assert "truncated" in events[0].problem
    assert "holds 6 volumes" in events[1].problem and "--frames" not in events[1].problem
    assert not list((study.path / "scans").glob("*"))


def test_another_number_of_images_than_the_study_has_is_refused(study, write_4d, stored):
    bring_in(study, write_4d(), "channels")
    other = np.concatenate([stored, stored[..., :1] + 1], axis=-1)
    (event,) = bring_in(study, write_4d("other.nii.gz", voxels=other), "channels")
    assert "holds 4 volumes" in event.problem and "has 3 images" in event.problem


def test_a_word_that_says_neither_is_refused():
    assert parse_frames("cases") == "cases"
    with pytest.raises(StudyError, match="cases or channels"):
        parse_frames("time")
