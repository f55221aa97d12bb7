"""A training in the process and the thread that ask for it."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_dycon.engine.bundle import Bundle
from napari_dycon.engine.control import Control, Stopped
from napari_dycon.engine.events import Event, RunFinished, RunStarted
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.beside import with_joining
from napari_dycon.engine.runners.handover import handing_over
from napari_dycon.engine.setup import prepare
from napari_dycon.engine.team import ALONE, Several, Team, TeamLostError
from napari_dycon.engine.trainer import follow, train
from napari_dycon.errors import TrainingError
from napari_dycon.study.study import Study


class Trainer:
    """Trains a method on a study; iterate :meth:`run`.

    Parameters
    ----------
    study
        Open to write or to read; who else has it open may go on labelling.
    method, minutes, iterations, open_ended, seed, device, overrides
        See :class:`napari_dycon.engine.request.Request`.
    run_id, resume, warm_start, begin_with, holdout, threads
        See :class:`napari_dycon.engine.request.Request`.
    control
        To pause and stop from another thread.
    team
        The processes that train together, of which this is the first.
    """

    def __init__(
        self,
        study: Study,
        method: str | None = None,
        *,
        minutes: float | None = None,
        iterations: int | None = None,
        open_ended: bool = False,
        seed: int | None = None,
        device: str = "auto",
        overrides: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        resume: bool = False,
        warm_start: bool = True,
        begin_with: str | None = None,
        control: Control | None = None,
        threads: int | None = None,
        holdout: bool = True,
        team: Team = ALONE,
    ) -> None:
        self._study = study
        self._team = team
        self._request = Request(
            method=method,
            minutes=minutes,
            iterations=iterations,
            open_ended=open_ended,
            seed=seed,
            device=device,
            overrides=dict(overrides or {}),
            run_id=run_id,
            resume=resume,
            warm_start=warm_start,
            begin_with=begin_with,
            holdout=holdout,
            threads=threads,
        )
        self._control = control or Control()
        self.run_id = run_id

    def run(self) -> Iterator[Event]:
        """Train; events and errors are those of :func:`train_here`."""
        for event in train_here(self._study, self._request, self._control, self._team):
            if isinstance(event, RunStarted):
                self.run_id = event.run
            yield event


def train_here(study: Study, request: Request, control: Control, team: Team = ALONE) -> Iterator[Event]:
    """Prepare and train.

    Yields
    ------
    Event
        ScanPreparation from the first moment, then RunStarted, and RunFinished last; no RunStarted when
        stopped while scans are being prepared. Closing the generator early saves a checkpoint.

    Raises
    ------
    TrainingError
        When training cannot start or go on; in the latter case after a RunFinished that says so.
    """
    yield from handing_over(study, prepare_and_train(study, request, control, team))


def prepare_and_train(
    study: Study, request: Request, control: Control, team: Team = ALONE
) -> Generator[Event, None, None]:
    """Do so, and leave it to others to make the run active; labels that are saved meanwhile may join."""
    if request.open_ended and team.size > 1:
        raise TrainingError(
            "A training that labels join is one of a single device; leave out --devices, or --until-stopped."
        )
    yield from with_joining(study, _prepare_and_train(study, request, control, team))


def serve(study: Path, team: Several) -> None:
    """Make the steps of every run that the first process of a team prepares, until that is gone.

    Raises
    ------
    TrainingError
        When a step cannot be made.
    """
    with suppress(TeamLostError):
        while True:
            follow(Bundle(study / "runs" / team.hear_text()), team)


def _prepare_and_train(
    study: Study, request: Request, control: Control, team: Team
) -> Generator[Event, None, None]:
    try:
        bundle = yield from prepare(study, request, control)
    except Stopped:
        text = "Training was stopped before it began."
        yield RunFinished(request.run_id or "", 0, "stopped", 0.0, None, None, text)
        return
    team.tell_text(bundle.run.run)
    yield from train(bundle, control, team)
