"""The row of tools on the real window: mouse and keys."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_dycon.study.truth.annotations import Known

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def dock(desk):
    """The dock in a window that is on screen."""
    _, widget = desk.add_dock()
    desk.viewer.window.resize(1200, 900)
    desk.viewer.window.show()
    desk.wait(lambda: canvas_of(desk).width() > 100)
    desk.qtbot.wait(100)
    desk.viewer.reset_view()
    return widget


def canvas_of(desk):
    return desk.viewer.window._qt_window._qt_viewer.canvas.native


def drag(desk, start, end, size=4):
    """Drag the brush over the slice on screen, from one voxel (row, column) to another."""
    layer, canvas, camera = desk.viewer.layers["annotation"], canvas_of(desk), desk.viewer.scene.camera
    layer.mode, layer.brush_size = "paint", size

    def place(voxel):
        y, x = (
            (index * step - middle) * camera.zoom
            for index, step, middle in zip(voxel, layer.scale[-2:], camera.center[-2:], strict=True)
        )
        return QPoint(round(x + canvas.width() / 2), round(y + canvas.height() / 2))

    QTest.mouseMove(canvas, place(start))
    QTest.mousePress(canvas, LEFT, pos=place(start))
    QTest.mouseMove(canvas, place(end))
    desk.qtbot.wait(50)
    QTest.mouseRelease(canvas, LEFT, pos=place(end))


def choose(menu, text):
    next(action for action in menu.actions() if text in action.text()).trigger()


def test_certain_background_is_painted_with_the_mouse_and_undone_with_the_key(desk, dock):
    annotation = desk.session._desk.case.annotation
    before = annotation.known.copy()
    choose(dock.tools.paint_menu, "Background")
    drag(desk, (4, 4), (4, 12))
    desk.wait(lambda: (annotation.known == Known.DRAWN).sum() > 10)
    assert not annotation.labels.any()
    assert "Background, for certain" in dock.tools.undo_button.toolTip()
    QTest.keyClick(canvas_of(desk), Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert np.array_equal(annotation.known, before)
    assert dock.tools.redo_button.isEnabled()
    assert not dock.tools.undo_button.isEnabled()


def test_slices_in_between_are_filled_with_enter_and_the_row_keeps_its_place(desk, dock):
    annotation = desk.session._desk.case.annotation
    for index in (6, 12):
        desk.viewer.dims.set_current_step(0, index)
        drag(desk, (14, 14), (16, 20), size=6)
    place = dock.tools.geometry()
    choose(dock.tools.interpolate_menu, "Between")
    desk.wait(lambda: desk.session.dialogue.question is not None)
    assert dock.tools.strip.text.text() == "Fill the 5 slices in between?"
    assert dock.tools.geometry() == place
    QTest.keyClick(canvas_of(desk), Qt.Key.Key_Return)
    desk.wait(lambda: (annotation.known == Known.INTERPOLATED).any())
    assert desk.session.dialogue.question is None


def test_escape_cancels_and_changes_nothing(desk, dock):
    for index in (6, 12):
        desk.viewer.dims.set_current_step(0, index)
        drag(desk, (14, 14), (16, 20), size=6)
    labels = desk.session._desk.case.annotation.labels.copy()
    choose(dock.tools.interpolate_menu, "Between")
    desk.wait(lambda: desk.session.dialogue.question is not None)
    QTest.keyClick(canvas_of(desk), Qt.Key.Key_Escape)
    assert desk.session.dialogue.question is None
    assert dock.tools.pages.currentIndex() == 0
    assert np.array_equal(desk.session._desk.case.annotation.labels, labels)


def test_a_range_chosen_with_the_slider_limits_the_brush(desk, dock):
    scan, layer = desk.viewer.layers["scan"].data, desk.viewer.layers["annotation"]
    low, high = float(np.percentile(scan, 60)), float(scan.max())
    dock.tools.intensity.slider.setValue((low, high))
    assert desk.session.tools.range_on
    assert dock.tools.range_button.isChecked()
    drag(desk, (6, 6), (20, 24), size=10)
    desk.wait(lambda: layer.data.any())
    assert scan[layer.data > 0].min() >= desk.session.tools.paint_range[0]
