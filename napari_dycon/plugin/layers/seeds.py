"""The layer on which a person draws strokes inside and outside a piece, in any plane."""

from collections.abc import Callable, Sequence

import numpy as np
from napari.layers import Layer
from napari.utils.events import Event
from qtpy.QtCore import QTimer

from napari_dycon.plugin.layers import styles
from napari_dycon.plugin.layers.borrowed import BorrowedHand
from napari_dycon.plugin.layers.brush import INSIDE, OUTSIDE
from napari_dycon.plugin.layers.stage import Stage
from napari_dycon.plugin.layers.strokes import merge_strokes, strokes
from napari_dycon.study.truth.growth import Stroke
from napari_dycon.study.truth.regions import Box, Selection


class Seeds:
    """Takes the tool out of the person's hand for strokes, and gives it back.

    Parameters
    ----------
    stage
        Has the layers.
    on_stroke
        Called with each stroke, in source order.
    on_left
        Called when the person takes up another layer.

    Attributes
    ----------
    in_hand
        Whether strokes are drawn.
    """

    def __init__(
        self, stage: Stage, on_stroke: Callable[[Stroke], None], on_left: Callable[[], None]
    ) -> None:
        self._stage, self._on_stroke, self._on_left = stage, on_stroke, on_left
        self._hand = BorrowedHand()
        self._layer: Layer | None = None
        self._array: np.ndarray | None = None
        self.in_hand = False

    def start(self) -> None:
        """Let the person draw strokes."""
        self.stop()
        viewer, display = self._stage.viewer, self._stage.display
        assert display is not None
        self._hand.take(viewer)
        self._array = np.zeros(display.geometry.shape, np.uint8, order="F")
        layer = self._stage.put(styles.STROKES, self._array)
        if layer is not self._layer:
            layer.events.paint.connect(self._on_paint)
            self._layer = layer
        self.in_hand = layer.visible = layer.editable = True
        self._stage.list_layer(layer, True)
        viewer.layers.selection.active = layer
        layer.mode, layer.selected_label = "paint", INSIDE
        viewer.layers.selection.events.active.connect(self._on_activation)

    def stop(self) -> None:
        """Take the strokes away and give back the tool, unless another one was taken up meanwhile."""
        if not self.in_hand:
            return
        self.in_hand, self._array = False, None
        viewer, layer = self._stage.viewer, self._stage.layer(styles.STROKES)
        viewer.layers.selection.events.active.disconnect(self._on_activation)
        if layer is not None:
            layer.end_stroke()
            layer.mode = "pan_zoom"
        self._hand.give_back(viewer, layer)
        if layer is not None:
            layer.visible = False
            self._stage.list_layer(layer, False)
            self._stage.put(styles.STROKES, self._stage.blank())

    def repaint(self, box: Box, kept: Sequence[Stroke]) -> None:
        """Show only these strokes in a box."""
        layer = self._stage.layer(styles.STROKES)
        if self._array is None or layer is None:
            return
        self._array[box] = 0
        for stroke in kept:
            mask = True if stroke.where.mask is None else stroke.where.mask
            np.copyto(self._array[stroke.where.box], INSIDE if stroke.inside else OUTSIDE, where=mask)
        layer.refresh(thumbnail=False, extent=False)

    def _on_paint(self, event: Event) -> None:
        display = self._stage.display
        if not self.in_hand or display is None:
            return
        for box, mask, value in merge_strokes(strokes(event.value)):
            self._on_stroke(Stroke(Selection(*display.part_to_source(box, mask)), value == INSIDE))

    def _on_activation(self, event: Event) -> None:
        """Look a moment later who has the hand: a layer that is added has it for an instant."""
        if event.value is not self._layer:
            QTimer.singleShot(0, self._look)

    def _look(self) -> None:
        if (
            self.in_hand
            and self._stage.there
            and self._stage.viewer.layers.selection.active is not self._layer
        ):
            self._on_left()
