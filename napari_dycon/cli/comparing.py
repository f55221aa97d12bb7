"""``dycon evaluate`` and ``benchmark``: figures."""

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dycon.cli.console import (
    INTERRUPTED,
    Bar,
    Screen,
    clock,
    list_problems,
    opened_study,
    stop_on_interrupt,
    write_json,
)
from napari_dycon.cli.following import show
from napari_dycon.cli.options import (
    Device,
    Iterations,
    JsonFile,
    Labelled,
    LabelledScans,
    Methods,
    Minutes,
    Overrides,
    Reference,
    Run,
    Seeds,
    Slices,
    SomeImages,
    SomeLabels,
    StudyFolder,
    TestImages,
    TestLabels,
    Work,
    parse_overrides,
    parse_seeds,
)
from napari_dycon.cli.repeating import Data, OwnPlan, RecipeName, SplitName, Wish
from napari_dycon.cli.spreading import Shares, TaskScheduler, Workers, require_folder
from napari_dycon.cli.studying import choose_run
from napari_dycon.errors import DyconError

LABELLED = 4
SCORE_HEADER = ("case", "structure", "Dice", "Jaccard", "HD95 mm", "ASD mm", "volume", "")
SCORE_FORMATS = {"dice": ".3f", "jaccard": ".3f", "hd95_mm": ".1f", "asd_mm": ".2f"}
Variants = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Ablation: dycon in the variants of these tables (uncl, fecl, parts or all), or in single ones.",
    ),
]

if TYPE_CHECKING:
    from napari_dycon.benchmark import Protocol, Row
    from napari_dycon.benchmark.events import BenchmarkEvent
    from napari_dycon.study.study import Study


def evaluate(study: StudyFolder, reference: Reference, run: Run = None, json_file: JsonFile = None) -> None:
    """Compare predictions with reference masks: Dice, Jaccard, distances in mm, volume error, misses."""
    screen = Screen()
    with opened_study(study, read_only=True) as opened:
        result = score_predictions(opened, choose_run(opened, run), reference)
    write_json(json_file, result)
    if result["cases"]:
        screen.table(score_table(result["cases"]))
    for case in result["without_prediction"]:
        screen.line(f"{case} has a reference but no prediction; predict it first.")
    for problem in result["problems"]:
        screen.line(f"{problem['case']}: {problem['problem']}")
    if result["problems"] and not result["cases"]:
        raise DyconError("No case could be compared; the reasons are above.")


def score_predictions(study: "Study", run: str, reference: Path) -> dict[str, Any]:
    """Scores by case and structure, ready for JSON."""
    from napari_dycon.engine.evaluation import evaluate as compare_masks

    names = {structure.value: structure.name for structure in study.structures}
    found = compare_masks(study, run, reference)
    cases = [
        {"case": case.case, "structure": name, "whole": score.value == 0, **asdict(score)}
        for case in found.cases
        for name, score in (*((names[score.value], score) for score in case.scores), *case.wholes.items())
    ]
    problems = list_problems(found.left_out) + list_problems(
        {k: _values_in_words(v) for k, v in found.unnamed.items()}
    )
    absent = list(found.without_prediction)
    return {"run": run, "cases": cases, "without_prediction": absent, "problems": problems}


def _values_in_words(counts: Mapping[int, int]) -> str:
    values = ", ".join(f"{value} ({count} voxels)" for value, count in sorted(counts.items()))
    return f"the reference has values that no structure of the study has, which were not compared: {values}"


