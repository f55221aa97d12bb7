import contextlib
import threading

import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store import structures
from napari_dycon.study.store.annotation_store import AnnotationStore
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known


class PowerCut(BaseException):
    """The instant at which the program stops."""


@pytest.fixture
def cases(study, make_scan):
    """Three cases with a left atrium (1) and a vein (2), of which the last shows only the atrium."""
    study.add_structure("vein")
    made = [importing.add_scan(study, make_scan(name)) for name in "abc"]
    for case, highest in zip(made, (2, 2, 1), strict=True):
        annotation = Annotation.empty(case.shape)
        annotation.labels[:, :, 0], annotation.known[:, :, :3] = 1, Known.DRAWN
        annotation.labels[:, :, 1] = highest
        annotation.labels[:, :, 5] = 2  # painted over the unknown by another program: says nothing
        study.save_annotation(case.id, annotation, "complete")
    return made


def test_merging_rewrites_every_case_and_keeps_the_versions_before(study, cases):
    study.merge_structures(2, into=1)
    assert [structure.name for structure in study.structures] == ["left atrium"]
    for case in cases:
        labels = study.annotation(case.id).labels
        assert (labels[:, :, :2] == 1).all()
        assert study.case(case.id).volumes_ml == {"left atrium": pytest.approx(0.48)}
    assert [version.reason for version in study.versions("a")] == ["merge", "complete"]
    assert study.versions("a")[0].names == ('Merge "vein" into "left atrium"',)
    assert len(study.versions("c")) == 1
    study.close()
    with Study.open(study.path) as again:
        assert [structure.value for structure in again.structures] == [1]
        assert (again.annotation("b").labels[:, :, :2] == 1).all()


@pytest.mark.parametrize("background", [False, True])
def test_removing_makes_voxels_unknown_or_background_and_leaves_a_copy(study, cases, background):
    study.remove_structure(2, background=background)
    annotation = study.annotation("a")
    assert (annotation.labels[:, :, 1] == 0).all()
    assert (annotation.known[:, :, 1] == (Known.DRAWN if background else Known.UNKNOWN)).all()
    assert (annotation.labels[:, :, 0] == 1).all()
    earlier = study.annotation_version("a", 1, as_saved=True)
    assert (earlier.labels[:, :, 1] == 2).all()


def test_an_older_version_speaks_of_the_structures_of_today(study, cases):
    study.merge_structures(2, into=1)
    aorta = study.add_structure("aorta").value  # never the value that became free
    study.restore_version("a", 1)
    assert (study.annotation("a").labels[:, :, 1] == 1).all()
    annotation = study.annotation("b")
    annotation.labels[:, :, 2] = aorta
    study.save_annotation("b", annotation, "complete")
    generation = study.versions("b")[0].generation
    study.save_annotation("b", Annotation.empty(annotation.shape), "complete")
    assert (study.annotation_version("b", generation).labels[:, :, 2] == aorta).all()


