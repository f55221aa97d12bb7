import os

import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store import removing
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known


@pytest.fixture
def filled(study, make_scan, make_labels):
    """A study of two cases; the first has labels with a history, a note and a prediction."""
    case = importing.add_scan(study, make_scan("a"), make_labels("a"))
    importing.add_scan(study, make_scan("b"))
    annotation = study.annotation("a")
    annotation.labels[0, 0, 0] = 1
    study.save_annotation("a", annotation, "accept")
    run = study.new_run("dycon")
    shape = case.shape
    study.predictions.save(run, "a", np.ones(shape, np.uint8), np.full(shape, 0.25, np.float32))
    study.predictions.save_summary(run, {"a": {"mean_entropy": 0.25}, "b": {"mean_entropy": 0.5}})
    study.notebook.write("a", note="keep", flagged=True)
    return study


def everything(study):
    return (
        study.case("a"),
        study.annotation("a").labels.tobytes(),
        study.annotation("a").known.tobytes(),
        study.predictions.mask("001-dycon", "a").tobytes(),
        study.predictions.summary("001-dycon"),
        study.notebook.page("a"),
        sorted(path.name for path in (study.path / "history" / "a").iterdir()),
    )


def test_a_removed_case_is_gone_and_can_be_put_back_as_it_was(filled):
    before = everything(filled)
    removed = filled.remove_case("a")
    assert [case.id for case in filled.cases] == ["b"]
    assert not list((filled.path / "annotations").glob("a.*"))
    assert filled.notebook.page("a").note == ""
    assert [item.name for item in filled.removed_cases()] == ["a"]
    filled.restore_case(removed.folder)
    assert everything(filled) == before
    assert filled.removed_cases() == []


def test_the_scan_is_not_touched(filled):
    scan = filled.scan_path("a")
    before = scan.read_bytes()
    filled.remove_case("a")
    assert scan.read_bytes() == before


def test_it_stays_removed_and_can_be_put_back_after_closing(filled):
    before = everything(filled)
    filled.remove_case("a")
    filled.close()
    with Study.open(filled.path) as again:
        assert [case.id for case in again.cases] == ["b"]
        (item,) = again.removed_cases()
        again.restore_case(item.folder)
        assert everything(again) == before


def test_a_scan_added_again_starts_without_the_old_labels_and_both_are_kept(filled, make_scan):
    filled.remove_case("a")
    again = importing.add_scan(filled, make_scan("a"))
    assert (again.id, again.status) == ("a", "unlabelled")
    assert filled.predictions.mask("001-dycon", "a") is None
    assert filled.predictions.summary("001-dycon") == {"b": {"mean_entropy": 0.5}}
    (item,) = filled.removed_cases()
    with pytest.raises(StudyError, match="holds a case a again"):
        filled.restore_case(item.folder)
    assert filled.removed_cases() == [item]
    filled.remove_case("a")
    assert len(filled.removed_cases()) == 2


def test_a_copy_that_cannot_be_made_leaves_the_case_in_the_study(filled, monkeypatch):
    before = everything(filled)

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(removing, "_copy", full)
    with pytest.raises(StudyError, match=r"was not removed.*No space left"):
        filled.remove_case("a")
    assert everything(filled) == before
    assert filled.removed_cases() == []


def test_where_files_cannot_be_linked_they_are_copied(filled, monkeypatch):
    before = everything(filled)
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("not here")))
    filled.restore_case(filled.remove_case("a").folder)
    assert everything(filled) == before


def test_a_crash_before_the_case_left_the_study_file_changes_nothing(filled, monkeypatch):
    before = everything(filled)

    def crash(**changes):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(filled, "update", crash)
        with pytest.raises(KeyboardInterrupt):
            filled.remove_case("a")
    assert everything(filled) == before


def test_an_edit_after_the_removal_does_not_change_the_copy(filled, make_scan):
    filled.remove_case("a")
    other = importing.add_scan(filled, make_scan("a"))
    filled.save_annotation("a", Annotation.full(np.full(other.shape, 1, np.uint8)), "complete")
    filled.remove_case("a")
    first = filled.removed_cases()[-1]
    filled.restore_case(first.folder)
    assert np.count_nonzero(filled.annotation("a").labels) < other.shape[0] * other.shape[1] * other.shape[2]


def test_a_reader_cannot_remove_and_nonsense_cannot_be_put_back(filled):
    with Study.open(filled.path) as reader, pytest.raises(StudyError, match="Nothing was changed"):
        reader.remove_case("a")
    with pytest.raises(StudyError, match="no case 'zzz'"):
        filled.remove_case("zzz")
    with pytest.raises(StudyError, match="no removed case"):
        filled.restore_case("../../annotations")


def test_ignored_voxels_come_back_too(filled):
    annotation = filled.annotation("a")
    annotation.known[1, 1, 1] = Known.IGNORE
    filled.save_annotation("a", annotation, "complete")
    filled.restore_case(filled.remove_case("a").folder)
    assert filled.annotation("a").known[1, 1, 1] == Known.IGNORE
