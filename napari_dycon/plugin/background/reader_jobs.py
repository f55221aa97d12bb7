"""The jobs that compare what the readers of a study drew."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from napari_dycon.engine.control import Control
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.plugin.layers.disputes import draw_disagreement
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.study.exchange.readers import Readings
from napari_dycon.study.study import Study
from napari_dycon.study.truth.disagreement import Disagreement, disagreement_of


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far readers agree.

    Attributes
    ----------
    summary
        One sentence.
    rows
        Case, structure, readers, Dice, kappa, HD95 in mm and both volumes, as shown.
    """

    summary: str
    rows: tuple[tuple[str, ...], ...]


def compare_readers(study: Study, save_first: Callable[[], bool]) -> EventSource[Comparison]:
    """Compare the readers of every case, each with each."""

    def source(control: Control) -> Iterator[Comparison]:
        jobs.save(save_first)
        from napari_dycon.engine.agreement import agreement

        found = []
        names = {case.id: case.name for case in study.cases}
        for compared in agreement(study):
            if control.stopped:
                return
            found += [(names[row.case], row) for row in compared]
        scores = [row.dice for _, row in found]
        rows = tuple(
            (
                name,
                row.structure,
                f"{row.first} / {row.second}",
                f"{row.dice:.3f}",
                f"{row.kappa:.3f}",
                "–" if row.hd95_mm is None else f"{row.hd95_mm:.1f}",
                f"{row.first_ml:.1f} / {row.second_ml:.1f}",
            )
            for name, row in found
        )
        middle = f"Median Dice {median(scores):.3f}, lowest {min(scores):.3f}." if scores else ""
        yield Comparison(f"{middle} Only what both know is compared.".strip(), rows)

    return source


@dataclass(frozen=True, slots=True, eq=False)
class ReadersCompared:
    """Where the readers of an open case differ.

    Attributes
    ----------
    case
        The case.
    readers
        Who drew it.
    found
        None where fewer than two did.
    drawing
        What is shown of it, see `draw_disagreement`.
    slices
        On how many voxels of each slice they differ, by display axis.
    """

    case: OpenCase
    readers: tuple[str, ...]
    found: Disagreement | None = None
    drawing: np.ndarray | None = None
    slices: tuple[NDArray[np.int64], ...] = ()


def readers_apart(
    study: Study, case: OpenCase, save_first: Callable[[], bool]
) -> EventSource[ReadersCompared]:
    """Find where the readers of an open case differ, once everything painted is on disk."""

    def source(control: Control) -> Iterator[ReadersCompared]:
        del control
        jobs.save(save_first)
        with Readings(study) as readings:
            drawn = readings.of(case.case_id)
        if len(drawn) < 2:
            yield ReadersCompared(case, (*drawn,))
            return
        found = disagreement_of(drawn)
        slices = _by_display_slice(found, case.display)
        yield ReadersCompared(case, found.readers, found, draw_disagreement(found), slices)

    return jobs.while_there(study, case.case_id, source)


def _by_display_slice(found: Disagreement, display: DisplayView) -> tuple[NDArray[np.int64], ...]:
    slices = []
    for axis, size in enumerate(display.shape):
        source_axis, _ = display.to_source(axis, 0)
        counts = found.by_slice(source_axis)
        slices.append(counts[[display.to_source(axis, index)[1] for index in range(size)]])
    return tuple(slices)
