"""Napari's layer list shows what a person works with, and a helper only while it is needed."""

import numpy as np
import pytest
from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtTest import QTest

pytestmark = pytest.mark.gui

ALWAYS = ["prediction", "annotation", "entropy", "scan"]


@pytest.fixture
def view(desk):
    """Napari's own view of its layers."""
    return desk.viewer.window._qt_window._qt_viewer.layers


def listed(view):
    model = view.model()
    return [model.index(row, 0).data() for row in range(model.rowCount()) if not view.isRowHidden(row)]


def propose(desk):
    annotation = desk.viewer.layers["annotation"]
    for index in (6, 12):
        annotation.paint((index, 14, 14), 1)
    desk.session.labels.propose_between()
    desk.wait(lambda: desk.session.dialogue.question is not None)


def test_the_outlines_of_a_proposal_are_listed_until_it_is_answered(desk, view):
    assert listed(view) == ALWAYS
    propose(desk)
    assert listed(view) == ["preview", *ALWAYS]
    desk.session.dialogue.answer("cancel")
    assert listed(view) == ALWAYS
    assert "preview" in desk.viewer.layers, "it is hidden, not removed"


def test_the_known_map_and_a_region_are_listed_while_they_are_shown(desk, view):
    desk.session.views.toggle_known_map()
    assert listed(view) == [*ALWAYS[:2], "known map", *ALWAYS[2:]]
    desk.session.regions.start()
    assert listed(view)[0] == "region"
    desk.session.dialogue.answer("cancel")
    desk.session.views.toggle_known_map()
    assert listed(view) == ALWAYS


def test_an_older_version_is_listed_while_it_is_looked_at(desk, view):
    annotation = desk.viewer.layers["annotation"]
    for index in (6, 12):
        annotation.paint((index, 14, 14), 1)
        desk.session.save_now()
    desk.session.versions.show()
    desk.wait(lambda: desk.session.versions.shown is not None)
    desk.session.versions.look_at(desk.session.versions.shown.rows[-1].generation)
    desk.wait(lambda: "older version" in listed(view))
    desk.session.versions.close()
    assert listed(view) == ALWAYS


def test_rows_stay_hidden_when_layers_are_added_dragged_and_turned_round(desk, view):
    propose(desk)
    desk.session.dialogue.answer("cancel")
    layers = desk.viewer.layers
    desk.viewer.add_labels(np.zeros((4, 4, 4), np.uint8), name="mine")
    assert listed(view) == ["mine", *ALWAYS]
    model = view.model()
    model.dropMimeData(model.mimeData([model.index(0, 0)]), Qt.DropAction.MoveAction, 3, 0, QModelIndex())
    desk.wait(lambda: listed(view)[0] != "mine")
    assert sorted(listed(view)) == sorted(["mine", *ALWAYS])
    layers.reverse()
    desk.wait(lambda: listed(view)[0] == "scan")
    assert sorted(listed(view)) == sorted(["mine", *ALWAYS])
    layers.remove("mine")
    assert sorted(listed(view)) == sorted(ALWAYS)


def test_a_hidden_layer_is_neither_reached_by_the_arrows_nor_left_in_the_hand(desk, view):
    propose(desk)
    desk.viewer.layers.selection.active = desk.viewer.layers["preview"]
    desk.session.dialogue.answer("cancel")
    assert desk.viewer.layers.selection.active is desk.viewer.layers["annotation"]
    view.setFocus()
    reached = set()
    for key in [Qt.Key.Key_Down] * 6 + [Qt.Key.Key_Up] * 6:
        QTest.keyClick(view, key)
        reached.add(desk.viewer.layers.selection.active.name)
    assert reached == set(ALWAYS)
