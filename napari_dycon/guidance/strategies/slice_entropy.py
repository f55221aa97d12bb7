"""The slices whose mean predictive entropy is highest."""

from collections.abc import Generator

from napari_dycon.engine.control import Control
from napari_dycon.guidance.predicted import answer, looking
from napari_dycon.guidance.slices import choose
from napari_dycon.guidance.suggestions import CaseLooked, Suggestions, Wanted, strategies
from napari_dycon.study.study import Study

REASON = "this slice is the most unsure as a whole"


@strategies("slice_entropy")
def slice_entropy(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose the slices with the highest mean entropy, in all planes of all cases."""
    spots, left_out = yield from looking(study, run, control, lambda case: case.score_slices(case.entropy))
    ranked = sorted(spots, key=lambda spot: -spot.score)
    return answer(study, run, choose(ranked, wanted.count), left_out, wanted.count, REASON)
