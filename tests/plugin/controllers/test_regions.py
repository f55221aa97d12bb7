"""Regions, decisions about predictions and the known map, without a window."""

import numpy as np
import pytest

from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.controllers.regions import outline_of
from napari_dycon.study.truth.annotations import Known

PIECE, OTHER = (slice(2, 6), slice(3, 9), slice(2, 8)), (slice(12, 16), slice(12, 20), slice(2, 8))
PLANES = ("axial", "coronal", "sagittal")


@pytest.fixture
def predicted(opened):
    """The open case with a prediction of two pieces, and the brush in the hand."""
    mask = np.zeros((20, 24, 10), np.uint8)
    mask[PIECE] = mask[OTHER] = 1
    opened.rest()
    opened.session.views.show_prediction(jobs.PredictionLoaded("alpha", mask, mask * np.float32(0.5)))
    opened.layer("annotation").mode = "paint"
    return opened


def annotation(opened):
    return opened.session._desk.case.annotation


def shown(opened, array):
    """``array`` in display order."""
    return opened.session._desk.case.display.apply(array)


def names(opened):
    return opened.session._desk.case.editor.undo_names


def draw(opened, corners, shape_type="rectangle"):
    """Add a shape to the sketch as napari does at the end of a drag."""
    before = opened.session.dialogue.question
    opened.layer("region").add(np.array(corners, float), shape_type=shape_type)
    opened.wait(lambda: opened.session.dialogue.question is not before)


def box(opened, low, high, shape="box"):
    """Draw a box on the slice on screen between two (row, column) places."""
    axis, row, column = opened.viewer.dims.order
    corners = np.zeros((4, 3))
    corners[:, axis] = opened.viewer.dims.current_step[axis]
    corners[:, row] = [low[0], low[0], high[0], high[0]]
    corners[:, column] = [low[1], high[1], high[1], low[1]]
    opened.session.regions.start(shape)
    draw(opened, corners, "rectangle" if shape == "box" else "polygon")


def tool(opened):
    active = opened.viewer.layers.selection.active
    return active.name, str(active.mode)


@pytest.mark.parametrize("plane", PLANES)
def test_a_box_completes_what_it_encloses_on_the_slice_it_was_drawn_on(predicted, plane):
    predicted.session.views.show_plane(plane)
    axis, row, column = predicted.viewer.dims.order
    index = predicted.viewer.dims.current_step[axis]
    box(predicted, (2.6, 3.6), (6.4, 7.4))
    predicted.session.dialogue.answer("one")
    predicted.session.dialogue.answer("complete")
    predicted.rest()
    expected = np.zeros(predicted.layer("scan").data.shape, bool)
    where = [slice(None)] * 3
    where[axis], where[row], where[column] = index, slice(3, 7), slice(4, 8)
    expected[tuple(where)] = True
    assert np.array_equal(shown(predicted, annotation(predicted).known) == Known.COMPLETED, expected)
    assert predicted.session.dialogue.question is None
    assert names(predicted) == ["Complete region"]


def test_afterwards_the_region_is_gone_and_the_brush_is_back(predicted):
    box(predicted, (2, 2), (8, 8))
    assert tool(predicted)[0] == "region"
    predicted.session.dialogue.answer("one")
    predicted.session.dialogue.answer("forget")
    predicted.rest()
    assert tool(predicted) == ("annotation", "paint")
    assert not predicted.layer("region").visible
    assert predicted.layer("region").nshapes == 0


def test_a_region_reaches_up_to_the_slice_on_screen(predicted):
    first = predicted.viewer.dims.current_step[0]
    box(predicted, (2, 2), (5, 5))
    predicted.viewer.dims.set_current_step(0, first + 2)
    predicted.session.dialogue.answer("here")
    predicted.session.dialogue.answer("ignore")
    predicted.rest()
    ignored = shown(predicted, annotation(predicted).known) == Known.IGNORE
    assert np.flatnonzero(ignored.any(axis=(1, 2))).tolist() == [first, first + 1, first + 2]
    assert ignored.sum() == 3 * 16


