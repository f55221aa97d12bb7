"""From strokes to a piece with the mouse on the real window."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_dycon.study.truth.annotations import Known
from tests.gui.hand import NONE, Hand

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier


class GrowingHand(Hand):
    """A hand over a scan with a bright ball."""

    def __init__(self, desk):
        super().__init__(desk)
        self.show_blob()

    def show_blob(self):
        """Put a bright ball into the scan of the open case."""
        scan = self.viewer.layers["scan"].data
        centre = (np.array(scan.shape) - 1) / 2
        where = np.indices(scan.shape).transpose(1, 2, 3, 0) - centre
        self.blob = np.linalg.norm(where * self.viewer.layers["scan"].scale, axis=-1) < 16
        values = np.random.default_rng(0).normal(100, 5, scan.shape) + 80 * self.blob
        scan[...] = values.astype(scan.dtype)

    def press(self, key, modifier=NONE):
        self.canvas.setFocus()
        QTest.keyClick(self.canvas, key, modifier)

    def wait_for(self, words):
        self.desk.wait(
            lambda: (
                self.session.dialogue.question is not None and words in self.session.dialogue.question.text
            )
        )

    @property
    def stroke_middle(self):
        rows, columns = (self.viewer.layers["scan"].data.shape[axis] for axis in self.viewer.dims.order[-2:])
        return (rows - 1) / 2, (columns - 1) / 2


@pytest.fixture
def hand(desk):
    return GrowingHand(desk)


def test_a_stroke_grows_a_piece_that_enter_takes_over_as_one_step(hand):
    row, column = hand.stroke_middle
    height = hand.dock.tools.height()
    hand.press(Qt.Key.Key_H)
    hand.wait_for("Draw a stroke inside")
    assert hand.dock.tools.height() == height, "the question takes the place of the tools"
    hand.drag((row, column - 4), (row, column + 4))
    hand.wait_for("Take this piece over?")
    preview = hand.viewer.layers["preview"]
    assert preview.visible
    overlap = (np.asarray(preview.data) > 0) & hand.blob
    assert 2 * overlap.sum() > 0.9 * (hand.blob.sum() + (np.asarray(preview.data) > 0).sum())
    assert not hand.annotation.labels.any(), "nothing is labelled yet"
    hand.press(Qt.Key.Key_Return)
    hand.rest()
    hand.desk.wait(lambda: hand.annotation.labels.any())
    known = hand.shown(hand.annotation.known)
    assert (known == Known.ACCEPTED).sum() > 0.5 * hand.blob.sum()
    assert 10 < (known == Known.DRAWN).sum() < 100
    assert hand.session.labels.undo_name.startswith("Grow ")
    assert not preview.visible
    active = hand.viewer.layers.selection.active
    assert (active.name, str(active.mode)) == ("annotation", "paint")
    hand.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    hand.rest()
    assert not hand.annotation.known.any()


def test_what_growing_needs_is_made_while_the_hand_rests_and_is_not_seen(hand):
    layers = hand.viewer.layers
    hand.desk.wait(lambda: {"strokes", "preview"} <= {layer.name for layer in layers})
    made = [layers["strokes"], layers["preview"]]
    assert not any(layer.visible for layer in made)
    assert layers.selection.active is layers["annotation"]
    assert layers["annotation"].mode == "paint"
    hand.press(Qt.Key.Key_H)
    hand.wait_for("Draw a stroke inside")
    assert [layers["strokes"], layers["preview"]] == made
    hand.press(Qt.Key.Key_Escape)


def test_shift_and_the_eraser_say_outside_and_undo_takes_a_stroke_back(hand):
    row, column = hand.stroke_middle
    hand.press(Qt.Key.Key_H)
    hand.drag((row, column - 4), (row, column + 4))
    hand.wait_for("Take this piece over?")
    first = np.asarray(hand.viewer.layers["preview"].data).copy()
    hand.drag((row + 5, column - 3), (row + 5, column + 3), SHIFT)
    hand.rest()
    strokes = np.asarray(hand.viewer.layers["strokes"].data)
    assert (strokes == 2).sum() > 5
    assert not np.asarray(hand.viewer.layers["preview"].data)[strokes == 2].any()
    hand.viewer.layers["strokes"].mode = "erase"
    hand.drag((row - 5, column - 3), (row - 5, column + 3))
    hand.rest()
    assert (strokes == 2).sum() > 10
    for _ in range(2):
        hand.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        hand.rest()
    assert not (strokes == 2).any()
    assert (strokes == 1).any()
    assert np.array_equal(np.asarray(hand.viewer.layers["preview"].data), first)
    hand.press(Qt.Key.Key_Escape)
    hand.desk.wait(lambda: hand.session.dialogue.question is None)
    assert not hand.annotation.known.any()
    assert not hand.viewer.layers["strokes"].visible
    assert not hand.viewer.layers["preview"].visible


def test_a_stroke_drawn_in_another_plane_grows_a_piece_seen_in_all(hand):
    hand.session.views.toggle_planes()
    linked = hand.session.views._planes
    hand.desk.wait(lambda: all(pane.marks.width() > 50 for pane in linked.panes.values()))
    hand.desk.qtbot.wait(150)
    hand.press(Qt.Key.Key_H)
    pane = linked.panes["coronal"]
    scale = np.array(hand.viewer.layers["scan"].scale)
    centre = (np.array(hand.blob.shape) - 1) / 2 * scale
    canvas = pane.marks.parentWidget()
    along = np.array([0, 0, 8.0])
    places = [pane.on_screen(centre + side * along) for side in (-1, 1)]
    ends = [QPoint(round(x), round(y)) for x, y in places]
    QTest.mouseMove(canvas, ends[0])
    QTest.mousePress(canvas, LEFT, NONE, pos=ends[0])
    QTest.mouseMove(canvas, ends[1])
    hand.desk.qtbot.wait(30)
    QTest.mouseRelease(canvas, LEFT, NONE, pos=ends[1])
    hand.wait_for("Take this piece over?")
    preview = hand.viewer.layers["preview"]
    found = np.asarray(preview.data) > 0
    assert (found & hand.blob).sum() > 0.6 * hand.blob.sum()
    hand.desk.qtbot.wait(150)
    for other in linked.panes.values():
        copy = other.copy_of(preview)
        assert copy.visible
        ends, _ = copy.lines()
        assert len(ends) > 4, "its outline is drawn"
    hand.press(Qt.Key.Key_Escape)
    hand.desk.wait(lambda: hand.session.dialogue.question is None)
