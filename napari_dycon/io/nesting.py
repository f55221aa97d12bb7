"""Structures that a file keeps apart, put into one label map: what lies inside another one wins there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError

Box = tuple[slice, slice, slice]
Piece = tuple[Box, NDArray[np.bool_]]
"""Voxels of the grid, and which of them belong to a structure."""


def largest_first(sizes: Mapping[int, int]) -> list[int]:
    """Values in the order in which a `Nest` takes them, by their numbers of voxels."""
    return sorted(sizes, key=lambda value: -sizes[value])


def snug(box: Box, region: NDArray[np.bool_]) -> Piece:
    """Cut a piece to what belongs to the structure, so that many of them fit into memory."""
    found = [np.flatnonzero(region.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    ends = [(int(line[0]), int(line[-1]) + 1) if len(line) else (0, 0) for line in found]
    first = [side.start or 0 for side in box]
    x, y, z = (slice(start + low, start + high) for start, (low, high) in zip(first, ends, strict=True))
    return (x, y, z), region[tuple(slice(*end) for end in ends)].copy()


class Nest:
    """A label map that structures are put into, the largest first.

    A structure that lies wholly inside another one is kept as it is, and the other is what is left around it.
    Any other overlap is refused: one label map cannot hold it.

    Parameters
    ----------
    file
        What it is read from is called.
    names
        Names of the structures by their values, 1 to 255.
    shape
        Of the map (x, y, z).
    """

    def __init__(self, file: str, names: Mapping[int, str], shape: tuple[int, ...]) -> None:
        self.labels = np.zeros(shape, np.uint8)
        self._file, self._names = file, names
        self._around: dict[int, int] = {}

    def put(self, value: int, pieces: Sequence[Piece]) -> None:
        """Put the next smaller structure into the map.

        Raises
        ------
        VolumeError
            If it overlaps one that it does not lie inside of.
        """
        under = np.zeros(256, np.int64)
        for box, region in pieces:
            under += np.bincount(self.labels[box][region], minlength=256)
        others = np.flatnonzero(under[1:]) + 1
        if len(others) > 1 or (len(others) == 1 and under[0]):
            one, other = sorted((int(others[0]), value))
            how = f"overlap in {under[others[0]]} voxels, and none is inside the other"
            self._refuse(one, other, how)
        if len(others):
            self._around[value] = int(others[0])
        for box, region in pieces:
            self.labels[box][region] = value

    def notes(self) -> tuple[str, ...]:
        """Say what lies inside what.

        Raises
        ------
        VolumeError
            If nothing is left of a structure.
        """
        left = np.bincount(self.labels.ravel(), minlength=256)
        for inner, outer in self._around.items():
            if not left[outer]:
                self._refuse(outer, inner, "overlap: nothing of the first is outside")
        return tuple(self._note(outer) for outer in dict.fromkeys(self._around.values()))

    def _note(self, outer: int) -> str:
        inside = [self._names[inner] for inner, around in self._around.items() if around == outer]
        listed = _and(map(repr, inside))
        lies, counts = ("lies", "It counts") if len(inside) == 1 else ("lie", "They count")
        return (
            f"{self._file}: {listed} {lies} inside {self._names[outer]!r}, which is what is left around. "
            f"{counts} together with it where that is said (dycon structures STUDY --whole)."
        )

    def _refuse(self, one: int, other: int, how: str) -> None:
        raise VolumeError(
            f"{self._file}: {self._names[one]!r} and {self._names[other]!r} {how}, which one label map "
            "cannot hold; decide where they come from whose the voxels are, or export one of them alone."
        )


def _and(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
