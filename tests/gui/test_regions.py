"""Regions and pieces with the mouse on the real window."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_dycon.plugin.background import jobs
from napari_dycon.study.truth.annotations import Known
from tests.gui.hand import Hand

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


class DecidingHand(Hand):
    """A hand that answers what is asked in the place of the tools."""

    @property
    def known(self):
        return self.shown(self.annotation.known)

    def choose(self, menu, key):
        next(action for action in menu.actions() if action.data() == key).trigger()

    def answer(self, key):
        self.desk.wait(lambda: key in self.dock.tools.strip.buttons)
        QTest.mouseClick(self.dock.tools.strip.buttons[key], LEFT)

    def asked(self, key):
        self.desk.wait(
            lambda: (
                self.session.dialogue.question is not None
                and self.session.dialogue.question.answers[0][0] == key
            )
        )


@pytest.fixture
def hand(desk):
    return DecidingHand(desk)


def test_a_box_is_dragged_in_every_plane_and_the_brush_comes_back(hand):
    expected = np.zeros(hand.known.shape, bool)
    height = hand.dock.tools.height()
    for plane in ("axial", "coronal", "sagittal"):
        hand.session.views.show_plane(plane)
        hand.desk.qtbot.wait(50)
        axis, row, column = hand.viewer.dims.order
        where = [slice(None)] * 3
        where[axis], where[row], where[column] = (
            hand.viewer.dims.current_step[axis],
            slice(6, 11),
            slice(5, 13),
        )
        expected[tuple(where)] = True
        hand.choose(hand.dock.tools.region_menu, "region_box")
        hand.drag((5.6, 4.6), (10.4, 12.4))
        hand.asked("one")
        assert hand.dock.tools.height() == height, "the question takes the place of the tools"
        hand.answer("one")
        hand.answer("complete")
        hand.rest()
        assert hand.viewer.layers.selection.active is hand.viewer.layers["annotation"]
        assert hand.viewer.layers["annotation"].mode == "paint"
    assert np.array_equal(hand.known == Known.COMPLETED, expected)
    assert not hand.viewer.layers["annotation"].data.any(), "nothing was painted on the way"


def test_a_polygon_is_clicked_and_escape_calls_it_off(hand):
    hand.choose(hand.dock.tools.region_menu, "region_polygon")
    for place in ((4, 4), (4, 20), (20, 20), (20, 4)):
        QTest.mouseMove(hand.canvas, hand.at(*place))
        QTest.mouseClick(hand.canvas, LEFT, pos=hand.at(*place))
        hand.desk.qtbot.wait(30)
    QTest.mouseDClick(hand.canvas, LEFT, pos=hand.at(20, 4))
    hand.asked("one")
    hand.answer("one")
    hand.answer("ignore")
    hand.rest()
    assert 200 < (hand.known == Known.IGNORE).sum() < 300
    hand.choose(hand.dock.tools.region_menu, "region_polygon")
    QTest.mouseClick(hand.canvas, LEFT, pos=hand.at(4, 4))
    hand.canvas.setFocus()
    QTest.keyClick(hand.canvas, Qt.Key.Key_Escape)
    hand.desk.wait(lambda: hand.session.dialogue.question is None)
    assert hand.viewer.layers["annotation"].mode == "paint"
    assert hand.viewer.layers["region"].nshapes == 0


def test_a_piece_is_clicked_or_decided_by_a_key_over_it(hand):
    shape = hand.session._desk.case.volume.geometry.shape
    mask = np.zeros(shape, np.uint8)
    mask[4:9, 4:9, :] = mask[20:26, 20:26, :] = 1
    case = hand.session.cases.case_id
    hand.session.views.show_prediction(jobs.PredictionLoaded(case, mask, mask * np.float32(0.1)))
    z = hand.viewer.dims.current_step[0]
    found = [place[1:] for place in np.argwhere(hand.viewer.layers["prediction"].data) if place[0] == z]
    hand.choose(hand.dock.review.accept.menu, "accept_click")
    QTest.mouseMove(hand.canvas, hand.at(*found[0]))
    hand.desk.wait(lambda: hand.viewer.layers["piece"].selected_label > 0)
    QTest.mouseClick(hand.canvas, LEFT, pos=hand.at(*found[0]))
    hand.desk.wait(lambda: hand.session.dialogue.question is None)
    hand.rest()
    assert (hand.known == Known.ACCEPTED).sum() in (25 * shape[2], 36 * shape[2])
    QTest.mouseMove(hand.canvas, hand.at(*found[-1]))
    hand.desk.qtbot.wait(50)
    hand.session.regions.decide_piece("reject")
    hand.rest()
    decided = (hand.known == Known.ACCEPTED) | (hand.known == Known.DRAWN)
    case = hand.session._desk.case
    assert np.array_equal(decided, case.display.apply(case.prediction) > 0)
    assert not hand.viewer.layers["prediction"].data.any(), "what is decided is outlined no longer"
    hand.dock.tools.known_button.click()
    assert hand.viewer.layers["known map"].visible
    assert "interpolated" in hand.dock.tools.known_button.toolTip()


@pytest.fixture
def views(hand):
    """The view of each plane, beside each other."""
    hand.session.views.toggle_planes()
    linked = hand.session.views._planes
    hand.desk.wait(lambda: all(pane.marks.width() > 50 for pane in linked.panes.values()))
    hand.desk.qtbot.wait(200)
    found = {view.plane: view for view in linked.slices}
    yield found
    found.clear()  # a view keeps its canvas
    linked.hide()


def place(hand, view, rows, columns):
    """Where a voxel is on the canvas of ``view``, counted from the cross-hair along its rows and columns."""
    point, scale = hand.session.views._planes.cross_hair.point.copy(), hand.viewer.layers["scan"].scale
    for axis, steps in zip(view._in_plane(), (rows, columns), strict=True):
        point[axis] += steps * scale[axis]
    return QPoint(*(round(pixel) for pixel in view.on_screen(point)))


def drag_box(hand, view, size):
    """Drag a box of ``size`` voxels to each side of the cross-hair."""
    canvas = view.marks.parentWidget()
    start, end = place(hand, view, -size, -size), place(hand, view, size, size)
    QTest.mouseMove(canvas, start)
    QTest.mousePress(canvas, LEFT, pos=start)
    for where in (place(hand, view, 0, 0), end):
        QTest.mouseMove(canvas, where)
        hand.desk.qtbot.wait(20)
    QTest.mouseRelease(canvas, LEFT, pos=end)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_box_dragged_in_a_pane_lies_in_its_plane_and_is_seen_there(hand, views, plane):
    view, sheets = views[plane], [one.model.layers for one in views.values()]
    hand.session.regions.start("box")
    drag_box(hand, view, 3.4)
    hand.asked("one")
    assert [layers["region"].nshapes for layers in sheets] == [one is view for one in views.values()]
    hand.answer("one")
    hand.answer("complete")
    hand.rest()
    middle = [
        round(mm / size)
        for mm, size in zip(
            hand.session.views._planes.cross_hair.point, hand.viewer.layers["scan"].scale, strict=True
        )
    ]
    where = [slice(index - 3, index + 4) for index in middle]
    where[view.axis] = middle[view.axis]
    expected = np.zeros(hand.known.shape, bool)
    expected[tuple(where)] = True
    assert np.array_equal(hand.known == Known.COMPLETED, expected)
    assert not any(layers["region"].nshapes for layers in sheets)
    assert {layers["annotation"].mode for layers in sheets} == {"paint"}
    assert not hand.viewer.layers["annotation"].data.any(), "nothing was painted on the way"


def test_a_region_reaches_up_to_where_the_cross_hair_went(hand, views):
    coronal = views["coronal"]
    hand.session.regions.start("box")
    drag_box(hand, coronal, 2.4)
    hand.asked("one")
    hand.session.views.step_slice(3)
    hand.desk.qtbot.wait(150)
    hand.answer("here")
    hand.answer("ignore")
    hand.rest()
    assert (hand.known == Known.IGNORE).sum() == 5 * 5 * 4


def test_a_piece_is_clicked_in_a_pane_or_decided_by_a_key_over_it(hand, views):
    case, sagittal = hand.session._desk.case, views["sagittal"]
    mask = np.zeros(case.volume.geometry.shape, np.uint8)
    shown = case.display.apply(mask)
    middle = [
        round(mm / size)
        for mm, size in zip(
            hand.session.views._planes.cross_hair.point, hand.viewer.layers["scan"].scale, strict=True
        )
    ]
    shown[tuple(slice(index - 2, index + 3) for index in middle)] = 1
    hand.session.views.show_prediction(jobs.PredictionLoaded(case.case_id, mask, mask * np.float32(0.1)))
    hand.session.regions.decide("accept", "piece")
    canvas = sagittal.marks.parentWidget()
    QTest.mouseMove(canvas, place(hand, sagittal, 1, 1))
    QTest.mouseClick(canvas, LEFT, pos=place(hand, sagittal, 1, 1))
    hand.desk.wait(lambda: hand.session.dialogue.question is None)
    hand.rest()
    assert (hand.known == Known.ACCEPTED).sum() == 125
    hand.session.labels.undo()
    QTest.mouseMove(canvas, place(hand, sagittal, -1, 1))
    hand.desk.qtbot.wait(50)
    QTest.keyClick(canvas, Qt.Key.Key_Y, Qt.KeyboardModifier.ShiftModifier)
    hand.rest()
    assert hand.session.labels.undo_name == "Reject piece"


def test_escape_calls_a_region_off_in_a_pane(hand, views):
    canvas = views["coronal"].marks.parentWidget()
    hand.session.regions.start("polygon")
    for rows, columns in ((-3, -3), (-3, 3)):
        QTest.mouseMove(canvas, place(hand, views["coronal"], rows, columns))
        QTest.mouseClick(canvas, LEFT, pos=place(hand, views["coronal"], rows, columns))
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    hand.desk.wait(lambda: hand.session.dialogue.question is None)
    assert not any(view.model.layers["region"].nshapes for view in views.values())
    assert hand.viewer.layers["annotation"].mode == "paint"
