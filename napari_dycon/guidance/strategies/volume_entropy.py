"""Whole scans by their mean entropy, as the epistemic strategy of MONAI Label hands them out.

There the entropy is over passes with dropout, here it is that of the prediction. Of the scan that is the most
unsure evenly spaced slices are labelled; where they are all, the next scan follows.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from napari_dycon.engine.control import Control
from napari_dycon.guidance.predicted import Predicted, answer, looking
from napari_dycon.guidance.slices import Spot, complete_by_axis, in_widest_gap
from napari_dycon.guidance.suggestions import CaseLooked, Suggestions, Wanted, strategies
from napari_dycon.io.geometry import Geometry
from napari_dycon.study.study import Study

REASON = "this scan is the most unsure as a whole"


@dataclass(frozen=True)
class _Scan:
    case: str
    entropy: float
    geometry: Geometry
    labelled: dict[int, list[int]]

    @classmethod
    def of(cls, predicted: Predicted) -> "_Scan":
        geometry = predicted.geometry
        labelled = complete_by_axis(predicted.annotation, geometry)
        return cls(predicted.case.id, float(predicted.entropy.mean()), geometry, labelled)

    def slices(self) -> Iterator[Spot]:
        while (spot := in_widest_gap(self.case, self.labelled, self.geometry)) is not None:
            self.labelled[spot.axis].append(spot.index)
            yield replace(spot, score=self.entropy)


@strategies("volume_entropy")
def volume_entropy(
    study: Study, run: str | None, wanted: Wanted, control: Control
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose evenly spaced slices of the scan with the highest mean entropy, then of the next one."""
    scans, left_out = yield from looking(study, run, control, lambda case: [_Scan.of(case)])
    ranked = sorted(scans, key=lambda scan: -scan.entropy)
    chosen = list(islice((spot for scan in ranked for spot in scan.slices()), wanted.count))
    return answer(study, run, chosen, left_out, wanted.count, REASON)
