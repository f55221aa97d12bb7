"""Undo by name, brushes that say more than a structure, intensity range, slices in between, tidying up."""

import numpy as np
import pytest

from napari_dycon.plugin.layers.styles import KNOWN, PIECE, PREDICTION, STROKES, make_layer
from napari_dycon.study.truth.annotations import Known


def state(opened):
    """Labels and known map of the open case, as displayed."""
    case = opened.session._desk.case
    return case.display.apply(case.annotation.labels), case.display.apply(case.annotation.known)


def saved(opened):
    opened.session.save_now()
    annotation = opened.study.annotation("alpha")
    turn = opened.session._desk.case.display.apply
    return turn(annotation.labels), turn(annotation.known)


def texts(notes):
    return [text for _, text in notes]


def test_undo_names_what_it_takes_back_on_whatever_slice_it_was(opened):
    opened.paint((2, 10, 10), 1)
    opened.session.labels.toggle_slice_complete()
    opened.viewer.dims.set_point(0, 20.0)
    assert opened.session.labels.undo_name == "Slice complete"
    opened.session.labels.undo()
    assert (opened.session.labels.undo_name, opened.session.labels.redo_name) == ("Paint", "Slice complete")
    opened.session.labels.undo()
    assert not state(opened)[1].any()
    opened.session.labels.redo()
    assert state(opened)[0][2, 10, 10] == 1
    assert opened.session.labels.redo_name == "Slice complete"


@pytest.mark.parametrize(
    ("says", "known"), [("background", Known.DRAWN), ("ignore", Known.IGNORE), ("forget", Known.UNKNOWN)]
)
def test_a_stroke_says_it_also_of_voxels_without_a_label(opened, says, known):
    opened.paint((2, 10, 10), 1)
    before = [array.copy() for array in state(opened)]
    opened.session.tools.paint_as(says)
    opened.paint((2, 10, 11), 1, size=5)
    labels, now = saved(opened)
    assert (now[2, 10, 10:13] == known).all()
    assert (labels[2, 10, 10:13] == 0).all()
    assert not np.isin(labels, (252, 253, 254)).any()
    opened.session.labels.undo()
    for array, old in zip(state(opened), before, strict=True):
        assert np.array_equal(array, old)


def test_a_mark_in_the_middle_of_its_stroke_is_never_saved_as_a_label(opened):
    opened.session.tools.paint_as("ignore")
    layer = opened.layer("annotation")
    with layer.block_history():
        opened.paint((2, 10, 10), 1)
        assert layer.data[2, 10, 10] not in (0, 1)  # it is seen while it is painted
        opened.session._desk.take_edit()  # a save falls due just now
        labels, known = saved(opened)
        assert not labels.any()
        assert known[2, 10, 10] == Known.IGNORE
        opened.paint((2, 10, 13), 1)
    labels, known = saved(opened)
    assert not labels.any()
    assert known[2, 10, 13] == Known.IGNORE
    assert not layer.data.any()


def test_marks_are_painted_in_three_dimensions_too(opened):
    opened.session.tools.paint_as("background")
    opened.layer("annotation").n_edit_dimensions = 3
    opened.paint((4, 10, 10), 1, size=5)
    assert (state(opened)[1][3:6, 10, 10] == Known.DRAWN).all()


def test_choosing_another_structure_ends_the_marks_and_hides_the_known_map(opened):
    opened.session.tools.paint_as("ignore")
    assert opened.session.views.known_shown
    opened.session.structures.select(3)
    opened.paint((2, 10, 10), 3)
    assert state(opened)[0][2, 10, 10] == 3
    assert not opened.session.views.known_shown


def test_painting_keeps_to_the_range_and_only_what_is_painted_is_known_but_erasing_is_free(opened):
    scan = opened.layer("scan").data
    low, high = np.percentile(scan, (40, 100))
    opened.session.tools.set_paint_range(float(low), float(high))
    opened.session.tools.limit_paint(True)
    opened.paint((5, 12, 10), 1, size=9)
    labels, known = state(opened)
    assert 5 < (labels == 1).sum() < 60
    assert (scan[labels == 1] >= low).all()
    assert np.array_equal(known == Known.DRAWN, labels == 1)
    opened.session.tools.set_paint_range(float(high), float(high))
    opened.paint((5, 12, 10), 0, size=9)
    assert not state(opened)[0].any()


def test_slices_in_between_are_proposed_filled_after_the_answer_and_undone_as_one(opened):
    for index in (2, 7):
        opened.paint((index, 12, 10), 1, size=7)
    opened.session.labels.propose_between()
    opened.wait(lambda: opened.session.dialogue.question is not None)
    assert not state(opened)[0][4].any()
    assert opened.layer("preview").visible
    opened.session.dialogue.answer("fill")
    opened.rest()
    labels, known = state(opened)
    assert (labels[3:7, 12, 10] == 1).all()
    assert (known[3:7, 12, 10] == Known.INTERPOLATED).all()
    assert not opened.layer("preview").visible
    assert opened.session.labels.undo_name == "Interpolate atrium, 4 slices"
    opened.session.labels.undo()
    assert not state(opened)[0][3:7].any()


