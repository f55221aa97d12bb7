import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_dycon.errors import StudyError
from napari_dycon.io.geometry import Geometry
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.truth import cleanup, editing, interpolation
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.decisions import complete, forget
from napari_dycon.study.truth.editing import AnnotationEditor
from napari_dycon.study.truth.edits import ELSEWHERE, Edit, Patch, Step, UndoHistory, difference, plan
from napari_dycon.study.truth.regions import Selection, cuboid, everything, one_slice, polygon

SHAPE = (9, 8, 7)
GEOMETRY = Geometry(SHAPE, np.eye(4))
STRUCTURES = [Structure(value=1, name="left atrium"), Structure(value=2, name="vein")]


def same(first, second):
    return np.array_equal(first.labels, second.labels) and np.array_equal(first.known, second.known)


def random_annotation(rng, order="C"):
    known = rng.choice(6, SHAPE, p=[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]).astype(np.uint8)
    labels = np.where(np.isin(known, (0, 5)), 0, rng.integers(0, 3, SHAPE)).astype(np.uint8)
    return Annotation(np.array(labels, order=order), np.array(known, order=order))


def paint(editor, box, value):
    editor.labels[box] = value
    indices = np.nonzero(Selection(box).full_mask(SHAPE))
    editor.stroke(indices)


def random_box(rng):
    corners = np.sort(rng.integers(0, SHAPE, (2, 3)), axis=0)
    return tuple(slice(int(a), int(b) + 1) for a, b in corners.T)


def do_something(editor, rng):
    box, prediction = random_box(rng), rng.integers(0, 3, SHAPE).astype(np.uint8)
    axis = int(rng.integers(3))
    index = int(rng.integers(SHAPE[axis]))
    structure = STRUCTURES[int(rng.integers(2))]
    actions = [
        lambda: paint(editor, box, int(rng.integers(3))),
        lambda: paint(editor, box, int(rng.integers(3))),
        lambda: editor.labels.__setitem__(box, int(rng.integers(3))),  # another tool, unannounced
        editor.reconcile,
        editor.take,
        lambda: editor.complete_slice(axis, index),
        lambda: editor.reopen_slice(axis, index),
        lambda: editor.complete(Selection(box)),
        lambda: editor.reopen(box),
        lambda: editor.complete(polygon(SHAPE, axis, index, rng.uniform(0, 7, (4, 2)))),
        editor.complete_case,
        editor.reopen_case,
        lambda: editor.accept(prediction, box),
        lambda: editor.accept(prediction, prediction == 1),
        lambda: editor.reject(prediction, box),
        lambda: editor.withdraw(box),
        lambda: editor.ignore(box),
        lambda: editor.forget(box),
        lambda: editor.apply(cleanup.keep_largest(editor.annotation, structure)),
        lambda: editor.apply(cleanup.fill_holes(editor.annotation, structure, axis)),
        lambda: editor.apply(cleanup.smooth(editor.annotation, structure, (1, 1, 2), 1.5, where=box)),
        lambda: fill_between(editor),
    ]
    actions[int(rng.integers(len(actions)))]()


def fill_between(editor):
    try:
        proposal = interpolation.interpolate(editor.annotation, (1, 1, 2), STRUCTURES)
    except StudyError:
        return
    editor.apply(proposal.edit(editor.annotation))


def rewind(editor, step):
    while step() is not None:
        pass


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("seed", range(12))
def test_after_any_sequence_of_edits_undo_goes_back_bit_by_bit_and_redo_forth(monkeypatch, seed, order):
    monkeypatch.setattr(editing, "VOXELS_AT_A_TIME", 120)
    rng = np.random.default_rng(seed)
    opened = random_annotation(rng, order)
    editor = AnnotationEditor(opened.copy(), GEOMETRY)
    for _ in range(30):
        do_something(editor, rng)
    editor.reconcile()
    final = editor.annotation.copy()
    rewind(editor, editor.undo)
    assert same(editor.annotation, opened)
    assert not editor.reconcile(), "what undo writes is nobody else's change"
    rewind(editor, editor.redo)
    assert same(editor.annotation, final)


@pytest.mark.parametrize("seed", range(6))
def test_undo_and_redo_may_be_mixed_with_edits_in_any_order(seed):
    rng = np.random.default_rng(100 + seed)
    opened = random_annotation(rng)
    editor = AnnotationEditor(opened.copy(), GEOMETRY)
    for _ in range(60):
        choice = rng.random()
        if choice < 0.3:
            editor.undo()
        elif choice < 0.5:
            editor.redo()
        else:
            do_something(editor, rng)
    states = []
    while editor.undo_names:
        editor.reconcile()
        states.append(editor.annotation.copy())
        editor.undo()
    assert same(editor.annotation, opened)
    for state in reversed(states):
        editor.redo()
        assert same(editor.annotation, state)


