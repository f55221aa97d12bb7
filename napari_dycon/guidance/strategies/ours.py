"""Where to annotate next: slices whose prediction is unsure, spread over structures, cases and planes.

Uncertainty counts near the predicted structures only, structures are balanced as in ClaSP PE, neighbours are
kept apart, and a small random share stays, without which nobody could tell whether the guidance helps.
"""

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.engine.control import Control
from napari_dycon.guidance.first import first_slices
from napari_dycon.guidance.slices import too_close
from napari_dycon.guidance.suggestions import (
    Box,
    CaseLooked,
    Suggestion,
    Suggestions,
    Wanted,
    leaving_out,
    strategies,
)
from napari_dycon.io.geometry import PLANES, Geometry, plane_axis
from napari_dycon.study.store.runs import ENTROPY
from napari_dycon.study.store.schema import CaseRecord, Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known

BAND_MM = 10.0
"""Entropy counts in the predicted structure and so far around it."""
EDGE_MM = 3.0
TOP_SHARE = 0.05
FEWEST_VOXELS = 20
"""A slice is scored by the mean of its most unsure voxels: 5 % of those in the band, but at least so many."""
PER_CASE = 2
STRATIFIED_SHARE = 2 / 3
RANDOM_SHARE = 1 / 8
SHORTLIST = 4
"""Only so many times the wanted number of cases are read, those with the highest mean entropy."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    suggestion: Suggestion
    spacing: float
    uncertainty: float

    @property
    def rank(self) -> tuple[float, float]:
        """Sorts the best first; of slices with like scores the one with most uncertainty in all."""
        return -round(self.suggestion.score, 2), -self.uncertainty


@strategies("ours")
def most_unsure(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose the most unsure slices near the predicted structures; at most two of a case.

    Evenly spread slices of unlabelled cases when there is no prediction yet, or none by a ready model.
    """
    open_cases = [case for case in study.cases if case.status != "complete"]
    candidates, left_out = list[_Candidate](), dict[str, str]()
    shortlist = _shortlist(study, run, open_cases, wanted.count)
    for done, case in enumerate(shortlist, start=1):
        if control.stopped or run is None:
            break
        with leaving_out(case.id, left_out):
            candidates += _candidates(study, run, case)
        yield CaseLooked(case.id, done, len(shortlist))
    if not candidates:
        return Suggestions(tuple(first_slices(study, open_cases, wanted.count, left_out)), left_out)
    return Suggestions(tuple(_choose(candidates, wanted.count, wanted.chance(study, run))), left_out)


def _shortlist(study: Study, run: str | None, cases: Sequence[CaseRecord], count: int) -> list[CaseRecord]:
    summary = study.prediction_summary(run) if run is not None else {}
    early = study.unready_predictions(run) if run is not None else set()
    predicted = [case for case in cases if case.id in summary and case.id not in early]
    most_unsure = sorted(predicted, key=lambda case: _urgency(summary[case.id]), reverse=True)
    return most_unsure[: SHORTLIST * count]


def _urgency(entry: Any) -> float:
    return 1.0 if entry["empty"] else float(entry["mean_entropy"])


def _candidates(study: Study, run: str, case: CaseRecord) -> Iterator[_Candidate]:
    mask, entropy = study.prediction(run, case.id), study.prediction_map(run, case.id, ENTROPY)
    if mask is None or entropy is None:
        return
    geometry = study.geometry(case.id)
    annotation = study.annotation(case.id)
    unsure = np.where(annotation.known == Known.UNKNOWN, entropy, np.float32(0))
    for structure in study.structures:
        region = _Region.around(mask == structure.value, unsure, geometry)
        if region is not None:
            yield from _slices(region, case, structure, geometry, annotation)


@dataclass(frozen=True)
class _Region:
    """A structure with its band, cut out of the volume; arrays have the shape of the cut-out."""

    offset: tuple[int, int, int]
    unsure: NDArray[np.float32]
    depth: NDArray[np.float64]
    found: bool

    @classmethod
    def around(
        cls, inside: NDArray[np.bool_], unsure: NDArray[np.float32], geometry: Geometry
    ) -> "_Region | None":
        """Cut out; without a predicted voxel the whole volume counts. None where all is known or sure."""
        found = bool(inside.any())
        cut = _grown_box(inside, geometry) if found else (slice(None),) * 3
        inside, unsure = inside[cut], unsure[cut]
        depth = np.zeros(inside.shape)
        if found:
            depth = _edt(inside, geometry) - _edt(~inside, geometry)
            unsure = np.where(depth >= -BAND_MM, unsure, np.float32(0))
        if not unsure.any():
            return None
        offset = tuple(int(window.start or 0) for window in cut)
        return cls((offset[0], offset[1], offset[2]), unsure, depth, found)


def _grown_box(inside: NDArray[np.bool_], geometry: Geometry) -> tuple[slice, ...]:
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    margins = [math.ceil(BAND_MM / spacing) for spacing in geometry.spacing]
    return tuple(
        slice(max(0, window.start - margin), window.stop + margin)
        for window, margin in zip(box, margins, strict=True)
    )


def _edt(inside: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.float64]:
    if inside.all():
        return np.full(inside.shape, BAND_MM)
    return np.asarray(ndimage.distance_transform_edt(inside, sampling=geometry.spacing), dtype=np.float64)


