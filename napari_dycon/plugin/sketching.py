"""The layer on which a person outlines a region or points at a piece with the mouse."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from napari.layers import Labels, Layer, Shapes
from napari.utils.events import Event
from qtpy.QtCore import QTimer

from napari_dycon.plugin.layer_styles import make_sketch_layer

if TYPE_CHECKING:
    from napari.components import ViewerModel

Shape = Literal["box", "polygon", "outline", "point"]
MODES = {"box": "add_rectangle", "polygon": "add_polygon", "outline": "add_polygon_lasso"}
CLICK_PIXELS = 4


class Sketch:
    """Takes the tool out of the person's hand for one outline or one click, and gives it back.

    The layer is made when it is needed first and re-used; a layer that the person deleted is made again.

    Parameters
    ----------
    viewer
        Returns the viewer.
    on_drawn
        Called with the corners, ``(n, 3)`` voxel coordinates in display order; one of them for a click.
    on_left
        Called when the person takes up another layer before that.
    list_layer
        Shows or hides the row of a layer in napari's list.
    """

    def __init__(
        self,
        viewer: "Callable[[], ViewerModel]",
        on_drawn: Callable[[np.ndarray], None],
        on_left: Callable[[], None],
        list_layer: Callable[[Layer, bool], None],
    ) -> None:
        self._viewer = viewer
        self._on_drawn = on_drawn
        self._on_left = on_left
        self._list_layer = list_layer
        self._layer: Shapes | None = None
        self._hand: tuple[Layer | None, str] = (None, "pan_zoom")
        self.drawing: Shape | None = None
        self.shown = False

    def start(self, shape: Shape, like: Layer) -> None:
        """Let the person outline a region of ``like``, or click on a voxel of it."""
        self.stop()
        viewer = self._viewer()
        active = viewer.layers.selection.active
        self._hand = (active, "pan_zoom" if active is None else str(active.mode))
        layer = self._ready(like)
        self.drawing, self.shown = shape, True
        layer.visible = True
        self._list_layer(layer, True)
        viewer.layers.selection.active = layer
        layer.mode = MODES.get(shape, "pan_zoom")
        viewer.layers.selection.events.active.connect(self._activated)

    def hold(self) -> None:
        """Keep the outline in sight while something is asked about it."""
        self.drawing = None
        if self._layer is not None:
            self._layer.mode = "pan_zoom"
            self._layer.selected_data = set()

    def again(self) -> None:
        """Forget what was drawn, and let the person draw once more."""
        if self._layer is not None:
            shape, self.drawing = self.drawing, None
            self._clear(self._layer)
            self.drawing = shape

    def stop(self) -> None:
        """Take the outline away and give back the tool, unless another one was taken up meanwhile."""
        if not self.shown:
            return
        self.drawing, self.shown = None, False
        viewer = self._viewer()
        viewer.layers.selection.events.active.disconnect(self._activated)
        layer = self._layer
        if layer is not None and layer in viewer.layers:
            layer.mode = "pan_zoom"
            self._clear(layer)
        if viewer.layers.selection.active in (None, layer):
            self._give_back(viewer)
        if layer is not None:
            layer.visible = False
            self._list_layer(layer, False)

    def _give_back(self, viewer: "ViewerModel") -> None:
        tool, mode = self._hand
        if tool is not None and tool in viewer.layers:
            viewer.layers.selection.active = tool
            if isinstance(tool, Labels | Shapes):
                tool.mode = mode
        else:
            viewer.layers.selection.active = None

    def _ready(self, like: Layer) -> Shapes:
        viewer = self._viewer()
        if self._layer is None or self._layer not in viewer.layers:
            place = {name: getattr(like, name) for name in ("scale", "translate", "units", "axis_labels")}
            self._layer = make_sketch_layer(**place)
            self._layer.events.data.connect(self._changed)
            self._layer.mouse_drag_callbacks.append(self._pressed)
            viewer.layers.append(self._layer)
        self._layer.scale, self._layer.translate = like.scale, like.translate
        return self._layer

    @staticmethod
    def _clear(layer: Shapes) -> None:
        layer.selected_data = set()
        layer.data = []

    def _activated(self, event: Event) -> None:
        if self.shown and event.value is not self._layer:
            self._on_left()

    def _changed(self, event: Event) -> None:
        if self.drawing in MODES and str(getattr(event, "action", "")).endswith("added"):
            QTimer.singleShot(0, self._tell)  # napari has not let go of the shape yet

    def _tell(self) -> None:
        layer = self._layer
        if self.drawing is None or layer is None:
            return
        if layer.nshapes:
            self._on_drawn(np.array(layer.data[-1], float))

    def _pressed(self, layer: Shapes, event: Event) -> Iterator[None]:
        start, voxel = np.array(event.pos), np.array(layer.world_to_data(event.position))
        yield
        while event.type == "mouse_move":
            yield
        still = np.abs(np.array(event.pos) - start).max() <= CLICK_PIXELS
        if still and event.button == 1 and self.drawing == "point":
            self._on_drawn(voxel[np.newaxis, -3:])
