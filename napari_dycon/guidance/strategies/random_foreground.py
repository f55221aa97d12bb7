"""Chance, where the structures are predicted: what is hard to beat (nnActive, Lüth et al. 2025).

There the baseline reads the true labels; here it reads the prediction, as a tool must.
"""

from collections.abc import Generator, Iterator

from napari_dycon.engine.control import Control
from napari_dycon.guidance.predicted import Predicted, answer, looking
from napari_dycon.guidance.slices import Spot, choose
from napari_dycon.guidance.suggestions import CaseLooked, Suggestions, Wanted, strategies
from napari_dycon.study.study import Study

REASON = "chosen by chance among the slices through what was predicted"


@strategies("random_foreground")
def random_foreground(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose by chance among all slices through the predicted structures."""
    spots, left_out = yield from looking(study, run, control, _through_structures)
    shuffled = [spots[place] for place in wanted.chance(study, run).permutation(len(spots))]
    chosen = choose(shuffled, wanted.count)
    return answer(study, run, chosen, left_out, wanted.count, REASON)


def _through_structures(predicted: Predicted) -> Iterator[Spot]:
    return (spot for spot in predicted.score_slices((predicted.mask > 0).astype("float32")) if spot.score > 0)
