"""What the brush says of the voxels it touches, and the labels layers that listen to it.

napari reports the voxels whose label changes. Whoever says "this is background, for certain" of voxels that
have no label changes none, so such a stroke is painted with a value of its own, in a colour that is seen,
and becomes what it says when it ends; see `AnnotationEditor.expect_mark`.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from weakref import WeakSet

import numpy as np
from napari.utils.events import Event

from napari_dycon.plugin.layers.napari_private import HookedLabels
from napari_dycon.plugin.layers.notices import notify
from napari_dycon.study.truth.annotations import Known


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
INSIDE, OUTSIDE = 1, 2
"""Values of strokes of which a piece grows."""
MARKS = (Says.BACKGROUND, Says.IGNORE, Says.FORGET)
NO_NAME = "; [No Properties]"
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
    locked
        Label values on which nothing else is painted.
    said
        Returns what a model says of a voxel ``(z, y, x)``, in words.
    expect
        Told the value and the meaning of a mark before it is painted.
    stopped
        Told the locked values that a stroke went over, once it has ended.
    guard
        Makes what is held while an array is changed.
    undo, redo
        Called instead of the layer's own undo.
    layers
        The layers that paint with this brush.
    """

    says: Says = Says.STRUCTURE
    marks: dict[Says, int] = field(default_factory=dict)
    limits: tuple[float, float] | None = None
    scan: np.ndarray | None = None
    locked: frozenset[int] = frozenset()
    said: Callable[[tuple[int, ...]], str] | None = None
    expect: Callable[[int, Known], None] | None = None
    stopped: Callable[[frozenset[int]], None] | None = None
    guard: Callable[[], AbstractContextManager[object]] = nullcontext
    undo: Callable[[], None] | None = None
    redo: Callable[[], None] | None = None
    layers: "WeakSet[BrushedLabels]" = field(default_factory=WeakSet)
    _met: set[int] = field(default_factory=set)

    def end_strokes(self) -> None:
        """Let what has been painted count as a stroke; what is left of a drag paints nothing.

        To be called before the array is swapped, hidden or undone: a stroke is about one slice of one case.
        """
        for layer in tuple(self.layers):
            layer.end_stroke()

    def value(self, label: int, selected: int) -> int:
        """Return what is painted when a tool asks for ``label``."""
        mark = self.marks.get(self.says)
        if mark is None or label == 0 or label != selected:
            return label
        if self.expect is not None:
            self.expect(mark, KNOWN_BY[self.says])
        return mark

    def hold(self, modifiers: Sequence[object]) -> None:
        """Notice which keys are held as a stroke begins."""

    def limit(self, where: tuple[slice, ...], mask: np.ndarray, label: int, there: np.ndarray) -> np.ndarray:
        """Return the part of a mask in a box of the array on which ``label`` may be painted.

        Erasing does not ask for intensities. ``there`` is what is labelled now, of the shape of the mask.
        """
        if self.limits is not None and self.scan is not None and label != 0:
            values = self.scan[where].reshape(mask.shape)
            mask = mask & (values >= self.limits[0]) & (values <= self.limits[1])
        if self.locked:
            held = mask & np.isin(there, list(self.locked - {label}))
            self._met |= set(np.unique(there[held]).tolist())
            mask = mask & ~held
        return mask

    def tell_stopped(self) -> None:
        """Tell which locked structures the stroke that has ended went over, if any."""
        met, self._met = frozenset(self._met), set()
        if met and self.stopped is not None:
            self.stopped(met)

    def meaning(self, label: int) -> Says:
        """Return what a stroke said that was painted with ``label``."""
        return next((says for says, mark in self.marks.items() if mark == label), Says.STRUCTURE)


@dataclass
class StrokeBrush(Brush):
    """A brush whose strokes say what lies inside a piece: outside with Shift, or by the eraser.

    Attributes
    ----------
    outside
        Whether the stroke that is drawn says outside.
    """

    outside: bool = False

    def hold(self, modifiers: Sequence[object]) -> None:
        """Say outside for as long as the stroke goes, if Shift is held as it begins."""
        self.outside = "Shift" in modifiers

    def value(self, label: int, selected: int) -> int:
        """Return what is painted when a tool asks for ``label``; an eraser asks for 0."""
        del selected
        return OUTSIDE if self.outside or label != INSIDE else INSIDE


