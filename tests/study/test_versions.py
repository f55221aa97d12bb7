import os
import time

import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.annotations import Annotation
from napari_dycon.study.versions import KEPT_MINUTES, KEPT_VERSIONS


def of_value(case, value):
    return Annotation.full(np.full(case.shape, value, np.uint8))


@pytest.fixture
def case(study, make_scan):
    return study.add_scan(make_scan())


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
