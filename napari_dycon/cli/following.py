"""Shows the events of a training or prediction as they come."""

import math
from collections.abc import Generator, Iterable
from typing import Protocol, TypeVar

from napari_dycon.cli.console import Bar, Screen, clock
from napari_dycon.engine.events import (
    CasePredicted,
    Event,
    LabelsJoined,
    Note,
    PredictionFinished,
    PredictionProgress,
    RunFinished,
    RunStarted,
    ScanLabelled,
    ScanPreparation,
    StepFinished,
    Transfer,
    Validated,
)
from napari_dycon.errors import TrainingError


class Looked(Protocol):
    """An event that tells how many of how many cases were looked at."""

    @property
    def case(self) -> str:
        """The last one."""

    @property
    def done(self) -> int:
        """How many."""

    @property
    def total(self) -> int:
        """Of how many."""


_Result = TypeVar("_Result")


def finish_showing(steps: Generator[Looked, None, _Result], bar: Bar) -> _Result:
    """Show how many cases are done, and return what comes out."""
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result
        bar.update(event.done / max(event.total, 1), f"{event.case}, {event.done} of {event.total}")


def follow_training(
    events: Iterable[Event], screen: Screen, left_out: dict[str, str] | None = None
) -> RunFinished:
    """Show a training until it ends; cases that it left out are added to `left_out` with the reason.

    Raises
    ------
    TrainingError
        When it failed.
    """
    end: RunFinished | None = None
    with screen.bar("Training") as bar:
        for event in events:
            show(event, screen, bar)
            if isinstance(event, RunStarted) and left_out is not None:
                left_out.update(event.left_out)
            if isinstance(event, RunFinished):
                end = event
    if end is None or end.reason == "failed":
        raise TrainingError(end.message if end else "The training ended without a result; try again.")
    return end


def follow_prediction(events: Iterable[Event], screen: Screen) -> PredictionFinished:
    """Show a prediction until it ends."""
    end: PredictionFinished | None = None
    with screen.bar("Predicting") as bar:
        for event in events:
            show(event, screen, bar)
            if isinstance(event, PredictionFinished):
                end = event
    if end is None:
        raise TrainingError("The prediction ended without a result; try again.")
    return end


def show(event: object, screen: Screen, bar: Bar) -> None:
    """Show one event: steps and windows move the bar, the rest are lines."""
    match event:
        case ScanPreparation():
            bar.update(event.done / max(event.total, 1), f"preparing scan {event.done} of {event.total}")
        case Transfer():
            bar.update(event.done / max(event.total, 1), event.text)
        case RunStarted():
            screen.line(f"Run {event.run}: {event.method} on {event.device}")
            for note in event.notes:
                screen.line(f"  {note}")
        case LabelsJoined():
            screen.line(f"Iteration {event.iteration}: {event.text}")
        case StepFinished():
            bar.update(event.progress if _has_end(event) else None, _step_text(event))
        case Validated():
            screen.line(f"Iteration {event.iteration}: Dice {event.mean_dice:.3f} on {event.where}")
        case ScanLabelled() if event.done == 0:
            screen.line(f"The model labels {event.total} scans by itself.")
        case Note():
            screen.line(f"{event.level.capitalize()}: {event.text}")
        case PredictionProgress():
            bar.update(event.fraction, f"{event.case}, {event.done} of {event.total} done")
        case CasePredicted():
            screen.line(f"{event.case}: {_volumes_text(event)}")
        case _:
            pass


def _step_text(event: StepFinished) -> str:
    loss = sum(event.losses.values())
    speed = f"{event.iterations_per_second:.1f} iterations/s"
    time = f"{clock(event.seconds_left)} left" if _has_end(event) else f"{clock(event.seconds)} so far"
    return f"iteration {event.iteration}, loss {loss:.3f}, {speed}, {time}"


def _has_end(event: StepFinished) -> bool:
    return math.isfinite(event.seconds_left)


def _volumes_text(event: CasePredicted) -> str:
    if event.empty:
        return "nothing found"
    volumes = ", ".join(f"{name} {_volume_text(event, name)}" for name in event.volumes_ml)
    return f"{volumes}, mean entropy {event.mean_entropy:.2f}"


def _volume_text(event: CasePredicted, name: str) -> str:
    volume, dice = f"{event.volumes_ml[name]:.2f} ml", event.expected_dice.get(name)
    return volume if dice is None else f"{volume} (expected Dice {dice:.2f})"
