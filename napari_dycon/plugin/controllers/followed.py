"""What a person has done with the places that were suggested."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dycon.guidance.suggestions import Suggestion
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.study.truth.annotations import slice_of

Key = tuple[str, int, int]
"""Case, axis and index of a place."""


def key_of(place: Suggestion) -> Key:
    """Return what a place is known by: another suggestion of the same slice is the same place."""
    return place.case, place.axis, place.index


@dataclass(frozen=True)
class Followed:
    """A slice as it was when the person came to it.

    Attributes
    ----------
    case, place
        The slice.
    labels, known
        The annotation on it, then.
    """

    case: OpenCase
    place: Suggestion
    labels: NDArray[np.uint8]
    known: NDArray[np.uint8]

    @classmethod
    def begin(cls, case: OpenCase, place: Suggestion) -> "Followed":
        """Remember a slice of the open case."""
        where, annotation = slice_of(place.axis, place.index), case.annotation
        labels, known = annotation.labels[where].copy(), annotation.known[where].copy()
        return cls(case, place, labels, known)

    @property
    def complete(self) -> bool:
        """Whether everything on the slice is known by now."""
        return self.case.annotation.slice_is_complete(self.place.axis, self.place.index)

    @property
    def worked_on(self) -> bool:
        """Whether the slice is complete, or anything was drawn or accepted on it since."""
        labels, known = self._now()
        return self.complete or bool((labels != self.labels).any() or (known != self.known).any())

    def _now(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        where, annotation = slice_of(self.place.axis, self.place.index), self.case.annotation
        return annotation.labels[where], annotation.known[where]
