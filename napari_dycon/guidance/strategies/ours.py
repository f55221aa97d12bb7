"""Where to annotate next: slices on which much can be mended, spread over cases, structures and planes.

Beside them a few doubtful pieces of predictions, where deciding mends more in a second than such slices do,
and cases that no slice helps.

Of a slice counts the entropy H near the predicted structure, summed over its unknown pixels of area a,

    gain(s) = sum over s of a H
    score(s) = log gain(s) + Gumbel(0, 1 / beta)

Where a prediction is corrected, a slice costs more, beside finding it, the more there is to mend on it, so
one with a large sum is mended sooner than many with small ones. Chance gives way to gain as in ClaSP PE, but
begins with less of it; structures are balanced, cases come by turns, neighbours are kept apart, and a random
share stays, without which nobody could tell whether the guidance helps.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from statistics import median
from typing import Any

import numpy as np

from napari_dycon.engine.control import Control
from napari_dycon.guidance.candidates import Candidate, candidates
from napari_dycon.guidance.first import first_slices
from napari_dycon.guidance.noise import noised_order
from napari_dycon.guidance.predicted import each_case, open_cases, ready_cases
from napari_dycon.guidance.slices import too_close
from napari_dycon.guidance.suggestions import CaseLooked, Suggestion, Suggestions, Wanted, strategies
from napari_dycon.guidance.whole_cases import to_suggestion, whole_cases
from napari_dycon.study.store.place_log import CASE, RANDOM, REGION, SLICE
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study

FIRST_BETA = 10.0
"""How sharply the gain decides in the first round. At 1, as published, choices mended no more than chance."""
PER_CASE = 2
STRATIFIED_SHARE = 2 / 3
RANDOM_SHARE = 1 / 8
REGION_SHARE, CASE_SHARE = 1 / 4, 1 / 8
"""Of the places, so many at most are regions and whole cases."""
SHORTLIST = 4
"""Only so many times the wanted number of cases are read, with a high mean entropy and some chance."""
CHECK = "random check slice, to see what the guidance misses"


@strategies("ours")
def most_to_mend(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose the slices that are the most unsure in all near the predicted structures; at most two of a case.

    With regions and cases asked for, also pieces that are quickly decided and cases best read as a whole.
    Evenly spread slices of unlabelled cases when there is no prediction yet, or none by a ready model.
    """
    rng = wanted.chance(study, run)
    shortlist = _shortlist(study, run, wanted, rng)

    def look(case: CaseRecord) -> list[Candidate]:
        found = [] if run is None else candidates(study, run, case)
        return [one for one in found if not wanted.skips.hide(one.suggestion, one.spacing)]

    found, left_out = yield from each_case(shortlist, control, look)
    if run is None or not found:
        first = first_slices(study, open_cases(study), wanted.count, left_out, wanted.skips)
        return Suggestions(tuple(first), left_out)
    readable = [case for case in ready_cases(study, run) if case.id not in left_out]
    wholes = _whole_cases(study, run, readable, wanted)
    return Suggestions(tuple(_put_together(found, wholes, wanted, rng)), left_out)


def _put_together(
    found: Sequence[Candidate], wholes: Sequence[Suggestion], wanted: Wanted, rng: np.random.Generator
) -> list[Suggestion]:
    """Slices, then a few pieces and cases in the place of the last slices, then random checks."""
    read_whole = {place.case for place in wholes}
    slices = [c for c in found if c.suggestion.level == SLICE and c.suggestion.case not in read_whole]
    pieces = [c for c in found if c.suggestion.level == REGION and REGION in wanted.levels]
    chosen = _choose(slices, replace(wanted, count=wanted.count - len(wholes)), rng)
    asked = [place for place in chosen if place.kind != RANDOM]
    checks = [place for place in chosen if place.kind == RANDOM]
    quick = _quick_pieces(pieces, chosen, wanted.count)
    rest = wanted.count - len(quick) - len(wholes) - len(checks)
    return [*asked[: max(0, rest)], *quick, *wholes, *checks]


