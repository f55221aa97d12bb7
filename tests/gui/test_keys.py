"""Keys, their list and the grey-scale window in the real window, with real events."""

from types import SimpleNamespace

import pytest
from napari.utils.events import EmitterGroup
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit

from napari_dycon.plugin.keys import preferences

pytestmark = pytest.mark.gui


@pytest.fixture(autouse=True)
def chosen(monkeypatch):
    """Preferences of our own: the person's are neither read nor written."""
    keys = SimpleNamespace(key_scheme="napari", events=EmitterGroup(key_scheme=None))
    monkeypatch.setattr(preferences, "_keys", lambda: keys)
    return keys


@pytest.fixture
def window(desk):
    """The desk with its dock, in a window that has the keys."""
    desk.viewer.window.resize(1200, 800)
    desk.viewer.window.show()
    desk.dock = desk.add_dock()[1]
    desk.canvas = desk.viewer.window._qt_window._qt_viewer.canvas.native
    desk.viewer.window._qt_window.activateWindow()
    desk.canvas.setFocus()
    desk.wait(lambda: desk.canvas.width() > 100)
    desk.qtbot.wait(100)
    return desk


def mode(desk):
    return str(desk.viewer.layers["annotation"].mode)


def drag(canvas, start, moved, button, modifier):
    """Drag from ``start`` by ``moved``, in pixels."""
    end = QPointF(start[0] + moved[0], start[1] + moved[1])
    nothing, kind = Qt.MouseButton.NoButton, QEvent.Type
    for what, place, pressed, held in (
        (kind.MouseButtonPress, QPointF(*start), button, button),
        (kind.MouseMove, end, nothing, button),
        (kind.MouseButtonRelease, end, button, nothing),
    ):
        globally = QPointF(canvas.mapToGlobal(place.toPoint()))
        QApplication.sendEvent(canvas, QMouseEvent(what, place, globally, pressed, held, modifier))


def test_the_napari_scheme_leaves_naparis_tools_alone(window):
    for key, tool in ((Qt.Key.Key_P, "paint"), (Qt.Key.Key_1, "erase"), (Qt.Key.Key_Z, "pan_zoom")):
        QTest.keyClick(window.canvas, key)
        assert mode(window) == tool


def test_another_scheme_works_at_once_and_tooltips_name_its_keys(window):
    assert "(Q)" in window.dock.header.planes_button.toolTip()
    box = window.dock.keys.sheet.scheme
    box.setCurrentIndex(box.findData("slicer"))
    box.activated.emit(box.currentIndex())
    assert "(Shift+Q)" in window.dock.header.planes_button.toolTip()
    QTest.keyClick(window.canvas, Qt.Key.Key_4)
    assert mode(window) == "erase"
    QTest.keyClick(window.canvas, Qt.Key.Key_2)
    assert mode(window) == "paint"
    before = window.viewer.dims.current_step[0]
    QTest.keyClick(window.canvas, Qt.Key.Key_F)
    assert window.viewer.dims.current_step[0] == before + 1
    window.session.keys.use("napari")
    QTest.keyClick(window.canvas, Qt.Key.Key_4)
    assert mode(window) == "fill"


@pytest.mark.parametrize("scheme", ["slicer", "itk-snap"])
def test_control_y_does_again_where_the_scheme_says_so_and_turns_to_3d_in_naparis(window, scheme):
    annotation, control = window.viewer.layers["annotation"], Qt.KeyboardModifier.ControlModifier
    annotation.paint((5, 12, 12), 1)
    painted = annotation.data.copy()
    window.session.keys.use(scheme)
    for place in (window.canvas, window.dock.cases.view):
        place.setFocus()
        QTest.keyClick(place, Qt.Key.Key_Z, control)
        window.wait(lambda: not annotation.data.any())
        QTest.keyClick(place, Qt.Key.Key_Y, control)
        window.wait(lambda: (annotation.data == painted).all())
        assert window.viewer.dims.ndisplay == 2
    QTest.keyClick(window.dock, Qt.Key.Key_F1)
    QTest.keyClicks(window.dock.keys.sheet.search, "redo")
    assert "Ctrl+Y" in window.dock.keys.sheet.list.lines[0].keys
    window.session.keys.use("napari")
    assert window.dock.keys.sheet.list.lines[0].keys == ("Ctrl+Shift+Z",)
    QTest.keyClick(window.canvas, Qt.Key.Key_Y, control)
    assert window.viewer.dims.ndisplay == 3


def test_the_arrows_of_undo_name_the_keys_of_the_scheme(window):
    redo = window.dock.tools.redo_button
    assert "(Ctrl+Shift+Z)" in redo.toolTip()
    window.session.keys.use("slicer")
    assert "(Ctrl+Y)" in redo.toolTip()


def test_a_key_works_while_a_table_has_the_focus_but_letters_can_be_typed(window):
    window.dock.cases.view.setFocus()
    shown = window.session.views.overlay.prediction
    QTest.keyClick(window.dock.cases.view, Qt.Key.Key_G)
    assert window.session.views.overlay.prediction is not shown
    QTest.keyClicks(window.dock.cases.filter.search, "g")
    assert window.dock.cases.filter.search.text() == "g"
    assert window.session.views.overlay.prediction is not shown


def test_f1_opens_the_list_and_a_search_finds_a_key(window):
    sheet = window.dock.keys.sheet
    QTest.keyClick(window.dock, Qt.Key.Key_F1)
    assert sheet.isVisible()
    assert len(sheet.list.lines) > 20
    QTest.keyClicks(sheet.search, "bigger brush")
    assert [(line.title, line.keys) for line in sheet.list.lines] == [("Bigger brush", ("]",))]
    QTest.keyClick(sheet.search, Qt.Key.Key_Escape)
    assert sheet.isVisible() and len(sheet.list.lines) > 20
    QTest.keyClick(sheet.search, Qt.Key.Key_Escape)
    assert not sheet.isVisible()


