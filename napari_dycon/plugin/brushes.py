"""What the brush says of the voxels it touches, and the labels layers that listen to it.

napari reports the voxels whose label changes. Whoever says "this is background, for certain" of voxels that
have no label changes none, so such a stroke is painted with a value of its own, in a colour that is seen,
and becomes what it says when it ends; see `AnnotationEditor.expect_mark`.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from napari.layers import Labels

from napari_dycon.study.annotations import Known


class Says(Enum):
    """What a stroke says; the values are the keys of the menu."""

    STRUCTURE = "structure"
    BACKGROUND = "background"
    IGNORE = "ignore"
    FORGET = "forget"


KNOWN_BY = {
    Says.STRUCTURE: Known.DRAWN,
    Says.BACKGROUND: Known.DRAWN,
    Says.IGNORE: Known.IGNORE,
    Says.FORGET: Known.UNKNOWN,
}
NAMES = {
    Says.STRUCTURE: "Paint",
    Says.BACKGROUND: "Background, for certain",
    Says.IGNORE: "Do not care",
    Says.FORGET: "Forget",
}
MARKS = (Says.BACKGROUND, Says.IGNORE, Says.FORGET)
HIGHEST_MARK = 254
"""255 is what other programs like to write for "inside"."""


def mark_values(taken: Sequence[int]) -> dict[Says, int]:
    """Return values to paint marks with that no structure has; too many structures leave none."""
    free = [value for value in range(HIGHEST_MARK, 0, -1) if value not in set(taken)]
    return dict(zip(MARKS, free, strict=False))


@dataclass
class Brush:
    """What painting does, on every canvas.

    Attributes
    ----------
    says
        What strokes say.
    marks
        Values with which marks are painted until their stroke ends.
    limits
        Lowest and highest intensity that is painted on, or None for any.
    scan
        Intensities ``(z, y, x)`` of the case that is shown.
    expect
        Told the value and the meaning of a mark before it is painted.
    guard
        Makes what is held while an array is changed.
    undo, redo
        Called instead of the layer's own undo.
    """

    says: Says = Says.STRUCTURE
    marks: dict[Says, int] = field(default_factory=dict)
    limits: tuple[float, float] | None = None
    scan: np.ndarray | None = None
    expect: Callable[[int, Known], None] | None = None
    guard: Callable[[], AbstractContextManager[object]] = nullcontext
    undo: Callable[[], None] | None = None
    redo: Callable[[], None] | None = None

    def value(self, label: int, selected: int) -> int:
        """Return what is painted when a tool asks for ``label``."""
        mark = self.marks.get(self.says)
        if mark is None or label == 0 or label != selected:
            return label
        if self.expect is not None:
            self.expect(mark, KNOWN_BY[self.says])
        return mark

    def allowed(self, where: tuple[slice, ...], label: int) -> np.ndarray | None:
        """Return a mask of the box in which ``label`` may be painted; None for everywhere.

        Erasing is free.
        """
        if self.limits is None or self.scan is None or label == 0:
            return None
        values = self.scan[where]
        return np.asarray((values >= self.limits[0]) & (values <= self.limits[1]))

    def meaning(self, label: int) -> Says:
        """Return what a stroke said that was painted with ``label``."""
        return next((says for says, mark in self.marks.items() if mark == label), Says.STRUCTURE)


class BrushedLabels(Labels):
    """A labels layer on which a `Brush` paints; strokes are told after the array has changed.

    Attributes
    ----------
    brush
        What painting does; that of another layer for a copy of it.
    """

    def __init__(self, *args: object, **settings: object) -> None:
        self.brush = Brush()
        super().__init__(*args, **settings)

    @property
    def _type_string(self) -> str:
        return "labels"

    def paint(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """Paint with the brush."""
        super().paint(coord, self.brush.value(new_label, self.selected_label), refresh)

    def fill(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """Fill what is connected to a voxel."""
        super().fill(coord, self.brush.value(new_label, self.selected_label), refresh)

    def paint_polygon(self, points: list | np.ndarray, new_label: int) -> None:
        """Fill a polygon."""
        super().paint_polygon(points, self.brush.value(new_label, self.selected_label))

    def data_setitem(self, indices: tuple[np.ndarray, ...], value: object, refresh: bool = True) -> None:
        """Set voxels, and tell of it."""
        self._as_one(super().data_setitem, indices, value, refresh)

    def undo(self) -> None:
        """Undo the last change, whoever made it."""
        (self.brush.undo or super().undo)()

    def redo(self) -> None:
        """Make the change again that was undone last."""
        (self.brush.redo or super().redo)()

    def _append_to_undo_history(self, item: list[object]) -> None:
        if self.brush.undo is None:
            super()._append_to_undo_history(item)
        else:
            self.events.paint(value=item)

    def _paint_region_with_mask(
        self,
        slice_key: tuple[slice, ...],
        mask: np.ndarray,
        new_label: int,
        dims_to_paint: list[int],
        *rest: object,
        **more: object,
    ) -> None:
        where = self.brush.allowed(slice_key, new_label)
        if where is not None:
            mask = mask & where.reshape(mask.shape)
        paint = super()._paint_region_with_mask
        self._as_one(paint, slice_key, mask, new_label, dims_to_paint, *rest, **more)

    def _as_one(self, change: Callable[..., None], *args: object, **more: object) -> None:
        """Change the array; napari would tell of it before, unless it is a part of a stroke."""
        with self.brush.guard():
            if self._block_history:
                change(*args, **more)
            else:
                with self.block_history():
                    change(*args, **more)
