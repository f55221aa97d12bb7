"""A simulated person who answers suggestions from reference labels, and whose work is timed.

Without a prediction every structure on the slice is drawn. With one it is corrected: what is good enough is
left as it is, of the rest the contour that must change is drawn anew. So a suggestion is worth what it mends,
and costs what mending takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from napari_dycon.study.truth.annotations import Annotation, Known, slice_of
from napari_dycon.study.truth.distances import signed_distance

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

REACH_MM = 5.0
"""Beside an error that is too large, what deviates so far around it is redrawn with it."""
CROFTON = np.pi / 4
"""Mean length of a line that crosses so many pixel edges, over all directions (Crofton)."""


class Costs(BaseModel):
    """What work takes, in seconds. An assumption of ours, not a measurement.

    Parameters
    ----------
    slice
        To find a slice and judge what is on it.
    click
        To begin a contour, or to take a piece away.
    millimetre
        To draw a millimetre of contour: a contour of 100 mm takes 25 s.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slice: float = Field(default=4.0, ge=0)
    click: float = Field(default=1.5, ge=0)
    millimetre: float = Field(default=0.25, ge=0)


class Habits(BaseModel):
    """How a person draws.

    Parameters
    ----------
    tolerance_mm
        A predicted contour is left where it is at most so far from where the person would draw it.
    bias_mm
        All contours are drawn so much too wide, or too narrow where negative.
    missed_ends
        On so many slices at either end of a structure it is overlooked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tolerance_mm: float = Field(default=2.0, ge=0)
    bias_mm: float = 0.0
    missed_ends: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was done on one slice.

    Attributes
    ----------
    contour_mm : length of what was drawn
    clicks : contours begun and pieces taken away
    seconds : all in all
    """

    contour_mm: float
    clicks: int
    seconds: float


@dataclass(frozen=True)
class Annotator:
    """Answers suggestions on one scan.

    Attributes
    ----------
    truth : uint8 reference labels ``(x, y, z)``
    spacing : of the scan, in mm
    """

    truth: Labels
    spacing: Sequence[float]
    habits: Habits
    costs: Costs

    def label(self, annotation: Annotation, axis: int, index: int, prediction: Labels | None) -> Answer:
        """Complete a slice of an annotation, in place; what is known on it already stays.

        Parameters
        ----------
        prediction
            Label values ``(x, y, z)``; None where there is none to correct.
        """
        plane, spacing = slice_of(axis, index), self._in_plane(axis)
        labels, known = annotation.labels[plane], annotation.known[plane]
        free = known == Known.UNKNOWN
        shown = np.where(free, 0 if prediction is None else prediction[plane], labels)
        wanted = self.draw(axis, index)
        wrong = (shown != wanted) & free
        if prediction is not None:
            wrong = too_far(shown, wanted, wrong, spacing, self.habits.tolerance_mm)
        labels[...] = np.where(wrong, wanted, shown)
        drawn = wrong if prediction is not None else free & (wanted > 0)
        known[free & drawn] = Known.DRAWN
        known[free & ~drawn] = Known.COMPLETED if prediction is None else Known.ACCEPTED
        contour = contour_mm(labels, wrong, spacing)
        clicks = int(ndimage.label(wrong, structure=np.ones((3, 3)))[1])
        costs = self.costs
        return Answer(contour, clicks, costs.slice + costs.click * clicks + costs.millimetre * contour)

    def draw(self, axis: int, index: int) -> Labels:
        """What the person would draw on an empty slice: the truth with bias, and without overlooked ends."""
        truth = np.array(self.truth[slice_of(axis, index)])
        for value in np.unique(truth[truth > 0]):
            if self._overlooks(int(value), axis, index):
                truth[truth == value] = 0
        return widen(truth, self._in_plane(axis), self.habits.bias_mm)

    def _in_plane(self, axis: int) -> list[float]:
        return [size for other, size in enumerate(self.spacing) if other != axis]

    def _overlooks(self, value: int, axis: int, index: int) -> bool:
        """Whether a slice is one of the last ones of a structure; its middle one never is."""
        others = tuple(other for other in range(3) if other != axis)
        present = np.flatnonzero((self.truth == value).any(axis=others))
        missed = min(self.habits.missed_ends, (len(present) - 1) // 2)
        return bool(index < present[missed] or index > present[-1 - missed])


def widen(labels: Labels, spacing: Sequence[float], by_mm: float) -> Labels:
    """Move the contours of all structures on a slice outwards; inwards where negative.

    Where two structures meet, a pixel belongs to that of which it is deeper inside.
    """
    if not by_mm:
        return labels
    moved, deepest = np.zeros_like(labels), np.full(labels.shape, -by_mm, np.float32)
    for value in np.unique(labels[labels > 0]):
        depth = signed_distance(labels == value, spacing)
        wins = depth > deepest
        moved[wins], deepest[wins] = value, depth[wins]
    return moved


def too_far(
    shown: Labels, wanted: Labels, wrong: Mask, spacing: Sequence[float], tolerance_mm: float
) -> Mask:
    """Which wrong pixels of a slice a person changes.

    Those farther than the tolerance from where they would be right, with what is wrong around them, and every
    piece of a structure that is not shown at all.
    """
    far = np.zeros_like(wrong)
    for value in np.unique(shown[wrong]):
        right = signed_distance(wanted == value, spacing)
        far |= wrong & (shown == value) & (-right > tolerance_mm)
    for value in np.unique(wanted[wrong & (wanted > 0)]):
        pieces, count = ndimage.label(wanted == value, structure=np.ones((3, 3)))
        found = set(np.unique(pieces[shown == value]))
        far |= wrong & np.isin(pieces, sorted(set(range(1, count + 1)) - found))
    return wrong & (-signed_distance(far, spacing) <= REACH_MM)


def contour_mm(labels: Labels, changed: Mask, spacing: Sequence[float]) -> float:
    """Length of the contours of a slice that run along changed pixels, in mm.

    Counted are the pixel edges between two labels of which one was changed, times pi / 4, which is right in
    the mean over all directions (Crofton's formula).
    """
    length = 0.0
    for axis in (0, 1):
        first, second = _neighbours(labels, axis)
        before, after = _neighbours(changed, axis)
        length += float(spacing[1 - axis]) * np.count_nonzero((first != second) & (before | after))
    return float(CROFTON * length)


def _neighbours(array: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    moved = np.moveaxis(array, axis, 0)
    return moved[:-1], moved[1:]
