"""Trainings as a part of something longer that is measured."""

from collections.abc import Callable, Generator

from napari_dycon.engine.events import Event, RunFinished
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.errors import TrainingError


def following(trainer: Trainer, note: Callable[[Event], None]) -> Generator[Event, None, RunFinished | None]:
    """Train, pass every event on, and return the end; None when it was stopped before.

    Parameters
    ----------
    note
        Is told every event before it is passed on.

    Raises
    ------
    TrainingError
        When the training failed.
    """
    end: RunFinished | None = None
    for event in trainer.run():
        note(event)
        if isinstance(event, RunFinished):
            end = event
        yield event
    if end is None or end.reason == "failed":
        raise TrainingError(end.message if end else "The training ended without a result.")
    return None if end.reason == "stopped" else end
