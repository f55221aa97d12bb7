"""An annotation as it goes to disk: compressed slice by slice, so that only what changed is worked on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dycon.io.masks import values_at_edge
from napari_dycon.io.pieces import Piece
from napari_dycon.study.truth.annotations import Annotation, Known

PIECE_VOXELS = 1 << 18


@dataclass(frozen=True, slots=True)
class Sheet:
    """Some slices of an annotation, compressed, and what is counted in them.

    Attributes
    ----------
    label_voxels
        Known voxels of each label value.
    known_voxels
        Voxels of each value of `Known`.
    complete
        For each source axis, which of the slices that cross the sheet are known all over in it.
    at_sides
        Label values at the ends of the first two axes.
    at_ends
        Label values on the first and on the last slice.
    """

    labels: Piece
    known: Piece
    label_voxels: NDArray[np.int64]
    known_voxels: NDArray[np.int64]
    complete: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]
    at_sides: set[int]
    at_ends: tuple[set[int], set[int]]

    @classmethod
    def of(cls, part: Annotation) -> Sheet:
        """Compress and count slices ``(x, y, z)``."""
        known = part.known != Known.UNKNOWN
        return cls(
            Piece.of(part.labels),
            Piece.of(part.known),
            np.bincount(part.labels[known], minlength=256),
            np.bincount(part.known.ravel(order="K"), minlength=256),
            (known.all(axis=(1, 2)), known.all(axis=(0, 2)), known.all(axis=(0, 1))),
            values_at_edge(part.labels, (0, 1)),
            (_values(part.labels[:, :, 0]), _values(part.labels[:, :, -1])),
        )


class Draft:
    """A whole annotation in sheets of one or more slices along the last source axis.

    Parameters
    ----------
    shape
        Voxels along the source axes.

    Attributes
    ----------
    spans
        Which slices each sheet holds.
    read_back
        Whether a file made of it has been read back as a whole.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        thickness = max(1, PIECE_VOXELS // max(1, shape[0] * shape[1]))
        self.spans = [slice(at, min(at + thickness, shape[2])) for at in range(0, shape[2], thickness)]
        self.read_back = False
        self._sheets: dict[int, Sheet] = {}

    @classmethod
    def of(cls, annotation: Annotation) -> Draft:
        """Take all of an annotation."""
        draft = cls(annotation.shape)
        for number, span in enumerate(draft.spans):
            draft.put(number, annotation.cut((slice(None), slice(None), span)))
        return draft

    def put(self, number: int, part: Annotation) -> None:
        """Replace the sheet of that number."""
        self._sheets[number] = Sheet.of(part)

    @property
    def labels(self) -> list[Piece]:
        """The labels, in the order of the file."""
        return [sheet.labels for sheet in self._in_order()]

    @property
    def known(self) -> list[Piece]:
        """The known map, in the order of the file."""
        return [sheet.known for sheet in self._in_order()]

    @property
    def known_fraction(self) -> float:
        """As that of an `Annotation`."""
        counts = self._count("known_voxels")
        return int(counts.sum() - counts[Known.UNKNOWN]) / int(counts.sum())

    @property
    def label_voxels(self) -> dict[int, int]:
        """As that of an `Annotation`."""
        return {value: count for value, count in _present(self._count("label_voxels")).items() if value}

    @property
    def known_voxels(self) -> dict[int, int]:
        """As that of an `Annotation`."""
        return _present(self._count("known_voxels"))

    @property
    def complete_counts(self) -> tuple[int, int, int]:
        """As that of an `Annotation`."""
        sheets = self._in_order()
        x, y = (int(np.all([sheet.complete[axis] for sheet in sheets], axis=0).sum()) for axis in (0, 1))
        return x, y, sum(int(sheet.complete[2].sum()) for sheet in sheets)

    @property
    def at_edge(self) -> tuple[int, ...]:
        """Label values in the outermost voxels (see `values_at_edge`)."""
        sheets = self._in_order()
        found = set().union(*(sheet.at_sides for sheet in sheets))
        if self.shape[2] > 1:
            found |= sheets[0].at_ends[0] | sheets[-1].at_ends[1]
        return tuple(sorted(found))

    def _count(self, name: str) -> NDArray[np.int64]:
        counts = np.zeros(256, np.int64)
        for sheet in self._in_order():
            counts += getattr(sheet, name)
        return counts

    def _in_order(self) -> list[Sheet]:
        return [self._sheets[number] for number in range(len(self.spans))]


def _values(labels: NDArray[np.uint8]) -> set[int]:
    return set(np.unique(labels).tolist()) - {0}


def _present(counts: NDArray[np.int64]) -> dict[int, int]:
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
