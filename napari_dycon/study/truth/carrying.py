"""Labels of an earlier exam on the scan of a later one of the same patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.errors import StudyError
from napari_dycon.study.truth.annotations import Annotation, Known, is_one_of
from napari_dycon.study.truth.edits import Edit
from napari_dycon.study.truth.interpolation import fill
from napari_dycon.study.truth.regions import bounding_box

RIM_MM = 10.0
"""So far around the structures their background is carried over; what is new elsewhere is not denied."""

_SAID = (Known.DRAWN, Known.COMPLETED, Known.ACCEPTED)

Sample = Callable[[NDArray[np.generic]], NDArray[np.float32]]
"""Brings an array of the earlier scan to the grid of the later one; 0 beyond it."""


@dataclass(frozen=True, eq=False)
class Carried:
    """What an earlier exam says of a later scan; nothing is changed until its edit is applied.

    Attributes
    ----------
    labels
        Label values ``(x, y, z)``, 0 outside `where`.
    where
        Voxels that it says something of.
    name
        For example ``"Labels of BK-01"``.
    """

    labels: NDArray[np.uint8]
    where: NDArray[np.bool_]
    name: str

    def edit(self, annotation: Annotation) -> Edit:
        """Return the edit that takes it over, as interpolated; what a person knows by now is left alone."""
        return fill(annotation, self.labels, self.where, self.name, "carry")

    def agreement(self, annotation: Annotation) -> dict[int, float]:
        """Dice of each label value that occurs, where a person has spoken about the later scan as well.

        Empty where there are no such voxels.
        """
        both = self.where & is_one_of(annotation.known, _SAID)
        mine, theirs = self.labels[both], annotation.labels[both]
        values = np.union1d(mine, theirs)
        return {
            int(value): 2
            * float(np.sum((mine == value) & (theirs == value)))
            / float(np.sum(mine == value) + np.sum(theirs == value))
            for value in values[values > 0]
        }


def carry(
    earlier: Annotation, sample: Sample, spacing: Sequence[float], values: Sequence[int], name: str
) -> Carried:
    """Bring what is known of an earlier scan to a later one.

    Of each voxel that value counts which has the largest share of it; it is known where more than half of it
    was. Voxels that are not cared about there are unknown here.

    Parameters
    ----------
    earlier
        What is known of the earlier scan.
    sample
        Brings an array to the later scan.
    spacing
        Voxel size of the later scan in mm.
    values
        Label values of the structures.
    name
        What the change is called.

    Raises
    ------
    StudyError
        If no structure is known on the earlier scan, or none of them lies in the later one.
    """
    known = ~is_one_of(earlier.known, (Known.UNKNOWN, Known.IGNORE))
    present = [value for value in values if np.any(known & (earlier.labels == value))]
    if not present:
        raise StudyError("No structure is labelled in the earlier case; label it first.")
    most = sample(known & ~np.isin(earlier.labels, present))
    total, labels = most.copy(), np.zeros(most.shape, np.uint8)
    for value in present:
        share = sample(known & (earlier.labels == value))
        labels[share > most] = value
        np.maximum(most, share, out=most)
        total += share
    there = total > 0.5
    labels[~there] = 0
    return Carried(labels, there & _around(labels, spacing), name)


def _around(labels: NDArray[np.uint8], spacing: Sequence[float]) -> NDArray[np.bool_]:
    """The structures and their surroundings.

    Raises
    ------
    StudyError
        If there are none.
    """
    margin = [int(np.ceil(RIM_MM / size)) for size in spacing]
    box = bounding_box(labels > 0, (margin[0], margin[1], margin[2]))
    if box is None:
        raise StudyError("The later scan does not show the place of what is labelled in the earlier one.")
    near = np.zeros(labels.shape, bool)
    near[box] = ndimage.distance_transform_edt(labels[box] == 0, sampling=spacing) <= RIM_MM
    return near
