"""What is labelled as a locked structure stays so, whichever way something is written there."""

import numpy as np
import pytest

from napari_dycon.errors import StudyError
from napari_dycon.io.geometry import Geometry
from napari_dycon.study.truth import editing
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.decisions import Decider
from napari_dycon.study.truth.editing import AnnotationEditor
from napari_dycon.study.truth.edits import difference
from napari_dycon.study.truth.regions import everything

SHAPE = (6, 5, 4)
HEART = np.s_[1:4, 1:4, 1:3]
LUNG = np.s_[4:, :, :]


@pytest.fixture(params=[1 << 21, 8], ids=["whole", "slabs"])
def editor(request, monkeypatch):
    """The heart, 1, is locked; the lung, 2, is not; both were accepted, so that a prediction may come."""
    monkeypatch.setattr(editing, "VOXELS_AT_A_TIME", request.param)
    annotation = Annotation.empty(SHAPE)
    annotation.labels[HEART], annotation.labels[LUNG] = 1, 2
    annotation.known[HEART] = annotation.known[LUNG] = Known.ACCEPTED
    made = AnnotationEditor(annotation, Geometry(SHAPE, np.eye(4)))
    made.locks.set({1: "heart"})
    return made


def paint(editor, label, how=Known.DRAWN):
    everywhere = tuple(axis.ravel() for axis in np.indices(SHAPE))
    editor.labels[everywhere] = label
    editor.stroke(everywhere, how)


def change_elsewhere(editor):
    editor.labels[...] = 3
    editor.reconcile()


WAYS = {
    "paint": lambda editor: paint(editor, 3),
    "erase": lambda editor: paint(editor, 0),
    "do not care": lambda editor: paint(editor, 0, Known.IGNORE),
    "forget by brush": lambda editor: paint(editor, 0, Known.UNKNOWN),
    "another tool": change_elsewhere,
    "accept": lambda editor: editor.accept(np.full(SHAPE, 3, np.uint8)),
    "reject": lambda editor: editor.reject(np.full(SHAPE, 1, np.uint8)),
    "withdraw": Decider.withdraw,
    "ignore": lambda editor: editor.ignore(None),
    "forget": lambda editor: editor.forget(None),
    "a piece, slices between, a version, what is copied": lambda editor: editor.apply(
        difference(
            editor.annotation,
            Annotation.full(np.full(SHAPE, 3, np.uint8)),
            everything(SHAPE),
            "Take",
            "restore",
        )
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_nothing_takes_a_voxel_from_a_locked_structure_and_the_others_change(editor, way):
    before = editor.annotation.copy()
    way(editor)
    assert (editor.labels[HEART] == 1).all() and (editor.known[HEART] == Known.ACCEPTED).all()
    changed = (editor.labels != before.labels) | (editor.known != before.known)
    assert changed[LUNG].all()
    assert editor.locks.sentence == "“heart” is locked and stayed as it was."
    editor.undo()
    np.testing.assert_array_equal(editor.labels, before.labels)
    np.testing.assert_array_equal(editor.known, before.known)


def test_a_locked_structure_may_grow_and_nothing_is_told_then(editor):
    where = (np.array([0]), np.array([0]), np.array([0]))
    editor.labels[where] = 1
    editor.stroke(where)
    assert editor.labels[0, 0, 0] == 1 and editor.known[0, 0, 0] == Known.DRAWN
    assert editor.locks.sentence == ""


def test_the_same_label_drawn_over_it_is_no_change_that_is_stopped(editor):
    editor.labels[HEART] = 1
    editor.stroke(tuple(axis.ravel() + 1 for axis in np.indices((3, 3, 2))))
    assert (editor.known[HEART] == Known.DRAWN).all() and not editor.locks.sentence


def test_a_step_that_would_take_voxels_is_neither_undone_nor_done_again(editor):
    editor.locks.set({})
    editor.forget(None)
    editor.undo()
    editor.locks.set({1: "heart", 2: "lung"})
    with pytest.raises(StudyError, match=r"“heart” and “lung” are locked.*done again. Unlock them first"):
        editor.redo()
    assert (editor.labels[HEART] == 1).all() and editor.redo_names == ["Forget region"]
    editor.locks.set({})
    where = (np.array([0]), np.array([0]), np.array([0]))
    editor.labels[where] = 1
    editor.stroke(where)
    editor.locks.set({1: "heart"})
    with pytest.raises(StudyError, match=r"“heart” is locked.*undone. Unlock it first"):
        editor.undo()
    assert editor.undo_name == "Paint" and editor.labels[0, 0, 0] == 1
    editor.locks.set({})
    editor.undo()
    assert editor.labels[0, 0, 0] == 0


def test_steps_that_leave_it_alone_are_undone_while_it_is_locked(editor):
    editor.locks.set({1: "heart"})
    editor.complete()
    where = (np.array([5]), np.array([0]), np.array([0]))
    editor.labels[where] = 3
    editor.stroke(where)
    assert [editor.undo().name, editor.undo().name] == ["Paint", "Region complete"]
    assert editor.redo().name == "Region complete"