def test_undoing_with_naparis_own_history_still_knows_what_an_undone_operation_left(monkeypatch):
    editor = AnnotationEditor(Annotation.empty(SHAPE), GEOMETRY)
    box = (slice(1, 3), slice(1, 3), slice(2, 3))
    paint(editor, box, 1)
    editor.complete_slice(2, 2)
    editor.undo()
    editor.labels[box] = 0  # napari takes the stroke back
    editor.reconcile()
    assert not editor.known.any()


def test_every_edit_has_a_name_and_a_new_one_forgets_what_was_undone():
    editor = AnnotationEditor(Annotation.empty(SHAPE), GEOMETRY)
    paint(editor, random_box(np.random.default_rng(0)), 1)
    editor.complete_slice(2, 1, name="Axial slice 1 complete")
    editor.accept(np.ones(SHAPE, np.uint8), name="Accept prediction of 003-dycon", run="003-dycon")
    assert editor.undo_names == ["Accept prediction of 003-dycon", "Axial slice 1 complete", "Paint"]
    assert editor.undo().name == "Accept prediction of 003-dycon"
    assert editor.redo_names == ["Accept prediction of 003-dycon"]
    editor.complete_slice(1, 1)
    assert editor.redo_names == []
    assert editor.redo() is None


def test_what_another_tool_wrote_can_be_undone_and_is_not_mixed_up_with_strokes():
    editor = AnnotationEditor(Annotation.empty(SHAPE), GEOMETRY)
    editor.labels[0, 0, 0] = 2
    editor.reconcile()
    paint(editor, (slice(3, 5), slice(3, 5), slice(3, 4)), 1)
    assert editor.undo_names == ["Paint", ELSEWHERE]
    editor.undo()
    assert editor.labels[0, 0, 0] == 2
    editor.labels[1, 1, 1] = 2
    editor.reconcile()
    assert editor.undo_names == [ELSEWHERE, ELSEWHERE]
    assert editor.redo_names == []
    rewind(editor, editor.undo)
    assert same(editor.annotation, Annotation.empty(SHAPE))


def test_a_stroke_that_the_saving_thread_saw_too_early_is_one_step():
    editor = AnnotationEditor(Annotation.empty(SHAPE), GEOMETRY)
    box = (slice(1, 4), slice(1, 4), slice(2, 3))
    editor.labels[1:3, 1:4, 2] = 1
    editor.reconcile()
    paint(editor, box, 1)
    assert editor.undo_names == ["Paint"]
    editor.undo()
    assert same(editor.annotation, Annotation.empty(SHAPE))


def test_a_brush_of_do_not_care_and_one_that_forgets():
    editor = AnnotationEditor(Annotation.full(np.ones(SHAPE, np.uint8)), GEOMETRY)
    editor.stroke(([1], [1], [1]), how=Known.IGNORE, name="Do not care")
    editor.stroke(([2], [2], [2]), how=Known.UNKNOWN, name="Forget")
    assert (editor.known[1, 1, 1], editor.known[2, 2, 2]) == (Known.IGNORE, Known.UNKNOWN)
    assert editor.labels[2, 2, 2] == 0
    assert not editor.reconcile()
    rewind(editor, editor.undo)
    assert same(editor.annotation, Annotation.full(np.ones(SHAPE, np.uint8)))


def test_what_was_painted_after_an_edit_was_worked_out_is_left_alone():
    editor = AnnotationEditor(Annotation.empty(SHAPE), GEOMETRY)
    edit = plan(editor.annotation, everything(SHAPE), complete, "complete")
    paint(editor, (slice(1, 3), slice(1, 3), slice(1, 3)), 2)
    done = editor.apply(edit)
    assert (editor.labels[1:3, 1:3, 1:3] == 2).all()
    assert (editor.known[1:3, 1:3, 1:3] == Known.DRAWN).all()
    assert done.voxels == editor.known.size - 8
    rewind(editor, editor.undo)
    assert same(editor.annotation, Annotation.empty(SHAPE))


def test_a_stroke_amid_an_operation_is_a_step_between_its_halves(monkeypatch):
    monkeypatch.setattr(editing, "VOXELS_AT_A_TIME", 56)
    editor = AnnotationEditor(Annotation.empty(SHAPE), GEOMETRY)

    def forgetful(part, where):
        if where.box[0].start == 4:
            paint(editor, (slice(2, 7), slice(2, 3), slice(2, 3)), 1)
            with pytest.raises(StudyError, match="under way"):
                editor.undo()
        complete(part, where)

    editor.perform(Edit("Complete"), None, forgetful)
    assert editor.undo_names == ["Complete", "Paint", "Complete"]
    assert (editor.labels[2:7, 2, 2] == 1).all()
    final = editor.annotation.copy()
    rewind(editor, editor.undo)
    assert same(editor.annotation, Annotation.empty(SHAPE))
    rewind(editor, editor.redo)
    assert same(editor.annotation, final)


