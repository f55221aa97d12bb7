import numpy as np
import pytest

from napari_dycon.io.geometry import Geometry
from napari_dycon.study.truth import editing
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.draft import Draft
from napari_dycon.study.truth.editing import AnnotationEditor

SHAPE = (6, 5, 4)
A, B = (1, 1, 1), (2, 1, 1)


@pytest.fixture(params=[1 << 21, 8], ids=["whole", "slabs"])
def editor(request, monkeypatch):
    """An editor of an empty annotation, that looks at everything at once or piece by piece."""
    monkeypatch.setattr(editing, "VOXELS_AT_A_TIME", request.param)
    return AnnotationEditor(Annotation.empty(SHAPE), Geometry(SHAPE, np.eye(4)))


def paint(editor, *voxels, label=1):
    indices = tuple(np.array(axis) for axis in zip(*voxels, strict=True))
    editor.labels[indices] = label
    editor.stroke(indices)


def known(editor):
    editor.reconcile()
    return {tuple(int(i) for i in v): int(editor.known[tuple(v)]) for v in np.argwhere(editor.known)}


def test_painting_and_erasing_make_voxels_known_at_once(editor):
    paint(editor, A, B)
    assert editor.known[A] == Known.DRAWN
    paint(editor, A, label=0)
    assert known(editor) == {A: Known.DRAWN, B: Known.DRAWN}


def test_an_undone_stroke_is_unknown_again_and_a_redone_one_drawn(editor):
    paint(editor, A)
    editor.reconcile()
    editor.labels[A] = 0
    assert known(editor) == {}
    editor.labels[A] = 1
    assert known(editor) == {A: Known.DRAWN}


def test_undo_goes_back_to_how_a_voxel_was_known_at_opening(editor):
    annotation = Annotation.empty(SHAPE)
    annotation.labels[A], annotation.known[A] = 3, Known.ACCEPTED
    editor = AnnotationEditor(annotation, Geometry(SHAPE, np.eye(4)))
    paint(editor, A, label=1)
    paint(editor, A, label=2)
    editor.labels[A] = 1
    assert known(editor) == {A: Known.DRAWN}
    editor.labels[A] = 3
    assert known(editor) == {A: Known.ACCEPTED}


def test_painting_the_label_of_opening_again_is_drawn_even_after_a_look_in_between(editor):
    paint(editor, A)
    editor.labels[A] = 0
    editor.reconcile()  # the saving thread looks after the voxels changed and before the stroke is told
    editor.stroke(tuple(np.array([i]) for i in A))
    assert known(editor) == {A: Known.DRAWN}


def test_what_a_program_writes_without_a_stroke_is_drawn(editor):
    editor.labels[A] = 9
    assert editor.reconcile()
    assert known(editor) == {A: Known.DRAWN}
    assert not editor.reconcile()


def test_undoing_a_stroke_in_a_completed_slice_leaves_the_slice_complete(editor):
    paint(editor, A)
    editor.complete_slice(2, 1)
    editor.labels[A] = 0
    editor.reconcile()
    assert editor.annotation.slice_is_complete(2, 1)


def test_undoing_a_stroke_in_a_reopened_slice_leaves_nothing(editor):
    paint(editor, A)
    editor.complete_slice(2, 1)
    editor.reopen_slice(2, 1)
    assert known(editor) == {A: Known.DRAWN}
    editor.labels[A] = 0
    assert known(editor) == {}


def test_what_was_painted_without_a_stroke_survives_completing_and_accepting(editor):
    editor.labels[A] = 9
    editor.complete_slice(2, 1)
    assert editor.labels[A] == 9
    editor.labels[B] = 8
    editor.accept(np.full(SHAPE, 5, np.uint8))
    assert editor.labels[B] == 8
    assert editor.known[B] == Known.DRAWN


@pytest.mark.parametrize("where", [None, (slice(None), slice(None), slice(1, 2))])
def test_accepted_voxels_stay_accepted_when_a_later_stroke_is_undone(editor, where):
    editor.accept(np.full(SHAPE, 5, np.uint8), where)
    paint(editor, A, label=1)
    editor.labels[A] = 5
    assert known(editor)[A] == Known.ACCEPTED


def test_a_stroke_from_before_accepting_can_still_be_undone(editor):
    paint(editor, A, label=1)
    mask = np.ones(SHAPE, bool)
    editor.accept(np.full(SHAPE, 5, np.uint8), mask)
    assert (editor.labels[A], editor.known[A]) == (1, Known.DRAWN)
    editor.labels[A] = 0
    assert A not in known(editor)


def drafted(taken):
    """Labels and known map of a snapshot, as they will be in the files."""
    return [
        np.frombuffer(b"".join(piece.inflate() for piece in pieces), np.uint8).reshape(SHAPE, order="F")
        for pieces in (taken.draft.labels, taken.draft.known)
    ]


def test_a_snapshot_holds_what_was_painted_and_comes_once(editor):
    assert editor.take() is None
    paint(editor, A)
    taken = editor.take()
    assert taken.reason == "autosave"
    np.testing.assert_array_equal(drafted(taken), [editor.labels, editor.known])
    assert editor.take() is None
    editor.labels[B] = 2  # not told by a stroke
    np.testing.assert_array_equal(drafted(editor.take()), [editor.labels, editor.known])


def test_a_snapshot_that_could_not_be_saved_comes_again_with_its_reason(editor):
    editor.accept(np.full(SHAPE, 5, np.uint8))
    reason = editor.take().reason
    assert reason == "accept"
    paint(editor, A)
    editor.take_back(reason)
    assert editor.take().reason == "accept"
    editor.complete_case()
    assert editor.take().reason == "complete"


def test_a_snapshot_that_could_not_be_made_comes_again_whole(editor, monkeypatch):
    paint(editor, A)
    with monkeypatch.context() as patch:
        patch.setattr(Draft, "put", lambda *details: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            editor.take()
    np.testing.assert_array_equal(drafted(editor.take()), [editor.labels, editor.known])


def test_an_editor_of_another_grid_is_refused():
    with pytest.raises(ValueError, match="differ in size"):
        AnnotationEditor(Annotation.empty(SHAPE), Geometry((6, 5, 5), np.eye(4)))
