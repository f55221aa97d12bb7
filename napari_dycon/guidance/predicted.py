"""Cases with their prediction, as strategies look at them one by one."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.engine.control import Control
from napari_dycon.guidance.first import first_slices
from napari_dycon.guidance.slices import Spot, free_slices
from napari_dycon.guidance.suggestions import Box, CaseLooked, Suggestion, Suggestions, leaving_out
from napari_dycon.io.geometry import Geometry, plane_of_axis
from napari_dycon.study.store.runs import ENTROPY, probability_map
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Predicted:
    """A case that is not complete, with what is known of it and what a model says; arrays ``(x, y, z)``.

    Attributes
    ----------
    mask : uint8 predicted label values
    entropy : float32, from 0 to 1
    """

    study: Study
    run: str
    case: CaseRecord
    geometry: Geometry
    annotation: Annotation
    mask: NDArray[np.uint8]
    entropy: NDArray[np.float32]

    @classmethod
    def read(cls, study: Study, run: str, case: CaseRecord) -> "Predicted | None":
        """Read a case; None where it was not predicted."""
        mask, entropy = study.predictions.mask(run, case.id), study.predictions.map(run, case.id, ENTROPY)
        if mask is None or entropy is None:
            return None
        geometry, annotation = study.geometry(case.id), study.annotation(case.id)
        return cls(study, run, case, geometry, annotation, mask, entropy)

    def probability(self, value: int) -> NDArray[np.float32]:
        """Probability of a structure ``(x, y, z)``; 0 and 1 as in the mask where none was written."""
        found = self.study.predictions.map(self.run, self.case.id, probability_map(value))
        return (self.mask == value).astype(np.float32) if found is None else found

    def slices(self) -> Iterator[Spot]:
        """Yield the slices that can be asked for."""
        return free_slices(self.case.id, self.annotation, self.geometry)

    def score_slices(self, values: NDArray[np.floating], structure: int | None = None) -> Iterator[Spot]:
        """Yield the slices that can be asked for, scored with the mean of a map ``(x, y, z)`` over each."""
        means = [slice_means(values, axis) for axis in range(3)]
        for spot in self.slices():
            yield replace(spot, score=float(means[spot.axis][spot.index]), structure=structure)


def slice_means(values: NDArray[np.floating], axis: int) -> NDArray[np.float64]:
    """Mean of a map over every slice along an axis."""
    others = tuple(other for other in range(3) if other != axis)
    return np.asarray(values.mean(axis=others, dtype=np.float64))


def looking(
    study: Study,
    run: str | None,
    control: Control,
    look: Callable[[Predicted], Iterable[_Found]],
    cases: Sequence[CaseRecord] | None = None,
) -> Generator[CaseLooked, None, tuple[list[_Found], dict[str, str]]]:
    """Look at cases that are not complete and were predicted by a model that was ready.

    Parameters
    ----------
    look
        What is to be found in one of them.
    cases
        All by default.

    Returns
    -------
    list, dict
        What was found, and of each case that cannot be read why.
    """
    shown = ready_cases(study, run) if cases is None else cases

    def read(case: CaseRecord) -> Iterable[_Found]:
        predicted = Predicted.read(study, run, case) if run is not None else None
        return () if predicted is None else look(predicted)

    return (yield from each_case(shown if run is not None else (), control, read))


def each_case(
    cases: Sequence[CaseRecord], control: Control, look: Callable[[CaseRecord], Iterable[_Found]]
) -> Generator[CaseLooked, None, tuple[list[_Found], dict[str, str]]]:
    """Look at some cases until stopped; return what was found, and of each that cannot be read why."""
    found, left_out = list[_Found](), dict[str, str]()
    for done, case in enumerate(cases, start=1):
        if control.stopped:
            break
        with leaving_out(case.id, left_out):
            found += look(case)
        yield CaseLooked(case.id, done, len(cases))
    return found, left_out


def ready_cases(study: Study, run: str | None) -> list[CaseRecord]:
    """Cases that are not complete and were predicted by a model that was ready."""
    if run is None:
        return []
    summary, early = study.predictions.summary(run), study.predictions.unready(run)
    return [case for case in open_cases(study) if case.id in summary and case.id not in early]


def open_cases(study: Study) -> list[CaseRecord]:
    """Cases of which something is not known yet."""
    return [case for case in study.cases if case.status != "complete"]


def answer(
    study: Study, run: str | None, spots: Sequence[Spot], left_out: dict[str, str], count: int, reason: str
) -> Suggestions:
    """Make suggestions of spots; without any, as before the first training, those of evenly spread slices."""
    if not spots:
        return Suggestions(tuple(first_slices(study, open_cases(study), count, left_out)), left_out)
    return Suggestions(tuple(suggestion(study, run, spot, reason) for spot in spots), left_out)


def suggestion(study: Study, run: str | None, spot: Spot, reason: str) -> Suggestion:
    """Say of a spot what a person must know: its plane, its structure, and where on the slice that lies."""
    geometry = study.geometry(spot.case)
    mask = None if run is None else study.predictions.mask(run, spot.case)
    plane = np.zeros(0, np.uint8) if mask is None else np.take(mask, [spot.index], axis=spot.axis)
    value = spot.structure or _most_seen(plane) or study.structures[0].value
    return Suggestion(
        case=spot.case,
        plane=plane_of_axis(geometry, spot.axis),
        axis=spot.axis,
        index=spot.index,
        box=_box(plane == value, spot, geometry),
        structure=value,
        structure_name=study.structure(value).name,
        score=round(spot.score, 4),
        reason=reason,
    )


def _most_seen(plane: NDArray[np.uint8]) -> int:
    counts = np.bincount(plane[plane > 0], minlength=1)
    return int(counts.argmax())


def _box(inside: NDArray[np.bool_], spot: Spot, geometry: Geometry) -> Box:
    """Where a structure lies on a slice; the whole slice without it."""
    ranges = [(0, size) for size in geometry.shape]
    if inside.any():
        window = ndimage.find_objects(inside.astype(np.uint8))[0]
        ranges = [(int(part.start), int(part.stop)) for part in window]
    ranges[spot.axis] = (spot.index, spot.index + 1)
    return ranges[0], ranges[1], ranges[2]
