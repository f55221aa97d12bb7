"""Cases that are best read as a whole: the prediction is of no use, or little is left to check."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from napari_dycon.guidance.slices import labelled_axes
from napari_dycon.guidance.suggestions import Suggestion
from napari_dycon.guidance.worth import COSTS, case_seconds
from napari_dycon.io.geometry import plane_of_axis
from napari_dycon.study.store.place_log import CASE
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study
from napari_dycon.wording import millilitres

POOR_DICE = 0.5
ABSURD = 5.0
"""A volume that is so many times smaller or larger than the median of the other cases is no good."""
ENOUGH_CASES = 5
NEARLY_ALL = 0.8
"""Of a case that is best finished, so much is known already."""


@dataclass(frozen=True, slots=True)
class CaseToRead:
    """Why a case should be read as a whole, in words, and how pressing that is, from 0 to 1."""

    case: CaseRecord
    reason: str
    score: float
    finishing: bool = False


def whole_cases(study: Study, run: str, cases: Sequence[CaseRecord]) -> list[CaseToRead]:
    """Return the cases that are best read as a whole, the most pressing first; from their records alone."""
    summary = study.predictions.summary(run)
    usual = _usual_volumes([summary[case.id] for case in cases])
    found = [one for case in cases for one in _look(case, summary[case.id], usual)]
    return sorted(found, key=lambda one: -one.score)


def to_suggestion(study: Study, whole: CaseToRead) -> Suggestion:
    """Make a suggestion of it, beginning with the middle slice."""
    geometry = study.geometry(whole.case.id)
    axis = labelled_axes(geometry)[-1]
    count, structure = geometry.shape[axis], study.structures[0]
    left = 1 - whole.case.known_fraction
    x, y, z = ((0, size) for size in geometry.shape)
    return Suggestion(
        case=whole.case.id,
        plane=plane_of_axis(geometry, axis),
        axis=axis,
        index=count // 2,
        box=(x, y, z),
        structure=structure.value,
        structure_name=structure.name,
        score=round(whole.score, 4),
        reason=whole.reason,
        level=CASE,
        seconds=left * count * COSTS.slice if whole.finishing else case_seconds(count),
    )


def _usual_volumes(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Median volume of each structure that most cases have, where there are enough of them."""
    names = {name for row in rows for name in row.get("volumes_ml", {})}
    volumes = {name: [row.get("volumes_ml", {}).get(name, 0.0) for row in rows] for name in names}
    medians = {name: median(found) for name, found in volumes.items() if len(found) >= ENOUGH_CASES}
    return {name: value for name, value in medians.items() if value > 0}


def _look(case: CaseRecord, row: Mapping[str, Any], usual: Mapping[str, float]) -> Iterator[CaseToRead]:
    if case.known_fraction >= NEARLY_ALL:
        left = max(1, round(100 * (1 - case.known_fraction)))
        yield CaseToRead(case, f"nearly complete: {left} % is left to check", case.known_fraction / 2, True)
    elif row.get("empty"):
        yield CaseToRead(case, "nothing was found in this scan; read it as a whole", 1.0)
    elif case.known_fraction == 0:
        yield from _poor(case, row, usual)


def _poor(case: CaseRecord, row: Mapping[str, Any], usual: Mapping[str, float]) -> Iterator[CaseToRead]:
    """Yield a case that nobody has touched and whose prediction is no start."""
    for name, middle in usual.items():
        volume = row.get("volumes_ml", {}).get(name, 0.0)
        if not middle / ABSURD <= volume <= middle * ABSURD:
            side = "less" if volume > middle else "more"
            usually = f"half of the scans have {side} than {millilitres(middle)}"
            yield CaseToRead(case, f"{millilitres(volume)} of {name}, {usually}; read it as a whole", 0.9)
            return
    expected = [value for value in row.get("expected_dice", {}).values() if value is not None]
    if expected and min(expected) < POOR_DICE:
        reason = f"the model expects a Dice of {min(expected):.2f} of itself; read it as a whole"
        yield CaseToRead(case, reason, 0.8 * (1 - min(expected)))
