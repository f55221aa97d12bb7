"""Editing an annotation while it is shown, and keeping its known map true to what happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import RLock

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_dycon.io.geometry import Geometry
from napari_dycon.study.annotation_store import AUTOSAVE
from napari_dycon.study.annotations import Annotation, Known, Region, slice_of
from napari_dycon.study.autosave import Autosaver

__all__ = ["AnnotationEditor", "Autosaver"]

VOXELS_AT_A_TIME = 1 << 21


class AnnotationEditor:
    """An annotation under edit: the labels array is painted in place by others, the known map follows.

    `stroke` and the operations on slices may be called on the GUI thread; they cost as much as what they
    touch. What looks at every voxel (`reconcile`, `snapshot`, making the editor) belongs on another thread.

    Parameters
    ----------
    annotation
        Edited in place; nobody else may replace its arrays.
    geometry
        Grid of the scan.

    Attributes
    ----------
    annotation
        The live annotation.
    """

    def __init__(self, annotation: Annotation, geometry: Geometry) -> None:
        if annotation.shape != geometry.shape:
            raise ValueError(f"annotation {annotation.shape} and scan {geometry.shape} differ in size")
        self.annotation = annotation
        self.geometry = geometry
        self._seen = annotation.labels.copy()
        self._opening = annotation.copy()
        self._lock = RLock()
        self._changed = False
        self._reason = AUTOSAVE

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The array that is painted, ``(x, y, z)`` in source order."""
        return self.annotation.labels

    @property
    def known(self) -> NDArray[np.uint8]:
        """How each voxel is known, see `Known`; up to date after each stroke."""
        return self.annotation.known

    def stroke(self, indices: Sequence[ArrayLike]) -> None:
        """Make the voxels of a stroke drawn, whether painted or erased.

        Parameters
        ----------
        indices
            Three arrays of voxel indices in source order, as for NumPy indexing. The labels hold the result
            of the stroke already.
        """
        x, y, z = (np.asarray(axis, dtype=np.intp) for axis in indices)
        with self._lock:
            self.known[x, y, z] = Known.DRAWN
            self._seen[x, y, z] = self.labels[x, y, z]
            self._changed = True

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

    def snapshot(self) -> tuple[Annotation, str] | None:
        """Copy the annotation for saving; None where nothing changed since the last snapshot.

        Looks at every voxel, so not for the GUI thread. A stroke may fall between two parts of the copy; in
        each voxel label and known value belong together all the same.

        Returns
        -------
        annotation : Annotation
        reason : str
            ``"accept"`` or ``"complete"`` after such an operation, else ``"autosave"``.
        """
        self.reconcile()
        if not self._changed:
            return None
        copy = Annotation(np.empty_like(self._seen), np.empty_like(self.known))
        with self._lock:
            reason, self._changed, self._reason = self._reason, False, AUTOSAVE
        for part in self._slabs():
            with self._lock:
                copy.labels[part], copy.known[part] = self._seen[part], self.known[part]
        return copy, reason

    def not_saved(self, reason: str) -> None:
        """Take a snapshot back that could not be saved: the next one will hold it."""
        with self._lock:
            self._changed = True
            self._reason = reason if self._reason == AUTOSAVE else self._reason

    def complete_slice(self, axis: int, index: int) -> None:
        """Make what is unknown in one slice drawn background."""
        with self._lock:
            self._reconcile(slice_of(axis, index))
            for annotation in (self.annotation, self._opening):
                annotation.complete_slice(axis, index)
            self._changed = True

    def reopen_slice(self, axis: int, index: int) -> None:
        """Forget the background that completing the slice made known."""
        with self._lock:
            self._reconcile(slice_of(axis, index))
            for annotation in (self.annotation, self._opening):
                annotation.reopen_slice(axis, index)
            self._changed = True

    def complete_case(self) -> None:
        """Make everything that is unknown drawn background; looks at every voxel."""
        for part in self._slabs():
            with self._lock:
                self._reconcile(part)
                for annotation in (self.annotation, self._opening):
                    annotation.complete_all(part)
                self._changed, self._reason = True, "complete"

    def accept(self, prediction: NDArray[np.uint8], where: Region | None = None) -> None:
        """Take over a prediction wherever no person drew (see `Annotation.accept`).

        Undoing earlier strokes does not touch what was accepted.
        """
        for part in self._slabs() if where is None else (where,):
            with self._lock:
                self._accept(prediction, part)

    def _accept(self, prediction: NDArray[np.uint8], part: Region) -> None:
        self.reconcile() if isinstance(part, np.ndarray) else self._reconcile(part)
        self.annotation.accept(prediction, part)
        labels, accepted = self.labels[part], self.known[part] == Known.ACCEPTED
        opening = self._opening
        opening.labels[part] = np.where(accepted, labels, opening.labels[part])
        opening.known[part] = np.where(accepted, self.known[part], opening.known[part])
        self._seen[part] = np.where(accepted, labels, self._seen[part])
        self._changed, self._reason = True, "accept"

    def _slabs(self) -> Iterator[tuple[slice, ...]]:
        """Parts of the volume that are small enough not to keep a stroke waiting."""
        rows, columns, slices = self.annotation.shape
        thickness = max(1, VOXELS_AT_A_TIME // (columns * slices))
        for start in range(0, rows, thickness):
            yield slice(start, start + thickness), slice(None), slice(None)

    def _reconcile(self, part: tuple[slice | int, ...]) -> bool:
        labels, seen, known = self.labels[part], self._seen[part], self.known[part]
        where = np.nonzero(labels != seen)
        if where[0].size == 0:
            return False
        now = labels[where]
        as_opened = now == self._opening.labels[part][where]
        known[where] = np.where(as_opened, self._opening.known[part][where], np.uint8(Known.DRAWN))
        seen[where] = now
        self._changed = True
        return True
