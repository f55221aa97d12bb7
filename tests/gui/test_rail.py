"""Marks of the slices at the edge of each canvas and the frame around a place, with real widgets."""

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_dycon.guidance.suggestions import Suggestion
from napari_dycon.plugin.background.jobs import SuggestionsReady
from napari_dycon.plugin.canvases.marks import FRAME_COLOUR
from napari_dycon.plugin.layers.napari_private import main_canvas, main_window

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton
BOX = [(4, 9), (10, 15), (3, 7)]
AXES = {"axial": 2, "coronal": 1, "sagittal": 0}


def place(plane, index, case="patient-03", reason="edge unclear"):
    box = [tuple(part) for part in BOX]
    box[AXES[plane]] = (index, index + 1)
    words = {"plane": plane, "axis": AXES[plane], "structure": 1, "structure_name": "organ", "score": 0.5}
    return Suggestion(case=case, index=index, box=tuple(box), reason=reason, **words)


@pytest.fixture
def shown(desk):
    """The desk in a window of some size, with the marks of its slices up."""
    desk.viewer.window.resize(1200, 800)
    desk.viewer.window.show()
    rest(desk)
    return desk


def rest(desk):
    """Wait until the slices were looked at and the views have followed."""
    desk.wait(lambda: not (desk.session._chores.busy or desk.session._loads.busy or desk.session.signs.busy))
    desk.qtbot.wait(150)


def views(desk):
    """Every canvas that shows slices, by plane; the viewer's own with the strip that stays on it."""
    planes = desk.session.views._planes
    if not desk.session.views.planes_shown:
        single = desk.session.views._single
        return {single.plane: single}
    return {view.plane: view for view in planes.slices}


def rails(desk):
    own = desk.session.views._single
    further = desk.session.views._planes.panes if desk.session.views.planes_shown else {}
    return {own.plane: own.rail} | {name: pane.rail for name, pane in further.items()}


def slice_of(desk, plane):
    """The slice that a plane shows, in source order."""
    view = views(desk)[plane]
    return desk.session._desk.case.display.to_source(
        view.axis, round(view.position / desk.viewer.layers["scan"].scale[view.axis])
    )


def framed(desk, view):
    """Whether the frame is seen on a canvas at all four edges of the box that `view` reports."""
    left, top, right, bottom = view._frame()
    picture, marks = view.marks.parentWidget().grabFramebuffer(), view.marks.grab().toImage()
    del picture
    wanted = np.array([int(FRAME_COLOUR[at : at + 2], 16) for at in (1, 3, 5)])
    middle = ((left + right) / 2, (top + bottom) / 2)
    ratio = marks.devicePixelRatio()
    for x, y in ((left, middle[1]), (right, middle[1]), (middle[0], top), (middle[0], bottom)):
        near = [
            np.array(marks.pixelColor(round(x * ratio) + a, round(y * ratio) + b).getRgb()[:3])
            for a in range(-3, 4)
            for b in range(-3, 4)
        ]
        if min(np.abs(colour - wanted).max() for colour in near) > 60:
            return False
    return True