def test_a_polygon_through_all_slices(predicted):
    axis = predicted.viewer.dims.current_step[0]
    predicted.session.regions.start("polygon")
    draw(predicted, [[axis, 2, 2], [axis, 2, 12.4], [axis, 12.4, 2]], "polygon")
    predicted.session.dialogue.answer("all")
    predicted.session.dialogue.answer("complete")
    predicted.rest()
    known = shown(predicted, annotation(predicted).known) == Known.COMPLETED
    assert (known == known[0]).all()
    assert known[0, 3, 3]
    assert not known[0, 11, 11]


@pytest.mark.parametrize(
    ("key", "inside", "outside"),
    [("accept", Known.ACCEPTED, Known.ACCEPTED), ("reject", Known.DRAWN, Known.UNKNOWN)],
)
def test_accepting_and_rejecting_follow_the_prediction(predicted, key, inside, outside):
    predicted.viewer.dims.set_current_step(0, 5)
    box(predicted, (0, 0), (23, 19))
    predicted.session.dialogue.answer("one")
    predicted.session.dialogue.answer(key)
    predicted.rest()
    found = shown(predicted, predicted.session._desk.case.prediction)[5] > 0
    known, labels = (
        shown(predicted, array)[5] for array in (annotation(predicted).known, annotation(predicted).labels)
    )
    assert (known[found] == inside).all()
    assert (known[~found] == outside).all()
    assert np.array_equal(labels > 0, found if key == "accept" else np.zeros_like(found))


@pytest.mark.parametrize("answered", [[], ["one"]])
def test_cancelling_at_any_moment_leaves_everything_as_it_was(predicted, answered):
    box(predicted, (2, 2), (8, 8))
    for key in answered:
        predicted.session.dialogue.answer(key)
    predicted.session.dialogue.answer("cancel")
    predicted.rest()
    assert predicted.session.dialogue.question is None
    assert tool(predicted) == ("annotation", "paint")
    assert not annotation(predicted).known.any()


def test_a_mere_click_is_no_region_and_one_may_draw_again(predicted):
    predicted.session.regions.start("box")
    z = predicted.viewer.dims.current_step[0]
    tiny = [[z, 5.2, 5.2], [z, 5.2, 5.4], [z, 5.4, 5.4], [z, 5.4, 5.2]]
    predicted.layer("region").add(np.array(tiny), shape_type="rectangle")
    predicted.wait(lambda: predicted.layer("region").nshapes == 0)
    draw(predicted, [[z, 5, 5], [z, 5, 9], [z, 9, 9], [z, 9, 5]])
    assert predicted.session.dialogue.question.answers[0][0] == "one"


def test_another_case_or_another_layer_calls_the_region_off(predicted):
    box(predicted, (2, 2), (8, 8))
    predicted.viewer.layers.selection.active = predicted.layer("scan")
    assert predicted.session.dialogue.question is None
    assert not predicted.layer("region").visible
    predicted.viewer.layers.selection.active = predicted.layer("annotation")
    predicted.session.regions.start("polygon")
    predicted.open("beta")
    assert predicted.session.dialogue.question is None
    assert tool(predicted) == ("annotation", "paint")


def test_a_deleted_region_layer_is_made_again_and_the_tool_comes_back(predicted):
    box(predicted, (2, 2), (8, 8))
    predicted.viewer.layers.remove("region")
    assert predicted.session.dialogue.question is None
    assert tool(predicted) == ("annotation", "paint")
    box(predicted, (2, 2), (8, 8))
    assert predicted.session.dialogue.question is not None


def test_the_piece_under_the_pointer_is_rejected_and_no_other(predicted):
    scale = predicted.layer("scan").scale
    voxel = np.argwhere(shown(predicted, predicted.session._desk.case.prediction))[0]
    predicted.viewer.cursor.position = tuple(voxel * scale)
    predicted.session.regions.decide_piece("reject")
    predicted.rest()
    rejected = annotation(predicted).known == Known.DRAWN
    mine, others = (PIECE, OTHER) if rejected[PIECE].any() else (OTHER, PIECE)
    assert rejected[mine].all()
    assert rejected.sum() == rejected[mine].size
    assert not annotation(predicted).labels.any()
    assert names(predicted) == ["Reject piece"]
    assert not rejected[others].any()


