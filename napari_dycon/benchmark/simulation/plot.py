"""A picture of a simulation: Dice against slices, and against the time of person and machine."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dycon.benchmark.rows import mean_of
from napari_dycon.benchmark.simulation.rows import Row
from napari_dycon.io.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES: tuple[tuple[str, Callable[[Row], float]], ...] = (
    ("labelled slices", lambda row: row.slices),
    ("minutes of labelling", lambda row: row.effort_seconds / 60),
    ("minutes of training", lambda row: row.seconds / 60),
)
COLORS = ("#d1495b", "#00798c", "#6c757d", "#edae49", "#66a182", "#2e4057", "#9d6b9e")


def draw(rows: Sequence[Row], out: Path) -> None:
    """Draw the mean over seeds of every strategy as a line, and its seeds as points; PNG.

    Raises
    ------
    VolumeError
        If it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(13, 4.2), layout=ConstrainedLayoutEngine())
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(AXES), sharey=True)
    names = list(dict.fromkeys(row.strategy for row in rows))
    for panel, (label, value) in zip(panels, AXES, strict=True):
        for number, name in enumerate(names):
            mine = [row for row in rows if row.strategy == name]
            _line(panel, mine, value, COLORS[number % len(COLORS)])
        panel.set_xlabel(label)
        panel.grid(alpha=0.25)
    panels[0].set_ylabel("mean Dice on test scans, %")
    panels[0].legend(frameon=False, fontsize=9)
    with atomic_path(out) as part:
        figure.savefig(part, dpi=130, format="png")


def _line(panel: "Axes", rows: Sequence[Row], value: Callable[[Row], float], color: str) -> None:
    scored = [row for row in rows if row.mean_dice is not None]
    rounds = [[row for row in scored if row.round == number] for number in {row.round for row in scored}]
    rounds.sort(key=lambda group: group[0].round)
    means = [
        (mean_of(map(value, group)), 100 * (mean_of(row.mean_dice for row in group) or 0)) for group in rounds
    ]
    panel.plot(*zip(*means, strict=True), color=color, marker="o", label=rows[0].strategy)
    points = [(value(row), 100 * (row.mean_dice or 0)) for row in scored]
    panel.plot(*zip(*points, strict=True), color=color, marker=".", linestyle="", alpha=0.5)
