"""What a model says of the case, over the scan: its prediction, the entropy, and whatever maps lie beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_dycon.plugin.layers import styles
from napari_dycon.plugin.layers.stage import Stage
from napari_dycon.study.store.schema import Structure


@dataclass
class Overlay:
    """What the user wants to see on top of the scan."""

    prediction: bool = True
    entropy: bool = True
    opacity: float = styles.ENTROPY_OPACITY


class Maps:
    """Shows the prediction of the case on the stage and the maps beside it.

    Prediction and entropy follow the switches of the dock. Every other map has a layer of its name, which
    stays hidden until the person shows it in napari's list, and is out of the list in cases without it.

    Parameters
    ----------
    stage
        Has the layers.

    Attributes
    ----------
    overlay
        What the user wants to see; changed by `change_overlay`.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._there = {styles.PREDICTION: False, styles.ENTROPY: False}
        self._known: set[str] = set()
        self._listed: set[str] = set()
        self._wished: set[str] = set()
        self._structures: tuple[Structure, ...] = ()
        self.overlay = Overlay()

    def cover(self) -> None:
        """Hide what is expensive to draw while one thing after the other changes, and what is of one case."""
        self.show_further({})
        for role in (styles.PREDICTION, styles.ENTROPY):
            layer = self._stage.layer(role)
            if layer is not None:
                layer.visible = False

    def show_prediction(self, prediction: np.ndarray | None, entropy: np.ndarray | None) -> None:
        """Swap in the prediction and its entropy, ``(x, y, z)`` in source order; None clears a layer."""
        stage = self._stage
        stage.put(styles.ENTROPY, stage.blank() if entropy is None else entropy)
        stage.put(styles.PREDICTION, stage.blank() if prediction is None else prediction).editable = False
        there = {styles.PREDICTION: prediction is not None, styles.ENTROPY: entropy is not None}
        if there != self._there:
            self._there = there
            self.apply_overlay()

    def change_overlay(self, prediction: bool | None, entropy: bool | None, opacity: float | None) -> None:
        """Show or hide prediction and entropy and set the entropy's opacity; None leaves as it is."""
        wish = self.overlay
        wish.prediction = wish.prediction if prediction is None else prediction
        wish.entropy = wish.entropy if entropy is None else entropy
        wish.opacity = wish.opacity if opacity is None else opacity
        self.apply_overlay()

    def apply_overlay(self) -> None:
        """Show what is wished and there: an empty layer costs as much to draw as a full one."""
        prediction, entropy = self._stage.layer(styles.PREDICTION), self._stage.layer(styles.ENTROPY)
        if prediction is not None:
            prediction.visible = self.overlay.prediction and self._there[styles.PREDICTION]
        if entropy is not None:
            entropy.visible = self.overlay.entropy and self._there[styles.ENTROPY]
            entropy.opacity = self.overlay.opacity

    def show_further(self, maps: Mapping[str, np.ndarray]) -> None:
        """Show these maps by name in place of those before, uint8 ``(x, y, z)`` in source order."""
        if not self._stage.there or not (maps or self._listed):
            return
        active = self._stage.viewer.layers.selection.active
        self._note_wishes()
        for name in self._listed - set(maps):
            self._clear(name)
        for name in sorted(maps):
            layer = self._stage.put(styles.map_role(name), maps[name])
            layer.visible = name in self._wished
            self._stage.list_layer(layer, True)
        self._listed = set(maps)
        self._known |= self._listed
        self._colour_further()
        self._stage.viewer.layers.selection.active = active

    def show_structures(self, structures: Sequence[Structure]) -> None:
        """Give the maps colours that are told from those of ``structures``, or go with them."""
        self._structures = tuple(structures)
        entropy = self._stage.layer(styles.ENTROPY)
        veil = styles.entropy_colours(styles.veil_colour(self._structures))
        if entropy is not None and entropy.colormap.name != veil.name:
            entropy.colormap = veil
        self._colour_further()

    def _note_wishes(self) -> None:
        """Remember which maps the person has shown in napari's list, for the next case that has them."""
        for name in self._listed:
            layer = self._stage.layer(styles.map_role(name))
            if layer is not None:
                (self._wished.add if layer.visible else self._wished.discard)(name)

    def _clear(self, name: str) -> None:
        layer = self._stage.layer(styles.map_role(name))
        if layer is not None:
            self._stage.put(styles.map_role(name), self._stage.blank())
            layer.visible = False
            self._stage.list_layer(layer, False)

    def _colour_further(self) -> None:
        for name, colour in styles.map_colours(sorted(self._known), self._structures).items():
            layer = self._stage.layer(styles.map_role(name))
            if layer is not None:
                layer.colormap = styles.entropy_colours(colour)
