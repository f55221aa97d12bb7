"""How far readers agree on what they drew, two at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from napari_dycon.engine.evaluation import evaluate_masks
from napari_dycon.study.exchange.readers import Readings
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.consensus import voice


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two readers agree on one structure of a case, where both know what is there.

    Attributes
    ----------
    case, structure
        Id of the case, name of the structure.
    first, second
        The readers.
    share
        Share of the scan that both know, 0 to 1.
    dice, jaccard, kappa
        0 to 1, 1 where neither drew it; Cohen's kappa may be below 0 and counts the voxels of the box that
        holds what either drew.
    hd95_mm, asd_mm
        Between both surfaces, in both directions; None where a scan is not known as a whole, or one of them
        drew nothing.
    first_ml, second_ml
        What each drew there, in millilitres.
    """

    case: str
    structure: str
    first: str
    second: str
    share: float
    dice: float
    jaccard: float
    kappa: float
    hd95_mm: float | None
    asd_mm: float | None
    first_ml: float
    second_ml: float


def agreement(study: Study, case_ids: Sequence[str] | None = None) -> Iterator[list[Agreement]]:
    """Compare what the readers of each case drew, each with each.

    Parameters
    ----------
    study
        The study.
    case_ids
        All cases by default.

    Yields
    ------
    list of Agreement
        Of one case after the other; empty where fewer than two drew it.

    Raises
    ------
    StudyError
        If there is no such case, or labels are damaged.
    """
    with Readings(study) as readings:
        for case_id in [case.id for case in study.cases] if case_ids is None else case_ids:
            yield compare(study, case_id, readings.of(case_id))


def compare(study: Study, case_id: str, drawn: Mapping[str, Annotation]) -> list[Agreement]:
    """Compare what readers drew of one case, by their names, each with each."""
    pairs = combinations(drawn, 2)
    return [row for first, second in pairs for row in _compare(study, case_id, drawn, first, second)]


def _compare(
    study: Study, case_id: str, drawn: Mapping[str, Annotation], first: str, second: str
) -> Iterator[Agreement]:
    both = voice(drawn[first]) & voice(drawn[second])
    share = np.count_nonzero(both) / both.size
    if not share:
        return
    a, b = (np.where(both, drawn[name].labels, 0).astype(np.uint8) for name in (first, second))
    case, spacing = study.case(case_id), study.geometry(case_id).spacing
    values = [structure.value for structure in study.structures]
    for structure, score in zip(study.structures, evaluate_masks(a, b, spacing, values), strict=True):
        of_a, of_b = a == structure.value, b == structure.value
        whole = share == 1
        yield Agreement(
            case_id,
            structure.name,
            first,
            second,
            share,
            score.dice,
            score.jaccard,
            _kappa(of_a, of_b, both),
            score.hd95_mm if whole else None,
            score.asd_mm if whole else None,
            np.count_nonzero(of_a) * case.voxel_ml,
            np.count_nonzero(of_b) * case.voxel_ml,
        )


def _kappa(a: NDArray[np.bool_], b: NDArray[np.bool_], both: NDArray[np.bool_]) -> float:
    """Cohen's kappa of two masks over what both know of the box around them; 1 where both are empty."""
    places = np.argwhere(a | b)
    if not len(places):
        return 1.0
    box = tuple(slice(low, high + 1) for low, high in zip(places.min(0), places.max(0), strict=True))
    here = both[box]
    mine, theirs = a[box][here], b[box][here]
    same, chance = np.mean(mine == theirs), mine.mean() * theirs.mean() + (~mine).mean() * (~theirs).mean()
    return 1.0 if chance == 1 else float((same - chance) / (1 - chance))