def _whole_cases(study: Study, run: str, cases: Sequence[CaseRecord], wanted: Wanted) -> list[Suggestion]:
    """Cases that are best read as a whole; few, for each takes long."""
    if CASE not in wanted.levels:
        return []
    every = (to_suggestion(study, whole) for whole in whole_cases(study, run, cases))
    free = (place for place in every if not wanted.skips.hide(place, 1.0))
    return list(islice(free, round(CASE_SHARE * wanted.count)))


def _quick_pieces(pieces: Sequence[Candidate], chosen: Sequence[Suggestion], count: int) -> list[Suggestion]:
    """Pieces that mend more in a second than half of the chosen slices do, the best first."""
    pace = median([place.gain for place in chosen] or [0.0])
    better = [piece for piece in pieces if piece.suggestion.gain >= pace]
    best = sorted(better, key=lambda piece: -piece.suggestion.gain)[: round(REGION_SHARE * count)]
    top = max((piece.suggestion.gain for piece in best), default=1.0)
    return [replace(piece.suggestion, score=round(piece.suggestion.gain / top, 4)) for piece in best]


def _shortlist(study: Study, run: str | None, wanted: Wanted, rng: np.random.Generator) -> list[CaseRecord]:
    ready = ready_cases(study, run)
    if run is None or len(ready) <= SHORTLIST * wanted.count:
        return ready
    summary = study.predictions.summary(run)
    order = noised_order([_urgency(summary[case.id]) for case in ready], wanted.round, rng, FIRST_BETA)
    return [ready[place] for place in order[: SHORTLIST * wanted.count]]


def _urgency(entry: Any) -> float:
    return 1.0 if entry["empty"] else max(1e-6, float(entry["mean_entropy"]))


def _choose(found: Sequence[Candidate], wanted: Wanted, rng: np.random.Generator) -> list[Suggestion]:
    order = noised_order([candidate.gain for candidate in found], wanted.round, rng, FIRST_BETA)
    ranked = [found[place] for place in order]
    count = min(wanted.count, PER_CASE * len({candidate.suggestion.case for candidate in found}))
    chosen: list[Candidate] = []
    random_count = min(round(RANDOM_SHARE * wanted.count), max(0, count - 1))
    stratified = round(STRATIFIED_SHARE * (count - random_count))
    structures = sorted({candidate.suggestion.structure for candidate in ranked})
    for turn in range(stratified if structures else 0):
        value = structures[turn % len(structures)]
        _take(chosen, [c for c in ranked if c.suggestion.structure == value])
    while len(chosen) < count - random_count and _take(chosen, ranked):
        pass
    chosen.sort(key=lambda candidate: -candidate.gain)
    shuffled = [ranked[place] for place in rng.permutation(len(ranked))]
    checks: list[Candidate] = []
    while len(chosen) + len(checks) < count and _take(checks, shuffled, chosen):
        pass
    best = max((candidate.gain for candidate in found), default=1.0)
    return [_to_suggestion(c, best) for c in chosen] + [
        replace(_to_suggestion(c, best), reason=CHECK, kind=RANDOM) for c in checks
    ]


def _to_suggestion(candidate: Candidate, best: float) -> Suggestion:
    return replace(candidate.suggestion, score=round(candidate.gain / best, 4))


def _take(chosen: list[Candidate], offered: Sequence[Candidate], beside: Iterable[Candidate] = ()) -> bool:
    """Add the first candidate that fits, of a case without any if it can be; tell whether there was one."""
    others = [*chosen, *beside]
    for most in range(1, PER_CASE + 1):
        for candidate in offered:
            if _fits(candidate, others, most):
                chosen.append(candidate)
                return True
    return False


def _fits(candidate: Candidate, chosen: Sequence[Candidate], most: int) -> bool:
    new = candidate.suggestion
    same_case = [other.suggestion for other in chosen if other.suggestion.case == new.case]
    if len(same_case) >= most:
        return False
    return not any(
        other.axis == new.axis and too_close(new.index, other.index, candidate.spacing) for other in same_case
    )
