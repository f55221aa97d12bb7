import shutil

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import GridMismatchError, StudyError, VolumeError
from napari_dycon.study.annotations import Annotation
from napari_dycon.study.schema import Structure
from napari_dycon.study.study import Study


def run(study, *paths, labels_dir=None):
    return list(study.add_scans(paths, labels_dir=labels_dir))


def test_real_scans_are_added_from_a_folder_and_only_those_with_labels_become_labelled(
    study, atria, tmp_path
):
    images, labels = atria
    for folder, source, numbers in (("images", images, range(5)), ("masks", labels, (1, 3))):
        (tmp_path / folder).mkdir()
        for number in numbers:
            shutil.copy(source / f"LA_{number:03d}.nii.gz", tmp_path / folder)
    events = run(study, tmp_path / "images", labels_dir=tmp_path / "masks")
    assert [event.problem for event in events] == [None] * 5
    assert [(event.done, event.total) for event in events] == [(n, 5) for n in range(1, 6)]
    assert [case.id for case in study.cases] == [f"LA_{n:03d}" for n in range(5)]
    assert [case.status for case in study.cases] == [
        "unlabelled",
        "complete",
        "unlabelled",
        "complete",
        "unlabelled",
    ]


def test_dicom_series_are_converted_once_into_the_study(study, brain_dicom):
    events = run(study, brain_dicom / "11-T1post-18670")
    assert [event.problem for event in events] == [None]
    case = events[0].case
    assert case.scan == f"scans/{case.id}.nii.gz"
    assert case.shape == (280, 320, 22)
    again = run(study, brain_dicom / "11-T1post-18670")
    assert "same image" in again[0].problem
    assert len(list((study.path / "scans").iterdir())) == 1


def test_dicom_beside_other_scans_is_not_left_out(study, make_scan, brain_dicom, tmp_path):
    make_scan("a", folder="mixed")
    shutil.copytree(brain_dicom / "11_HCropVolume", tmp_path / "mixed" / "brain")
    events = run(study, tmp_path / "mixed")
    assert [(event.case.id, event.problem) for event in events] == [("a", None), ("brain", None)]


def test_a_single_dicom_file_stands_for_its_series(study, brain_dicom):
    (event,) = run(study, next((brain_dicom / "11_HCropVolume").glob("*.dcm")))
    assert event.problem is None
    assert event.case.shape[2] == 40


@pytest.mark.parametrize("name", ["a", "a_seg", "a_label", "a-labels", "A_MASK", "a.seg"])
def test_labels_are_matched_by_file_name(study, make_scan, make_labels, tmp_path, name):
    make_scan("a")
    make_labels(name)
    make_labels("unrelated")
    (event,) = run(study, tmp_path / "images", labels_dir=tmp_path / "labels")
    assert (event.problem, event.case.status) == (None, "complete")


def test_channel_numbers_of_nnunet_are_looked_through(study, make_scan, make_labels, tmp_path):
    make_scan("heart_01_0000", folder="imagesTr")
    make_labels("heart_01", folder="labelsTr")
    (event,) = run(study, tmp_path)
    assert (event.problem, event.case.id, event.case.status) == (None, "heart_01_0000", "complete")


def test_labels_beside_the_scans_are_not_taken_for_scans(study, make_scan, make_labels, tmp_path):
    make_scan("a", folder="both")
    make_scan("b", folder="both")
    make_labels("a_seg", folder="both")
    events = run(study, tmp_path / "both")
    assert [(event.case.id, event.case.status) for event in events] == [
        ("a", "complete"),
        ("b", "unlabelled"),
    ]


def test_ambiguous_labels_are_not_guessed(study, make_scan, make_labels, tmp_path):
    make_scan("a")
    make_labels("a", folder="labels/x")
    make_labels("a", folder="labels/y")
    (event,) = run(study, tmp_path / "images", labels_dir=tmp_path / "labels")
    assert event.case is None
    assert "Several label files could belong to a" in event.problem


def test_files_that_cannot_be_used_are_skipped_with_a_sentence_and_the_rest_goes_on(
    study, make_scan, tmp_path
):
    make_scan("a")
    broken = make_scan("b")
    broken.write_bytes(broken.read_bytes()[:200])
    (broken.parent / "c.nii").write_text("no scan")
    make_scan("d")
    events = run(study, broken.parent, tmp_path / "gone.nii.gz", tmp_path / "notes.pdf")
    assert [event.case.id if event.case else None for event in events] == ["a", None, None, "d", None, None]
    for event in events:
        if event.case is None:
            assert event.path.name in event.problem
            assert "\n" not in event.problem
            assert "Traceback" not in event.problem


def test_a_folder_without_scans_is_told(study, tmp_path):
    (tmp_path / "empty").mkdir()
    (event,) = run(study, tmp_path / "empty")
    assert "holds no scans" in event.problem
    alone = tmp_path / "empty" / "notes.dcm"
    alone.touch()
    (event,) = run(study, alone)
    assert "notes.dcm" in event.problem


def test_the_same_image_is_not_added_twice(study, make_scan, tmp_path):
    scan = make_scan("a")
    study.add_scan(scan)
    copy = tmp_path / "copy.nii.gz"
    shutil.copy(scan, copy)
    with pytest.raises(StudyError, match="same image as case a"):
        study.add_scan(copy)
    assert len(study.cases) == 1


