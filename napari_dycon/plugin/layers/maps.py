"""What a model says of the case, over the scan: its prediction, the entropy, and whatever maps lie beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_dycon.engine.events import Glimpse
from napari_dycon.plugin.layers import styles
from napari_dycon.plugin.layers.derived import differences, one_slice, open_only
from napari_dycon.plugin.layers.glimpsed import slice_of
from napari_dycon.plugin.layers.open_case import SHADES
from napari_dycon.plugin.layers.stage import Stage
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.truth.annotations import Annotation


@dataclass
class Overlay:
    """What the user wants to see on top of the scan.

    With ``differences`` only what the prediction and the person's own labels disagree on is shown of it.
    """

    prediction: bool = True
    entropy: bool = True
    differences: bool = False
    opacity: float = styles.ENTROPY_OPACITY


class Maps:
    """Shows the prediction of the case on the stage and the maps beside it.

    The entropy is shown on voxels about which nobody has said anything. Prediction and entropy follow the
    switches of the dock. Every other map has a layer of its name, which stays hidden until the person shows
    it in napari's list, and is out of the list in cases without it.

    Parameters
    ----------
    stage
        Has the layers.

    Attributes
    ----------
    overlay
        What the user wants to see; changed by `change_overlay`.
    glimpsed
        What a model that still learns says of a slice, if that is shown.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._there = {styles.PREDICTION: False, styles.ENTROPY: False}
        self._truth: Annotation | None = None
        self._whole: np.ndarray | None = None
        self._entropy: np.ndarray | None = None
        self._known: set[str] = set()
        self._listed: set[str] = set()
        self._wished: set[str] = set()
        self._structures: tuple[Structure, ...] = ()
        self.overlay = Overlay()
        self.glimpsed: Glimpse | None = None

    def cover(self) -> None:
        """Hide what is expensive to draw while one thing after the other changes, and what is of one case."""
        self.show_further({})
        self.show_glimpse(None)
        for role in (styles.PREDICTION, styles.ENTROPY, styles.DIFFERENCES):
            layer = self._stage.layer(role)
            if layer is not None:
                layer.visible = False

    def show_truth(self, annotation: Annotation) -> None:
        """Compare with ``annotation`` what is shown from now on; its arrays may change in place."""
        self._truth = annotation

    def follow_truth(self) -> None:
        """Draw anew what depends on the person's labels, after they were changed."""
        for role in (styles.ENTROPY, styles.DIFFERENCES):
            layer = self._stage.layer(role)
            if layer is not None and layer.visible:
                layer.refresh(thumbnail=False, extent=False)

    def show_prediction(
        self,
        prediction: np.ndarray | None,
        entropy: np.ndarray | None,
        left: np.ndarray | None = None,
    ) -> None:
        """Swap in the prediction and its entropy, ``(x, y, z)`` in source order; None clears a layer.

        With ``left`` only that is outlined: what of the prediction nothing has been decided about yet.
        """
        stage, self._whole, self._entropy = self._stage, prediction, entropy
        shown = prediction if left is None else left
        if entropy is None or self._truth is None:
            stage.put(styles.ENTROPY, stage.blank())
        else:
            stage.derive(styles.ENTROPY, open_only, np.uint8, entropy, self._truth.known)
        stage.put(styles.PREDICTION, stage.blank() if shown is None else shown).editable = False
        self._show_differences()
        there = {styles.PREDICTION: prediction is not None, styles.ENTROPY: entropy is not None}
        if there != self._there:
            self._there = there
            self.apply_overlay()

    @property
    def veil(self) -> str:
        """The colour of the uncertainty."""
        return styles.veil_colour(self._structures)

    def said_of(self, voxel: tuple[int, ...]) -> str:
        """Return what the model says of a voxel ``(z, y, x)`` in the order of the display, in words."""
        display = self._stage.display
        if display is None or self._whole is None:
            return ""
        names = {structure.value: structure.name for structure in self._structures}
        words = f"model: {names.get(int(display.apply(self._whole)[voxel]), 'background')}"
        if self._entropy is not None:
            words += f", {100 * int(display.apply(self._entropy)[voxel]) / SHADES:.0f} % unsure"
        for name in sorted(self._listed):
            layer = self._stage.layer(styles.map_role(name))
            if layer is not None:
                words += f", {name} {int(layer.data[voxel]) / SHADES:.2f}"
        return words

    def _show_differences(self) -> None:
        """Have the differences ready once they are wished, and nothing of another case before."""
        stage, layer = self._stage, self._stage.layer(styles.DIFFERENCES)
        wished = self.overlay.differences and self._whole is not None and self._truth is not None
        if not wished and layer is None:
            return
        active = stage.viewer.layers.selection.active
        if wished and self._truth is not None and self._whole is not None:
            sources = (self._whole, self._truth.labels, self._truth.known)
            layer = stage.derive(styles.DIFFERENCES, differences, np.uint16, *sources)
        else:
            layer = stage.put(styles.DIFFERENCES, stage.blank(np.uint16))
        layer.editable = False
        self._colour_differences()
        stage.list_layer(layer, wished)
        stage.viewer.layers.selection.active = active

    def _colour_differences(self) -> None:
        layer = self._stage.layer(styles.DIFFERENCES)
        if layer is not None:
            layer.colormap = styles.difference_colours(self._structures)

    def show_glimpse(self, glimpse: Glimpse | None) -> None:
        """Outline on its slice what a model says that still learns; None takes it away."""
        stage, layer = self._stage, self._stage.layer(styles.LEARNING)
        self.glimpsed = glimpse
        if not stage.there or stage.display is None or (glimpse is None and layer is None):
            return
        active = stage.viewer.layers.selection.active
        if glimpse is None:
            layer = stage.put(styles.LEARNING, stage.blank())
        else:
            layer = stage.derive(
                styles.LEARNING, one_slice, np.uint8, *slice_of(glimpse, stage.display.geometry)
            )
        layer.visible, layer.editable = glimpse is not None, False
        layer.colormap = styles.preview_colours(styles.structure_colours(self._structures))
        stage.list_layer(layer, glimpse is not None)
        stage.viewer.layers.selection.active = active

    def change_overlay(
        self,
        prediction: bool | None = None,
        entropy: bool | None = None,
        opacity: float | None = None,
        differences: bool | None = None,
    ) -> None:
        """Show or hide what lies over the scan, set the entropy's opacity; None leaves as it is."""
        wish = self.overlay
        wish.differences = wish.differences if differences is None else differences
        wish.prediction = wish.prediction if prediction is None else prediction
        wish.entropy = wish.entropy if entropy is None else entropy
        wish.opacity = wish.opacity if opacity is None else opacity
        if differences is not None and self._stage.display is not None:
            self._show_differences()
        self.apply_overlay()

    def apply_overlay(self) -> None:
        """Show what is wished and there: an empty layer costs as much to draw as a full one."""
        prediction, entropy = self._stage.layer(styles.PREDICTION), self._stage.layer(styles.ENTROPY)
        there, apart = self._there[styles.PREDICTION], self._stage.layer(styles.DIFFERENCES)
        if prediction is not None:
            prediction.visible = self.overlay.prediction and there and not self.overlay.differences
        if apart is not None:
            apart.visible = self.overlay.prediction and there and self.overlay.differences
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
        veil = styles.entropy_colours(self.veil)
        if entropy is not None and entropy.colormap.name != veil.name:
            entropy.colormap = veil
        self._colour_further()
        self._colour_differences()

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
