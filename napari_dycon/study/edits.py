"""Changes of an annotation as named records that can be undone and done again, exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_dycon.study.annotations import Annotation
from napari_dycon.study.regions import Box, Selection, bounding_box, shifted

HISTORY_BYTES = 128 << 20
Side = Literal["before", "after"]

Change = Callable[[Annotation, Selection], None]
"""Changes a part of an annotation in place; told where that part lies and which of its voxels may change."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Changed voxels of one box, as runs of equal change along the box in C order.

    Attributes
    ----------
    box
        Where, in source order.
    lengths
        Voxels of each run.
    codes
        What happened in each run: labels before and after, known value before and after, one byte each; all
        zero where nothing changed.
    """

    box: Box
    lengths: NDArray[np.uint32]
    codes: NDArray[np.uint8]

    @classmethod
    def between(cls, box: Box, before: Annotation, after: Annotation) -> Patch | None:
        """Compare two states of the part of an annotation that lies in `box`; None where they are equal."""
        changed = (before.labels != after.labels) | (before.known != after.known)
        tight = bounding_box(changed)
        if tight is None:
            return None
        codes = np.stack(
            [array[tight] for array in (before.labels, after.labels, before.known, after.known)], axis=-1
        )
        codes[~changed[tight]] = 0
        flat = codes.reshape(-1, 4)
        words = flat.view(np.uint32)[:, 0]
        starts = np.flatnonzero(words[1:] != words[:-1]) + 1
        edges = np.concatenate([[0], starts, [len(flat)]])
        return cls(shifted(tight, box), np.diff(edges).astype(np.uint32), flat[edges[:-1]].copy())

    @property
    def voxels(self) -> int:
        """Number of voxels that it changes."""
        return int(self.lengths[self.codes.any(axis=1)].sum(dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return self.lengths.nbytes + self.codes.nbytes

    def where(self) -> NDArray[np.bool_]:
        """Mask of the changed voxels, of the box's shape."""
        return np.repeat(self.codes.any(axis=1), self.lengths).reshape(self._shape)

    def write(self, part: Annotation, side: Side) -> NDArray[np.bool_]:
        """Bring one side of the change into the part of an annotation that lies in the box.

        Voxels that are not as the other side says were changed by somebody else since; they are left alone.

        Returns
        -------
        ndarray of bool
            Which voxels of the part were written.
        """
        old = (0, 2) if side == "after" else (1, 3)
        new = (1, 3) if side == "after" else (0, 2)
        changed = self.where()
        for array, column in zip((part.labels, part.known), old, strict=True):
            changed &= array == self._column(column)
        for array, column in zip((part.labels, part.known), new, strict=True):
            np.copyto(array, self._column(column), where=changed)
        return changed

    def _column(self, column: int) -> NDArray[np.uint8]:
        return np.repeat(self.codes[:, column], self.lengths).reshape(self._shape)

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(part.stop - part.start for part in self.box)


@dataclass(eq=False)
class Edit:
    """One change of an annotation, with a name that a person understands.

    Attributes
    ----------
    name
        For example ``"Interpolate left atrium, 14 slices"``.
    reason
        Kind of change, as kept with a saved version: ``"autosave"`` for what is too small to keep the version
        before, else ``"accept"``, ``"complete"``, ``"interpolate"``, ``"clean up"``, ``"restore"``.
    run
        Run whose prediction it took over, if any.
    patches
        What changed, in the order in which it did.
    """

    name: str
    reason: str = "autosave"
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


def planned(
    annotation: Annotation, selection: Selection, change: Change, name: str, reason: str = "autosave"
) -> Edit:
    """Say what a change would do to an annotation, without doing it."""
    edit = Edit(name, reason)
    for part in selection.slabs():
        before = annotation.cut(part.box)
        after = before.copy()
        change(after, part)
        edit.add(Patch.between(part.box, before, after))
    return edit


def difference(before: Annotation, after: Annotation, selection: Selection, name: str, reason: str) -> Edit:
    """Compare two annotations of one scan within a selection; what they differ in is the edit."""

    def take(part: Annotation, where: Selection) -> None:
        wanted = np.ones(part.shape, bool) if where.mask is None else where.mask
        other = after.cut(where.box)
        np.copyto(part.labels, other.labels, where=wanted)
        np.copyto(part.known, other.known, where=wanted)

    return planned(before, selection, take, name, reason)


@dataclass(eq=False)
class Step:
    """An edit in the history, beside what it did to what the editor remembers of the opening."""

    edit: Edit
    opening: Edit = field(default_factory=lambda: Edit("opening"))

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return self.edit.nbytes + self.opening.nbytes


class UndoHistory:
    """Steps that can be undone and done again; the oldest are forgotten where memory runs out.

    Parameters
    ----------
    limit
        Bytes that all steps together may hold; the newest step is kept in any case.
    """

    def __init__(self, limit: int = HISTORY_BYTES) -> None:
        self._limit = limit
        self._done: list[Step] = []
        self._undone: list[Step] = []

    @property
    def undo_names(self) -> list[str]:
        """What can be undone, newest first."""
        return [step.edit.name for step in reversed(self._done)]

    @property
    def redo_names(self) -> list[str]:
        """What can be done again, next one first."""
        return [step.edit.name for step in reversed(self._undone)]

    @property
    def nbytes(self) -> int:
        """Memory that all steps hold."""
        return sum(step.nbytes for step in self._steps())

    @property
    def last(self) -> Step | None:
        """The newest step that can be undone."""
        return self._done[-1] if self._done else None

    @property
    def next(self) -> Step | None:
        """The step that would be done again."""
        return self._undone[-1] if self._undone else None

    def push(self, step: Step) -> None:
        """Add a new step; what was undone before can not be done again after it."""
        self._undone.clear()
        self._done.append(step)
        self.trim()

    def back(self) -> None:
        """Count the newest step as undone."""
        self._undone.append(self._done.pop())

    def forth(self) -> None:
        """Count the step undone last as done again."""
        self._done.append(self._undone.pop())

    def trim(self) -> None:
        """Forget the oldest steps beyond the limit."""
        held = self.nbytes
        while held > self._limit and len(self._done) > 1:
            held -= self._done.pop(0).nbytes

    def _steps(self) -> Iterator[Step]:
        chains: Iterable[list[Step]] = (self._done, self._undone)
        for chain in chains:
            yield from chain