class BrushedLabels(HookedLabels):
    """A labels layer on which a `Brush` paints; strokes are told after the array has changed.

    Attributes
    ----------
    brush
        What painting does; that of another layer for a copy of it.
    """

    def __init__(self, *args: object, **settings: object) -> None:
        self._dragging: object = None
        self.brush = Brush()
        super().__init__(*args, **settings)
        self.events.mode.connect(self.end_stroke)

    @property
    def brush(self) -> Brush:
        """What painting does, on every canvas."""
        return self._brush

    @brush.setter
    def brush(self, brush: Brush) -> None:
        self._brush = brush
        brush.layers.add(self)

    def end_stroke(self, event: object = None) -> None:
        """End what is being drawn: strokes count as far as they have got, a polygon is given up."""
        del event
        self._dragging = None
        self.end_drawing()

    def get_status(self, position: Any = None, **how: Any) -> dict[str, str]:
        """Tell napari's status line what is under the pointer: structure, grey value, what the model says."""
        status: dict[str, str] = super().get_status(position, **how)
        more = self._said_at(position, **how)
        for key in ("coordinates", "value"):
            status[key] = status[key].replace(NO_NAME, "") + more
        return status

    def _said_at(self, position: Any, *, world: bool = False, **rest: Any) -> str:
        if position is None or self.brush.scan is None:
            return ""
        point = self.world_to_data(position) if world else np.asarray(position)
        voxel = tuple(round(float(value)) for value in point[-3:])
        inside = all(0 <= index < size for index, size in zip(voxel, self.brush.scan.shape, strict=True))
        if not inside:
            return ""
        model = "" if self.brush.said is None else self.brush.said(voxel)
        grey = f"; intensity {float(self.brush.scan[voxel]):.6g}"
        return f"{grey}; {model}" if model else grey

    def paint(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """Paint with the brush."""
        super().paint(coord, self.brush.value(new_label, self.selected_label), refresh)

    def fill(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """Fill what is connected to a voxel."""
        super().fill(coord, self.brush.value(new_label, self.selected_label), refresh)

    def paint_polygon(self, points: list[Sequence[float]] | np.ndarray, new_label: int) -> None:
        """Fill a polygon, unless its corners lie on several slices: nobody has seen where it would go."""
        hidden = np.asarray(points, dtype=int)[:, self.hidden_axes]
        if np.ptp(hidden, axis=0).any():
            notify("warning", "A polygon lies on one slice: draw it again without changing the slice.")
            return
        super().paint_polygon(points, self.brush.value(new_label, self.selected_label))
        self.brush.tell_stopped()

    def data_setitem(self, indices: tuple[np.ndarray, ...], value: object, refresh: bool = True) -> None:
        """Set voxels, and tell of it."""
        self.as_one(super().data_setitem, indices, value, refresh)

    def undo(self) -> None:
        """Undo the last change, whoever made it."""
        (self.brush.undo or super().undo)()

    def redo(self) -> None:
        """Make the change again that was undone last."""
        (self.brush.redo or super().redo)()

    def keep_stroke(self, item: list[object]) -> None:
        """Tell of a stroke that has ended; without a history of ours, napari's own keeps it."""
        if self.brush.undo is None:
            super().keep_stroke(item)
        else:
            self.events.paint(value=item)

    def limit(self, where: tuple[slice, ...], mask: np.ndarray, label: int) -> np.ndarray:
        """Return the part of a mask in a box of the array on which the brush may paint."""
        return self.brush.limit(where, mask, label, np.asarray(self.data[where]).reshape(mask.shape))

    def as_one(self, change: Callable[..., None], *args: object, **more: object) -> None:
        """Change the array; napari would tell of it before, unless it is a part of a stroke."""
        with self.brush.guard():
            if self.in_stroke:
                change(*args, **more)
            else:
                with self.block_history():
                    change(*args, **more)

    def drag(self, event: Event) -> Generator[None]:
        """Paint as napari does while case, slice and tool stay what they were when the button went down."""
        self._dragging = place = (event.dims_displayed, _slice_of(event))
        self.brush.hold(event.modifiers)
        stroke = super().drag(event)
        for _ in stroke:
            yield
            if self._dragging is not place:
                stroke.close()
                break
            if place != (event.dims_displayed, _slice_of(event)):
                self.end_stroke()
                stroke.close()
                break
        self.brush.tell_stopped()


def _slice_of(event: Event) -> tuple[float, ...]:
    """Return where the slice of a mouse event lies."""
    return tuple(at for axis, at in enumerate(event.dims_point) if axis not in event.dims_displayed)
