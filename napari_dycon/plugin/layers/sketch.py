"""The layer on which a person outlines a region or points at a piece with the mouse."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
from napari.layers import Layer
from napari.utils.events import Event

from napari_dycon.plugin.layers.anchor import Anchor
from napari_dycon.plugin.layers.borrowed import BorrowedHand
from napari_dycon.plugin.layers.sheet import Sheet
from napari_dycon.plugin.layers.styles import make_sketch_layer

if TYPE_CHECKING:
    from napari.components import ViewerModel

Shape = Literal["box", "polygon", "outline", "point"]
MODES = {"box": "add_rectangle", "polygon": "add_polygon", "outline": "add_polygon_lasso"}


class Sketch:
    """Takes the tool out of the person's hand for one outline or one click, and gives it back.

    The person draws on any canvas that shows the case. The layer is made when it is needed first and re-used;
    a layer that the person deleted is made again.

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
        self._layer: Sheet | None = None
        self._anchor: Anchor | None = None
        self._hand = BorrowedHand()
        self._drawn_on: Sheet | None = None
        self.drawing: Shape | None = None
        self.shown = False

    def start(self, shape: Shape, like: Layer) -> None:
        """Let the person outline a region of ``like``, or click on a voxel of it."""
        self.stop()
        viewer = self._viewer()
        self._hand.take(viewer)
        layer = self._ready(like)
        self.drawing, self.shown = shape, True
        layer.visible = True
        self._list_layer(layer, True)
        viewer.layers.selection.active = layer
        layer.mode = MODES.get(shape, "pan_zoom")
        viewer.layers.selection.events.active.connect(self._on_activation)

    def hold(self) -> None:
        """Keep the outline in sight while something is asked about it."""
        self.drawing = None
        if self._layer is not None:
            self._layer.mode = "pan_zoom"
            self._layer.clear(but=self._drawn_on)

    def again(self) -> None:
        """Forget what was drawn, and let the person draw once more."""
        if self._layer is not None:
            shape, self.drawing = self.drawing, None
            self._layer.clear()
            self.drawing = shape

    def stop(self) -> None:
        """Take the outline away and give back the tool, unless another one was taken up meanwhile."""
        if not self.shown:
            return
        self.drawing, self.shown = None, False
        viewer = self._viewer()
        viewer.layers.selection.events.active.disconnect(self._on_activation)
        layer = self._layer
        if layer is not None and layer in viewer.layers:
            layer.mode = "pan_zoom"
            layer.clear()
        self._hand.give_back(viewer, layer)
        if layer is not None:
            layer.visible = False
            self._list_layer(layer, False)

    def _ready(self, like: Layer) -> Sheet:
        viewer = self._viewer()
        if self._layer is None or self._layer not in viewer.layers:
            place = {name: getattr(like, name) for name in ("scale", "translate", "units", "axis_labels")}
            self._layer = make_sketch_layer(**place)
            self._anchor = Anchor(self._layer, lambda: like.scale)
            self._layer.events.outlined.connect(self._on_outline)
            self._layer.events.clicked.connect(self._on_click)
            viewer.layers.append(self._layer)
        self._layer.scale, self._layer.translate = like.scale, like.translate
        like.events.scale.connect(self._follow)
        return self._layer

    def _follow(self, event: Event) -> None:
        """Lie on the next case at once: napari takes the steps between slices from every layer."""
        if self._layer is not None:
            self._layer.scale = event.source.scale

    def _on_activation(self, event: Event) -> None:
        if self.shown and event.value is not self._layer:
            self._on_left()

    def _on_outline(self, event: Event) -> None:
        if self.drawing in MODES:
            self._drawn_on = event.sheet
            self._on_drawn(event.corners)

    def _on_click(self, event: Event) -> None:
        if self.drawing == "point":
            self._on_drawn(event.voxel[np.newaxis])
