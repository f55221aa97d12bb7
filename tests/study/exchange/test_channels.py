"""Several images of a case: found by their names, joined to the scan, told where one is missing."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange import importing
from napari_dycon.study.exchange.channels import look_like_channels, parse_channels, proposed_endings
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

ENDINGS = {"T1": "0000", "FLAIR": "0001"}


def save(path, seed, moved=0.0, shape=(12, 11, 9)):
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([1.0, 1.1, 2.0, 1.0])
    affine[0, 3] = moved
    image = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    nib.save(nib.Nifti1Image(image, affine), path)
    return path


def run(study, *paths, endings=ENDINGS, **options):
    """One event a case."""
    _, *events = importing.add_scans(study, paths, endings=endings, **options)
    return events


def test_files_that_differ_by_their_ending_become_one_case(study, tmp_path):
    for number, case in enumerate(("anna", "bert")):
        for channel in range(2):
            save(tmp_path / "in" / f"{case}_000{channel}.nii.gz", 2 * number + channel)
    events = run(study, tmp_path / "in")
    assert [(event.case.name, event.problem) for event in events] == [("anna", None), ("bert", None)]
    assert study.record.channels == ("T1", "FLAIR")
    for event in events:
        flair = study.volume(event.case.id, "FLAIR")
        assert flair.path.name == f"{event.case.name}_0001.nii.gz"
        assert not np.array_equal(flair.array, study.volume(event.case.id).array)


def test_files_called_after_their_sequence_belong_to_their_folder(study, tmp_path):
    for number, case in enumerate(("anna", "bert")):
        save(tmp_path / "in" / case / "T1.nii.gz", number)
        save(tmp_path / "in" / case / "flair.nii.gz", 10 + number)
    events = run(study, tmp_path / "in", endings=parse_channels("t1,FLAIR"))
    assert [event.case.name for event in events] == ["anna", "bert"]
    assert all(list(event.case.images) == ["FLAIR"] for event in events)


def test_labels_belong_to_the_case_and_not_to_one_of_its_images(study, tmp_path):
    for channel in range(2):
        save(tmp_path / "imagesTr" / f"anna_000{channel}.nii.gz", channel)
    labels = np.zeros((12, 11, 9), np.uint8)
    labels[3:6, 3:6, 3:6] = study.structures[0].value
    (tmp_path / "labelsTr").mkdir()
    nib.save(nib.Nifti1Image(labels, np.diag([1.0, 1.1, 2.0, 1.0])), tmp_path / "labelsTr" / "anna.nii.gz")
    (event,) = run(study, tmp_path / "imagesTr", labels_dir=tmp_path / "labelsTr")
    assert (event.problem, event.case.status) == (None, "complete")


def test_an_image_that_is_missing_is_told_and_may_come_later(study, tmp_path):
    save(tmp_path / "in" / "anna_0000.nii.gz", 0)
    (event,) = run(study, tmp_path / "in")
    assert event.notes == ("It has no FLAIR image.",) and not event.case.images
    save(tmp_path / "in" / "anna_0001.nii.gz", 1)
    (event,) = run(study, tmp_path / "in")
    assert (event.outcome, list(event.case.images), event.notes) == ("joined", ["FLAIR"], ())
    (event,) = run(study, tmp_path / "in")
    assert event.outcome == "already there" and len(study.cases) == 1


def test_the_next_import_goes_by_the_same_endings(study, tmp_path):
    for case in ("anna", "bert"):
        for channel in range(2):
            save(tmp_path / case / f"{case}_000{channel}.nii.gz", ord(case[0]) + channel)
    run(study, tmp_path / "anna")
    (event,) = run(study, tmp_path / "bert", endings=None)
    assert (event.case.name, list(event.case.images)) == ("bert", ["FLAIR"])


def test_a_case_without_the_scan_to_draw_on_is_refused(study, tmp_path):
    save(tmp_path / "in" / "anna_0001.nii.gz", 0)
    (event,) = run(study, tmp_path / "in")
    assert event.case is None and "anna has no image T1 (0000)" in event.problem


def test_an_image_of_another_place_is_left_out_and_the_case_is_there(study, tmp_path):
    save(tmp_path / "in" / "anna_0000.nii.gz", 0)
    save(tmp_path / "in" / "anna_0001.nii.gz", 1, moved=500.0)
    (event,) = run(study, tmp_path / "in")
    assert "shows another place" in event.problem and event.case is not None and not event.case.images


def test_a_damaged_image_is_left_out_and_the_case_is_there(study, tmp_path):
    save(tmp_path / "in" / "anna_0000.nii.gz", 0)
    save(tmp_path / "in" / "anna_0001.nii.gz", 1).write_bytes(b"\x1f\x8b no")
    (event,) = run(study, tmp_path / "in")
    assert event.case is not None and "without its FLAIR image" in event.problem


def test_a_study_keeps_the_scan_that_is_drawn_on(study, tmp_path):
    save(tmp_path / "in" / "anna_0000.nii.gz", 0)
    run(study, tmp_path / "in")
    with pytest.raises(StudyError, match="name T1 first"):
        run(study, tmp_path / "in", endings={"FLAIR": "0001", "T1": "0000"})


def test_only_a_study_with_several_images_asks_for_a_program_that_knows_them(tmp_path):
    with Study.create(tmp_path / "s", [Structure(value=1, name="organ")]) as study:
        assert '"schema_version": 1' in (study.path / "study.json").read_text()
        save(tmp_path / "in" / "anna_0000.nii.gz", 0)
        run(study, tmp_path / "in")
        assert '"schema_version": 2' in (study.path / "study.json").read_text()
        save(tmp_path / "in" / "anna_0001.nii.gz", 1)
        run(study, tmp_path / "in")
    with Study.open(tmp_path / "s") as study:
        assert study.record.channels == ("T1", "FLAIR")
        assert study.volume("anna", "FLAIR").path.name == "anna_0001.nii.gz"


def test_endings_that_no_file_has_change_nothing(study, tmp_path):
    save(tmp_path / "in" / "anna.nii.gz", 0)
    (event,) = run(study, tmp_path / "in")
    assert (event.case.name, study.record.channels, study.record.schema_version) == ("anna", (), 1)


def test_an_image_that_is_another_one_now_is_not_used(study, tmp_path):
    for channel in range(2):
        save(tmp_path / "in" / f"anna_000{channel}.nii.gz", channel)
    (event,) = run(study, tmp_path / "in")
    save(tmp_path / "in" / "anna_0001.nii.gz", 99)
    study.unchanged_volume(event.case.id)
    with pytest.raises(StudyError, match="has changed on disk"):
        study.unchanged_volume(event.case.id, "FLAIR")


@pytest.mark.parametrize("text", ["t1", "t1,t1", "t1:A,flair:A", "t1:A,:B", ""])
def test_what_does_not_name_two_images_is_refused(text):
    with pytest.raises(StudyError, match="--channels"):
        parse_channels(text)


@pytest.mark.parametrize(
    ("stems", "numbers"),
    [
        (["a_0000", "a_0001", "b_0000", "b_0001"], ("0000", "0001")),
        (["a_0000", "b_0000"], ()),
        (["LA_0000", "LA_0001", "LA_0002"], ()),
        (["a_0000", "a_0001", "b_0000"], ()),
        (["p_0001", "p_0002", "q_0001", "q_0002"], ()),
    ],
)
def test_numbers_of_images_are_told_from_numbers_of_patients(stems, numbers):
    assert look_like_channels(stems) == numbers


@pytest.mark.parametrize(
    ("files", "endings"),
    [
        (["a_t1", "a_flair", "b_t1"], {"FLAIR": "flair", "T1": "t1"}),
        (["a_0000", "a_0001", "b_0000"], {"0000": "0000", "0001": "0001"}),
        (["anna/t1", "anna/t2", "bert/t1"], {"T1": "t1", "T2": "t2"}),
        (["a_t1", "a_mprage"], {"mprage": "mprage", "t1": "t1"}),
        (["a_t1", "b_flair"], {}),
        (["a_before", "a_after"], {}),
        (["LA_000", "LA_001"], {}),
        (["scan_0000", "scan_0001", "scan_0002"], {}),
    ],
)
def test_endings_are_proposed_where_files_differ_by_them_alone(files, endings):
    assert proposed_endings(Path("/in") / f"{name}.nii.gz" for name in files) == endings
