"""Where to annotate next: slices on which much can be mended, spread over cases, structures and planes.

Of a slice counts the entropy H near the predicted structure, summed over its unknown pixels of area a,

    gain(s) = sum over s of a H
    score(s) = log gain(s) + Gumbel(0, 1 / beta)

Where a prediction is corrected, a slice costs more, beside finding it, the more there is to mend on it, so
one with a large sum is mended sooner than many with small ones. Chance gives way to gain as in ClaSP PE, but
begins with less of it; structures are balanced, cases come by turns, neighbours are kept apart, and a random
share stays, without which nobody could tell whether the guidance helps.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dycon.engine.control import Control
from napari_dycon.guidance.first import first_slices
from napari_dycon.guidance.noise import noised_order
from napari_dycon.guidance.predicted import Predicted, looking, open_cases, ready_cases
from napari_dycon.guidance.regions import Region, extent, nearest
from napari_dycon.guidance.slices import labelled_axes, too_close
from napari_dycon.guidance.suggestions import CaseLooked, Suggestion, Suggestions, Wanted, strategies
from napari_dycon.io.geometry import plane_of_axis
from napari_dycon.study.store.schema import CaseRecord, Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Known

FIRST_BETA = 10.0
"""How sharply the gain decides in the first round. At 1, as published, choices mended no more than chance."""
PER_CASE = 2
STRATIFIED_SHARE = 2 / 3
RANDOM_SHARE = 1 / 8
SHORTLIST = 4
"""Only so many times the wanted number of cases are read, with a high mean entropy and some chance."""
CHECK = "random check slice, to see what the guidance misses"


@dataclass(frozen=True, slots=True)
class _Candidate:
    suggestion: Suggestion
    spacing: float
    gain: float


@strategies("ours")
def most_to_mend(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose the slices that are the most unsure in all near the predicted structures; at most two of a case.

    Evenly spread slices of unlabelled cases when there is no prediction yet, or none by a ready model.
    """
    rng = wanted.chance(study, run)
    shortlist = _shortlist(study, run, wanted, rng)
    candidates, left_out = yield from looking(study, run, control, _candidates, shortlist)
    if not candidates:
        return Suggestions(tuple(first_slices(study, open_cases(study), wanted.count, left_out)), left_out)
    return Suggestions(tuple(_choose(candidates, wanted, rng)), left_out)


def _shortlist(study: Study, run: str | None, wanted: Wanted, rng: np.random.Generator) -> list[CaseRecord]:
    ready = ready_cases(study, run)
    if run is None or len(ready) <= SHORTLIST * wanted.count:
        return ready
    summary = study.predictions.summary(run)
    order = noised_order([_urgency(summary[case.id]) for case in ready], wanted.round, rng, FIRST_BETA)
    return [ready[place] for place in order[: SHORTLIST * wanted.count]]


def _urgency(entry: Any) -> float:
    return 1.0 if entry["empty"] else max(1e-6, float(entry["mean_entropy"]))


def _candidates(predicted: Predicted) -> Iterator[_Candidate]:
    free = predicted.annotation.known == Known.UNKNOWN
    unsure = np.where(free, predicted.entropy, np.float32(0))
    for structure in predicted.study.structures:
        region = Region.around(predicted.mask, structure.value, unsure, predicted.geometry)
        if region is not None:
            yield from _slices(region, structure, predicted)


def _slices(region: Region, structure: Structure, predicted: Predicted) -> Iterator[_Candidate]:
    for axis in labelled_axes(predicted.geometry):
        plane = plane_of_axis(predicted.geometry, axis)
        spacing, labelled = predicted.geometry.spacing[axis], predicted.annotation.complete_slices(axis)
        gains = _sums(region.unsure, axis) * predicted.geometry.voxel_volume_mm3 / spacing
        for local in map(int, np.flatnonzero(gains > 0)):
            index = local + region.offset[axis]
            if any(too_close(index, other, spacing) for other in labelled):
                continue
            what = f"{structure.name} {region.what(axis, local)} {extent(gains, local)}"
            place = Suggestion(
                case=predicted.case.id,
                plane=plane,
                axis=axis,
                index=index,
                box=region.box(axis, local),
                structure=structure.value,
                structure_name=structure.name,
                score=0.0,
                reason=f"{what}; {nearest(index, labelled, spacing, plane)}",
            )
            yield _Candidate(place, spacing, float(gains[local]))


def _sums(values: NDArray[np.floating], axis: int) -> NDArray[np.float64]:
    """Sum over every slice along an axis."""
    others = tuple(other for other in range(3) if other != axis)
    return np.asarray(values.sum(axis=others, dtype=np.float64))


def _choose(candidates: Sequence[_Candidate], wanted: Wanted, rng: np.random.Generator) -> list[Suggestion]:
    order = noised_order([candidate.gain for candidate in candidates], wanted.round, rng, FIRST_BETA)
    ranked, count = [candidates[place] for place in order], wanted.count
    chosen: list[_Candidate] = []
    random_count = round(RANDOM_SHARE * count)
    stratified = round(STRATIFIED_SHARE * (count - random_count))
    structures = sorted({candidate.suggestion.structure for candidate in ranked})
    for turn in range(stratified):
        value = structures[turn % len(structures)]
        _take(chosen, [c for c in ranked if c.suggestion.structure == value])
    while len(chosen) < count - random_count and _take(chosen, ranked):
        pass
    chosen.sort(key=lambda candidate: -candidate.gain)
    shuffled = [ranked[place] for place in rng.permutation(len(ranked))]
    checks: list[_Candidate] = []
    while len(chosen) + len(checks) < count and _take(checks, shuffled, chosen):
        pass
    best = max(candidate.gain for candidate in candidates)
    return [_scored(c, best) for c in chosen] + [replace(_scored(c, best), reason=CHECK) for c in checks]


def _scored(candidate: _Candidate, best: float) -> Suggestion:
    return replace(candidate.suggestion, score=round(candidate.gain / best, 4))


def _take(chosen: list[_Candidate], offered: Sequence[_Candidate], beside: Iterable[_Candidate] = ()) -> bool:
    """Add the first candidate that fits, of a case without any if it can be; tell whether there was one."""
    others = [*chosen, *beside]
    for most in range(1, PER_CASE + 1):
        for candidate in offered:
            if _fits(candidate, others, most):
                chosen.append(candidate)
                return True
    return False


def _fits(candidate: _Candidate, chosen: Sequence[_Candidate], most: int) -> bool:
    new = candidate.suggestion
    same_case = [other.suggestion for other in chosen if other.suggestion.case == new.case]
    if len(same_case) >= most:
        return False
    return not any(
        other.axis == new.axis and too_close(new.index, other.index, candidate.spacing) for other in same_case
    )