def score_table(scores: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """One line a case and structure below a header, and the means at the end."""
    lines: list[tuple[str, ...]] = [SCORE_HEADER]
    lines += [
        (
            score["case"],
            score["structure"],
            _number(score["dice"], ".3f"),
            _number(score["jaccard"], ".3f"),
            _number(score["hd95_mm"], ".1f"),
            _number(score["asd_mm"], ".2f"),
            _number(score["volume_error"], "+.0%"),
            "missed" if score["missed"] else "",
        )
        for score in scores
    ]
    scores = [score for score in scores if not score.get("whole")]
    means = (_number(_mean(scores, key), form) for key, form in SCORE_FORMATS.items())
    lines.append(("mean", "", *means, "", str(sum(score["missed"] for score in scores) or "")))
    return lines


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _mean(scores: list[dict[str, Any]], key: str) -> float | None:
    values = [score[key] for score in scores if score[key] is not None]
    return fmean(values) if values else None


def benchmark(
    images: SomeImages = None,
    labels: SomeLabels = None,
    test_images: TestImages = None,
    test_labels: TestLabels = None,
    recipe: RecipeName = None,
    data: Data = None,
    split: SplitName = None,
    own_plan: OwnPlan = False,
    labelled: Labelled = None,
    labelled_scans: LabelledScans = None,
    slices: Slices = None,
    methods: Methods = "supervised,dycon",
    variants: Variants = None,
    minutes: Minutes = None,
    iterations: Iterations = None,
    seeds: Seeds = "0",
    device: Device = "auto",
    override: Overrides = None,
    scheduler: TaskScheduler = None,
    work: Work = None,
    json_file: JsonFile = None,
) -> None:
    """Train methods side by side and test them on scans they never saw.

    Rows that are already in the --json file are kept, so that the same call goes on after an interruption.
    With --variants, dycon is trained in every variant asked for and other methods as they are. With --recipe,
    data, split, plan and length are those of a line of papers, whose figures are shown beside.
    """
    from napari_dycon.benchmark import Benchmark
    from napari_dycon.benchmark.rows import summary_table
    from napari_dycon.benchmark.shared import run_on
    from napari_dycon.engine.control import Control
    from napari_dycon.engine.plan import Plan

    asked: dict[str, Any] = {
        "labelled": labelled,
        "labelled_scans": names_in(labelled_scans or ""),
        "slices": slices,
        "methods": names_in(methods),
        "variants": names_in(variants or ""),
        "minutes": minutes,
        "iterations": iterations,
        "seeds": parse_seeds(seeds),
        "device": device,
        "overrides": parse_overrides(override, Plan.model_fields),
    }
    places = {"images": images, "labels": labels, "test_images": test_images, "test_labels": test_labels}
    named = any(place is not None for place in places.values())
    wish = None if recipe is None else Wish.of(recipe, data, split, own_plan, named)
    if wish is None and (data or split or own_plan):
        raise DyconError("--data, --split and --own-plan belong to --recipe NAME.")
    screen, control = Screen(), Control()
    require_folder(scheduler, work, json_file)
    scratch = work or scratch_folder(json_file)
    with stop_on_interrupt(control, screen), screen.bar("Training") as bar:
        protocol = (
            _protocol(places, asked)
            if wish is None
            else wish.protocol(asked, scratch, json_file, screen, bar, control)
        )
        with Workers.of(scheduler, protocol.device, control) as workers:
            bench = Benchmark(protocol, scratch, json_file, control=control, **workers.about)
            steps = bench.run() if workers.client is None else run_on(workers.client, bench)
            rows = _follow(steps, bench.total, screen, bar)
    unfinished = len(rows) < bench.total
    if rows:
        screen.table(summary_table(rows))
    if wish is not None:
        wish.show(protocol.labelled, screen)
    if work is None and not (unfinished and json_file):
        shutil.rmtree(scratch, ignore_errors=True)
    if unfinished:
        screen.line("Stopped; the same call goes on from here." if work or json_file else "Stopped.")
        raise typer.Exit(INTERRUPTED)


def _protocol(places: Mapping[str, Any], asked: Mapping[str, Any]) -> "Protocol":
    from napari_dycon.benchmark import Protocol

    if places["images"] is None or places["labels"] is None:
        raise DyconError("Say which scans to compare on: --images DIR --labels DIR, or --recipe NAME.")
    return Protocol(**places, **{**asked, "labelled": asked["labelled"] or LABELLED})


def names_in(text: str) -> tuple[str, ...]:
    """Turn ``a, b`` into names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def scratch_folder(json_file: Path | None) -> Path:
    """Where what is unfinished is kept: beside the result, if there is to be one."""
    if json_file is None:
        return Path(tempfile.mkdtemp(prefix="dycon-benchmark-"))
    return json_file.with_name(f"{json_file.stem}.work")


def _follow(steps: "Iterable[BenchmarkEvent]", total: int, screen: Screen, bar: Bar) -> "list[Row]":
    from napari_dycon.benchmark import RowFinished, RowStarted, ScanTested
    from napari_dycon.benchmark.events import WorkerTold

    rows: list[Row] = []
    shares = Shares(total)
    for event in steps:
        match event:
            case RowStarted():
                again = ", going on" if event.resumed else ""
                name = f"{event.method} {event.variant}".strip()
                screen.line(f"[{event.number}/{event.total}] {name}, seed {event.seed}{again}")
            case ScanTested():
                bar.update(event.done / event.total, f"tested {event.case}")
            case WorkerTold():
                bar.update(shares.update(event.task, event.share), f"{event.task}: {event.words}")
            case RowFinished():
                rows.append(event.row)
                shares.finish(f"{event.row.method} {event.row.variant}".strip() + f", seed {event.row.seed}")
                screen.line(_row_text(event.row, event.kept))
            case _:
                show(event, screen, bar)
    return rows


def _row_text(row: "Row", kept: bool) -> str:
    dice = "no Dice" if row.mean_dice is None else f"Dice {100 * row.mean_dice:.2f} %"
    distance = "" if row.mean_hd95_mm is None else f", HD95 {row.mean_hd95_mm:.1f} mm"
    effort = f"{row.iterations} iterations in {clock(row.seconds)}, {row.peak_memory_mb:.0f} MB"
    name = f"{row.method} {row.variant}".strip()
    return f"{name}, seed {row.seed}: {dice}{distance}, {effort}{' (kept)' if kept else ''}"
