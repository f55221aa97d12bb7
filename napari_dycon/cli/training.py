"""``dycon train`` and ``predict``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_dycon.cli.comparing import parse_overrides
from napari_dycon.cli.console import (
    INTERRUPTED,
    JsonFile,
    Screen,
    StudyFolder,
    clock,
    count,
    stop_on_interrupt,
    write_json,
)
from napari_dycon.cli.following import follow_prediction, follow_training
from napari_dycon.cli.studying import choose_cases, choose_run
from napari_dycon.errors import DyconError

DEFAULT_MINUTES = 10.0

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


def train(
    study: StudyFolder,
    method: Annotated[
        str, typer.Option(help="Learning method: supervised, mean_teacher or dycon.")
    ] = "dycon",
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="How long to train; 10 minutes by default.", show_default=False),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(min=1, help="How many steps to train, instead of minutes.", show_default=False),
    ] = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="Start of all random numbers.")] = 0,
    control: Annotated[
        bool,
        typer.Option("--control", help="Train a supervised twin too; the better of the two is used."),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last unfinished run.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not start from the model of the last run.")
    ] = False,
    override: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Change a setting of plan or method; may be repeated."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Train a model on what is labelled and, unless supervised, on what is not.

    Ctrl-C saves and stops; --resume goes on from there.
    """
    from napari_dycon.engine.control import Control
    from napari_dycon.engine.plan import Plan
    from napari_dycon.engine.trainer import Trainer
    from napari_dycon.guidance.comparison import CONTROL_METHOD, compare
    from napari_dycon.study.study import Study

    if minutes is not None and iterations is not None:
        raise DyconError("Give the training budget either as --minutes or as --iterations.")
    if control and (resume or method == CONTROL_METHOD):
        raise DyconError(
            "--control compares a new run with its supervised twin; leave out --resume and choose a method "
            "that learns from unlabelled scans."
        )
    if minutes is None and iterations is None and not resume:
        minutes = DEFAULT_MINUTES
    screen, brake = Screen(), Control()
    settings: dict[str, Any] = {
        "minutes": minutes,
        "iterations": iterations,
        "seed": seed,
        "device": device,
        "control": brake,
    }
    with Study.open(study, read_only=False) as opened, stop_on_interrupt(brake, screen):
        trainer = Trainer(
            opened,
            method,
            **settings,
            overrides=parse_overrides(override or [], Plan.model_fields),
            resume=resume,
            warm_start=not (fresh or control),
        )
        end = follow_training(trainer.run(), screen)
        result: dict[str, Any] = {"run": asdict(end), "control": None}
        screen.line(_ending(end, study))
        if control and end.reason == "budget":
            screen.line("Now the supervised control, as long as before.")
            twin = follow_training(
                Trainer(opened, CONTROL_METHOD, **settings, warm_start=False).run(), screen
            )
            screen.line(_ending(twin, study))
            comparison = compare(method, end, twin)
            opened.set_active_run(comparison.better)
            result["control"] = asdict(comparison) | {"better": comparison.better, "text": comparison.text}
            screen.line(comparison.text)
    write_json(json_file, result)
    if brake.stopped:
        raise typer.Exit(INTERRUPTED)


def _ending(end: Any, study: Path) -> str:
    dice = "" if end.final_dice is None else f", Dice {end.final_dice:.3f} on held-out labels"
    text = f"Run {end.run}: {end.iteration} iterations in {clock(end.seconds)}{dice}."
    if end.reason == "stopped" and end.iteration == 0:
        return f"Run {end.run} was stopped before its first step."
    if end.reason == "stopped":
        return f"{text} Saved; go on with: dycon train {study} --resume"
    return text


def predict(
    study: StudyFolder,
    case: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this case; may be repeated.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="ID", help="Which model; the active run by default.")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write the probability of every structure too.")
    ] = False,
    device: Device = "auto",
    json_file: JsonFile = None,
) -> None:
    """Segment scans with a trained model and show where it is unsure (entropy from 0 to 1)."""
    from napari_dycon.engine.control import Control
    from napari_dycon.engine.inference import predict as predict_cases
    from napari_dycon.study.study import Study

    screen, brake = Screen(), Control()
    with Study.open(study, read_only=False) as opened, stop_on_interrupt(brake, screen):
        run = choose_run(opened, run)
        cases = choose_cases(opened, case)
        events = predict_cases(opened, run, cases, device=device, control=brake, probabilities=probabilities)
        end = follow_prediction(events, screen)
        summary = opened.prediction_summary(run)
    write_json(
        json_file, {"run": run, "cases": {name: summary[name] for name in end.cases}, "stopped": end.stopped}
    )
    screen.line(f"Predicted {count(len(end.cases), 'case')} with run {run}.")
    if end.stopped:
        raise typer.Exit(INTERRUPTED)
