import os
import time

import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.versions import KEPT_MINUTES, KEPT_VERSIONS
from napari_dycon.study.truth.annotations import Annotation


def of_value(case, value):
    return Annotation.full(np.full(case.shape, value, np.uint8))


@pytest.fixture
def case(study, make_scan):
    return importing.add_scan(study, make_scan())


def test_versions_tell_when_why_and_after_which_run(study, case):
    assert study.versions(case.id) == []
    study.save_annotation(case.id, of_value(case, 1), "import")
    study.save_annotation(
        case.id, of_value(case, 2), "accept", ["Accept prediction, axial slice 3"], "003-dycon"
    )
    study.save_annotation(case.id, of_value(case, 3), "autosave")
    found = study.versions(case.id)
    assert [version.generation for version in found] == [3, 2, 1]
    assert [version.reason for version in found] == ["autosave", "accept", "import"]
    assert found[1].names == ("Accept prediction, axial slice 3",)
    assert found[1].run == "003-dycon"
    assert all(version.saved.endswith("+00:00") for version in found)


def test_any_version_can_be_looked_at_and_restoring_one_loses_none(study, case):
    for value in (1, 2, 3):
        study.save_annotation(case.id, of_value(case, value), "complete")
    for value in (1, 2, 3):
        assert (study.annotation_version(case.id, value).labels == value).all()
    record = study.restore_version(case.id, 1)
    assert record.label_voxels == {1: int(np.prod(case.shape))}
    assert (study.annotation(case.id).labels == 1).all()
    newest = study.versions(case.id)[0]
    assert newest.reason == "restore"
    assert newest.names[0].startswith("Restore version 1 of 20")
    assert (study.annotation_version(case.id, 3).labels == 3).all()
    study.restore_version(case.id, 3)
    assert (study.annotation(case.id).labels == 3).all()


def test_a_missing_or_damaged_version_is_told_and_the_others_stay(study, case):
    for value in (1, 2, 3):
        study.save_annotation(case.id, of_value(case, value), "complete")
    with pytest.raises(StudyError, match="no version 9"):
        study.annotation_version(case.id, 9)
    path = study.path / "history" / case.id / "000001.nii.gz"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(StudyError, match="damaged"):
        study.restore_version(case.id, 1)
    assert (study.annotation(case.id).labels == 3).all()
    (study.path / "history" / case.id / "000001.json").write_text("{")
    assert [version.generation for version in study.versions(case.id)] == [3, 2]


def test_the_first_version_outlives_all_but_the_newest(study, case):
    for number in range(KEPT_VERSIONS + 5):
        study.save_annotation(case.id, of_value(case, number + 1), "complete")
    kept = [version.generation for version in study.versions(case.id)]
    assert kept == [*range(KEPT_VERSIONS + 5, 5, -1), 1]
    assert (study.annotation_version(case.id, 1).labels == 1).all()


def test_long_painting_leaves_a_version_every_few_minutes(study, case):
    for value in (1, 2, 3):
        study.save_annotation(case.id, of_value(case, value), "autosave")
    assert [version.generation for version in study.versions(case.id)] == [3, 1]
    earlier = time.time() - 60 * KEPT_MINUTES - 1
    os.utime(study.path / "history" / case.id / "000001.json", (earlier, earlier))
    study.save_annotation(case.id, of_value(case, 4), "autosave")
    study.save_annotation(case.id, of_value(case, 5), "autosave")
    assert [version.generation for version in study.versions(case.id)] == [5, 3, 1]


STRAYS = (
    "._{}.json",
    "{} (1).json",
    "{}.json.icloud",
    "{} 2.json",
    "{}-Annas MacBook.json",
    "Thumbs.db",
    "notes.json",
)


def test_what_other_programs_leave_in_the_history_stops_no_save(study, case):
    folder = study.path / "history" / case.id
    for number in range(KEPT_VERSIONS + 5):
        study.save_annotation(case.id, of_value(case, number + 1), "complete")
        for newest in sorted(folder.glob("??????.json"))[-1:]:
            for stray in STRAYS:
                (folder / stray.format(newest.stem)).write_bytes(newest.read_bytes())
    kept = [version.generation for version in study.versions(case.id)]
    assert kept == [*range(KEPT_VERSIONS + 5, 5, -1), 1]
    assert (study.annotation(case.id).labels == KEPT_VERSIONS + 5).all()
    assert (folder / "000002 (1).json").exists(), "what is not ours is left alone"


def test_a_version_that_cannot_be_forgotten_stops_no_save(study, case, monkeypatch):
    def refuse(path, missing_ok=False):
        raise PermissionError(13, "held open", str(path))

    for number in range(KEPT_VERSIONS + 3):
        with monkeypatch.context() as patch:
            if number > KEPT_VERSIONS:
                patch.setattr("pathlib.Path.unlink", refuse)
            study.save_annotation(case.id, of_value(case, number + 1), "complete")
    assert (study.annotation(case.id).labels == KEPT_VERSIONS + 3).all()


@pytest.mark.parametrize("hours", [-48, -1, 1, 48])
def test_a_clock_that_is_set_loses_no_version(study, case, hours, monkeypatch):
    study.save_annotation(case.id, of_value(case, 1), "complete")
    study.save_annotation(case.id, of_value(case, 2), "complete")
    folder, away = study.path / "history" / case.id, time.time() - 3600 * hours
    for path in folder.iterdir():
        os.utime(path, (away, away))
    for value in range(3, 10):
        study.save_annotation(case.id, of_value(case, value), "complete")
        study.save_annotation(case.id, of_value(case, value), "autosave")
        study.save_annotation(case.id, of_value(case, value), "autosave")
    generations = [version.generation for version in study.versions(case.id)]
    assert generations == sorted(generations, reverse=True)
    for value in range(1, 10):
        assert any((study.annotation_version(case.id, g).labels == value).all() for g in generations), value


def test_the_clock_set_back_does_not_keep_every_autosave(study, case):
    for value in (1, 2, 3):
        study.save_annotation(case.id, of_value(case, value), "complete")
    ahead = time.time() + 7200
    os.utime(study.path / "history" / case.id / "000002.json", (ahead, ahead))
    for value in range(4, 14):
        study.save_annotation(case.id, of_value(case, value), "autosave")
    assert [version.generation for version in study.versions(case.id)] == [13, 3, 2, 1]


@pytest.mark.parametrize("name", ["history", "annotations"])
def test_a_file_where_a_folder_belongs_stops_no_save(study, case, name):
    (study.path / name).write_text("not a folder")
    for value in (1, 2, 3):
        study.save_annotation(case.id, of_value(case, value), "complete")
    assert (study.annotation(case.id).labels == 3).all()
    assert [version.generation for version in study.versions(case.id)] == [3, 2, 1]
    assert (study.path / f"{name}.in-the-way").read_text() == "not a folder"


@pytest.mark.parametrize("lost", ["nii.gz", "known.nii.gz"])
def test_a_lost_file_of_the_annotation_before_stops_no_save(study, case, lost):
    study.save_annotation(case.id, of_value(case, 1), "complete")
    (study.path / "annotations" / f"{case.id}.{lost}").unlink()
    study.save_annotation(case.id, of_value(case, 2), "complete")
    assert (study.annotation(case.id).labels == 2).all()
    assert len(list((study.path / "history" / "strays").iterdir())) == 1
