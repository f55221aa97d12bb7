"""Changes of an annotation as named records that can be undone and done again, exactly."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.regions import (
    Box,
    Selection,
    bounding_box,
    contains,
    extent,
    relative,
    shift,
    slowest_axis,
)

AUTOSAVE = "autosave"
"""Reason of a change that is too small to keep the version before it."""
ELSEWHERE = "Change by another tool"
"""Name of an edit that nobody has told of."""

HISTORY_BYTES = 128 << 20
Side = Literal["before", "after"]

Change = Callable[[Annotation, Selection], None]
"""Changes a part of an annotation in place; told where that part lies and which of its voxels may change."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Changed voxels of one box, as runs of equal change along the box in memory order.

    Attributes
    ----------
    box
        Where, in source order.
    lengths
        Voxels of each run.
    codes
        What happened in each run: labels before and after, known value before and after, one byte each from
        the lowest; 0 where nothing changed.
    fortran
        Whether the first axis runs fastest, as in NIfTI files, rather than the last.
    """

    box: Box
    lengths: NDArray[np.uint32]
    codes: NDArray[np.uint32]
    fortran: bool

    @classmethod
    def between(cls, box: Box, before: Annotation, after: Annotation) -> Patch | None:
        """Compare two states of the part of an annotation that lies in `box`; None where they are equal."""
        changed = (before.labels != after.labels) | (before.known != after.known)
        tight = bounding_box(changed)
        if tight is None:
            return None
        fortran = slowest_axis(changed) == 2
        words = np.zeros(changed[tight].shape, np.uint32, order="F" if fortran else "C")
        for byte, array in enumerate((before.labels, after.labels, before.known, after.known)):
            words |= np.left_shift(array[tight], 8 * byte, dtype=np.uint32)
        words *= changed[tight]
        flat = words.ravel(order="K")
        starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        edges = np.concatenate([[0], starts, [flat.size]])
        return cls(shift(tight, box), np.diff(edges).astype(np.uint32), flat[edges[:-1]].copy(), fortran)

    @property
    def voxels(self) -> int:
        """Number of voxels that it changes."""
        return int(self.lengths[self.codes != 0].sum(dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return self.lengths.nbytes + self.codes.nbytes

    def where(self) -> NDArray[np.bool_]:
        """Mask of the changed voxels, of the box's shape."""
        return self._spread(self.codes != 0)

    def write(self, part: Annotation, side: Side) -> NDArray[np.bool_]:
        """Bring one side of the change into the part of an annotation that lies in the box.

        Voxels that are not as the other side says were changed by somebody else since; they are left alone.

        Returns
        -------
        ndarray of bool
            Which voxels of the part were written.
        """
        old, new = ((0, 2), (1, 3)) if side == "after" else ((1, 3), (0, 2))
        changed = self.where()
        for array, byte in zip((part.labels, part.known), old, strict=True):
            changed &= array == self._values(byte)
        for array, byte in zip((part.labels, part.known), new, strict=True):
            np.copyto(array, self._values(byte), where=changed)
        return changed

    def labels(self, side: Side) -> NDArray[np.uint8]:
        """Labels of the changed voxels on one side; 0 elsewhere."""
        return self._values(0 if side == "before" else 1)

    def values_lost(self, *, undo: bool) -> set[int]:
        """Labels that some voxel has no longer, or that count no longer, once it is made or undone."""
        before, after, known, known_after = (
            (self.codes >> np.uint32(8 * byte)).astype(np.uint8) for byte in range(4)
        )
        if undo:
            before, after, known, known_after = after, before, known_after, known
        silent = (Known.UNKNOWN, Known.IGNORE)
        lost = ~np.isin(known, silent) & ((before != after) | np.isin(known_after, silent))
        return set(before[(self.codes != 0) & lost].tolist())

    def limit(self, where: NDArray[np.bool_]) -> Patch | None:
        """Return the part of it within a mask of the box's shape; None where nothing is left."""
        if np.array_equal(where, self.where()):
            return self
        before, after = (
            Annotation(self._values(first) * where, self._values(first + 2) * where) for first in (0, 1)
        )
        return Patch.between(self.box, before, after)

    def _values(self, byte: int) -> NDArray[np.uint8]:
        return self._spread((self.codes >> np.uint32(8 * byte)).astype(np.uint8))

    def _spread(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(values, self.lengths).reshape(extent(self.box), order="F" if self.fortran else "C")


@dataclass(eq=False)
class Edit:
    """One change of an annotation, with a name that a person understands.

    Attributes
    ----------
    name
        For example ``"Interpolate left atrium, 14 slices"``.
    reason
        Kind of change, as kept with a saved version: ``"autosave"`` for what is too small to keep the version
        before, else ``"accept"``, ``"complete"``, ``"interpolate"``, ``"carry"``, ``"grow"``, ``"clean up"``,
        ``"restore"``.
    run
        Run whose prediction it took over, if any.
    patches
        What changed, in the order in which it did.
    """

    name: str
    reason: str = AUTOSAVE
    run: str | None = None
    patches: list[Patch] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        return bool(self.patches)

    @property
    def voxels(self) -> int:
        """Number of changed voxels; one that changes twice counts twice."""
        return sum(patch.voxels for patch in self.patches)

    @property
    def extent(self) -> int:
        """Voxels of its boxes: what applying or undoing it looks at."""
        return sum(int(patch.lengths.sum(dtype=np.int64)) for patch in self.patches)

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return sum(patch.nbytes for patch in self.patches)

    @property
    def box(self) -> Box | None:
        """Smallest box around all it changes; None where it changes nothing."""
        if not self.patches:
            return None
        x, y, z = (
            slice(min(patch.box[i].start for patch in self.patches), max(p.box[i].stop for p in self.patches))
            for i in range(3)
        )
        return x, y, z

    def add(self, patch: Patch | None) -> None:
        """Append what happened in a box, if anything."""
        if patch is not None:
            self.patches.append(patch)

    def apply(self, annotation: Annotation) -> None:
        """Make the change; voxels that are not as it found them are left alone."""
        for patch in self.patches:
            patch.write(annotation.cut(patch.box), "after")

    def undo(self, annotation: Annotation) -> None:
        """Take the change back; voxels that are not as it left them are left alone."""
        for patch in reversed(self.patches):
            patch.write(annotation.cut(patch.box), "before")


def plan(
    annotation: Annotation, selection: Selection, change: Change, name: str, reason: str = AUTOSAVE
) -> Edit:
    """Say what a change would do to an annotation, without doing it."""
    edit = Edit(name, reason)
    for part in selection.slabs(axis=slowest_axis(annotation.labels)):
        edit.add(result_of(annotation, part, change))
    return edit


def result_of(annotation: Annotation, part: Selection, change: Change) -> Patch | None:
    """Say what a change would do to one part of an annotation; None where that is nothing."""
    before = annotation.cut(part.box).copy()
    after = before.copy()
    change(after, part)
    return Patch.between(part.box, before, after)


def writing(patch: Patch) -> Change:
    """Make a change of a patch."""

    def change(part: Annotation, where: Selection) -> None:
        del where
        patch.write(part, "after")

    return change


def copying(source: Annotation, mask: NDArray[np.bool_]) -> Change:
    """Make a change that takes over the voxels of a mask, of the part's shape, from another annotation."""

    def change(part: Annotation, where: Selection) -> None:
        other = source.cut(where.box)
        np.copyto(part.labels, other.labels, where=mask)
        np.copyto(part.known, other.known, where=mask)

    return change


def difference(before: Annotation, after: Annotation, selection: Selection, name: str, reason: str) -> Edit:
    """Compare two annotations of one scan within a selection; what they differ in is the edit."""

    def take(part: Annotation, where: Selection) -> None:
        mask = np.ones(part.shape, bool) if where.mask is None else where.mask
        copying(after, mask)(part, where)

    return plan(before, selection, take, name, reason)


def lie_within(patches: Iterable[Patch], where: Selection) -> bool:
    """Tell whether patches change only voxels of a selection."""
    patches = list(patches)
    if not all(contains(where.box, patch.box) for patch in patches):
        return False
    mask = where.mask
    return mask is None or all(mask[relative(p.box, where.box)][p.where()].all() for p in patches)


@dataclass(eq=False)
class Step:
    """An edit in the history, beside what it did to what the editor remembers of the opening."""

    edit: Edit
    opening: Edit = field(default_factory=lambda: Edit("opening"))
    counted: int = field(default=0, init=False)

    def count(self) -> int:
        """Measure the memory that it holds; return what came to it since it was measured last."""
        before, self.counted = self.counted, self.edit.nbytes + self.opening.nbytes
        return self.counted - before


class UndoHistory:
    """Steps that can be undone and done again; the oldest are forgotten where memory runs out.

    What a new step costs does not depend on how many there are.

    Parameters
    ----------
    limit
        Bytes that all steps together may hold; the newest step is kept in any case.

    Attributes
    ----------
    found
        What was seen to have changed and nobody has told of: newer than every step, and not one yet.
    """

    def __init__(self, limit: int = HISTORY_BYTES) -> None:
        self._limit = limit
        self.found = Edit(ELSEWHERE)
        self._done: deque[Step] = deque()
        self._undone: list[Step] = []
        self._held = 0

    @property
    def undo_names(self) -> list[str]:
        """What can be undone, newest first."""
        return ([self.found.name] if self.found else []) + [step.edit.name for step in reversed(self._done)]

    @property
    def undo_name(self) -> str | None:
        """What would be undone, at once however many steps there are."""
        return self.found.name if self.found else None if self.last is None else self.last.edit.name

    @property
    def redo_name(self) -> str | None:
        """What would be done again, at once however many steps there are."""
        return None if self.found or self.next is None else self.next.edit.name

    @property
    def redo_names(self) -> list[str]:
        """What can be done again, next one first."""
        return [] if self.found else [step.edit.name for step in reversed(self._undone)]

    @property
    def nbytes(self) -> int:
        """Memory that all steps hold."""
        self._count(self.last)
        return self._held

    @property
    def last(self) -> Step | None:
        """The newest step that can be undone; the only one that may still grow."""
        return self._done[-1] if self._done else None

    @property
    def next(self) -> Step | None:
        """The step that would be done again."""
        return self._undone[-1] if self._undone else None

    def push(self, step: Step) -> None:
        """Add a new step; what was undone before can not be done again after it."""
        self._count(self.last)
        while self._undone:
            self._held -= self._undone.pop().counted
        self._done.append(step)
        self.trim()

    def push_found(self) -> None:
        """Make what was found a step."""
        if self.found:
            self.push(Step(self.found))
            self.found = Edit(ELSEWHERE)

    def give_found(self, edit: Edit, where: Selection) -> None:
        """Let a stroke own what was seen of it before it was told; anything else is a step of its own."""
        if self.found and lie_within(self.found.patches, where):
            edit.patches.extend(self.found.patches)
            self.found = Edit(ELSEWHERE)
        else:
            self.push_found()

    def step(self, side: Side) -> Step | None:
        """The step whose state ``side`` comes next: "before" for undo, "after" for redo."""
        return self.last if side == "before" else self.next

    def travel(self, side: Side) -> None:
        """Count that step as undone, or as done again."""
        self._count(self.last)
        if side == "before":
            self._undone.append(self._done.pop())
        else:
            self._done.append(self._undone.pop())

    def trim(self) -> None:
        """Forget the oldest steps beyond the limit."""
        self._count(self.last)
        while self._held > self._limit and len(self._done) > 1:
            self._held -= self._done.popleft().counted

    def _count(self, step: Step | None) -> None:
        if step is not None:
            self._held += step.count()
