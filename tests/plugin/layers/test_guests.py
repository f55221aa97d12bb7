"""napari's own menus and keys on the layers of an open case: no label goes astray without a word."""

import napari.layers._layer_actions as menu
import numpy as np
import pytest

from napari_dycon.plugin.layers.guests import NOT_SAVED
from tests.plugin.hands import Mouse


@pytest.fixture
def painted(opened):
    """The open case with one stroke, its layer selected and the brush in the hand."""
    layer = opened.layer("annotation")
    layer.brush_size, layer.mode = 1, "paint"
    at = opened.viewer.dims.current_step[0]
    Mouse(opened.viewer).drag((at, 5, 5), (at, 5, 8))
    opened.rest()
    return opened


def layers(opened):
    return opened.viewer.layers


def labels(opened):
    return opened.session._desk.case.annotation.labels


def stroke_lands_where_it_is_seen(opened):
    """Paint a voxel on the slice on screen and look for it in the array and in the source."""
    before, dims = labels(opened).copy(), opened.viewer.dims
    voxel = [4, 4, 4]
    voxel[dims.order[0]] = dims.current_step[dims.order[0]]
    opened.session.tools.take("paint")
    Mouse(opened.viewer).drag(voxel)
    expected = opened.session._desk.case.display.apply(before).copy()
    expected[tuple(voxel)] = 1
    return np.array_equal(opened.session._desk.case.display.apply(labels(opened)), expected)


def kept(opened, labels_before):
    """Whether every label is on disk and in the case once it is shown again."""
    opened.session.cases.open("alpha")
    opened.rest()
    assert opened.session._desk.saving.flush()
    assert np.array_equal(opened.study.annotation("alpha").labels, labels(opened))
    return np.array_equal(labels(opened), labels_before)


def _scan_as_labels(ours):
    ours.selection.active = ours["scan"]
    with pytest.warns(UserWarning, match="projection mode"):
        menu._convert_to_labels(ours)


HARMLESS = {
    "duplicate": lambda ours: menu._duplicate_layer(ours),
    "to int64": lambda ours: menu._convert_dtype(ours, "int64"),
    "to uint16": lambda ours: menu._convert_dtype(ours, "uint16"),
    "hide": lambda ours: menu._toggle_visibility(ours),
    "link": lambda ours: menu._link_selected_layers(ours),
    "rename": lambda ours: setattr(ours["annotation"], "name", "mine"),
    "reorder": lambda ours: ours.reverse(),
    "a copy of the scan as labels": lambda ours: _scan_as_labels(ours),
    "project": lambda ours: menu._project(ours),
}


@pytest.mark.parametrize("what", HARMLESS)
@pytest.mark.parametrize("role", ["annotation", "scan", "prediction"])
def test_a_menu_of_napari_leaves_the_labels_of_the_case(painted, what, role):
    before = labels(painted).copy()
    role = "scan" if what == "project" else "annotation" if what.startswith("to ") else role
    ours = painted.layer("annotation")
    painted.viewer.layers.selection.active = painted.layer(role)
    HARMLESS[what](layers(painted))
    assert ours.data.dtype == np.uint8
    assert np.array_equal(labels(painted), before)
    ours.name = "annotation"
    assert stroke_lands_where_it_is_seen(painted)
    assert kept(painted, labels(painted).copy())


REMOVING = {
    "delete": lambda ours: ours.remove_selected(),
    "to an image": lambda ours: menu._convert_to_image(ours),
    "split": lambda ours: menu._split_stack(ours),
}


@pytest.mark.parametrize(
    ("what", "role"),
    [
        ("delete", "annotation"),
        ("delete", "scan"),
        ("delete", "prediction"),
        ("to an image", "annotation"),
        ("split", "scan"),
    ],
)
def test_a_layer_that_a_menu_takes_away_is_told_of_and_comes_back_with_its_labels(painted, notes, what, role):
    before = labels(painted).copy()
    painted.viewer.layers.selection.active = painted.layer(role)
    REMOVING[what](layers(painted))
    painted.qtbot.wait(20)
    told = [text for level, text in notes if level == "warning"]
    assert len(told) == (role != "prediction") and all("click the case in the list" in text for text in told)
    assert kept(painted, before)
    assert stroke_lands_where_it_is_seen(painted)


@pytest.mark.parametrize("how", ["duplicate", "new", "of another"])
def test_painting_on_another_layer_is_said_once_not_to_be_saved(painted, notes, how):
    before = labels(painted).copy()
    if how == "duplicate":
        menu._duplicate_layer(layers(painted))
        other = layers(painted)["annotation copy"]
    else:
        array = np.zeros(painted.layer("scan").data.shape, int)
        other = painted.viewer.add_labels(array, name=how, scale=painted.layer("scan").scale)
    painted.viewer.layers.selection.active = other
    other.mode, other.selected_label = "paint", 1
    at = painted.viewer.dims.current_step[0]
    for row in (10, 12):
        Mouse(painted.viewer).drag((at, row, 5), (at, row, 8))
    assert other.data[at, 12, 8] == 1
    sentence = NOT_SAVED.format(name=other.name, ours="annotation")
    assert [text for level, text in notes if level == "warning"] == [sentence]
    assert np.array_equal(labels(painted), before)


def test_painting_on_a_layer_of_another_without_a_case_is_nobodys_business(opened, notes):
    opened.session.close()
    other = opened.viewer.add_labels(np.zeros((8, 8, 8), int))
    other.paint((4, 4, 4), 1)
    assert notes == []


@pytest.mark.parametrize("how", ["roll", "transpose", "twice rolled", "rolled and transposed", "any order"])
def test_a_stroke_goes_where_it_is_seen_in_whatever_order_the_axes_are_shown(painted, how):
    dims = painted.viewer.dims
    steps = {
        "roll": [dims.roll],
        "transpose": [dims.transpose],
        "twice rolled": [dims.roll, dims.roll],
        "rolled and transposed": [dims.roll, dims.transpose],
        "any order": [lambda: setattr(dims, "order", (2, 1, 0))],
    }
    for step in steps[how]:
        step()
    assert stroke_lands_where_it_is_seen(painted)
    painted.session.labels.toggle_slice_complete()
    axis, index = painted.session._presenter.slices.current_slice()
    assert painted.session._desk.case.annotation.slice_is_complete(axis, index)
    shown = dims.order[0]
    assert painted.session._desk.case.display.to_display(axis, index) == (shown, dims.current_step[shown])
    assert kept(painted, labels(painted).copy())
