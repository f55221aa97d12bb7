"""What a person has done with the places that were suggested."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dycon.guidance.mending import Tally
from napari_dycon.guidance.slices import SLICES_APART, too_close
from napari_dycon.guidance.suggestions import Suggestion
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.study.store.files import now
from napari_dycon.study.store.place_log import (
    CASE,
    CORRECTED,
    DONE,
    FIRST,
    REGION,
    SKIPPED,
    SLICE,
    Key,
    Outcome,
    PlaceEntry,
)
from napari_dycon.study.truth.annotations import Known
from napari_dycon.study.truth.regions import Box


def key_of(place: Suggestion) -> Key:
    """Return what a place is known by: another suggestion of the same slice is the same place."""
    return place.case, place.level, place.axis, place.index


@dataclass(eq=False)
class Followed:
    """A place as it was when the person came to it, or to its case.

    Attributes
    ----------
    case, place
        The place.
    labels, known
        The annotation there, then; None of a whole case.
    predicted
        What the model said there, then, if it guided.
    before
        Counts of then; None of a whole case until they are made.
    worked
        Whether something was changed while it was on screen.
    """

    case: OpenCase
    place: Suggestion
    labels: NDArray[np.uint8] | None
    known: NDArray[np.uint8] | None
    predicted: NDArray[np.uint8] | None
    before: Tally | None = None
    worked: bool = False

    @classmethod
    def begin(cls, case: OpenCase, place: Suggestion) -> "Followed":
        """Remember a place in the open case."""
        guided = place.run is not None and case.prediction is not None
        one = cls(case, place, None, None, case.prediction if guided else None)
        if place.level != CASE:
            annotation = case.annotation
            one.labels, one.known = annotation.labels[one.part].copy(), annotation.known[one.part].copy()
            one.count_before()
        return one

    @property
    def part(self) -> Box:
        """Where in the scan it is."""
        if self.place.level == CASE:
            return (slice(None),) * 3
        ranges = [slice(None)] * 3 if self.place.level == SLICE else [slice(*ends) for ends in self.place.box]
        if self.place.level == SLICE:
            ranges[self.place.axis] = slice(self.place.index, self.place.index + 1)
        return ranges[0], ranges[1], ranges[2]

    def count_before(self) -> None:
        """Count what is there; of a whole case that looks at every voxel, so not in the GUI thread."""
        self.before = self._count()

    def see_work(self, on_screen: tuple[int, int] | None) -> None:
        """Take note that something was changed while a slice, axis and index, was on screen."""
        here = self.place.level != SLICE or on_screen == (self.place.axis, self.place.index)
        self.worked = self.worked or here

    @property
    def complete(self) -> bool:
        """Whether everything about it is known by now; of a case only the study can tell."""
        place, annotation = self.place, self.case.annotation
        if place.level == REGION:
            return place.voxel is not None and bool(annotation.known[place.voxel] != Known.UNKNOWN)
        return place.level == SLICE and self._is_complete(place.index)

    @property
    def settled(self) -> bool:
        """Whether nobody need go there: it is complete or, where no model guides, a slice beside it is."""
        return self.complete or (self.place.kind == FIRST and any(map(self._is_complete, self._beside)))

    @property
    def _beside(self) -> range:
        """Slices that show nearly the same."""
        place, geometry = self.place, self.case.volume.geometry
        reach = sum(too_close(0, step, geometry.spacing[place.axis]) for step in range(1, SLICES_APART))
        return range(max(place.index - reach, 0), min(place.index + reach + 1, geometry.shape[place.axis]))

    def _is_complete(self, index: int) -> bool:
        return self.case.annotation.slice_is_complete(self.place.axis, index)

    @property
    def worked_on(self) -> bool:
        """Whether it is complete, or anything was drawn or accepted there since."""
        if self.labels is None or self.known is None:
            return self.worked
        annotation = self.case.annotation
        labels, known = annotation.labels[self.part], annotation.known[self.part]
        return self.complete or bool((labels != self.labels).any() or (known != self.known).any())

    def entry(self, outcome: Outcome, seconds: float | None) -> PlaceEntry:
        """Put down what became of it; of a whole case that looks at every voxel."""
        place, geometry = self.place, self.case.volume.geometry
        found = None if self.before is None else self._count().since(self.before)
        changed = None if found is None or outcome == SKIPPED else found.changed
        volume = None if changed is None else changed * geometry.voxel_volume_mm3
        area = None if volume is None or place.level != SLICE else volume / geometry.spacing[place.axis]
        return PlaceEntry(
            when=now(),
            case=place.case,
            level=place.level,
            plane=place.plane,
            axis=place.axis,
            index=place.index,
            box=place.box,
            structure=place.structure,
            kind=place.kind,
            strategy=place.strategy,
            run=place.run,
            outcome=outcome,
            looked=0 if found is None else found.known,
            accepted=0 if found is None else found.accepted,
            changed=changed,
            covered=None if found is None else found.covered,
            changed_mm2=_round(area),
            changed_mm3=_round(volume),
            seconds=_round(seconds),
        )

    def _count(self) -> Tally:
        annotation, part = self.case.annotation, self.part
        predicted = None if self.predicted is None else self.predicted[part]
        return Tally.of(annotation.labels[part], annotation.known[part], predicted)

    @property
    def how_left(self) -> Outcome:
        """What became of a place that was worked on and left without a word."""
        return DONE if self.complete else CORRECTED


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 2)
