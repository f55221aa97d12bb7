"""Hears what is painted on the annotation layer."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.events import Event

Box = tuple[slice, ...]
Mask = np.ndarray


class PaintingHook:
    """Hears every change of one annotation layer: strokes, fills, undo, redo.

    Our layer emits ``paint`` once a stroke or fill, after the array was changed (see `BrushedLabels`).
    Changes by a program emit only ``set_data``, as does every change of the slice on screen.

    Parameters
    ----------
    on_stroke
        Called with the box of a stroke in display order, a mask of its voxels in it, and their new value.
    on_touched
        Called when the array may have changed without a stroke.
    on_replaced
        Called when the layer was given another array.
    on_picked
        Called with the label value that is painted from now on.
    """

    def __init__(
        self,
        on_stroke: Callable[[Box, Mask, int], None],
        on_touched: Callable[[], None],
        on_replaced: Callable[[], None],
        on_picked: Callable[[int], object],
    ) -> None:
        self._on_stroke = on_stroke
        self._on_touched = on_touched
        self._on_replaced = on_replaced
        self._on_picked = on_picked
        self._layer: Labels | None = None

    def attach(self, layer: Labels) -> None:
        """Listen to ``layer`` instead of the one before."""
        if layer is self._layer:
            return
        self.detach()
        self._layer = layer
        layer.events.paint.connect(self._on_paint)
        layer.events.set_data.connect(self._on_refresh)
        layer.events.labels_update.connect(self._on_refresh)
        layer.events.data.connect(self._on_data)
        layer.events.selected_label.connect(self._on_pick)

    def detach(self) -> None:
        """Stop listening."""
        if self._layer is not None:
            self._layer.events.paint.disconnect(self._on_paint)
            self._layer.events.set_data.disconnect(self._on_refresh)
            self._layer.events.labels_update.disconnect(self._on_refresh)
            self._layer.events.data.disconnect(self._on_data)
            self._layer.events.selected_label.disconnect(self._on_pick)
        self._layer = None

    def _on_paint(self, event: Event) -> None:
        for box, mask, value in merge_strokes(strokes(event.value)):
            self._on_stroke(box, mask, value)

    def _on_pick(self, event: object = None) -> None:
        del event
        assert self._layer is not None
        self._on_picked(int(self._layer.selected_label))

    def _on_data(self, event: object = None) -> None:
        del event
        self._on_replaced()

    def _on_refresh(self, event: object = None) -> None:
        del event
        self._on_touched()


def merge_strokes(parts: Iterable[tuple[Box, Mask, Any]]) -> Iterator[tuple[Box, Mask, int]]:
    """Yield the voxels of each value as one box with a mask, however often the brush went over them."""
    found: dict[int, list[tuple[Box, Mask]]] = {}
    for box, mask, value in parts:
        found.setdefault(int(np.max(value)), []).append((box, mask))
    for value, pieces in found.items():
        yield *_union(pieces), value


def _union(pieces: list[tuple[Box, Mask]]) -> tuple[Box, Mask]:
    if len(pieces) == 1:
        return pieces[0]
    box = tuple(
        slice(min(part.start for part in axis), max(part.stop for part in axis))
        for axis in zip(*(box for box, _ in pieces), strict=True)
    )
    touched = np.zeros([part.stop - part.start for part in box], bool)
    for part, mask in pieces:
        inside = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(part, box, strict=True))
        touched[tuple(inside)] |= mask
    return box, touched


def strokes(atoms: Iterable[Any]) -> Iterator[tuple[Box, Mask, Any]]:
    """Yield for each atom of a napari ``paint`` event the voxels it changes and the value they get.

    An atom is either a bounding box with a mask (None for all of it) or a plain tuple of indices, values
    before and values after.
    """
    for atom in atoms:
        if hasattr(atom, "slice_key"):
            box = tuple(slice(part.start or 0, part.stop) for part in atom.slice_key)
            yield (
                box,
                np.ones(atom.old_values.shape, bool) if atom.mask is None else atom.mask,
                atom.new_value,
            )
        else:
            yield *_around([np.asarray(axis) for axis in atom[0]]), atom[2]


def _around(indices: list[np.ndarray]) -> tuple[Box, Mask]:
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in indices)
    mask = np.zeros([part.stop - part.start for part in box], bool)
    mask[tuple(axis - part.start for axis, part in zip(indices, box, strict=True))] = True
    return box, mask