def test_shift_and_a_right_drag_change_the_window_and_paint_nothing(window):
    annotation, scan = window.viewer.layers["annotation"], window.viewer.layers["scan"]
    for tool in ("pan_zoom", "paint", "erase", "fill"):
        annotation.mode = tool
        labels, (low, high) = annotation.data.copy(), scan.contrast_limits
        zoom, point = window.viewer.scene.camera.zoom, window.viewer.dims.point
        middle = (window.canvas.width() // 2, window.canvas.height() // 2)
        shift = Qt.KeyboardModifier.ShiftModifier
        drag(window.canvas, middle, (60, 0), Qt.MouseButton.RightButton, shift)
        assert scan.contrast_limits[0] < low and scan.contrast_limits[1] > high
        assert (annotation.data == labels).all()
        assert (window.viewer.scene.camera.zoom, window.viewer.dims.point) == (zoom, point)


def test_the_window_is_that_of_every_plane(window):
    window.session.views.toggle_planes()
    pane = window.session.views._planes.panes["coronal"]
    window.wait(lambda: pane.marks.width() > 50)
    canvas = pane.widget.canvas.native
    drag(canvas, (40, 40), (0, -30), Qt.MouseButton.RightButton, Qt.KeyboardModifier.ShiftModifier)
    limits = window.viewer.layers["scan"].contrast_limits
    assert list(pane.model.layers["scan"].contrast_limits) == list(limits)
    assert window.session.contrast.window.name == "own"
    window.session.views.toggle_planes()


def test_the_one_plane_shows_its_name_and_the_sides_of_the_body(window):
    marks = window.session.views._single
    assert marks._marks().letters == ("R", "L", "A", "P")
    assert marks._marks().title.startswith("Axial ")
    assert marks._marks().lines == ()
    window.session.views.show_plane("sagittal")
    assert marks._marks().letters == ("A", "P", "S", "I")
    window.session.views.toggle_planes()
    assert marks._marks().title == ""
    window.session.views.toggle_planes()
    window.session.close()
    assert marks._marks().letters == ("", "", "", "")


@pytest.mark.parametrize("where", ["one plane", "pane"])
def test_a_held_key_goes_on_through_the_slices(window, where):
    canvas, axis, model = window.canvas, 0, window.viewer
    if where == "pane":
        window.session.views.toggle_planes()
        pane = window.session.views._planes.panes["coronal"]
        window.wait(lambda: pane.marks.width() > 50)
        canvas, axis, model = pane.widget.canvas.native, 1, pane.model
    model.dims.set_current_step(axis, 0)
    window.qtbot.wait(100)
    for held in (False, True, True):
        press = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier, "", held)
        QApplication.sendEvent(canvas, press)
    QApplication.sendEvent(
        canvas, QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_PageUp, Qt.KeyboardModifier.NoModifier, "", True)
    )
    window.wait(lambda: model.dims.current_step[axis] == 13)
    if where == "pane":
        window.session.views.toggle_planes()


@pytest.mark.parametrize("modifier", ["NoModifier", "ShiftModifier"])
def test_a_question_mark_opens_the_list_wherever_it_is_on_the_keyboard(window, modifier):
    QTest.keyClick(window.canvas, Qt.Key.Key_Question, Qt.KeyboardModifier[modifier])
    assert window.dock.keys.sheet.isVisible()


def turn_wheel(canvas, modifier=Qt.KeyboardModifier.NoModifier):
    middle = QPointF(canvas.rect().center())
    globally = QPointF(canvas.mapToGlobal(middle.toPoint()))
    nothing, phase = Qt.MouseButton.NoButton, Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(middle, globally, QPoint(), QPoint(0, 120), nothing, modifier, phase, False)
    QApplication.sendEvent(canvas, event)


@pytest.mark.parametrize(
    ("scheme", "slices_with_ctrl"), [("napari", True), ("slicer", False), ("itk-snap", False)]
)
@pytest.mark.parametrize("ctrl", [True, False])
def test_the_wheel_does_what_it_does_in_the_program_of_the_scheme(window, scheme, slices_with_ctrl, ctrl):
    window.session.keys.use(scheme)
    viewer = window.viewer
    step, zoom = viewer.dims.current_step, viewer.scene.camera.zoom
    modifier = Qt.KeyboardModifier.ControlModifier if ctrl else Qt.KeyboardModifier.NoModifier
    turn_wheel(window.canvas, modifier)
    window.qtbot.wait(100)
    scrolls = ctrl is slices_with_ctrl
    assert (viewer.dims.current_step != step) is scrolls
    assert (viewer.scene.camera.zoom != zoom) is not scrolls


def test_a_click_on_a_structure_leaves_the_keys_alive(window):
    chips = window.dock.structures.chips
    item = chips.visualItemRect(chips.item(chips.count() - 1)).center()
    QTest.mouseClick(chips.viewport(), Qt.MouseButton.LeftButton, pos=item)
    assert not chips.hasFocus()
    assert window.session.structures.active_value == window.session.structures.all[-1].value


def test_naparis_keys_work_while_the_focus_is_in_the_dock_but_not_while_typing(window):
    chips = window.dock.structures.chips
    chips.setFocus()
    QTest.keyClick(chips, Qt.Key.Key_2)
    assert mode(window) == "paint"
    search = window.dock.cases.findChild(QLineEdit)
    search.setFocus()
    QTest.keyClick(search, Qt.Key.Key_1)
    assert mode(window) == "paint"
    assert search.text() == "1"
