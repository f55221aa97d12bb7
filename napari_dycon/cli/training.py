"""``dycon train`` and ``predict``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
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
    MODEL_MEANT,
    Alike,
    Cases,
    Device,
    Devices,
    Iterations,
    JsonFile,
    Method,
    Minutes,
    Nodes,
    Overrides,
    Run,
    Scheduler,
    Seed,
    StudyFolder,
    parse_alike,
    parse_overrides,
)
from napari_dycon.cli.studying import choose_cases, choose_run
from napari_dycon.engine.comparison import CONTROL_METHOD, Comparison, compare
from napari_dycon.errors import DyconError

if TYPE_CHECKING:
    from napari_dycon.engine.control import Control
    from napari_dycon.engine.events import Event, RunFinished
    from napari_dycon.engine.request import Request
    from napari_dycon.engine.team import Team
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
    devices: Devices = 1,
    nodes: Nodes = 1,
    seed: Seed = None,
    control: Annotated[
        bool,
        typer.Option("--control", help="Train a supervised twin too; the better of the two is used."),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last unfinished run.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do not start from the last model.")] = False,
    origin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help=f"Begin with another model: {MODEL_MEANT}.",
            show_default=False,
        ),
    ] = None,
    structure: Alike = None,
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
    from napari_dycon.engine.request import Request
    from napari_dycon.engine.team import join_team

    _check_wishes(method, minutes, iterations, until_stopped, control, resume, fresh)
    renamed = _check_origin(origin, structure, control or resume or fresh)
    if minutes is None and iterations is None and not (resume or until_stopped):
        minutes = DEFAULT_MINUTES
    screen, brake = Screen(), Control()
    overrides, left_out = parse_overrides(override, Plan.model_fields), dict[str, str]()
    with join_team(device) as team, stop_on_interrupt(brake, screen if team.leads else None):
        if _help(team, study, device, devices, nodes):
            return
        train_on = _runner(team, device, devices, nodes, on)
        with (
            study_to_train_on(study) as opened,
            _model_to_begin_with(opened, origin, renamed, screen) as begin_with,
        ):

            def run(name: str | None, **more: Any) -> "RunFinished":
                options = {
                    "minutes": minutes,
                    "iterations": iterations,
                    "seed": seed,
                    "device": device,
                    **more,
                }
                options |= {"open_ended": until_stopped, "threads": None if on else thread_limit()}
                events = train_on(opened, Request(method=name, **options), brake)
                end = follow_training(events, screen, left_out)
                screen.line(_ending(end, study))
                return end

            def twin() -> "RunFinished":
                plan = {name: value for name, value in overrides.items() if name != "method_settings"}
                return run(CONTROL_METHOD, overrides=plan, warm_start=False)

            warm = {"resume": resume, "warm_start": not (fresh or control), "begin_with": begin_with}
            end = run(method, overrides=overrides, **warm)
            better = _use_the_better(opened, method or DEFAULT_METHOD, end, twin, screen) if control else None
    twins = None if better is None else better.to_dict()
    write_json(json_file, {"run": asdict(end), "control": twins, "problems": list_problems(left_out)})
    if brake.stopped:
        raise typer.Exit(INTERRUPTED)


def _help(team: "Team", study: Path, device: str, devices: int, nodes: int) -> bool:
    """Make the steps that a process elsewhere says; False where the first one of all is here."""
    from napari_dycon.engine.request import Request
    from napari_dycon.engine.runners.apart import help_together
    from napari_dycon.engine.runners.crew import leads_here
    from napari_dycon.engine.runners.here import serve
    from napari_dycon.engine.team import Several

    if isinstance(team, Several) and not team.leads:
        serve(study, team)
        return True
    if team.size == 1 and not leads_here(nodes):
        help_together(study, Request(device=device, threads=thread_limit()), devices, nodes)
        return True
    return False


def _runner(
    team: "Team", device: str, devices: int, nodes: int, on: str | None
) -> "Callable[[Study, Request, Control], Iterator[Event]]":
    """What trains: this process, alone or as the first of a team, several of its own, or another machine.

    That machine's own settings say which device and how many threads.
    """
    from napari_dycon.engine.device import resolve_device
    from napari_dycon.engine.runners.apart import train_together
    from napari_dycon.engine.runners.here import train_here
    from napari_dycon.engine.team import check_devices

    if on is not None:
        return _runner_elsewhere(on, max(team.size, devices * nodes))
    if team.size > 1 and devices * nodes not in (1, team.size):
        raise DyconError(f"torchrun has started {team.size} processes; leave out --devices and --nodes.")
    if team.size > 1 or devices * nodes == 1:
        return partial(train_here, team=team)
    check_devices(resolve_device(device), devices)
    return partial(train_together, devices=devices, machines=nodes)


def _runner_elsewhere(on: str, devices: int) -> "Callable[[Study, Request, Control], Iterator[Event]]":
    from napari_dycon.engine.runners.elsewhere.follow import train_elsewhere
    from napari_dycon.engine.runners.elsewhere.machines import find_machine

    if devices > 1:
        raise DyconError("Another machine trains on one device; leave out either --on or --devices.")
    return partial(train_elsewhere, machine=find_machine(on))


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


def _check_origin(origin: str | None, structure: list[str] | None, otherwise: bool) -> dict[str, str]:
    if origin is not None and otherwise:
        raise DyconError("--from begins with another model; leave out --resume, --fresh and --control.")
    if structure and origin is None:
        raise DyconError("--structure tells what structures of another model are; it goes with --from.")
    return parse_alike(structure)


@contextmanager
def _model_to_begin_with(
    study: "Study", origin: str | None, renamed: dict[str, str], screen: Screen
) -> "Iterator[str | None]":
    """Id of a run that is made of a model of elsewhere; it goes again where no training comes of it."""
    if origin is None:
        yield None
        return
    from napari_dycon.engine.models.adoption import lend_model
    from napari_dycon.engine.models.library import open_model

    with lend_model(study, open_model(origin), renamed) as adopted:
        for note in adopted.notes:
            screen.line(note)
        yield adopted.run


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


@contextmanager
def _prediction(scheduler: str | None) -> "Iterator[Callable[..., Iterator[Event]]]":
    """What predicts: this process, or the workers of a cluster meanwhile."""
    if scheduler is None:
        from napari_dycon.engine.inference import predict as predict_here

        yield partial(predict_here, threads=thread_limit())
        return
    from napari_dycon.engine.cluster import join_cluster, predict_on, threads_of

    with join_cluster(scheduler) as client:
        yield partial(predict_on, client, threads=threads_of(scheduler, thread_limit()))


def predict(
    study: StudyFolder,
    case: Cases = None,
    run: Run = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write the probability of every structure too.")
    ] = False,
    device: Device = "auto",
    scheduler: Scheduler = None,
    json_file: JsonFile = None,
) -> None:
    """Segment scans with a trained model and show where it is unsure (entropy from 0 to 1).

    Masks of a model that is not ready yet are written too, but it says so, the result has "ready": false, and
    napari does not show them.
    """
    from napari_dycon.engine.control import Control
    from napari_dycon.guidance.candidates import note_candidates

    screen, brake = Screen(), Control()
    with (
        _prediction(scheduler) as predict_cases,
        opened_study(study, read_only=False) as opened,
        stop_on_interrupt(brake, screen),
    ):
        run = choose_run(opened, run)
        cases = choose_cases(opened, case)
        events = predict_cases(opened, run, cases, device=device, control=brake, probabilities=probabilities)
        if scheduler is None:
            events = note_candidates(opened, run, events)
        end = follow_prediction(events, screen)
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
