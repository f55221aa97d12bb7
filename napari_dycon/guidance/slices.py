"""Slices of scans that a person can be asked for, and which of them are too close to each other."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from napari_dycon.io.geometry import Geometry
from napari_dycon.study.truth.annotations import Annotation

SLICES_APART = 3
MILLIMETRES_APART = 20.0
THICK = 4.0
"""Where slices are so many times thicker than pixels are wide, they are labelled and no cuts across them."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A slice that could be asked for.

    Attributes
    ----------
    case, axis, index : the slice, in source order
    spacing : between neighbouring slices, in mm
    score : the higher, the sooner
    structure : for the sake of which structure; None where for that of all
    """

    case: str
    axis: int
    index: int
    spacing: float
    score: float = 0.0
    structure: int | None = None

    def overlaps(self, other: "Spot") -> bool:
        """Tell whether both show nearly the same."""
        same = (self.case, self.axis) == (other.case, other.axis)
        return same and too_close(self.index, other.index, self.spacing)


def too_close(index: int, other: int, spacing: float) -> bool:
    """Tell whether two slices of one plane show nearly the same; `spacing` between neighbours in mm."""
    apart = abs(index - other)
    return apart < SLICES_APART and apart * spacing < MILLIMETRES_APART


def labelled_axes(geometry: Geometry) -> tuple[int, ...]:
    """Source axes whose slices a person would label: all, or with thick slices only the one across them."""
    finest = min(geometry.spacing)
    thick = tuple(axis for axis in range(3) if geometry.spacing[axis] > THICK * finest)
    return thick if len(thick) == 1 else (0, 1, 2)


def free_slices(case: str, annotation: Annotation, geometry: Geometry) -> Iterator[Spot]:
    """Yield every slice of a case that is neither complete nor next to a complete one."""
    for axis in labelled_axes(geometry):
        spacing, labelled = geometry.spacing[axis], annotation.complete_slices(axis)
        for index in range(geometry.shape[axis]):
            if not any(too_close(index, other, spacing) for other in labelled):
                yield Spot(case, axis, index, spacing)


def choose(offered: Iterable[Spot], count: int, chosen: Sequence[Spot] = ()) -> list[Spot]:
    """Take the first `count` spots that overlap with no other one, nor with those chosen before."""
    taken = list(chosen)
    for spot in offered:
        if len(taken) == len(chosen) + count:
            break
        if not any(spot.overlaps(other) for other in taken):
            taken.append(spot)
    return taken[len(chosen) :]


def complete_by_axis(annotation: Annotation, geometry: Geometry) -> dict[int, list[int]]:
    """Return the complete slices of a case along each axis that a person would label."""
    return {axis: annotation.complete_slices(axis) for axis in labelled_axes(geometry)}


def in_widest_gap(
    case: str, labelled: Mapping[int, Sequence[int]], geometry: Geometry, first: int = 0
) -> Spot | None:
    """Return the middle of the widest gap along the axis with the fewest slices; None where none is left.

    Parameters
    ----------
    labelled
        Indices of slices by axis, as from `complete_by_axis`.
    first
        Which axis comes first where several have as few.
    """
    for axis in sorted(labelled, key=lambda axis: (len(labelled[axis]), (axis - first) % 3)):
        low, high = _widest_gap(labelled[axis], geometry.shape[axis])
        if high - low > 1:
            return Spot(case, axis, (low + high) // 2, geometry.spacing[axis])
    return None


def _widest_gap(labelled: Sequence[int], length: int) -> tuple[int, int]:
    """The neighbouring indices that are farthest apart, with -1 and `length` as the ends."""
    ends = [-1, *sorted(labelled), length]
    return max(pairwise(ends), key=lambda gap: gap[1] - gap[0])
