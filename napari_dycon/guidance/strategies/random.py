"""Plain chance: every slice that is not labelled is as good as any other."""

from collections.abc import Generator, Iterator

from napari_dycon.engine.control import Control
from napari_dycon.guidance.predicted import each_case, open_cases, suggestion
from napari_dycon.guidance.slices import Spot, choose, free_slices
from napari_dycon.guidance.suggestions import (
    CaseLooked,
    Suggestions,
    Wanted,
    strategies,
)
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study

REASON = "chosen by chance among all slices"


@strategies("random")
def random(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose by chance among all slices, whatever was predicted."""

    def free(case: CaseRecord) -> Iterator[Spot]:
        return free_slices(case.id, study.annotation(case.id), study.geometry(case.id))

    spots, left_out = yield from each_case(open_cases(study), control, free)
    shuffled = [spots[place] for place in wanted.chance(study, run).permutation(len(spots))]
    chosen = choose(shuffled, wanted.count)
    return Suggestions(tuple(suggestion(study, run, spot, REASON) for spot in chosen), left_out)
