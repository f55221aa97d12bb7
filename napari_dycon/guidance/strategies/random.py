"""Plain chance: every slice that is not labelled is as good as any other."""

from collections.abc import Generator

from napari_dycon.engine.control import Control
from napari_dycon.guidance.predicted import open_cases, suggestion
from napari_dycon.guidance.slices import Spot, choose, free_slices
from napari_dycon.guidance.suggestions import (
    CaseLooked,
    Suggestions,
    Wanted,
    leaving_out,
    strategies,
)
from napari_dycon.study.study import Study

REASON = "chosen by chance among all slices"


@strategies("random")
def random(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose by chance among all slices, whatever was predicted."""
    spots, left_out, cases = list[Spot](), dict[str, str](), open_cases(study)
    for done, case in enumerate(cases, start=1):
        if control.stopped:
            break
        with leaving_out(case.id, left_out):
            spots += free_slices(case.id, study.annotation(case.id), study.geometry(case.id))
        yield CaseLooked(case.id, done, len(cases))
    shuffled = [spots[place] for place in wanted.chance(study, run).permutation(len(spots))]
    chosen = choose(shuffled, wanted.count)
    return Suggestions(tuple(suggestion(study, run, spot, REASON) for spot in chosen), left_out)