def test_a_proposal_that_is_cancelled_leaves_nothing(opened):
    for index in (2, 7):
        opened.paint((index, 12, 10), 1, size=7)
    opened.session.labels.propose_between()
    opened.wait(lambda: opened.session.dialogue.question is not None)
    opened.session.dialogue.answer("cancel")
    assert not opened.layer("preview").visible
    assert not state(opened)[0][4].any()


def test_without_two_labelled_slices_one_sentence_says_what_to_do(opened, notes):
    opened.paint((2, 12, 10), 1)
    opened.session.labels.propose_between()
    opened.rest()
    assert opened.session.dialogue.question is None
    assert "label two slices" in texts(notes)[-1]


def test_the_largest_piece_is_kept_and_the_others_come_back_with_undo(opened):
    opened.paint((2, 12, 10), 1, size=7)
    opened.paint((8, 4, 4), 1, size=2)
    opened.session.labels.clean_up("largest")
    opened.rest()
    assert not state(opened)[0][8].any()
    assert state(opened)[0][2, 12, 10] == 1
    opened.session.labels.undo()
    assert state(opened)[0][8].any()


def test_what_was_done_again_is_not_said_any_more_after_a_stroke_of_the_same_name(opened):
    said = []
    opened.session.dialogue.message.connect(lambda level, text: said.append(text))
    opened.paint((2, 12, 10), 1)
    opened.paint((4, 12, 10), 1)
    opened.session.labels.undo()
    opened.session.labels.redo()
    assert said[-1] == "Done again: Paint."
    opened.paint((6, 12, 10), 1)
    assert said[-1] == ""


def test_a_structure_without_labels_is_not_called_clean(opened, notes):
    opened.session.labels.clean_up("largest")
    opened.rest()
    assert texts(notes)[-1] == "Nothing is labelled as atrium yet."


def test_what_others_write_into_the_layer_is_kept_whatever_the_brush_says(opened):
    opened.session.tools.paint_as("ignore")
    layer = opened.layer("annotation")
    layer.data[3, 5:8, 5:8] = 1
    layer.data_setitem((np.array([4]), np.array([5]), np.array([5])), 3)
    layer.refresh()
    labels, known = saved(opened)
    assert (labels[3, 5:8, 5:8] == 1).all()
    assert labels[4, 5, 5] == 3
    assert (known[3, 5:8, 5:8] == Known.DRAWN).all()


def test_undo_is_told_anew_only_when_it_would_take_back_something_else(opened):
    told = []
    opened.session.tools.changed.connect(lambda: told.append(opened.session.labels.undo_name))
    opened.paint((2, 10, 10), 1)
    opened.paint((2, 12, 12), 1)
    assert told == ["Paint"]
    opened.paint((2, 12, 12), 0)
    opened.session.labels.toggle_slice_complete()
    assert told == ["Paint", "Erase", "Slice complete"]


def test_undo_is_told_anew_in_another_case_though_it_reads_the_same_there(opened):
    opened.paint((2, 10, 10), 1)
    opened.open("beta")
    told = []
    opened.session.tools.changed.connect(lambda: told.append(opened.session.labels.undo_name))
    assert opened.session.labels.undo_name == ""
    opened.paint((2, 10, 10), 1)
    assert told == ["Paint"]


def test_the_status_line_speaks_in_3d_before_the_pointer_has_moved(opened):
    layer = opened.layer("annotation")
    how = {"view_direction": None, "dims_displayed": [0, 1, 2], "world": True}
    assert "intensity" in layer.get_status(layer.data_to_world((3, 4, 5)), **how)["coordinates"]
    for role in (KNOWN, PIECE, PREDICTION, STROKES):
        layer = make_layer(role, np.zeros((4, 4, 4), np.uint8))
        assert layer.get_status((1.0, 1.0, 1.0), **how)["coordinates"], role


def test_the_status_line_tells_the_grey_value_under_the_pointer(opened):
    layer = opened.layer("annotation")
    voxel = (3, 4, 5)
    grey = float(opened.layer("scan").data[voxel])
    status = layer.get_status(layer.data_to_world(voxel), world=True, dims_displayed=[1, 2])
    assert f"intensity {grey:.6g}" in status["coordinates"]
    outside = layer.get_status(layer.data_to_world((-5, 4, 5)), world=True, dims_displayed=[1, 2])
    assert "intensity" not in outside["coordinates"]
    assert "No Properties" not in status["coordinates"] + outside["coordinates"]
