"""What napari does not promise, all of it; nothing private of it is used anywhere else.

These names were found in napari 0.9 and may be gone in the next version without a word: read this file first
when one comes out.
"""

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

import numpy as np
from napari._vispy.layers.labels import VispyLabelsLayer
from napari._vispy.utils.visual import layer_to_visual
from napari.layers import Labels, Layer, Shapes
from napari.layers.labels._labels_constants import Mode
from napari.layers.labels._labels_mouse_bindings import draw
from napari.qt import QtViewer
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.events import Event
from qtpy.QtWidgets import QLayout, QListView, QMainWindow, QWidget
from superqt.utils import WorkerBase
from superqt.utils._qthreading import WorkerBaseSignals
from vispy.scene.visuals import Line

from napari_dycon.plugin.layers.outlines import hatches, outlines

Box = tuple[slice, ...]
OUTLINE_PIXELS = 1.5
HALO_PIXELS = 2.0
"""What is dark on both sides of an outline together."""
HALO = (0.0, 0.0, 0.0, 0.55)


def main_window(viewer: object) -> QMainWindow | None:
    """Return the main window of an unwrapped napari viewer; None for a bare viewer model."""
    window = getattr(viewer, "window", None)
    return getattr(window, "_qt_window", None)


def main_canvas(window: QMainWindow) -> QtViewer:
    """Return the canvas of a main window."""
    return window._qt_viewer


def layer_list_view(window: QMainWindow) -> QListView:
    """Return the view of the layer list in a main window."""
    return window._qt_viewer.layers


def centre_of(window: QMainWindow) -> tuple[QLayout, QWidget]:
    """Return the layout in the middle of a main window, and the widget in it that holds the canvas."""
    layout = window.centralWidget().layout()
    return layout, layout.itemAt(0).widget()


class SilentCanvas(QtViewer):
    """A canvas beside the viewer's own, which leaves napari's keys as they are.

    They are bound for all canvases, and to do so again takes long.
    """

    def _bind_shortcuts(self) -> None:
        """Bind nothing."""


class WorkerSignals(WorkerBaseSignals):
    """Signals that napari connects to."""


class WatchedWorker(WorkerBase):
    """A worker that napari's quit reaches, whichever thread it runs in.

    Parameters
    ----------
    signals
        The class of its signals.
    """

    def __init__(self, signals: type[WorkerSignals]) -> None:
        super().__init__(SignalsClass=signals)

    def enlist(self) -> None:
        """Let napari know of the worker until it has ended."""
        self._worker_set.add(self)
        self._finished.connect(self._set_discard)

    def set_running(self, running: bool) -> None:
        """Say whether the work is under way."""
        self._running = running

    def tell(self, name: str, *values: object) -> None:
        """Emit the signal ``name``; may be called in any thread."""
        with suppress(RuntimeError):  # the application, and with it the signals, may be gone already
            getattr(self.signals, name).emit(*values)

    def tell_finished(self) -> None:
        """Let everybody know that the worker has ended, and napari forget it."""
        self.tell("finished")
        self.tell("_finished", self)


class OutlineShapes(Shapes):
    """Shapes that a subclass changes; napari names a kind of layer by its class otherwise."""

    @property
    def _type_string(self) -> str:
        return "shapes"


