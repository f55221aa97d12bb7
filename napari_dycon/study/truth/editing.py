"""Editing an annotation while it is shown, and keeping its known map true to what happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from threading import Lock, RLock

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_dycon.errors import StudyError
from napari_dycon.io.geometry import Geometry
from napari_dycon.study.truth.annotations import Annotation, Known, Region
from napari_dycon.study.truth.decisions import Decider
from napari_dycon.study.truth.edits import (
    AUTOSAVE,
    HISTORY_BYTES,
    Change,
    Edit,
    Patch,
    Side,
    Step,
    UndoHistory,
    copying,
    result_of,
    writing,
)
from napari_dycon.study.truth.locks import Locks
from napari_dycon.study.truth.regions import (
    Box,
    Selection,
    bounding_box,
    everything,
    select,
    shift,
    slowest_axis,
    voxels_at,
)
from napari_dycon.study.truth.unsaved import Snapshot, Unsaved

VOXELS_AT_A_TIME = 1 << 19


class AnnotationEditor(Decider):
    """An annotation under edit: the labels array is painted in place by others, the known map follows.

    Everything that happens is kept as a named edit and can be undone and done again, exactly, across slices.
    `stroke`, the operations on slices and their undo may be called on the GUI thread; they cost as much as
    what they touch (`Edit.extent` says how much that is). What looks at every voxel (`reconcile`, `snapshot`,
    making the editor, operations on a whole case) belongs on another thread. Only one operation runs at a
    time; strokes may go on meanwhile, and win.

    Parameters
    ----------
    annotation
        Edited in place; nobody else may replace its arrays.
    geometry
        Grid of the scan.
    memory
        Bytes that the undo history may hold.

    Attributes
    ----------
    annotation
        The live annotation.
    locks
        Structures whose voxels stay what they are, whoever writes there.
    """

    def __init__(self, annotation: Annotation, geometry: Geometry, memory: int = HISTORY_BYTES) -> None:
        if annotation.shape != geometry.shape:
            raise ValueError(f"annotation {annotation.shape} and scan {geometry.shape} differ in size")
        self.annotation = annotation
        self.geometry = geometry
        self.locks = Locks()
        self._seen = annotation.labels.copy(order="K")
        self._opening = annotation.copy()
        self._axis = slowest_axis(annotation.labels)
        self._lock = RLock()
        self._operation = Lock()
        self._history = UndoHistory(memory)
        self._unsaved = Unsaved(annotation.shape)
        self._marks: dict[int, Known] = {}

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The array that is painted, ``(x, y, z)`` in source order."""
        return self.annotation.labels

    @property
    def known(self) -> NDArray[np.uint8]:
        """How each voxel is known, see `Known`; up to date after each stroke."""
        return self.annotation.known

    @property
    def undo_names(self) -> list[str]:
        """Names of what can be undone, newest first."""
        with self._lock:
            return self._history.undo_names

    @property
    def undo_name(self) -> str | None:
        """Name of what `undo` would take back, at once however long the history is."""
        with self._lock:
            return self._history.undo_name

    @property
    def redo_name(self) -> str | None:
        """Name of what `redo` would do again, at once however long the history is."""
        with self._lock:
            return self._history.redo_name

    @property
    def redo_names(self) -> list[str]:
        """Names of what can be done again, next one first."""
        with self._lock:
            return self._history.redo_names

    def stroke(
        self, where: Selection | Sequence[ArrayLike], how: Known = Known.DRAWN, name: str = "Paint"
    ) -> Edit:
        """Make the voxels of a stroke drawn, whether painted or erased.

        Parameters
        ----------
        where
            The voxels in source order, or three arrays of their indices as for NumPy indexing. The labels
            hold the result of the stroke already.
        how
            Known value from now on: ``IGNORE`` for "do not care"; ``UNKNOWN`` forgets, labels included.
        name
            Name of the edit.
        """
        where, edit = where if isinstance(where, Selection) else voxels_at(where), Edit(name)
        if where.voxels == 0:
            return edit
        box, mask = where.box, True if where.mask is None else where.mask
        with self._lock:
            self.locks.forget()
            parts = list(Selection(box).slabs(VOXELS_AT_A_TIME, self._axis))
            before = [Annotation(self._seen[p.box], self.known[p.box]).copy() for p in parts]
            if how == Known.UNKNOWN:
                np.copyto(self.labels[box], np.uint8(0), where=mask)
            np.copyto(self.known[box], np.uint8(how), where=mask)
            for part, old in zip(parts, before, strict=True):
                self.locks.put_back(old, self.annotation.cut(part.box))
            np.copyto(self._seen[box], self.labels[box], where=mask)
            self._history.give_found(edit, where)
            for part, old in zip(parts, before, strict=True):
                edit.add(Patch.between(part.box, old, Annotation(self._seen[part.box], self.known[part.box])))
            if edit:
                self._history.push(Step(edit))
            self._unsaved.touch(box)
        return edit

    def painting(self) -> AbstractContextManager[object]:
        """Hold off operations of other threads, for as long as it takes to paint and tell the stroke.

        Without it, a voxel that is painted in the very instant in which an operation writes it may lose what
        was painted.
        """
        return self._lock

    def expect_mark(self, value: int, how: Known | None) -> None:
        """Take label ``value`` for background known as `how` where a stroke that is not told yet leaves it.

        So what nobody can see in the labels is painted with a colour of its own, and neither a save nor an
        operation in the middle of the stroke takes the value for a structure. None: expect it no longer.
        """
        with self._lock:
            if how is None:
                self._marks.pop(value, None)
            else:
                self._marks[value] = how

    def steps_extent(self) -> tuple[int, int]:
        """Return how many voxels undoing and doing again would look at."""
        with self._lock:
            steps = self._history.last, self._history.next
        undo, redo = (0 if step is None else step.edit.extent for step in steps)
        return undo, redo

    def reconcile(self) -> bool:
        """Find voxels that changed without a stroke, by undo, redo or a program, and set how they are known.

        A voxel that has the label again that it had at opening is known as it was then; any other is drawn.
        Looks at every voxel, so not for the GUI thread.

        Returns
        -------
        bool
            Whether anything changed.
        """
        changed = False
        for part in self._slabs():
            with self._lock:
                changed |= self._reconcile(part)
        return changed

    def take(self) -> Snapshot | None:
        """Take over into the draft what changed, for saving; None where nothing changed since the last time.

        Compares every voxel, so not for the GUI thread. A stroke may fall between two parts of the draft; in
        each voxel label and known value belong together all the same.

        Returns
        -------
        Snapshot or None
            Its reason is ``"autosave"`` after strokes, else that of the last operation (see `Edit`).
        """
        self.reconcile()
        return self._unsaved.take(lambda box: Annotation(self._seen[box], self.known[box]).copy(), self._lock)

    def take_back(self, reason: str, names: Sequence[str] = (), run: str | None = None) -> None:
        """Take a snapshot back that could not be saved: the next one will hold it."""
        with self._lock:
            self._unsaved.put_back(reason, names, run)

    # ---- edits -------------------------------------------------------------------------------

    def apply(self, edit: Edit) -> Edit:
        """Make a change that was worked out before; what was painted since then stays as it is.

        Returns
        -------
        Edit
            What was really changed.
        """
        return self._perform(edit, ((Selection(patch.box), writing(patch)) for patch in edit.patches), None)

    def undo(self) -> Edit | None:
        """Take the newest edit back; return it, or None where there is none.

        Raises
        ------
        StudyError
            While an operation is under way on another thread, or where a locked structure would lose voxels.
        """
        return self._travel("before")

    def redo(self) -> Edit | None:
        """Make the edit again that was undone last; return it, or None where there is none.

        Raises
        ------
        StudyError
            While an operation is under way on another thread, or where a locked structure would lose voxels.
        """
        return self._travel("after")

    def perform(
        self, edit: Edit, where: Region | Selection | None, change: Change, *, opening: bool = False
    ) -> Edit:
        """Change a part of the annotation as one named edit; return what was changed.

        Parameters
        ----------
        edit
            Name, reason and run of the new edit.
        where
            Part that may change; all of it by default.
        change
            What to do to each piece of it.
        opening
            Do the same to what is remembered of the opening, so that strokes of before that are undone by
            napari leave it.
        """
        pieces = select(self.annotation.shape, where).slabs(VOXELS_AT_A_TIME, self._axis)
        return self._perform(edit, ((piece, change) for piece in pieces), change if opening else None)

    # ---- inside ------------------------------------------------------------------------------

    def _perform(
        self, edit: Edit, pieces: Iterable[tuple[Selection, Change]], opening: Change | None
    ) -> Edit:
        """Change pieces one after the other, as one step of the history.

        A stroke in between is a step of its own, and the operation goes on in another one after it: undoing
        goes back exactly the way that things came.
        """
        total, step = replace(edit, patches=[]), None
        with self._alone():
            self.locks.forget()
            for selection, change in pieces:
                with self._lock:
                    self._reconcile(selection.box)
                    self._history.push_found()
                    patch, remembered = self._change(selection, change, opening)
                    if patch is None:
                        continue
                    if step is None or self._history.last is not step:
                        step = Step(replace(edit, patches=[]))
                        self._history.push(step)
                    step.edit.add(patch)
                    step.opening.add(remembered)
                    total.add(patch)
            with self._lock:
                self._history.trim()
                if total or total.reason != AUTOSAVE:  # a decision counts though it finds nothing to change
                    self._unsaved.tell(total)
        return total

    def _change(
        self, selection: Selection, change: Change, opening: Change | None
    ) -> tuple[Patch | None, Patch | None]:
        """Change one piece and what is remembered of its opening; return what changed in both.

        The change is made on a copy: what is painted meanwhile is seen by the writing, and stays.
        """
        patch = result_of(self.annotation, selection, self.locks.guard(change))
        if patch is not None:
            patch = patch.limit(self._write(patch, "after"))
        if opening is None and patch is not None:
            selection, opening = Selection(patch.box), copying(self.annotation, patch.where())
        remembered = None if opening is None else result_of(self._opening, selection, opening)
        if remembered is not None:
            remembered.write(self._opening.cut(remembered.box), "after")
        return patch, remembered

    def _write(self, patch: Patch, side: Side) -> NDArray[np.bool_]:
        written = patch.write(self.annotation.cut(patch.box), side)
        np.copyto(self._seen[patch.box], patch.labels(side), where=written)
        self._unsaved.touch(patch.box)
        return written

    def _travel(self, side: Side) -> Edit | None:
        with self._alone():
            with self._lock:
                self._settle(self._history.step(side))
                step = self._history.step(side)
                if step is None:
                    return None
                self.locks.require_free(step.edit.patches, undo=side == "before")
                self.locks.forget()
                self._history.travel(side)
            self._move(step, side)
            return step.edit

    def _move(self, step: Step, side: Side) -> None:
        order = slice(None, None, -1) if side == "before" else slice(None)
        for patch in step.edit.patches[order]:
            with self._lock:
                self._write(patch, side)
        with self._lock:
            for patch in step.opening.patches[order]:
                patch.write(self._opening.cut(patch.box), side)
            verb = "Undo" if side == "before" else "Redo"
            self._unsaved.tell(Edit(f"{verb}: {step.edit.name}"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._operation.acquire(blocking=False):
            raise StudyError("Another change of this case is still under way: try again when it has ended.")
        try:
            yield
        finally:
            self._operation.release()

    def _settle(self, step: Step | None) -> None:
        """Make unannounced changes, those under a step too, the newest step."""
        for patch in [] if step is None else step.edit.patches:
            self._reconcile(patch.box)
        self._history.push_found()

    def _slabs(self) -> Iterator[Box]:
        """Parts of the volume that are small enough not to keep a stroke waiting."""
        for part in everything(self.annotation.shape).slabs(VOXELS_AT_A_TIME, self._axis):
            yield part.box

    def _reconcile(self, part: Box) -> bool:
        different = self.labels[part] != self._seen[part]
        if not different.any():
            return False
        inside = bounding_box(different)
        assert inside is not None
        self._take_over(shift(inside, part), different[inside])
        return True

    def _take_over(self, box: Box, different: NDArray[np.bool_]) -> None:
        """Set how the voxels of a mask are known, which nobody has told of, and note that as a change."""
        labels, seen, known = self.labels[box], self._seen[box], self.known[box]
        before = Annotation(seen, known).copy()
        now, marks = labels[different], tuple(self._marks.items())
        marked = np.zeros(now.shape, np.uint8)
        for value, how in marks:
            marked[now == value] = 1 + how
        if marked.any():
            now[marked > 0] = 0
            labels[different] = now
        as_opened = now == self._opening.labels[box][different]
        told = np.where(as_opened, self._opening.known[box][different], np.uint8(Known.DRAWN))
        known[different] = np.where(marked > 0, marked - np.uint8(1), told)
        seen[different] = now
        self.locks.put_back(before, Annotation(seen, known))
        labels[different] = seen[different]
        self._history.found.add(Patch.between(box, before, Annotation(seen, known)))
        self._unsaved.touch(box)
