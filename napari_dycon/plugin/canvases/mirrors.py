"""Copies of layers for further canvases: they share the array, follow the look and hand strokes back.

A napari layer holds the slice it shows, so one layer cannot be on two canvases at once. What is drawn on a
copy is entered into the history of the layer it copies, which announces it; so whoever listens to that
layer hears of strokes on every canvas, and undo undoes the last of them wherever it was made.
"""

from collections.abc import Callable

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.events import Event

from napari_dycon.plugin.canvases.subscriptions import Subscriptions
from napari_dycon.plugin.layers.anchor import Anchor
from napari_dycon.plugin.layers.brush import BrushedLabels
from napari_dycon.plugin.layers.napari_private import HookedLabels, enter_stroke
from napari_dycon.plugin.layers.sheet import Sheet
from napari_dycon.plugin.layers.styles import make_sketch_layer

LOOK = ("visible", "opacity", "blending", "colormap")
IMAGE_LOOK = (*LOOK, "contrast_limits_range", "contrast_limits", "gamma", "interpolation2d")
LABELS_LOOK = (*LOOK, "contour", "show_selected_label", "features", "editable")
TOOLS = (
    "mode",
    "selected_label",
    "brush_size",
    "n_edit_dimensions",
    "contiguous",
    "preserve_labels",
)
PLACE = ("scale", "translate")
SOLID_SIDE = 160
"""Most voxels along an axis that are drawn in 3D; of larger arrays every second, third … is."""


class MirroredLabels(BrushedLabels):
    """A labels layer whose history and brush are those of ``owner``.

    Parameters
    ----------
    owner
        The layer that owns the array.
    """

    def __init__(self, owner: Labels) -> None:
        self.owner = owner
        super().__init__(owner.data, name=owner.name, **_place(owner))
        if isinstance(owner, HookedLabels):
            self.hatched, self.ringed = owner.hatched, owner.ringed
        if isinstance(owner, BrushedLabels):
            self.brush = owner.brush

    def undo(self) -> None:
        """Undo the last stroke of any canvas."""
        self.owner.undo()

    def redo(self) -> None:
        """Redo what was undone last."""
        self.owner.redo()

    def keep_stroke(self, item: list[object]) -> None:
        """Keep a stroke with those of the owner."""
        enter_stroke(self.owner, item)


class Mirror:
    """Keeps a copy of a layer in step with it.

    Parameters
    ----------
    source
        A layer that `can_be_mirrored`.
    on_stroke
        Called with the source and the copy whenever something has been painted on the copy.

    Attributes
    ----------
    layer
        The copy, for another viewer model.
    """

    def __init__(self, source: Layer, on_stroke: Callable[[Labels, Labels], None]) -> None:
        self.source, self._on_stroke = source, on_stroke
        self._taking = False
        self._tools, self._look, self.layer = _likeness(source)
        self._subscriptions = Subscriptions()
        for name in (*(() if isinstance(source, Sheet) else ("data",)), *PLACE, *self._look, *self._tools):
            self._follow(source, name, self._take)
        for name in self._tools:
            self._follow(self.layer, name, self._give)
        if isinstance(source, Labels):
            self._follow(self.layer, "labels_update", self._tell_stroke)
        self._anchor = Anchor(self.layer, lambda: self.source.scale)
        for name in (*self._look, *self._tools):
            self._copy(name, self.layer)

    def close(self) -> None:
        """Stop following."""
        self._subscriptions.end()

    def _follow(self, layer: Layer, name: str, slot: Callable[..., None]) -> None:
        self._subscriptions.add(layer.events[name], slot)

    def _tell_stroke(self, event: Event) -> None:
        del event
        self._on_stroke(self.source, self.layer)

    def _take(self, event: Event) -> None:
        self._copy(event.type, self.layer)

    def _give(self, event: Event) -> None:
        if self._taking or (event.type == "mode" and not self.layer.visible):
            return  # napari's doing, as when it announces the value once more for new colours, not a choice
        self._copy(event.type, self.source)

    def _copy(self, name: str, target: Layer) -> None:
        source = self.source if target is self.layer else self.layer
        value = getattr(source, name)
        before, self._taking = self._taking, self._taking or target is self.layer
        try:
            if not _same(getattr(target, name), value):
                setattr(target, name, value)
                if name == "data" and not target.visible:
                    target.scale = target.scale  # napari measures a hidden layer anew only then
        finally:
            self._taking = before
        if name == "visible":
            self._copy_mode()

    def _copy_mode(self) -> None:
        """A hidden layer falls back to pan and zoom; shown again, it takes up the tool of its source."""
        if self._tools and self.layer.visible and self.layer.mode != self.source.mode:
            self.layer.mode = self.source.mode