def test_labels_can_follow_later_but_do_not_replace_annotations(study, make_scan, make_labels):
    scan, labels = make_scan(), make_labels()
    study.add_scan(scan)
    assert study.add_scan(scan, labels).status == "complete"
    with pytest.raises(StudyError, match="same image"):
        study.add_scan(scan, labels)


def test_different_scans_of_one_name_get_different_ids(study, make_scan, write_nifti, tmp_path):
    study.add_scan(make_scan("a"))
    other = write_nifti(tmp_path / "day2" / "a.nii.gz", np.arange(960, dtype=np.int16).reshape(12, 10, 8))
    assert study.add_scan(other).id == "case-0001"
    assert study.cases[1].name == "a"


def test_an_annotation_left_by_a_crash_is_not_given_to_a_new_scan(study, make_scan, make_labels):
    stray = study.path / "annotations" / "a.nii.gz"
    stray.parent.mkdir()
    make_labels().replace(stray)
    assert study.annotation(study.add_scan(make_scan("a")).id).known_fraction == 0
    assert len(list((study.path / "history" / "strays").iterdir())) == 1


def test_a_label_value_without_a_structure_is_refused_by_name_and_count(
    study, make_scan, make_labels, tmp_path
):
    scan, labels = make_scan(), make_labels(values=(1, 2, 30))
    with pytest.raises(StudyError, match=r"2 \(16 voxels\), 30 \(16 voxels\); add a structure"):
        study.add_scan(scan, labels)
    assert study.cases == ()
    (event,) = run(study, scan, labels_dir=labels.parent)
    assert event.case.status == "unlabelled"
    assert "add a structure" in event.problem
    study.add_structure("ventricle", value=2)
    study.add_structure("scar", value=30)
    assert study.add_scan(scan, labels).label_voxels == {1: 16, 2: 16, 30: 16}


def test_a_study_without_structures_takes_them_from_the_first_labels(tmp_path, make_scan, make_labels):
    with Study.create(tmp_path / "new", []) as study:
        study.add_scan(make_scan(), make_labels(values=(2, 5)))
        assert [(s.value, s.name) for s in study.structures] == [(2, "structure 2"), (5, "structure 5")]
        assert len({s.color for s in study.structures}) == 2


@pytest.mark.parametrize(
    ("voxels", "shift", "error", "message"),
    [
        (np.zeros((12, 10, 9), np.uint8), 0, GridMismatchError, "made for another scan"),
        (np.zeros((12, 10, 8), np.uint8), 5, GridMismatchError, "5.00 mm"),
        (np.full((12, 10, 8), 0.5, np.float32), 0, VolumeError, "fractional"),
        (np.full((12, 10, 8), np.nan, np.float32), 0, VolumeError, "NaN"),
        (np.full((12, 10, 8), -1, np.int16), 0, VolumeError, "-1"),
    ],
)
def test_labels_that_do_not_fit_are_refused_and_the_scan_is_added_without(
    study, make_scan, write_nifti, tmp_path, voxels, shift, error, message
):
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    affine[0, 3] = shift
    scan, labels = make_scan(), write_nifti(tmp_path / "labels" / "scan.nii.gz", voxels, affine)
    with pytest.raises(error, match=message):
        study.add_scan(scan, labels)
    assert study.cases == ()
    (event,) = run(study, scan, labels_dir=labels.parent)
    assert event.problem.endswith("The scan was added without labels.")
    assert study.annotation(event.case.id).known_fraction == 0


def test_scans_inside_the_study_itself_are_not_imported_again(study, make_scan, make_labels, tmp_path):
    study.add_scan(make_scan("a"), make_labels("a"))
    make_scan("b", folder="study_next_door")
    events = run(study, tmp_path)
    assert [event.case.id for event in events if event.case] == ["b"]
    assert not any(event.path.is_relative_to(study.path) for event in events)


def test_an_import_can_be_ended_at_any_scan(study, make_scan, tmp_path):
    for name in "abc":
        make_scan(name)
    for event in study.add_scans([tmp_path / "images"]):
        if event.done == 2:
            break
    assert [case.id for case in study.cases] == ["a", "b"]


def test_a_missing_label_folder_is_told_at_once(study, make_scan, tmp_path):
    with pytest.raises(StudyError, match="is not a folder"):
        run(study, make_scan(), labels_dir=tmp_path / "nowhere")


def test_invalid_voxels_are_counted_and_noted(study, write_nifti, tmp_path):
    voxels = np.arange(960, dtype=np.float32).reshape(12, 10, 8)
    voxels[0, 0, :3] = [np.nan, np.inf, -np.inf]
    case = study.add_scan(write_nifti(tmp_path / "nan.nii.gz", voxels))
    assert case.intensity.invalid == 3
    assert case.intensity.maximum == 959
    assert "3 voxels are invalid" in " ".join(case.notes)


def test_labels_of_other_formats_and_of_named_structures_are_read(tmp_path, make_scan):
    import SimpleITK as sitk

    scan = make_scan()
    image = sitk.ReadImage(str(scan))
    mask = sitk.Cast(image > 400, sitk.sitkUInt8)
    sitk.WriteImage(mask, str(tmp_path / "scan.nrrd"))
    with Study.create(tmp_path / "new", [Structure(value=1, name="bright")]) as study:
        study.add_scan(scan, tmp_path / "scan.nrrd")
        expected = Annotation.full((np.asarray(nib.load(scan).dataobj) > 400).astype(np.uint8))
        np.testing.assert_array_equal(study.annotation("scan").labels, expected.labels)
