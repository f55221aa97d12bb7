"""Keeps a layer where its scan is: napari lets a person move, turn and stretch each layer with the mouse."""

from collections.abc import Callable

import numpy as np
from napari.layers import Layer
from napari.utils.events import Event

from napari_dycon.plugin.layers.napari_private import from_voxels
from napari_dycon.plugin.layers.notices import notify

MOVED = (
    "Scan and labels stay on each other: a layer that is moved, turned or stretched would put labels on the "
    "wrong voxels, so it was put back."
)
PLACE = ("scale", "translate", "rotate", "shear", "affine", "units")


class Anchor:
    """Undoes at once what would move a layer, and takes napari's tool for that out of the hand.

    Parameters
    ----------
    layer
        A layer of ours, which keeps the anchor alive as long as it lives itself.
    scale
        Returns the size of its voxels in mm, ``(z, y, x)``, as it should be.
    """

    def __init__(self, layer: Layer, scale: Callable[[], np.ndarray]) -> None:
        self._layer, self._scale, self._units, self._busy = layer, scale, layer.units, False
        for name in PLACE:
            layer.events[name].connect(self._on_move)
        layer.events.mode.connect(self._on_mode)

    def _on_move(self, event: Event) -> None:
        del event
        if self._busy or self._in_place():
            return
        layer, self._busy = self._layer, True
        try:
            layer.affine, layer.scale, layer.units = np.eye(layer.ndim + 1), self._scale(), self._units
            layer.shear, layer.rotate = np.zeros(layer.ndim * (layer.ndim - 1) // 2), np.eye(layer.ndim)
            layer.translate = np.zeros(layer.ndim)
        finally:
            self._busy = False
        notify("warning", MOVED)

    def _in_place(self) -> bool:
        layer, ndim = self._layer, self._layer.ndim
        wanted = np.eye(ndim + 1)
        wanted[:ndim, :ndim] = np.diag(self._scale())
        moved = from_voxels(layer)
        return bool(np.allclose(moved, wanted) and layer.units == self._units)

    def _on_mode(self, event: Event) -> None:
        del event
        if str(self._layer.mode) == "transform":
            self._layer.mode = "pan_zoom"
            notify("warning", MOVED)