def test_a_clicked_piece_is_accepted(predicted):
    predicted.session.regions.decide("accept", "piece")
    assert tool(predicted)[0] == "region", "a click must not paint"
    predicted.session.regions._on_drawing(
        np.argwhere(shown(predicted, predicted.session._desk.case.prediction))[:1] + 0.3
    )
    predicted.rest()
    accepted = annotation(predicted).known == Known.ACCEPTED
    assert accepted.sum() in (4 * 6 * 6, 4 * 8 * 6)
    assert np.array_equal(annotation(predicted).labels > 0, accepted)
    assert tool(predicted) == ("annotation", "paint")


def shown_place(opened, voxel):
    """Where a voxel of the source lies on the canvas, in mm."""
    marked = np.zeros((20, 24, 10), bool)
    marked[tuple(voxel)] = True
    return tuple(np.argwhere(shown(opened, marked))[0] * opened.layer("scan").scale)


@pytest.mark.parametrize("what", ["accept", "reject"])
def test_the_outline_of_what_is_decided_is_gone_and_comes_back_with_undo(predicted, what):
    session = predicted.session
    predicted.viewer.cursor.position = shown_place(predicted, (3, 4, 5))
    whole = session._desk.case.prediction.copy()
    session.regions.decide_piece(what)
    predicted.rest()
    left = whole.copy()
    left[PIECE] = 0
    assert np.array_equal(shown(predicted, left), predicted.layer("prediction").data)
    session.labels.undo()
    predicted.rest()
    assert np.array_equal(shown(predicted, whole), predicted.layer("prediction").data)
    session.labels.redo()
    session.regions.decide(what, "slice")
    predicted.rest()
    axis, index = session._presenter.slices.current_slice()
    left[(slice(None),) * axis + (index,)] = 0
    assert np.array_equal(shown(predicted, left), predicted.layer("prediction").data)
    session.regions.decide("reject" if what == "accept" else "accept", "case")
    predicted.rest()
    assert not predicted.layer("prediction").data.any()
    assert np.array_equal(session._desk.case.prediction, whole)
    session.views.show_prediction(jobs.PredictionLoaded("alpha", whole.copy(), None))
    assert np.array_equal(shown(predicted, whole), predicted.layer("prediction").data)


def test_the_piece_that_a_click_would_take_is_shown_before_it(predicted):
    session, viewer = predicted.session, predicted.viewer
    session.regions.decide("reject", "piece")
    predicted.rest()
    assert session.regions._sketch.drawing == "point"
    layer = predicted.layer("piece")
    assert layer.visible and layer.show_selected_label and layer.selected_label == 0
    for place in (PIECE, OTHER):
        viewer.cursor.position = shown_place(predicted, [part.start for part in place])
        for callback in viewer.mouse_move_callbacks:
            callback(viewer, None)
        expected = np.zeros((20, 24, 10), bool)
        expected[place] = True
        assert np.array_equal(layer.data == layer.selected_label, shown(predicted, expected))
    viewer.cursor.position = shown_place(predicted, (0, 0, 0))
    for callback in viewer.mouse_move_callbacks:
        callback(viewer, None)
    assert layer.selected_label == 0
    session.dialogue.answer("cancel")
    assert not layer.visible and not layer.data.any()
    assert tool(predicted) == ("annotation", "paint")


def test_where_nothing_is_predicted_there_is_no_piece(predicted, notes):
    predicted.viewer.cursor.position = (0.0, 0.0, 0.0)
    predicted.session.regions.decide_piece("accept")
    predicted.viewer.cursor.position = (-50.0, 0.0, 0.0)
    predicted.session.regions.decide_piece("accept")
    assert [text for level, text in notes if level == "error"] == [
        "There is no prediction under the pointer."
    ] * 2
    assert not annotation(predicted).known.any()


