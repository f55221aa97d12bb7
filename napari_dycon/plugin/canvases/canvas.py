"""Canvases beside the viewer's own, and the one that shows the structures in 3D."""

import weakref
from time import perf_counter

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer, Vectors
from napari.qt import QtViewer
from qtpy.compat import isalive

from napari_dycon.plugin.actions import ActionsOf
from napari_dycon.plugin.canvases.marks import PLANE_COLOURS, CanvasMarks, Marks
from napari_dycon.plugin.canvases.mirrors import Solid
from napari_dycon.plugin.canvases.wheel import Wheel
from napari_dycon.plugin.canvases.window_drag import WindowDrag
from napari_dycon.plugin.keys.binding import bind_keys
from napari_dycon.plugin.keys.held import HeldKeys
from napari_dycon.plugin.layers.napari_private import SilentCanvas
from napari_dycon.plugin.layers.orientation import AXIS_LABELS, CAMERA_ORIENTATION, PLANE_ORDER, UNITS

PLANE_OF_AXIS = {order[0]: plane for plane, order in PLANE_ORDER.items()}
FACING = ("away", *CAMERA_ORIENTATION[1:])
"""In 3D the patient faces the viewer: superior up, the patient's left on the right, not mirrored."""
CROSS_WIDTH = 0.6
PATIENCE = 4.0
"""How much longer than drawing in 3D takes the hand must rest; without a graphics card that is seconds."""


class SolidPane:
    """The structures in 3D, with the lines of the cross-hair.

    Parameters
    ----------
    viewer
        The viewer that is looked like.
    actions
        Returns who does what the keys ask for.

    Attributes
    ----------
    rest_ms
        How long the hand should rest before it is drawn again, for what drawing takes on this machine.
    """

    def __init__(self, viewer: ViewerModel, actions: ActionsOf) -> None:
        self.model, self.widget = new_canvas(viewer, "3D", actions)
        self.marks = CanvasMarks(self.widget.canvas.native, self._marks)
        self._solids: dict[Layer, Solid] = {}
        self._cross: Vectors | None = None
        self._asked: float | None = None
        self.rest_ms = 0
        self.widget.canvas.native.frameSwapped.connect(self._on_frame)
        self.model.scene.camera.orientation = FACING

    def add(self, layer: Labels) -> None:
        """Show the structures of ``layer``."""
        solid = self._solids[layer] = Solid(layer)
        self.model.layers.append(solid.layer)
        self.model.dims.order = PLANE_ORDER["coronal"]
        self.model.dims.ndisplay = 3

    def remove(self, layer: Layer) -> None:
        """Show ``layer`` no longer."""
        solid = self._solids.pop(layer, None)
        if solid is not None:
            self.model.layers.remove(solid.layer)

    def renew(self, layer: Labels) -> None:
        """Take over the array that ``layer`` was given."""
        if layer in self._solids:
            self._solids[layer].renew()

    def look(self, layer: Labels) -> None:
        """Take over the look of ``layer``."""
        if layer in self._solids:
            self._solids[layer].look()

    def refresh(self, point: np.ndarray) -> None:
        """Draw the structures anew, and the cross-hair at ``point``."""
        self._asked = perf_counter()
        for solid in self._solids.values():
            solid.refresh()
        self._draw_cross(point)

    def close(self) -> None:
        """Let go of the layers and of the canvas."""
        self._solids = {}
        if isalive(self.marks):
            self.marks.hide()
            self.marks.deleteLater()
        close_canvas(self.widget)

    def _on_frame(self) -> None:
        if self._asked is not None:
            self.rest_ms = round(PATIENCE * 1000 * (perf_counter() - self._asked))
            self._asked = None

    def _draw_cross(self, point: np.ndarray) -> None:
        if not self._solids:
            return
        first = next(iter(self._solids))
        low, high = first.extent.world
        lines = np.zeros((3, 2, 3))
        for axis in range(3):
            lines[axis, 0] = point
            lines[axis, 0, axis] = low[axis]
            lines[axis, 1, axis] = high[axis] - low[axis]
        if self._cross is None:
            colours = [PLANE_COLOURS[PLANE_OF_AXIS[axis]] for axis in range(3)]
            self._cross = Vectors(
                lines,
                name="cross-hair",
                edge_color=colours,
                edge_width=CROSS_WIDTH,
                vector_style="line",
                units=UNITS,
                axis_labels=AXIS_LABELS,
            )
            self.model.layers.append(self._cross)
        else:
            self._cross.data = lines

    def _marks(self) -> Marks:
        return Marks("3D", PLANE_COLOURS["3D"])


def new_canvas(viewer: ViewerModel, title: str, actions: ActionsOf) -> tuple[ViewerModel, QtViewer]:
    """Return a new viewer model and the widget that shows it; the study's keys work there too."""
    model = ViewerModel(title=title)
    model.theme = viewer.theme
    model.scene.camera.orientation = CAMERA_ORIENTATION
    bind_keys(model, actions)
    widget = SilentCanvas(model)
    widget.setAcceptDrops(False)
    WindowDrag(widget.canvas.native, actions)
    HeldKeys(widget.canvas.native, actions)
    Wheel(widget.canvas.native, weakref.ref(model), actions)
    return model, widget


def close_canvas(widget: QtViewer) -> None:
    """Take ``widget`` and its canvas away."""
    if isalive(widget):
        widget.hide()
        widget.close()
        widget.deleteLater()