class Solid:
    """The structures of a labels layer in 3D, from every n-th voxel of a large array.

    Parameters
    ----------
    source
        The layer that owns the array ``(z, y, x)``.
    """

    def __init__(self, source: Labels) -> None:
        self.source = source
        self.layer = HookedLabels(self._coarse(), name=source.name, **self._place())
        self.layer.editable = False
        self.look()

    def look(self) -> None:
        """Take over colours and visibility."""
        for name in LOOK:
            value = getattr(self.source, name) if name != "visible" else self._is_seen()
            if not _same(getattr(self.layer, name), value):
                setattr(self.layer, name, value)

    def renew(self) -> None:
        """Take over another array and its place."""
        self.layer.data = self._coarse()
        for name, value in self._place().items():
            setattr(self.layer, name, value)
        self.look()

    def refresh(self) -> None:
        """Draw anew after the array was changed in place."""
        self.look()
        if self.layer.visible:
            self.layer.refresh(thumbnail=False, extent=False)

    def _is_seen(self) -> bool:
        """Whether there is anything to draw; casting rays through nothing takes as long."""
        return bool(self.source.visible and self.layer.data.any())

    def _steps(self) -> tuple[int, ...]:
        return tuple(-(-size // SOLID_SIDE) for size in self.source.data.shape)

    def _coarse(self) -> np.ndarray:
        coarse: np.ndarray = self.source.data[tuple(slice(None, None, step) for step in self._steps())]
        return coarse

    def _place(self) -> dict[str, object]:
        place = _place(self.source)
        place["scale"] = np.array(place["scale"]) * self._steps()
        return place


def can_be_mirrored(layer: Layer) -> bool:
    """Return whether ``layer`` is a volume that other canvases can show, or a sheet to draw on."""
    if isinstance(layer, Sheet):
        return True
    return isinstance(layer, Image | Labels) and layer.ndim == 3 and not layer.multiscale


def _likeness(source: Layer) -> tuple[tuple[str, ...], tuple[str, ...], Layer]:
    """Return which tools and which look are shared, and a copy; what is drawn on a sheet stays there."""
    if isinstance(source, Sheet):
        return ("mode",), ("visible", "opacity"), make_sketch_layer(source, **_place(source))
    if isinstance(source, Labels):
        return TOOLS, LABELS_LOOK, MirroredLabels(source)
    return (), IMAGE_LOOK, _image_like(source)


def _image_like(source: Image) -> Image:
    look = {"contrast_limits": source.contrast_limits, "colormap": source.colormap}
    return Image(source.data, name=source.name, rgb=False, **look, **_place(source))


def _place(source: Layer) -> dict[str, object]:
    return {
        "scale": source.scale,
        "translate": source.translate,
        "units": source.units,
        "axis_labels": source.axis_labels,
    }


def _same(first: object, second: object) -> bool:
    """Whether two values of a layer's property are alike; arrays are the same only if one object."""
    if first is second:
        return True
    if isinstance(first, np.ndarray) and first.ndim > 1:
        return False
    try:
        return bool(np.all(first == second))
    except (TypeError, ValueError):
        return False
