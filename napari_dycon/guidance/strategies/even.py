"""Evenly spaced slices over cases and planes, whatever was predicted."""

from collections.abc import Generator

from napari_dycon.engine.control import Control
from napari_dycon.guidance.predicted import each_case, open_cases, suggestion
from napari_dycon.guidance.slices import Spot, complete_by_axis, in_widest_gap
from napari_dycon.guidance.suggestions import (
    CaseLooked,
    Suggestions,
    Wanted,
    strategies,
)
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study

REASON = "in the middle of the widest gap between labelled slices"


@strategies("even")
def even(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose the next slice in the case, and there in the plane, with the fewest; in its widest gap.

    Which of several such cases and planes comes first is left to chance.
    """

    def complete(case: CaseRecord) -> list[tuple[str, dict[int, list[int]]]]:
        return [(case.id, complete_by_axis(study.annotation(case.id), study.geometry(case.id)))]

    found, left_out = yield from each_case(open_cases(study), control, complete)
    labelled = dict(found)
    rng, chosen = wanted.chance(study, run), list[Spot]()
    order = [list(labelled)[place] for place in rng.permutation(len(labelled))]
    first_axis = {case: int(rng.integers(3)) for case in order}
    while order and len(chosen) < wanted.count:
        case = min(order, key=lambda name: sum(map(len, labelled[name].values())))
        spot = in_widest_gap(case, labelled[case], study.geometry(case), first_axis[case])
        if spot is None:
            order.remove(case)
            continue
        labelled[case][spot.axis].append(spot.index)
        chosen.append(spot)
    return Suggestions(tuple(suggestion(study, run, spot, REASON) for spot in chosen), left_out)