def test_decisions_asked_for_in_a_row_are_all_made_and_undone_one_by_one(predicted):
    predicted.viewer.dims.set_current_step(0, 5)
    predicted.session.regions.decide("reject", "slice")
    predicted.session.regions.decide("accept", "case")
    predicted.session.regions.decide("withdraw", "case")
    predicted.session.regions.decide("reject", "case")
    predicted.rest()
    assert names(predicted) == ["Reject case", "Take back case", "Accept case", "Reject slice"]
    found = predicted.session._desk.case.prediction > 0
    assert np.array_equal(annotation(predicted).known == Known.DRAWN, found)
    for _ in range(4):
        predicted.session._desk.case.editor.undo()
    assert not annotation(predicted).known.any()


def test_taking_back_leaves_what_a_person_drew(predicted):
    predicted.paint((5, 10, 8), value=3)
    drawn = annotation(predicted).known == Known.DRAWN
    predicted.session.regions.decide("accept", "case")
    predicted.session.regions.decide("withdraw", "case")
    predicted.rest()
    assert np.array_equal(annotation(predicted).known > 0, drawn)
    assert (annotation(predicted).labels[drawn] == 3).all()


def test_a_complete_case_can_be_opened_again(predicted):
    predicted.paint((5, 10, 8), value=3)
    predicted.session.labels.toggle_case_complete()
    predicted.rest()
    predicted.session.save_now()
    assert predicted.session.cases.list.rows()[0].status == "complete"
    predicted.session.labels.toggle_case_complete()
    predicted.rest()
    predicted.session.save_now()
    assert predicted.session.cases.list.rows()[0].status == "partial"
    assert (annotation(predicted).labels == 3).any()


def test_the_known_map_shows_the_map_itself_and_follows_strokes(predicted):
    assert "known map" not in predicted.viewer.layers, "it costs nothing until it is wanted"
    predicted.session.views.toggle_known_map()
    layer = predicted.layer("known map")
    assert layer.visible
    assert tool(predicted) == ("annotation", "paint")
    assert np.shares_memory(layer.data, annotation(predicted).known)
    z = predicted.viewer.dims.current_step[0]
    predicted.paint((z, 10, 8), value=1)
    assert np.asarray(layer._slice.image.raw)[10, 8] == Known.DRAWN
    colours = {layer.colormap.map(int(known)).tobytes() for known in Known}
    assert len(colours) == len(Known)
    assert layer.colormap.map(0)[3] == 0


def test_a_hidden_known_map_is_of_the_open_case_when_it_is_shown_again(predicted):
    predicted.session.views.toggle_known_map()
    predicted.session.views.toggle_known_map()
    assert not predicted.layer("known map").visible
    predicted.open("beta")
    predicted.session.views.toggle_known_map()
    assert np.shares_memory(predicted.layer("known map").data, annotation(predicted).known)
    predicted.viewer.dims.ndisplay = 3
    assert not predicted.layer("known map").visible
    predicted.viewer.dims.ndisplay = 2
    assert predicted.layer("known map").visible


def test_a_study_that_is_only_looked_at_takes_no_decision(opened, make_session, study_path, notes):
    path = opened.study.path
    other = make_session()
    other.open_study(path)
    opened.wait(lambda: other.cases.case_id is not None)
    assert other.study.read_only
    other.regions.start("box")
    other.regions.decide("withdraw", "case")
    other.labels.toggle_case_complete()
    assert other.dialogue.question is None
    assert len([text for level, text in notes if level == "error"]) == 3


def test_an_outline_beyond_the_scan_ends_at_its_edge(predicted):
    display = predicted.session._desk.case.display
    corners = np.array([[4, -30, -30], [4, -30, 900], [4, 900, 900], [4, 900, -30]], float)
    outline = outline_of(display, "box", corners)
    assert outline.selection.voxels == 20 * 24
    assert outline_of(display, "box", corners + np.array([0, 2000, 0])) is None


def test_layers_that_are_needed_now_and_then_change_the_case_with_the_others(predicted):
    predicted.session.regions.decide("reject", "piece")
    predicted.rest()
    box(predicted, (2, 2), (8, 8))
    for case in ("beta", "alpha"):
        predicted.open(case)
        scan = predicted.layer("scan")
        assert {"region", "piece"} <= {layer.name for layer in predicted.viewer.layers}
        assert all(np.allclose(layer.scale, scan.scale) for layer in predicted.viewer.layers)
        assert predicted.viewer.dims.nsteps == scan.data.shape
