"""Partial truth: the labels of a scan, and voxel by voxel how they are known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_dycon.io.layout import copy_in_order
from napari_dycon.io.masks import label_counts

UNKNOWN = 255
"""Training target of a voxel that nobody has spoken about."""

IGNORE = 254
"""Training target of a voxel that must not be learned from, neither with nor without labels."""


class Known(IntEnum):
    """How the label of a voxel is known.

    ``COMPLETED`` is background that nobody painted: it is known because a person said that its slice, region
    or case shows all there is. Only this is forgotten when that is taken back.
    """

    UNKNOWN = 0
    DRAWN = 1
    ACCEPTED = 2
    INTERPOLATED = 3
    IGNORE = 4
    COMPLETED = 5


BY_PERSON = (Known.DRAWN, Known.COMPLETED)
"""What a person has said about the voxel itself; no prediction and no interpolation replaces it."""

TRAINING_WEIGHTS: Mapping[Known, float] = MappingProxyType({Known.INTERPOLATED: 0.5})
"""Importance in the supervised loss of what is known; 1 where nothing is said here."""


SPARSE = 16
"""Of every so many voxels along an axis one is looked at first."""

Region = tuple[slice | int, ...] | NDArray[np.bool_]
"""Part of a volume: a tuple of slices and indices, or a mask of its shape."""


class NamedValue(Protocol):
    """A label value and what a person calls it."""

    @property
    def value(self) -> int:
        """Label value, 1 to 255."""

    @property
    def name(self) -> str:
        """Name of what it stands for."""


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
        return Annotation(self.labels.copy(order="K"), self.known.copy(order="K"))

    def in_file_order(self) -> Annotation:
        """Copy whose first axis runs fastest, as in NIfTI files: axial slices lie together, as on disk."""
        return Annotation(copy_in_order(self.labels, "F"), copy_in_order(self.known, "F"))

    def label_voxels(self) -> dict[int, int]:
        """Known voxels of each label value other than background."""
        counts = np.bincount(self.labels[self.known != Known.UNKNOWN], minlength=1)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts) if value > 0}

    def known_voxels(self) -> dict[int, int]:
        """Voxels of each value of `Known` that occurs."""
        counts = label_counts(self.known)
        return {int(code): int(counts[code]) for code in np.flatnonzero(counts)}

    def slice_is_complete(self, axis: int, index: int) -> bool:
        """Tell whether every voxel of one slice is known; `axis` and `index` in source order."""
        plane = self.known[slice_of(axis, index)]
        return bool(plane[::SPARSE, ::SPARSE].all() and plane.all())  # mostly the few say it already

    def complete_slices(self, axis: int) -> list[int]:
        """Indices of the slices along `axis` in which every voxel is known."""
        others = tuple(other for other in range(3) if other != axis)
        return [int(index) for index in np.flatnonzero(self.known.all(axis=others))]

    def complete_counts(self) -> tuple[int, int, int]:
        """Number of complete slices along each source axis."""
        x, y, z = (len(self.complete_slices(axis)) for axis in range(3))
        return x, y, z

    def complete_slice(self, axis: int, index: int) -> None:
        """Make everything that is unknown in one slice known: the slice shows all there is.

        Where no label was painted, that is background.
        """
        self.cut(slice_of(axis, index)).complete_all()

    def reopen_slice(self, axis: int, index: int) -> None:
        """Take back that a slice is complete: forget the background that this made known.

        Painted, erased and accepted voxels stay known, and so does what the slice shares with complete
        slices of other planes, unless that is all of it. In a slice without such background (of a full
        label map, for example) all drawn background is forgotten.
        """
        part = self.cut(slice_of(axis, index))
        completed = part.known == Known.COMPLETED
        if not completed.any():
            part.reopen_all()
            return
        forgotten = completed & ~self.shared_voxels(axis, index)
        part.known[forgotten if forgotten.any() else completed] = Known.UNKNOWN

    def complete_all(self, where: tuple[slice, ...] = (slice(None),) * 3) -> None:
        """Make everything that is unknown known; by default the whole case is complete then."""
        labels, known = self.labels[where], self.known[where]
        unknown = known == Known.UNKNOWN
        known[unknown & (labels == 0)] = Known.COMPLETED
        known[unknown & (labels != 0)] = Known.DRAWN

    def reopen_all(self) -> None:
        """Forget all background that completing made known; if there is none, all that was drawn."""
        forgotten = self.known == Known.COMPLETED
        if not forgotten.any():
            forgotten = (self.known == Known.DRAWN) & (self.labels == 0)
        self.known[forgotten] = Known.UNKNOWN

    def cut(self, where: tuple[slice | int, ...]) -> Annotation:
        """Part of this annotation that shares its memory; indices keep their axis, one voxel thick."""
        kept = tuple(slice(part, part + 1) if isinstance(part, int) else part for part in where)
        return Annotation(self.labels[kept], self.known[kept])

    def shared_voxels(self, axis: int, index: int) -> NDArray[np.bool_]:
        """Mark the voxels of a slice, one voxel thick, that lie in a complete slice of another plane."""
        thin = [1 if other == axis else count for other, count in enumerate(self.shape)]
        shared = np.zeros(thin, bool)
        for other in {0, 1, 2} - {axis}:
            for crossing in self.complete_slices(other):
                shared[slice_of(other, crossing)] = True
        return shared

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
        wanted = ~is_one_of(known, (*BY_PERSON, Known.IGNORE))
        wanted = wanted if free is None else wanted & free
        np.copyto(labels, prediction[part], where=wanted)  # nothing else is written: somebody may paint
        known[wanted] = Known.ACCEPTED

    def training_target(
        self, values: Sequence[int], without: Collection[Known] = frozenset()
    ) -> NDArray[np.uint8]:
        """Class indices to learn from: 0 background, ``i`` the ``i``-th of `values`.

        Parameters
        ----------
        values
            Label values of the structures in study order.
        without
            What shall count as unknown: ``{Known.INTERPOLATED}`` leaves out what no person has seen, and
            quality is measured without ``{Known.INTERPOLATED, Known.ACCEPTED}``.

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
        for code in {Known.UNKNOWN, *without}:
            target[self.known == code] = UNKNOWN
        target[self.known == Known.IGNORE] = IGNORE
        return target

    def training_weight(
        self, weights: Mapping[Known, float] = TRAINING_WEIGHTS
    ) -> NDArray[np.float32] | None:
        """Importance of each voxel in the supervised loss; None where it is 1 everywhere.

        Parameters
        ----------
        weights
            Weight of each kind of knowledge, at least 0; 1 for those not named. A voxel of weight 0 counts
            as unknown.

        Returns
        -------
        ndarray of float32, shape (x, y, z), or None
        """
        if not any(np.any(self.known == code) for code, weight in weights.items() if weight != 1):
            return None
        table = np.ones(256, np.float32)
        table[[int(code) for code in weights]] = list(weights.values())
        return table[self.known]


def is_one_of(known: NDArray[np.uint8], codes: Sequence[Known]) -> NDArray[np.bool_]:
    """Tell of each voxel whether it is known in one of some ways."""
    found = np.zeros_like(known, dtype=bool)
    for code in codes:
        found |= known == code
    return found


def slice_of(axis: int, index: int) -> tuple[slice | int, ...]:
    """Index of one slice of a volume, for example ``(:, :, 4)`` for axis 2."""
    return tuple(index if other == axis else slice(None) for other in range(3))
