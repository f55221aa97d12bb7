"""Partial truth: the labels of a scan, and voxel by voxel how they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 255
"""Training target of a voxel that nobody has spoken about."""

IGNORE = 254
"""Training target of a voxel that must not be learned from, neither with nor without labels."""


class Known(IntEnum):
    """How the label of a voxel is known."""

    UNKNOWN = 0
    DRAWN = 1
    ACCEPTED = 2
    INTERPOLATED = 3
    IGNORE = 4


Region = tuple[slice | int, ...] | NDArray[np.bool_]
"""Part of a volume: a tuple of slices and indices, or a mask of its shape."""


@dataclass
class Annotation:
    """Labels of one scan and how each is known, both uint8 ``(x, y, z)`` in source order.

    Attributes
    ----------
    labels
        Label values; 0 is background where the voxel is known, and says nothing where it is not.
    known
        Values of `Known`.
    """

    labels: NDArray[np.uint8]
    known: NDArray[np.uint8]
    _completed: dict[tuple[int, int], NDArray[np.bool_]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check that the arrays fit each other.

        Raises
        ------
        ValueError
            If one is not uint8, or the shapes differ.
        """
        if self.labels.dtype != np.uint8 or self.known.dtype != np.uint8:
            raise ValueError("labels and known map must be uint8")
        if self.labels.ndim != 3 or self.labels.shape != self.known.shape:
            raise ValueError(
                f"labels {self.labels.shape} and known map {self.known.shape} must be one 3D shape"
            )

    @classmethod
    def empty(cls, shape: tuple[int, int, int]) -> Annotation:
        """Annotation of a scan about which nothing is known."""
        return cls(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8))

    @classmethod
    def full(cls, labels: NDArray[np.uint8]) -> Annotation:
        """Annotation in which every voxel was drawn by a person, background too."""
        labels = np.ascontiguousarray(labels, dtype=np.uint8)
        return cls(labels, np.full(labels.shape, Known.DRAWN, np.uint8))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along the source axes."""
        x, y, z = self.labels.shape
        return x, y, z

    @property
    def known_fraction(self) -> float:
        """Share of the voxels that are known, 0 to 1; voxels to be ignored count as known."""
        return np.count_nonzero(self.known) / self.known.size

    def copy(self) -> Annotation:
        """Copy that shares no memory with this one."""
        return Annotation(self.labels.copy(), self.known.copy())

    def label_voxels(self) -> dict[int, int]:
        """Known voxels of each label value other than background."""
        counts = np.bincount(self.labels[self.known != Known.UNKNOWN], minlength=1)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts) if value > 0}

    def slice_is_complete(self, axis: int, index: int) -> bool:
        """Tell whether every voxel of one slice is known; `axis` and `index` in source order."""
        return bool(self.known[slice_of(axis, index)].all())

    def complete_slices(self, axis: int) -> list[int]:
        """Indices of the slices along `axis` in which every voxel is known."""
        others = tuple(other for other in range(3) if other != axis)
        return [int(index) for index in np.flatnonzero(self.known.all(axis=others))]

    def complete_slice(self, axis: int, index: int) -> None:
        """Make everything that is unknown in one slice drawn: the slice shows all there is.

        Where no label was painted, that is background.
        """
        known = self.known[slice_of(axis, index)]
        added = known == Known.UNKNOWN
        before = self._completed.get((axis, index))
        self._completed[axis, index] = added if before is None else added | before
        known[added] = Known.DRAWN

    def reopen_slice(self, axis: int, index: int) -> None:
        """Forget the background that completing the slice made known.

        Painted and accepted voxels stay known. Where it is not remembered which background came from
        completing (the study was closed since), all drawn background of the slice is forgotten.
        """
        known, labels = self.known[slice_of(axis, index)], self.labels[slice_of(axis, index)]
        background = (known == Known.DRAWN) & (labels == 0)
        completed = self._completed.pop((axis, index), None)
        known[background if completed is None else background & completed] = Known.UNKNOWN

    def complete_all(self, where: tuple[slice, ...] = (slice(None),) * 3) -> None:
        """Make everything that is unknown drawn; by default the whole case is complete then."""
        known = self.known[where]
        known[known == Known.UNKNOWN] = Known.DRAWN

    def accept(self, prediction: NDArray[np.uint8], where: Region | None = None) -> None:
        """Take over a prediction, but never over what a person drew or told to ignore.

        Parameters
        ----------
        prediction
            Label values ``(x, y, z)``.
        where
            Slices or a mask ``(x, y, z)``; the whole case by default.

        Raises
        ------
        ValueError
            If the prediction has not the shape of the annotation.
        """
        if prediction.shape != self.shape:
            raise ValueError(f"prediction {prediction.shape} and annotation {self.shape} differ in size")
        part = (slice(None),) * 3 if where is None else where
        free = np.zeros(self.shape, dtype=bool) if isinstance(part, np.ndarray) else None
        if free is not None:
            free[part] = True
            part = (slice(None),) * 3
        known, labels = self.known[part], self.labels[part]
        wanted = (known != Known.DRAWN) & (known != Known.IGNORE)
        wanted = wanted if free is None else wanted & free
        np.copyto(labels, prediction[part], where=wanted)  # nothing else is written: somebody may paint
        known[wanted] = Known.ACCEPTED

    def training_target(self, values: Sequence[int]) -> NDArray[np.uint8]:
        """Class indices to learn from: 0 background, ``i`` the ``i``-th of `values`.

        Parameters
        ----------
        values
            Label values of the structures in study order.

        Returns
        -------
        ndarray of uint8, shape (x, y, z)
            `UNKNOWN` where nothing is known; `IGNORE` where the person said so, and where the label
            belongs to no structure. What the labels hold at unknown voxels has no influence.
        """
        classes = np.full(256, IGNORE, np.uint8)
        classes[0] = 0
        classes[list(values)] = np.arange(1, len(values) + 1)
        target = classes[self.labels]
        target[self.known == Known.UNKNOWN] = UNKNOWN
        target[self.known == Known.IGNORE] = IGNORE
        return target


def slice_of(axis: int, index: int) -> tuple[slice | int, ...]:
    """Index of one slice of a volume, for example ``(:, :, 4)`` for axis 2."""
    return tuple(index if other == axis else slice(None) for other in range(3))
