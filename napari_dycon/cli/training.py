"""``dycon train`` and ``predict``."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_dycon.cli.console import (
    INTERRUPTED,
    Screen,
    clock,
    count,
    list_problems,
    opened_study,
    stop_on_interrupt,
    study_to_train_on,
    thread_limit,
    write_json,
)
from napari_dycon.cli.following import follow_prediction, follow_training
from napari_dycon.cli.options import (
    Cases,
    Device,
    Iterations,
    JsonFile,
    Method,
    Minutes,
    Overrides,
    Run,
    Seed,
    StudyFolder,
    parse_overrides,
)
from napari_dycon.cli.studying import choose_cases, choose_run
from napari_dycon.engine.comparison import CONTROL_METHOD, Comparison, compare
from napari_dycon.errors import DyconError

if TYPE_CHECKING:
    from napari_dycon.engine.control import Control
    from napari_dycon.engine.events import Event, RunFinished
    from napari_dycon.study.study import Study

DEFAULT_MINUTES = 10.0
DEFAULT_METHOD = "dycon"


def train(
    study: StudyFolder,
    method: Method = None,
    minutes: Minutes = None,
    iterations: Iterations = None,
    until_stopped: Annotated[
        bool,
        typer.Option("--until-stopped", help="Train until Ctrl-C; what is labelled meanwhile joins in."),
    ] = False,
    device: Device = "auto",
    on: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Train on a machine of dycon machine.", show_default=False),
    ] = None,
    seed: Seed = None,
    control: Annotated[
        bool,
        typer.Option("--control", help="Train a supervised twin too; the better of the two is used."),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last unfinished run.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not start from the last model.")] = False,
    override: Overrides = None,
    json_file: JsonFile = None,
) -> None:
    """Train a model on what is labelled and, unless supervised, on what is not.

    It takes 10 minutes if not told otherwise. Ctrl-C saves and stops; --resume goes on from there, with the
    method, seed and settings that the run began with. The study may be open in napari meanwhile: labelling
    goes on there, and the window takes the finished run up. With --until-stopped labels that are saved there
    are learned from within seconds. With --on the training runs on another machine, and goes on there if the
    line drops or this command is killed; --resume --on NAME follows it again.
    """
    from napari_dycon.engine.control import Control
    from napari_dycon.engine.plan import Plan

    _check_wishes(method, minutes, iterations, until_stopped, control, resume, fresh)
    if minutes is None and iterations is None and not (resume or until_stopped):
        minutes = DEFAULT_MINUTES
    screen, brake = Screen(), Control()
    overrides, left_out = parse_overrides(override, Plan.model_fields), dict[str, str]()
    with study_to_train_on(study) as opened, stop_on_interrupt(brake, screen):

        def run(name: str | None, **more: Any) -> "RunFinished":
            options = {"minutes": minutes, "iterations": iterations, "seed": seed, "device": device, **more}
            options["open_ended"] = until_stopped
            end = follow_training(_events(opened, name, options, brake, on), screen, left_out)
            screen.line(_ending(end, study))
            return end

        def twin() -> "RunFinished":
            plan = {name: value for name, value in overrides.items() if name != "method_settings"}
            return run(CONTROL_METHOD, overrides=plan, warm_start=False)

        end = run(method, overrides=overrides, resume=resume, warm_start=not (fresh or control))
        comparison = _use_the_better(opened, method or DEFAULT_METHOD, end, twin, screen) if control else None
    twins = None if comparison is None else comparison.to_dict()
    write_json(json_file, {"run": asdict(end), "control": twins, "problems": list_problems(left_out)})
    if brake.stopped:
        raise typer.Exit(INTERRUPTED)


def _events(
    study: "Study", method: str | None, options: dict[str, Any], brake: "Control", on: str | None
) -> "Iterator[Event]":
    """Train here, or on a named machine, whose own settings say which device and how many threads."""
    if on is None:
        from napari_dycon.engine.runners.here import Trainer

        return Trainer(study, method, **options, control=brake, threads=thread_limit()).run()
    from napari_dycon.engine.request import Request
    from napari_dycon.engine.runners.elsewhere.follow import train_elsewhere
    from napari_dycon.engine.runners.elsewhere.machines import find_machine

    return train_elsewhere(study, Request(method=method, **options), brake, find_machine(on))


def _check_wishes(
    method: str | None,
    minutes: float | None,
    iterations: int | None,
    until_stopped: bool,
    control: bool,
    resume: bool,
    fresh: bool,
) -> None:
    if (minutes is not None) + (iterations is not None) + until_stopped > 1:
        raise DyconError(
            "Give the training budget either as --minutes or as --iterations, or train --until-stopped."
        )
    if resume and fresh:
        raise DyconError("--resume goes on with a run and --fresh starts anew; give one of them.")
    if control and until_stopped:
        raise DyconError("--control needs a training that has an end; leave out --until-stopped.")
    if control and (resume or method == CONTROL_METHOD):
        raise DyconError(
            "--control compares a new run with its supervised twin; leave out --resume and choose a method "
            "that learns from unlabelled scans."
        )


def _use_the_better(
    study: "Study", method: str, end: "RunFinished", train_twin: "Callable[[], RunFinished]", screen: Screen
) -> Comparison | None:
    """Train the supervised twin as long as the run, and make the better of the two the active one."""
    from napari_dycon.engine.runners.handover import make_active

    if end.reason != "budget":
        return None
    screen.line("Now the supervised control, as long as before.")
    twin = train_twin()
    if twin.reason != "budget":
        make_active(study, end.run)
        return None
    comparison = compare(study, method, end, twin)
    make_active(study, comparison.better)
    screen.line(comparison.text)
    return comparison


def _ending(end: "RunFinished", study: Path) -> str:
    dice = "" if end.final_dice is None else f", Dice {end.final_dice:.3f} on held-out labels"
    text = f"Run {end.run}: {end.iteration} iterations in {clock(end.seconds)}{dice}."
    if end.reason == "stopped" and end.iteration == 0:
        return f"Run {end.run} was stopped before its first step."
    if end.reason == "stopped":
        return f"{text} Saved; go on with: dycon train {study} --resume"
    return text


def predict(
    study: StudyFolder,
    case: Cases = None,
    run: Run = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write the probability of every structure too.")
    ] = False,
    device: Device = "auto",
    json_file: JsonFile = None,
) -> None:
    """Segment scans with a trained model and show where it is unsure (entropy from 0 to 1).

    Masks of a model that is not ready yet are written too, but it says so, the result has "ready": false, and
    napari does not show them.
    """
    from napari_dycon.engine.control import Control
    from napari_dycon.engine.inference import predict as predict_cases
    from napari_dycon.guidance.candidates import note_candidates

    screen, brake = Screen(), Control()
    with opened_study(study, read_only=False) as opened, stop_on_interrupt(brake, screen):
        run = choose_run(opened, run)
        cases = choose_cases(opened, case)
        events = predict_cases(
            opened,
            run,
            cases,
            device=device,
            control=brake,
            probabilities=probabilities,
            threads=thread_limit(),
        )
        end = follow_prediction(note_candidates(opened, run, events), screen)
        summary = opened.predictions.summary(run)
    rows = {name: summary[name] for name in end.cases}
    ready = all(row["ready"] for row in rows.values())
    problems = list_problems(end.left_out)
    write_json(
        json_file, {"run": run, "ready": ready, "cases": rows, "stopped": end.stopped, "problems": problems}
    )
    missing = f", {len(problems)} left out" if problems else ""
    screen.line(f"Predicted {count(len(end.cases), 'case')} with run {run}{missing}.")
    if end.stopped:
        raise typer.Exit(INTERRUPTED)
    if problems and not end.cases:
        raise DyconError("No case was predicted; the reasons are above.")
