"""ClaSP PE: class-stratified, power-noised predictive entropy (Lüth et al., TMLR 2026), for slices.

Per slice s, with the normalised entropy H of a voxel and its probability p_c of structure c,

    U_c(s) = mean over s of H p_c        U_all(s) = mean over s of H
    score(s) = log U(s) + Gumbel(0, 1 / beta)

66 % of the slices are chosen by U_c, evenly over the structures, 34 % by U_all; none overlaps with what is
labelled or chosen. beta rises exponentially over the rounds, from 1 to 100, so that chance gives way. It was
published with the mean of five models; here it is one averaged model in mirrored views.
"""

from collections.abc import Generator, Iterator

from napari_dycon.engine.control import Control
from napari_dycon.guidance.noise import noised_order
from napari_dycon.guidance.predicted import Predicted, answer, looking
from napari_dycon.guidance.slices import Spot, choose
from napari_dycon.guidance.suggestions import CaseLooked, Suggestions, Wanted, strategies
from napari_dycon.study.study import Study

STRATIFIED_SHARE = 0.66
REASON = "unsure, with some chance"


@strategies("clasp_pe")
def clasp_pe(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose slices by ClaSP PE."""
    spots, left_out = yield from looking(study, run, control, _score_spots)
    rng = wanted.chance(study, run)
    values: list[int | None] = [structure.value for structure in study.structures]
    rankings = dict[int | None, list[Spot]]()
    for value in (*values, None):
        some = [spot for spot in spots if spot.structure == value and spot.score > 0]
        order = noised_order([spot.score for spot in some], wanted.round, rng)
        rankings[value] = [some[place] for place in order]
    chosen = list[Spot]()
    for turn in range(round(STRATIFIED_SHARE * wanted.count)):
        chosen += choose(rankings[values[turn % len(values)]], 1, chosen)
    chosen += choose(rankings[None], wanted.count - len(chosen), chosen)
    return answer(study, run, chosen, left_out, wanted.count, REASON)


def _score_spots(predicted: Predicted) -> Iterator[Spot]:
    """Yield every slice once for each structure and once for all."""
    for structure in predicted.study.structures:
        unsure = predicted.entropy * predicted.probability(structure.value)
        yield from predicted.score_slices(unsure, structure.value)
    yield from predicted.score_slices(predicted.entropy)