def test_saving_hears_what_was_done_since_the_last_time():
    editor = AnnotationEditor(Annotation.empty(SHAPE), GEOMETRY)
    editor.accept(np.ones(SHAPE, np.uint8), one_slice(SHAPE, 0, 1), "Accept slice 1", run="002-dycon")
    editor.undo()
    taken = editor.take()
    assert taken.names == ("Accept slice 1", "Undo: Accept slice 1")
    assert (taken.reason, taken.run) == ("accept", "002-dycon")
    assert taken.draft.known_fraction == 0
    assert editor.take() is None
    editor.redo()
    assert editor.take().names == ("Redo: Accept slice 1",)


def test_the_history_keeps_to_its_memory_and_the_newest_step_in_any_case():
    rng = np.random.default_rng(0)
    before, after = random_annotation(rng), random_annotation(rng)
    big = difference(before, after, everything(SHAPE), "big", "autosave")
    history = UndoHistory(limit=3 * big.nbytes)
    for number in range(10):
        history.push(Step(Edit(f"{number}", patches=big.patches)))
    assert history.undo_names == ["9", "8", "7"]
    assert history.nbytes <= 3 * big.nbytes
    tiny = UndoHistory(limit=1)
    tiny.push(Step(big))
    assert tiny.undo_names == ["big"]


def test_a_stroke_looks_at_no_more_steps_however_many_there_were(monkeypatch):
    counted, count = [], Step.count
    editor = AnnotationEditor(Annotation.empty(SHAPE), GEOMETRY, memory=4_000)
    monkeypatch.setattr(Step, "count", lambda step: counted.append(step) or count(step))
    looked = []
    for number in range(2000):
        counted.clear()
        place = tuple([number // step % side] for step, side in zip((1, 9, 72), SHAPE, strict=True))
        editor.labels[place] = 1 + number // 504 % 2
        editor.stroke(place, name=f"stroke {number}")
        assert editor.undo_name == f"stroke {number}" and editor.redo_name is None
        looked.append(len(counted))
    assert set(looked[1:]) == {looked[1]} and looked[1] < 5
    assert 10 < len(editor.undo_names) < 2000, "the oldest are forgotten"


@settings(deadline=None)
@given(st.lists(st.sampled_from(["push", "grow", "undo", "redo"]), max_size=60))
def test_the_history_knows_what_it_holds_whatever_was_done(moves):
    rng = np.random.default_rng(0)
    edits = [difference(random_annotation(rng), random_annotation(rng), everything(SHAPE), "x", "autosave")]
    history = UndoHistory(limit=4 * edits[0].nbytes)
    for move in moves:
        if move == "push":
            history.push(Step(Edit("push", patches=list(edits[0].patches))))
        elif move == "grow" and history.last is not None:
            history.last.edit.patches.extend(edits[0].patches)
            history.trim()
        elif move == "undo" and history.last is not None:
            history.travel("before")
        elif move == "redo" and history.next is not None:
            history.travel("after")
        steps = [*history._done, *history._undone]
        assert history.nbytes == sum(step.edit.nbytes + step.opening.nbytes for step in steps)
        assert len(history._done) <= 1 or history.nbytes <= 4 * edits[0].nbytes or move in ("undo", "redo")


def test_completing_a_whole_case_costs_next_to_no_memory():
    annotation = Annotation.empty((128, 128, 64))
    edit = plan(annotation, everything(annotation.shape), complete, "complete")
    assert edit.voxels == annotation.known.size
    assert edit.nbytes < 1000


def test_a_planned_edit_changes_nothing_until_it_is_applied_and_can_be_taken_back():
    annotation = random_annotation(np.random.default_rng(5))
    original = annotation.copy()
    edit = plan(annotation, cuboid(SHAPE, (1, 1, 1), (5, 5, 5)), forget, "forget")
    assert same(annotation, original)
    edit.apply(annotation)
    assert not annotation.known[1:6, 1:6, 1:6].any()
    assert np.array_equal(annotation.known[6:], original.known[6:])
    edit.undo(annotation)
    assert same(annotation, original)
    assert edit.box is not None
    assert edit.voxels <= edit.extent


def test_equal_states_have_no_patch_and_an_empty_edit_is_false():
    annotation = random_annotation(np.random.default_rng(6))
    assert Patch.between(everything(SHAPE).box, annotation, annotation.copy()) is None
    assert not plan(annotation, everything(SHAPE), lambda part, where: None, "nothing")


def test_painting_goes_on_while_an_operation_runs_on_another_thread():
    rng = np.random.default_rng(1)
    shape = (60, 60, 60)
    editor = AnnotationEditor(Annotation.empty(shape), Geometry(shape, np.eye(4)))
    worker = threading.Thread(
        target=lambda: [editor.accept(rng.integers(0, 3, shape).astype(np.uint8)) for _ in range(5)]
    )
    worker.start()
    painted = set()
    while worker.is_alive() or len(painted) < 50:
        x, y, z = (int(i) for i in rng.integers(0, 60, 3))
        with editor.painting():
            editor.labels[x, y, z] = 7
            editor.stroke(([x], [y], [z]))
        painted.add((x, y, z))
    worker.join()
    assert all(editor.labels[voxel] == 7 and editor.known[voxel] == Known.DRAWN for voxel in painted)