class HookedLabels(Labels):
    """Labels whose ways to be painted on have names that a subclass can make its own.

    A contour is a line between voxels, `OUTLINE_PIXELS` wide for each unit at any zoom; napari's is whole
    voxels wide and hides the boundary it is about.

    Attributes
    ----------
    hatched
        Whether lines slant across everything within a contour.
    ringed
        Whether the right button draws a ring that is filled.
    """

    hatched, ringed = False, True

    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **settings)
        self.events.mode.connect(self.lay_tool_out)
        self.lay_tool_out()

    def get_status(self, position: Any = None, **how: Any) -> dict[str, str]:
        """Tell what is under the pointer; in 3D napari fails, for lack of a ray, until it has moved."""
        if how.get("view_direction") is None and len(how.get("dims_displayed") or ()) == 3:
            how["dims_displayed"] = None
        status: dict[str, str] = super().get_status(position, **how)
        return status

    def lay_tool_out(self) -> None:
        """Have only that made which the tool in the hand draws with: on every canvas that takes long."""
        self._overlays["polygon"].visible = self._mode == Mode.POLYGON
        self._overlays["brush_stroke"].visible = self._mode == Mode.PAINT and self.ringed

    def limit(self, where: Box, mask: np.ndarray, label: int) -> np.ndarray:
        """Return the part of a mask in a box of the array on which ``label`` may be painted."""
        del where, label
        return mask

    def as_one(self, change: Callable[..., None], *args: object, **more: object) -> None:
        """Change the array by calling ``change`` with the rest."""
        change(*args, **more)

    def keep_stroke(self, item: list[object]) -> None:
        """Keep a stroke, once it has ended, so that it can be undone."""
        super()._append_to_undo_history(item)

    def drag(self, event: Event) -> Generator[None]:
        """Paint, erase or fill from the press of a mouse button to its release."""
        yield from draw(self, event)

    @property
    def in_stroke(self) -> bool:
        """Whether what is painted belongs to a stroke that has not ended."""
        return bool(self._block_history)

    @property
    def hidden_axes(self) -> list[int]:
        """The axes that the slice on screen lies across."""
        return list(self._slice_input.not_displayed)

    def end_drawing(self) -> None:
        """End what is being drawn: strokes count as far as they have got, a polygon is given up."""
        self._overlays["brush_stroke"].active = False
        if self._overlays["polygon"].points:
            self._overlays["polygon"].points = []
        if self._block_history:
            self._commit_stroke()

    def lines(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lines of the slice on screen and their colours, ``(n, 2, 2)`` as x, y and ``(n, 4)``."""
        labels = self._slice.image.raw
        if self.contour == 0 or labels.ndim != 2 or self._slice_input.ndisplay != 2:
            return np.empty((0, 2, 2), np.float32), np.empty((0, 4), np.float32)
        if self.show_selected_label:
            labels = np.where(labels == self.selected_label, labels, labels.dtype.type(0))
        ends, values = outlines(labels)
        if self.hatched:
            more, further = hatches(labels)
            ends, values = np.concatenate([ends, more]), np.concatenate([values, further])
        found, which = np.unique(values, return_inverse=True)
        return ends, self.colormap.map(found).astype(np.float32)[which]

    @property
    def _type_string(self) -> str:
        return "labels"

    def _calculate_contour(self, labels: np.ndarray, data_slice: Box) -> np.ndarray | None:
        """Fill nothing where there is a contour."""
        if self.contour == 0 or labels.ndim > 2:
            contour: np.ndarray | None = super()._calculate_contour(labels, data_slice)
            return contour
        return np.zeros_like(labels[data_slice])

    def _append_to_undo_history(self, item: list[object]) -> None:
        self.keep_stroke(item)

    def _paint_region_with_mask(
        self,
        slice_key: Box,
        mask: np.ndarray,
        new_label: int,
        dims_to_paint: list[int],
        *rest: object,
        **more: object,
    ) -> None:
        mask = self.limit(slice_key, mask, new_label)
        paint = super()._paint_region_with_mask
        self.as_one(paint, slice_key, mask, new_label, dims_to_paint, *rest, **more)


def _drag(layer: HookedLabels, event: Event) -> Generator[None]:
    return layer.drag(event)


HookedLabels._drag_modes = {
    **Labels._drag_modes,
    **dict.fromkeys((Mode.PAINT, Mode.ERASE, Mode.FILL), _drag),
}


class OutlinedVisual(VispyLabelsLayer):
    """Draws the outlines of a layer on one canvas, in the colours of its structures on a dark ground."""

    def __init__(self, layer: HookedLabels, *args: object, **more: object) -> None:
        self._lines: tuple[Line, ...] = ()
        super().__init__(layer, *args, **more)
        self._draw_lines()

    def _draw_lines(self) -> None:
        ends, colours = self.layer.lines()
        seen = colours[:, 3] > 0
        ends, colours = ends[seen], colours[seen]
        there = len(ends) > 0
        if there and not self._lines:
            self._lines = _ground_and_line()  # not sooner: many layers never have any
        for line in self._lines:
            if line.parent is not self.node:
                line.parent = self.node
            line.visible = there
        if there:
            width, points = OUTLINE_PIXELS * self.layer.contour, ends.reshape(-1, 2)
            ground, line = self._lines
            ground.set_data(points, color=HALO, width=width + HALO_PIXELS)
            line.set_data(points, color=np.repeat(colours, 2, axis=0), width=width)

    def _on_data_change(self) -> None:
        super()._on_data_change()
        self._draw_lines()

    def _on_colormap_change(self, event: Event | None = None) -> None:
        super()._on_colormap_change(event)
        self._draw_lines()

    def _on_partial_labels_update(self, event: Event) -> None:
        super()._on_partial_labels_update(event)
        if self.layer.contour:
            self._draw_lines()


def _ground_and_line() -> tuple[Line, Line]:
    ground, line = (Line(connect="segments", antialias=True) for _ in range(2))
    for order, one in enumerate((ground, line)):
        one.set_gl_state("translucent", depth_test=False)
        one.order = order
    return ground, line


layer_to_visual[HookedLabels] = OutlinedVisual


def forget_strokes(layer: Labels) -> None:
    """Let nothing be undone, or done again, of what was painted so far."""
    layer._reset_history()


def enter_stroke(layer: Labels, item: list[object]) -> None:
    """Enter what was painted on a copy of ``layer`` into its history."""
    layer._redo_history.clear()
    layer._append_to_undo_history(item)


def painted_box(layer: Labels) -> Box | None:
    """Return the box of the array that was painted on since the layer was drawn last."""
    box: Box | None = layer._updated_slice
    return box


def is_in_3d(layer: Layer) -> bool:
    """Return whether the volume of ``layer`` is shown, not a slice."""
    return bool(layer._slice_input.ndisplay == 3)


def show_part(layer: Labels, box: Box) -> None:
    """Draw on the slice that ``layer`` shows what lies in ``box``, after the array was changed there."""
    if not layer.loaded:
        return  # what is being sliced has the change
    shown = layer._get_update_slices(box)
    if shown is None:
        return
    where, image = tuple(shown[1]), layer._slice.image
    if layer.contour == 0:
        image.view[where] = layer.colormap._data_to_texture(image.raw[where])
    layer._accumulate_updated_slice(box)
    layer._partial_labels_refresh()


def compile_look_up(colours: DirectLabelColormap, pixels: np.ndarray) -> None:
    """Look up the colours of ``pixels`` as napari does when it draws them."""
    colours.map(pixels)
    colours._data_to_texture(pixels)


def from_voxels(layer: Layer) -> Any:
    """Return the matrix of all that lies between the voxels of ``layer`` and millimetres."""
    return layer._transforms[1:3].simplified.affine_matrix
