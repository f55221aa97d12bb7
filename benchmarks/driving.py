"""A person at the screen: what the scripts that use the real window share."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMenu, QWidget

from napari_dycon.plugin.session import get_session
from napari_dycon.plugin.widgets.dock import DyconDock

LEFT = Qt.MouseButton.LeftButton
PATIENCE = 900
"""Seconds for what takes long on a machine that does other work as well."""


class User:
    """Someone at the screen: looks, clicks, paints, waits."""

    def __init__(self, viewer: napari.Viewer, dock: DyconDock, pictures: Path, prefix: str) -> None:
        self.viewer, self.dock, self.pictures, self.prefix = viewer, dock, pictures, prefix
        self.session = get_session(viewer)
        self.started = time.perf_counter()

    def wait(self, seconds: float) -> None:
        """Let the program run."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            QApplication.processEvents()
            time.sleep(0.002)

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Let the program run until the condition holds."""
        end = time.perf_counter() + seconds
        while not condition():
            if time.perf_counter() > end:
                raise TimeoutError(what)
            self.wait(0.05)

    def wait_until_idle(self, seconds: float) -> None:
        """Wait for the background task to end."""
        self.wait_until(lambda: self.session.tasks.state.kind == "idle", seconds, "the task did not end")

    def click(self, widget: QWidget) -> None:
        """Press a button as soon as a person could press it."""
        self.wait_until(
            lambda: widget.isVisible() and widget.isEnabled(), 30, f"cannot press {widget.text()!r}"
        )
        QTest.mouseClick(widget, LEFT)
        self.wait(0.3)

    def choose(self, menu: QMenu, text: str) -> None:
        """Open a menu and press one of its lines."""
        line = next(action for action in menu.actions() if action.text() == text)
        menu.popup(QPoint(200, 200))
        self.wait(0.2)
        QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(line).center())
        self.wait(0.3)

    def open_case(self, name: str) -> None:
        """Click the row of a case."""
        model = self.dock.cases.view.model()
        cells = [model.index(row, column) for row in range(model.rowCount()) for column in range(2)]
        index = next(cell for cell in cells if str(cell.data()) == name)
        self.dock.cases.view.scrollTo(index)
        place = self.dock.cases.view.visualRect(index).center()
        QTest.mouseClick(self.dock.cases.view.viewport(), LEFT, pos=place)
        QTest.mouseDClick(self.dock.cases.view.viewport(), LEFT, pos=place)
        self.wait_until(lambda: self.session.cases.case_id == name, 30, f"{name} did not open")
        self.wait(1.0)

    def go_to_slice(self, index: int) -> None:
        """Scroll to a slice of the first displayed axis."""
        self.viewer.dims.set_current_step(0, index)
        self.wait(0.2)

    def paint(self, points: list[tuple[float, float]], size: int) -> None:
        """Drag the brush through points given as (row, column) in voxels of the slice on screen."""
        layer = self.viewer.layers["annotation"]
        self.viewer.layers.selection.active = layer
        layer.mode, layer.brush_size = "paint", size
        canvas = self.viewer.window._qt_window._qt_viewer.canvas.native
        places = [self._on_canvas(canvas, layer, *point) for point in points]
        QTest.mouseMove(canvas, places[0])
        QTest.mousePress(canvas, LEFT, pos=places[0])
        for place in places[1:]:
            QTest.mouseMove(canvas, place)
            self.wait(0.02)
        QTest.mouseRelease(canvas, LEFT, pos=places[-1])
        layer.mode = "pan_zoom"
        self.wait(0.2)

    def _on_canvas(self, canvas: QWidget, layer: napari.layers.Labels, row: float, column: float) -> QPoint:
        camera = self.viewer.scene.camera
        y = (row * layer.scale[-2] - camera.center[-2]) * camera.zoom + canvas.height() / 2
        x = (column * layer.scale[-1] - camera.center[-1]) * camera.zoom + canvas.width() / 2
        return QPoint(round(x), round(y))

    def picture(self, name: str) -> None:
        """Keep what is on the screen."""
        self.wait(1.0)
        self.viewer.window.screenshot(
            str(self.pictures / f"{self.prefix}-{name}.png"), canvas_only=False, flash=False
        )
        print(
            f"{time.perf_counter() - self.started:6.1f} s  {name}: {self.session.tasks.state.text}",
            flush=True,
        )


def brush_strokes(mask: np.ndarray) -> list[list[tuple[float, float]]]:
    """Strokes along every other row of a slice, from edge to edge of the structure."""
    strokes = []
    for row in np.flatnonzero(mask.any(axis=1))[::2]:
        first, last = np.flatnonzero(mask[row])[[0, -1]]
        strokes.append([(float(row), float(column)) for column in (first, (first + last) / 2, last)])
    return strokes


def at_the_screen(
    description: str, prefix: str, size: tuple[int, int], job: Callable[[User, Path, float], None]
) -> None:
    """Read the arguments, open a window of ``size`` with the dock, and let a user do ``job``.

    The job gets the user, a folder for its files, which is removed in the end, and the minutes to train.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--minutes", type=float, default=4.0)
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer()
        _, dock = viewer.window.add_plugin_dock_widget("napari-dycon", "Study")
        user = User(viewer, dock, options.pictures, prefix)
        user.wait(0.5)
        viewer.window._qt_window.resize(*size)
        job(user, Path(folder), options.minutes)
        viewer.close()
