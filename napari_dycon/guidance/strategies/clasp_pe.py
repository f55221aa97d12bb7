"""ClaSP PE: class-stratified, power-noised predictive entropy (Lüth et al., TMLR 2026), for slices.

Per slice s, with the normalised entropy H of a voxel and its probability p_c of structure c,

    U_c(s) = mean over s of H p_c        U_all(s) = mean over s of H
    score(s) = log U(s) + Gumbel(0, 1 / beta)

66 % of the slices are chosen by U_c, evenly over the structures, 34 % by U_all; none overlaps with what is
labelled or chosen. beta rises exponentially over the rounds, from 1 to 100, so that chance gives way. It was
published with the mean of five models; here it is one averaged model in mirrored views.
"""

from collections.abc import Generator, Iterator, Sequence

import numpy as np

from napari_dycon.engine.control import Control
from napari_dycon.guidance.predicted import Predicted, answer, looking
from napari_dycon.guidance.slices import Spot, choose
from napari_dycon.guidance.suggestions import CaseLooked, Suggestions, Wanted, strategies
from napari_dycon.study.study import Study

STRATIFIED_SHARE = 0.66
FIRST_BETA, LAST_BETA = 1.0, 100.0
ROUNDS = 5
"""beta has reached its last value in this round and keeps it, however many follow."""
REASON = "unsure, with some chance"


def beta(round_number: int) -> float:
    """How sharply the scores decide in a round, counted from 1: 1, 3, 10, 32, 100, 100, ..."""
    share = min(1.0, max(0, round_number - 1) / (ROUNDS - 1))
    return float(FIRST_BETA * (LAST_BETA / FIRST_BETA) ** share)


@strategies("clasp_pe")
def clasp_pe(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose slices by ClaSP PE."""
    spots, left_out = yield from looking(study, run, control, _scored)
    rng, sharpness = wanted.chance(study, run), beta(wanted.round)
    values: list[int | None] = [structure.value for structure in study.structures]
    rankings = {
        value: _noised([spot for spot in spots if spot.structure == value], sharpness, rng)
        for value in (*values, None)
    }
    chosen = list[Spot]()
    for turn in range(round(STRATIFIED_SHARE * wanted.count)):
        chosen += choose(rankings[values[turn % len(values)]], 1, chosen)
    chosen += choose(rankings[None], wanted.count - len(chosen), chosen)
    return answer(study, run, chosen, left_out, wanted.count, REASON)


def _scored(predicted: Predicted) -> Iterator[Spot]:
    """Yield every slice once for each structure and once for all."""
    for structure in predicted.study.structures:
        unsure = predicted.entropy * predicted.probability(structure.value)
        yield from predicted.scored(unsure, structure.value)
    yield from predicted.scored(predicted.entropy)


def _noised(spots: Sequence[Spot], sharpness: float, rng: np.random.Generator) -> list[Spot]:
    """The spots with any uncertainty, best first."""
    some = [spot for spot in spots if spot.score > 0]
    keys = np.log([spot.score for spot in some]) + rng.gumbel(0, 1 / sharpness, len(some))
    return [some[place] for place in np.argsort(-keys, kind="stable")]
