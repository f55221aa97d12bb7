"""Where readers of a scan differ, voxel by voxel, among what all of them know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.consensus import voice

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Disagreement:
    """What two readers or more say where they differ; arrays are ``(x, y, z)`` in source order.

    Attributes
    ----------
    readers
        Their names.
    shape
        Voxels of the scan.
    compared
        How many voxels all of them know.
    box
        Part of the scan that holds every voxel on which they differ; empty where there is none.
    labels
        Within the box, what each reader says, uint8.
    dissenters
        Within the box, how many readers say something else than most of them, uint8; 0 where all say the
        same or not all know.
    """

    readers: tuple[str, ...]
    shape: tuple[int, int, int]
    compared: int
    box: Box
    labels: tuple[NDArray[np.uint8], ...]
    dissenters: NDArray[np.uint8]

    @property
    def voxels(self) -> int:
        """On how many voxels they differ."""
        return int(np.count_nonzero(self.dissenters))

    def by_slice(self, axis: int) -> NDArray[np.int64]:
        """On how many voxels of each slice along a source axis they differ."""
        counts = np.zeros(self.shape[axis], np.int64)
        others = tuple(other for other in range(3) if other != axis)
        counts[self.box[axis]] = np.count_nonzero(self.dissenters, axis=others)
        return counts

    def said_at(self, voxel: tuple[int, int, int]) -> tuple[int, ...]:
        """Return the label that each reader gives a voxel; nothing where they do not differ."""
        if not all(part.start <= at < part.stop for at, part in zip(voxel, self.box, strict=True)):
            return ()
        x, y, z = (at - part.start for at, part in zip(voxel, self.box, strict=True))
        return tuple(int(each[x, y, z]) for each in self.labels) if self.dissenters[x, y, z] else ()


def disagreement_of(drawn: Mapping[str, Annotation]) -> Disagreement:
    """Compare what readers drew of one scan, by their names.

    Only what all of them know counts.

    Raises
    ------
    ValueError
        If there are fewer than two, or of different shapes.
    """
    annotations = [*drawn.values()]
    if len(annotations) < 2 or len({each.shape for each in annotations}) > 1:
        raise ValueError("to compare takes two annotations or more of one shape")
    known = voice(annotations[0])
    differing = np.zeros_like(known)
    for other in annotations[1:]:
        known &= voice(other)
        differing |= other.labels != annotations[0].labels
    differing &= known
    box = _box(differing)
    labels = tuple(each.labels[box].copy(order="K") for each in annotations)
    dissenters = np.where(differing[box], _dissenters(labels), 0).astype(np.uint8)
    compared = int(np.count_nonzero(known))
    return Disagreement((*drawn,), annotations[0].shape, compared, box, labels, dissenters)


def _dissenters(labels: tuple[NDArray[np.uint8], ...]) -> NDArray[np.uint8]:
    """Count by voxel who does not say what most say."""
    most = np.zeros(labels[0].shape, np.uint8)
    for value in {int(value) for each in labels for value in np.unique(each)}:
        votes = np.zeros(most.shape, np.uint8)
        for each in labels:
            votes += each == value
        np.maximum(most, votes, out=most)
    return np.uint8(len(labels)) - most


def _box(where: NDArray[np.bool_]) -> Box:
    """Return the smallest box that holds everything in a mask."""
    parts = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        there = np.flatnonzero(where.any(axis=others))
        parts.append(slice(int(there[0]), int(there[-1]) + 1) if len(there) else slice(0, 0))
    return parts[0], parts[1], parts[2]
