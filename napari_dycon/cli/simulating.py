"""``dycon simulate``: what following suggestions brings."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dycon.cli.comparing import names_in, scratch_folder
from napari_dycon.cli.console import INTERRUPTED, Bar, Screen, clock, stop_on_interrupt
from napari_dycon.cli.following import show
from napari_dycon.cli.options import (
    Device,
    Images,
    JsonFile,
    Labels,
    Overrides,
    Seeds,
    TestImages,
    TestLabels,
    Work,
    parse_overrides,
    parse_seeds,
)
from napari_dycon.cli.spreading import Shares, TaskScheduler, Workers, require_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_dycon.benchmark.simulation import Row
    from napari_dycon.benchmark.simulation.events import SimulationEvent

Strategies = Annotated[str, typer.Option(help="Strategies to compare, with commas; a wrong name lists all.")]
Rounds = Annotated[int, typer.Option(min=1, help="Rounds of labelling and training after the start.")]
PerRound = Annotated[
    int, typer.Option(min=1, help="Slices that are labelled at the start and in each round.")
]
FirstIterations = Annotated[int, typer.Option(min=1, help="Steps of the first training.", show_default=False)]
MoreIterations = Annotated[
    int, typer.Option("--iterations", min=1, help="Steps of the training in each round.", show_default=False)
]
LearningMethod = Annotated[str, typer.Option(help="Learning method.")]
Tolerance = Annotated[float, typer.Option(min=0, help="The annotator leaves contours so close, in mm.")]
Bias = Annotated[
    float, typer.Option(help="The annotator draws so much too wide, or too narrow below 0, in mm.")
]
MissedEnds = Annotated[
    int, typer.Option(min=0, help="The annotator misses so many end slices of a structure.")
]
Plot = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Draw the curves as PNG; by default beside the JSON.", dir_okay=False),
]


def simulate(
    images: Images,
    labels: Labels,
    first_iterations: FirstIterations,
    iterations: MoreIterations,
    test_images: TestImages = None,
    test_labels: TestLabels = None,
    strategies: Strategies = "ours,clasp_pe,random_foreground",
    rounds: Rounds = 5,
    per_round: PerRound = 8,
    seeds: Seeds = "0",
    method: LearningMethod = "dycon",
    tolerance: Tolerance = 2.0,
    bias: Bias = 0.0,
    missed_ends: MissedEnds = 0,
    device: Device = "auto",
    override: Overrides = None,
    scheduler: TaskScheduler = None,
    work: Work = None,
    json_file: JsonFile = None,
    plot: Plot = None,
) -> None:
    """Follow the suggestions of several strategies with a simulated annotator, and compare what they bring.

    The annotator answers from the label maps: it corrects predictions where they are too far off and draws
    what is not there. The first slices and the first model of a seed are shared by all strategies. Rounds
    that are already in the --json file are kept, so that the same call goes on after an interruption.
    """
    from napari_dycon.benchmark.simulation import Protocol, Simulation
    from napari_dycon.benchmark.simulation.comparison import difference_table
    from napari_dycon.benchmark.simulation.plot import draw
    from napari_dycon.benchmark.simulation.rows import summary_table
    from napari_dycon.benchmark.simulation.shared import run_on
    from napari_dycon.engine.control import Control
    from napari_dycon.engine.plan import Plan
    from napari_dycon.guidance.annotator import Habits

    protocol = Protocol(
        images=images,
        labels=labels,
        test_images=test_images,
        test_labels=test_labels,
        strategies=names_in(strategies),
        rounds=rounds,
        per_round=per_round,
        first_iterations=first_iterations,
        iterations=iterations,
        seeds=parse_seeds(seeds),
        method=method,
        device=device,
        overrides=parse_overrides(override, Plan.model_fields),
        habits=Habits(tolerance_mm=tolerance, bias_mm=bias, missed_ends=missed_ends),
    )
    screen, control = Screen(), Control()
    require_folder(scheduler, work, json_file)
    scratch = work or scratch_folder(json_file)
    with (
        stop_on_interrupt(control, screen),
        screen.bar("Simulating") as bar,
        Workers.of(scheduler, device, control) as workers,
    ):
        simulation = Simulation(protocol, scratch, json_file, control=control, **workers.about)
        steps = simulation.run() if workers.client is None else run_on(workers.client, simulation)
        rows = _follow(steps, len(simulation.wanted), screen, bar)
    unfinished = len(rows) < simulation.total
    if rows:
        screen.table(summary_table(rows))
    if not unfinished and (compared := simulation.compare(rows)):
        screen.table(difference_table(compared))
    picture = plot or (json_file.with_suffix(".png") if json_file else None)
    if rows and picture is not None:
        draw(rows, picture)
    if work is None and not (unfinished and json_file):
        shutil.rmtree(scratch, ignore_errors=True)
    if unfinished:
        screen.line("Stopped; the same call goes on from here." if work or json_file else "Stopped.")
        raise typer.Exit(INTERRUPTED)


def _follow(steps: "Iterable[SimulationEvent]", lanes: int, screen: Screen, bar: Bar) -> "list[Row]":
    from napari_dycon.benchmark.events import ScanTested, WorkerTold
    from napari_dycon.benchmark.simulation import LaneStarted, RoundAnswered, RoundFinished
    from napari_dycon.engine.events import CasePredicted
    from napari_dycon.guidance.suggestions import CaseLooked

    rows: list[Row] = []
    shares = Shares(lanes)
    for event in steps:
        match event:
            case WorkerTold():
                bar.update(shares.update(event.task, event.share), f"{event.task}: {event.words}")
            case LaneStarted():
                again = ", going on" if event.resumed else ""
                screen.line(f"[{event.number}/{event.total}] {event.strategy}, seed {event.seed}{again}")
            case ScanTested():
                bar.update(event.done / event.total, f"tested {event.case}")
            case CaseLooked():
                bar.update(event.done / max(event.total, 1), f"looked at {event.case}")
            case RoundAnswered():
                bar.update(
                    0.0, f"round {event.round}: {event.slices} slices in {clock(event.effort_seconds)}"
                )
            case RoundFinished():
                rows.append(event.row)
                screen.line(_row_text(event.row, event.kept))
            case CasePredicted():
                bar.update(event.done / event.total, f"predicted {event.case}")
            case _:
                show(event, screen, bar)
    return rows


def _row_text(row: "Row", kept: bool) -> str:
    dice = "no Dice" if row.mean_dice is None else f"Dice {100 * row.mean_dice:.2f} %"
    work = (
        f"{row.slices} slices, {row.contour_mm:.0f} mm of contour, {clock(row.effort_seconds)} of labelling"
    )
    name = f"{row.strategy}, seed {row.seed}, round {row.round}"
    return f"{name}: {dice}, {work}{' (kept)' if kept else ''}"