def click(rail, index, count):
    QTest.mouseClick(rail, LEFT, pos=QPoint(rail.width() // 2, int(rail.place_of(index, count).center().y())))


@pytest.mark.parametrize("planes", [False, True], ids=["one plane", "three planes"])
def test_a_click_on_a_mark_goes_to_its_slice_and_nothing_is_moved_for_the_marks(shown, planes):
    desk = shown
    size = main_canvas(main_window(desk.viewer)).canvas.native.size()
    if planes:
        desk.session.views.toggle_planes()
        desk.wait(lambda: all(pane.marks.width() > 100 for pane in desk.session.views._planes.panes.values()))
        rest(desk)
    else:
        assert main_canvas(main_window(desk.viewer)).canvas.native.size() == size
    for plane, rail in rails(desk).items():
        assert rail.isVisible() and rail.geometry().right() < rail.parentWidget().width()
        count = len(rail._look_of().signs.labelled)
        click(rail, 3, count)
        desk.qtbot.wait(80)
        view = views(desk)[plane]
        assert round(view.position / desk.viewer.layers["scan"].scale[view.axis]) == 3
        assert rail._look_of().index == 3


def test_marks_tell_what_is_labelled_complete_and_suggested_in_words(shown):
    desk = shown
    case, rail = desk.session._desk.case, desk.session.views._single.rail
    layer = desk.viewer.layers["annotation"]
    layer.brush_size = 3
    layer.paint((5, 12, 12), 1)
    axis, index = case.display.to_source(0, 7)
    case.editor.complete_slice(axis, index)
    desk.session._desk.take_edit()
    desk.session.suggestions.take(SuggestionsReady((place("axial", case.display.to_source(0, 9)[1]),)))
    rest(desk)
    desk.wait(lambda: rail._look_of().signs.complete[7])
    look = rail._look_of()
    assert "labelled in part" in look.words(5) and "complete" in look.words(7)
    assert "suggested: edge unclear" in look.words(9)
    assert look.words(5).startswith(f"Axial 6 of {len(look.signs.labelled)}")
    assert "nothing labelled yet" in look.words(11)
    assert list(np.flatnonzero(look.signs.labelled)) == [5, 7]


def test_marks_go_with_their_case_and_in_3d(shown):
    desk = shown
    rail = desk.session.views._single.rail
    desk.session.views.toggle_3d()
    assert not rail.isVisible()
    desk.session.views.toggle_3d()
    assert rail.isVisible()
    desk.open("patient-04")
    rest(desk)
    assert len(rail._look_of().signs.labelled) == desk.session._desk.case.display.shape[0]


@pytest.mark.parametrize("planes", [False, True], ids=["one plane", "three planes"])
def test_five_places_followed_with_keys_are_where_they_say_with_their_box(shown, planes):
    desk = shown
    _, dock = desk.add_dock()
    if planes:
        desk.session.views.toggle_planes()
        desk.wait(lambda: all(pane.marks.width() > 100 for pane in desk.session.views._planes.panes.values()))
    wanted = [
        place("axial", 5),
        place("coronal", 12, "patient-04"),
        place("sagittal", 6, "patient-04"),
        place("axial", 4, "patient-04"),
        place("coronal", 11),
    ]
    desk.session.suggestions._show(wanted)
    canvas = main_canvas(main_window(desk.viewer)).canvas.native
    for number, one in enumerate(wanted, start=1):
        QTest.keyClick(canvas, Qt.Key.Key_N)
        desk.wait(lambda one=one: desk.session.cases.case_id == one.case)
        rest(desk)
        assert dock.cards.position.text() == f"{number} of 5"
        assert slice_of(desk, one.plane) == (one.axis, one.index)
        for plane, view in views(desk).items():
            axis, index = slice_of(desk, plane)
            assert one.box[axis][0] <= index < one.box[axis][1], plane
            assert framed(desk, view), plane
        assert desk.session._presenter.slices.current_slice() == (one.axis, one.index)


@pytest.mark.parametrize("planes", [False, True], ids=["one plane", "three planes"])
def test_a_piece_is_shown_by_all_planes_with_its_box_and_a_whole_scan_without_one(shown, notes, planes):
    desk = shown
    if planes:
        desk.session.views.toggle_planes()
        desk.wait(lambda: all(pane.marks.width() > 100 for pane in desk.session.views._planes.panes.values()))
    box, voxel = ((4, 9), (10, 15), (3, 7)), (5, 13, 4)
    piece = replace(place("axial", 4, "patient-04"), level="region", box=box, voxel=voxel)
    whole = replace(place("axial", 6), level="case", box=((0, 20), (0, 24), (0, 10)))
    desk.session.suggestions._show([piece, whole])
    canvas = main_canvas(main_window(desk.viewer)).canvas.native
    QTest.keyClick(canvas, Qt.Key.Key_N)
    desk.wait(lambda: desk.session.cases.case_id == "patient-04")
    rest(desk)
    for plane, view in views(desk).items():
        axis, index = slice_of(desk, plane)
        assert index == voxel[axis] and framed(desk, view), plane
    QTest.keyClick(canvas, Qt.Key.Key_D)
    assert "not decided yet" in notes[-1][1] and desk.session.suggestions.here is piece
    QTest.keyClick(canvas, Qt.Key.Key_D, Qt.KeyboardModifier.ShiftModifier)
    desk.wait(lambda: desk.session.cases.case_id == "patient-03")
    rest(desk)
    assert desk.session.suggestions.state_of(piece) == "skipped"
    assert desk.session._presenter.slices.current_slice() == (2, 6)
    assert not any(view._frame() for view in views(desk).values())


def test_the_frame_goes_when_work_begins_and_done_needs_work(shown, notes):
    desk = shown
    one, other = place("axial", 5), place("axial", 9)
    desk.session.suggestions._show([one, other])
    canvas = main_canvas(main_window(desk.viewer)).canvas.native
    QTest.keyClick(canvas, Qt.Key.Key_N)
    rest(desk)
    single = desk.session.views._single
    assert single._frame() is not None
    QTest.keyClick(canvas, Qt.Key.Key_D)
    assert "Nothing on this slice was changed" in notes[-1][1]
    assert desk.session.suggestions.here is one
    display, layer = desk.session._desk.case.display, desk.viewer.layers["annotation"]
    layer.paint((display.to_display(2, 5)[1], 10, 10), 1)
    assert single._frame() is None
    QTest.keyClick(canvas, Qt.Key.Key_D)
    rest(desk)
    assert desk.session.suggestions.state_of(one) == "done"
    assert desk.session.suggestions.here is other
    QTest.keyClick(canvas, Qt.Key.Key_D, Qt.KeyboardModifier.ShiftModifier)
    assert desk.session.suggestions.state_of(other) == "skipped"
    assert "done or skipped" in notes[-1][1]


def test_a_slice_that_is_completed_is_done(shown):
    desk = shown
    one = place("axial", 5)
    desk.session.suggestions._show([one])
    canvas = main_canvas(main_window(desk.viewer)).canvas.native
    QTest.keyClick(canvas, Qt.Key.Key_N)
    rest(desk)
    QTest.keyClick(canvas, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert desk.session.suggestions.state_of(one) == "done"
    assert not desk.session.suggestions.waiting


def test_places_have_pictures_as_the_viewer_shows_them(shown):
    desk = shown
    one = place("axial", 5)
    desk.session.suggestions._show([one])
    desk.wait(lambda: desk.session.suggestions.gallery.find(one) is not None)
    pictured = desk.session.suggestions.gallery.find(one)
    display = desk.session._desk.case.display
    assert (pictured.number, pictured.count) == (display.to_display(2, 5)[1] + 1, display.shape[0])
    assert pictured.picture.shape == (192, 192, 3) and np.ptp(pictured.picture) > 100