def _slices(
    region: _Region, case: CaseRecord, structure: Structure, geometry: Geometry, annotation: Annotation
) -> Iterator[_Candidate]:
    for plane in PLANES:
        axis = plane_axis(geometry, plane)
        spacing = geometry.spacing[axis]
        labelled = annotation.complete_slices(axis)
        scores = _slice_scores(region.unsure, axis)
        for local in map(int, np.flatnonzero(scores > 0)):
            index = local + region.offset[axis]
            if any(too_close(index, other, spacing) for other in labelled):
                continue
            what = f"{structure.name} {_what(region, axis, local)} {_extent(scores, local)}"
            place = Suggestion(
                case=case.id,
                plane=plane,
                axis=axis,
                index=index,
                box=_box(region, axis, local),
                structure=structure.value,
                structure_name=structure.name,
                score=round(float(scores[local]), 4),
                reason=f"{what}; {_nearest(index, labelled, spacing, plane)}",
            )
            yield _Candidate(place, spacing, float(np.take(region.unsure, local, axis=axis).sum()))


def _slice_scores(unsure: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """Mean of the most unsure voxels of every slice."""
    slices = np.moveaxis(unsure, axis, 0).reshape(unsure.shape[axis], -1)
    scores = np.zeros(len(slices))
    for index, values in enumerate(slices):
        positive = values[values > 0]
        if positive.size:
            top = max(FEWEST_VOXELS, math.ceil(TOP_SHARE * positive.size))
            scores[index] = float(np.sort(positive)[-top:].sum()) / top
    return scores


def _most_unsure(region: _Region, axis: int, local: int) -> NDArray[np.bool_]:
    """The most unsure voxels of one slice, as a volume-shaped mask of thickness one."""
    values = np.take(region.unsure, [local], axis=axis)
    return np.asarray((values >= 0.5 * values.max()) & (values > 0))


def _box(region: _Region, axis: int, local: int) -> Box:
    window = ndimage.find_objects(_most_unsure(region, axis, local).astype(np.uint8))[0]
    ranges = [
        (int(part.start) + start, int(part.stop) + start)
        for part, start in zip(window, region.offset, strict=True)
    ]
    ranges[axis] = (local + region.offset[axis], local + region.offset[axis] + 1)
    return ranges[0], ranges[1], ranges[2]


def _extent(scores: NDArray[np.float64], local: int) -> str:
    """On how many neighbouring slices it is nearly as unsure."""
    blocks, _ = ndimage.label(scores >= 0.7 * scores[local])
    count = int(np.count_nonzero(blocks == blocks[local]))
    return f"over {count} slices" if count > 1 else "on this slice"


def _what(region: _Region, axis: int, local: int) -> str:
    if not region.found:
        return "not found in this scan, unclear"
    depth = np.take(region.depth, [local], axis=axis)[_most_unsure(region, axis, local)]
    middle = float(np.median(depth))
    if abs(middle) <= EDGE_MM:
        return "edge unclear"
    return "inside unclear" if middle > 0 else "extent unclear"


def _nearest(index: int, labelled: Sequence[int], spacing: float, plane: str) -> str:
    if not labelled:
        return f"no labelled {plane} slice in this scan yet"
    distance = min(abs(index - other) for other in labelled) * spacing
    return f"nearest labelled slice {distance:.0f} mm away"


def _choose(candidates: Sequence[_Candidate], count: int, rng: np.random.Generator) -> list[Suggestion]:
    ranked = sorted(candidates, key=lambda candidate: candidate.rank)
    chosen: list[_Candidate] = []
    random_count = round(RANDOM_SHARE * count)
    stratified = round(STRATIFIED_SHARE * (count - random_count))
    structures = sorted({candidate.suggestion.structure for candidate in ranked})
    for turn in range(stratified):
        value = structures[turn % len(structures)]
        _take(chosen, (c for c in ranked if c.suggestion.structure == value))
    while len(chosen) < count - random_count and _take(chosen, ranked):
        pass
    chosen.sort(key=lambda candidate: candidate.rank)
    shuffled = [ranked[place] for place in rng.permutation(len(ranked))]
    while len(chosen) < count and _take(
        chosen, shuffled, "random check slice, to see what the guidance misses"
    ):
        pass
    return [candidate.suggestion for candidate in chosen]


def _take(chosen: list[_Candidate], offered: Iterable[_Candidate], reason: str | None = None) -> bool:
    """Add the first candidate that is far enough from the chosen ones; tell whether there was one."""
    for candidate in offered:
        if _fits(candidate, chosen):
            chosen.append(candidate if reason is None else _with_reason(candidate, reason))
            return True
    return False


def _with_reason(candidate: _Candidate, reason: str) -> _Candidate:
    return replace(candidate, suggestion=replace(candidate.suggestion, reason=reason))


def _fits(candidate: _Candidate, chosen: Sequence[_Candidate]) -> bool:
    new = candidate.suggestion
    same_case = [other.suggestion for other in chosen if other.suggestion.case == new.case]
    if len(same_case) >= PER_CASE:
        return False
    return not any(
        other.axis == new.axis and too_close(new.index, other.index, candidate.spacing) for other in same_case
    )
