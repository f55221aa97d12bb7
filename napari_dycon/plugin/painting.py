"""Hears what is painted on the annotation layer."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from napari.layers import Labels

Indices = tuple[np.ndarray, ...]
LARGEST_BOX = 1 << 25
"""Voxels around a stroke up to which its parts are joined in a mask."""


class PaintingHook:
    """Hears every change of one annotation layer: strokes, fills, undo, redo.

    Our layer emits ``paint`` once a stroke or fill, after the array was changed (see `BrushedLabels`).
    Changes by a program emit only ``set_data``, as does every change of the slice on screen.

    Parameters
    ----------
    on_stroke
        Called with display indices, one array an axis, of the voxels of a stroke, and the value they got.
    on_touched
        Called when the array may have changed without a stroke.
    on_replaced
        Called when the layer was given another array.
    on_picked
        Called with the label value that is painted from now on.
    """

    def __init__(
        self,
        on_stroke: Callable[[Indices, int], None],
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
        layer.events.paint.connect(self._painted)
        layer.events.set_data.connect(self._refreshed)
        layer.events.labels_update.connect(self._refreshed)
        layer.events.data.connect(self._given_data)
        layer.events.selected_label.connect(self._picked)

    def detach(self) -> None:
        """Stop listening."""
        if self._layer is not None:
            self._layer.events.paint.disconnect(self._painted)
            self._layer.events.set_data.disconnect(self._refreshed)
            self._layer.events.labels_update.disconnect(self._refreshed)
            self._layer.events.data.disconnect(self._given_data)
            self._layer.events.selected_label.disconnect(self._picked)
        self._layer = None

    def _painted(self, event: object) -> None:
        for indices, value in joined(strokes(event.value)):
            self._on_stroke(indices, value)

    def _picked(self, event: object = None) -> None:
        del event
        assert self._layer is not None
        self._on_picked(int(self._layer.selected_label))

    def _given_data(self, event: object = None) -> None:
        del event
        self._on_replaced()

    def _refreshed(self, event: object = None) -> None:
        del event
        self._on_touched()


def joined(parts: Iterable[tuple[Indices, object]]) -> Iterator[tuple[Indices, int]]:
    """Yield the voxels of each value once, however often the brush went over them."""
    found: dict[int, list[Indices]] = {}
    for indices, value in parts:
        found.setdefault(int(np.max(value)), []).append(indices)
    for value, pieces in found.items():
        yield _union(pieces), value


def _union(pieces: list[Indices]) -> Indices:
    if len(pieces) == 1:
        return pieces[0]
    low = np.min([[axis.min() for axis in piece] for piece in pieces], axis=0)
    high = np.max([[axis.max() for axis in piece] for piece in pieces], axis=0)
    if np.prod(high - low + 1) > LARGEST_BOX:
        return tuple(np.concatenate(axes) for axes in zip(*pieces, strict=True))
    touched = np.zeros(high - low + 1, bool)
    for piece in pieces:
        touched[tuple(axis - start for axis, start in zip(piece, low, strict=True))] = True
    return tuple(axis + start for axis, start in zip(np.nonzero(touched), low, strict=True))


def strokes(atoms: Iterable[object]) -> Iterator[tuple[Indices, object]]:
    """Yield for each atom of a napari ``paint`` event the indices it changes and the value they get.

    An atom is either a bounding box with a mask (None for all of it) or a plain tuple of indices, values
    before and values after.
    """
    for atom in atoms:
        if hasattr(atom, "slice_key"):
            yield _box_indices(atom.slice_key, atom.mask, atom.old_values.shape), atom.new_value
        else:
            yield tuple(np.asarray(axis) for axis in atom[0]), atom[2]


def _box_indices(box: tuple[slice, ...], mask: np.ndarray | None, shape: tuple[int, ...]) -> Indices:
    inside = np.nonzero(np.ones(shape, bool) if mask is None else mask)
    return tuple(axis + (part.start or 0) for axis, part in zip(inside, box, strict=True))
