"""The job that compares what the readers of a study drew."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from napari_dycon.engine.control import Control
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.study import Study


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