def test_a_stop_at_any_step_of_a_merge_is_made_good_at_the_next_opening(tmp_path, study, cases, monkeypatch):
    study.close()
    writes = (AnnotationStore, "write"), (structures, "write_checked"), (Study, "set_structures")
    for step in range(20):
        copy = tmp_path / f"copy{step}"
        copy.mkdir()
        for path in study.path.rglob("*"):
            target = copy / path.relative_to(study.path)
            target.mkdir(exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
        left = [step]
        with monkeypatch.context() as patch:
            for owner, name in writes:
                patch.setattr(owner, name, stopping(getattr(owner, name), left))
            opened = Study.open(copy, read_only=False)
            with contextlib.suppress(PowerCut):
                opened.merge_structures(2, into=1)
            opened._lock.release()
        with Study.open(copy, read_only=False) as again:
            values = [structure.value for structure in again.structures]
            held = [2 in again.case(case.id).label_voxels for case in cases]
            assert (values, held) in [([1, 2], [True, True, False]), ([1], [False, False, False])]
        if left[0] >= 0:
            break
    assert 5 < step < 19
    assert values == [1]


def stopping(original, left):
    def stepped(*args, **kwargs):
        left[0] -= 1
        if left[0] == -1:
            raise PowerCut
        result = original(*args, **kwargs)
        left[0] -= 1
        if left[0] == -1:
            raise PowerCut
        return result

    return stepped


def test_a_damaged_annotation_stops_a_merge_before_anything_is_changed(study, cases):
    (study.path / "annotations" / "c.known.nii.gz").write_bytes(b"damaged")
    with pytest.raises(StudyError, match="damaged"):
        study.merge_structures(2, into=1)
    assert [structure.value for structure in study.structures] == [1, 2]
    assert 2 in study.annotation("a").label_voxels()


def test_a_merge_needs_no_scans(study, cases, tmp_path):
    (tmp_path / "images").rename(tmp_path / "away")
    study.merge_structures(2, into=1)
    (tmp_path / "away").rename(tmp_path / "images")
    assert (study.annotation("a").labels[:, :, 1] == 1).all()


def test_what_cannot_be_done_is_told(study, cases):
    with pytest.raises(StudyError, match="into itself"):
        study.merge_structures(1, into=1)
    with pytest.raises(StudyError, match="no structure with label value 9"):
        study.remove_structure(9)
    reader = Study.open(study.path)
    with pytest.raises(StudyError, match="Nothing was changed"):
        reader.remove_structure(2)


def test_a_case_put_back_after_a_merge_has_the_structures_of_today(study, cases):
    removed = study.remove_case("a")
    study.merge_structures(2, into=1)
    study.restore_case(removed.folder)
    assert (study.annotation("a").labels[:, :, :2] == 1).all()
    assert study.case("a").volumes_ml == study.case("b").volumes_ml
    earlier = study.versions("a")[-1].generation
    study.restore_version("a", earlier)
    assert (study.annotation("a").labels[:, :, :2] == 1).all()
    again = study.remove_case("a")
    study.restore_case(again.folder)
    assert [version.reason for version in study.versions("a")][-2:] == ["merge", "complete"]


def test_a_prediction_of_before_speaks_of_the_structures_of_today(study, cases):
    run = study.new_run("dycon")
    mask = np.zeros(cases[0].shape, np.uint8)
    mask[:, :, 0], mask[:, :, 1] = 1, 2
    study.predictions.save(run, "a", mask, np.zeros(mask.shape, np.float32))
    study.merge_structures(2, into=1)
    assert (study.predictions.mask(run, "a")[:, :, :2] == 1).all()
    study.remove_structure(1)
    assert not study.predictions.mask(run, "a").any()


@pytest.mark.parametrize("change", ["merge", "remove"])
def test_the_study_is_free_while_the_cases_are_worked_on(study, cases, change, monkeypatch):
    """What a click in the window needs never waits for a case that is being rewritten."""
    written, done, write = threading.Event(), threading.Event(), AnnotationStore.write

    def slow(store, case, *args, **kwargs):
        if case == "b":
            written.set()
            assert done.wait(60), "something waited for the change"
        return write(store, case, *args, **kwargs)

    monkeypatch.setattr(AnnotationStore, "write", slow)
    act = study.merge_structures if change == "merge" else study.remove_structure
    hand = threading.Thread(target=act, args=(2, 1) if change == "merge" else (2,))
    hand.start()
    assert written.wait(60)
    clicks = threading.Thread(target=lambda: (click(study), done.set()))
    clicks.start()
    clicks.join(30)
    done.set()
    hand.join()
    assert not clicks.is_alive()
    assert [structure.name for structure in study.structures] == ["heart"]
    assert not any(2 in study.annotation(case.id).labels[:, :, :2] for case in cases)


def click(study):
    study.notebook.write("a", note="seen")
    study.annotation("a")
    study.annotation_summary("c")
    study.change_structure(1, name="heart")
    study.set_active_run(None)
    study.new_run("dycon")


def test_a_case_that_comes_during_a_merge_is_merged_too(study, cases, make_scan, monkeypatch):
    write, came = AnnotationStore.write, []
    scan = make_scan("late")

    def slow(store, case, *args, **kwargs):
        if case == "b" and not came:
            came.append(importing.add_scan(study, scan).id)
            labels = Annotation.full(np.full(cases[0].shape, 2, np.uint8))
            study.save_annotation(came[0], labels, "complete")
        return write(store, case, *args, **kwargs)

    monkeypatch.setattr(AnnotationStore, "write", slow)
    study.merge_structures(2, into=1)
    assert (study.annotation("late").labels == 1).all()
    assert (study.annotation_version("late", 1).labels == 1).all()


def test_a_damaged_list_of_what_was_merged_closes_nothing(study, cases):
    study.merge_structures(2, into=1)
    study.close()
    (study.path / "history" / "structures.json").write_text("[{")
    with Study.open(study.path, read_only=False) as again:
        assert "structures.json was damaged and set aside" in again.oddities[0]
        assert (again.annotation("a").labels[:, :, :2] == 1).all()
        again.add_structure("aorta")
        again.remove_structure(3)


def test_a_locked_structure_is_neither_merged_nor_removed_and_no_version_takes_its_voxels(study, cases):
    study.change_structure(1, locked=True)
    for change in (lambda: study.merge_structures(1, 2), lambda: study.remove_structure(1)):
        with pytest.raises(StudyError, match="is locked, and this would change it: unlock it first"):
            change()
    before = study.annotation("a")
    held = (before.labels == 1) & (before.known != Known.UNKNOWN)
    made = Annotation.full(np.full(before.shape, 2, np.uint8))
    study.save_annotation("a", made, "consensus")
    after = study.annotation("a")
    assert held.any() and (after.labels[held] == 1).all() and (after.labels[~held] == 2).all()
    assert (made.labels == 2).all()  # what was given is left alone


def test_what_a_structure_is_beside_its_name_is_kept_in_the_study(study, cases):
    study.change_structure(1, locked=True, group="heart")
    study.change_structure(2, hidden=True)
    study.close()
    with Study.open(study.path) as again:
        first, second = again.structures[:2]
        assert (first.locked, first.hidden, first.group) == (True, False, "heart")
        assert (second.locked, second.hidden, second.group) == (False, True, "")
        with pytest.raises(StudyError, match="its group has a name of up to 40"):
            again.change_structure(1, group="x" * 41)
