"""A training through a folder that both machines see: one puts it there, the other works on what it finds."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_dycon.engine.control import Control
from napari_dycon.engine.runners.elsewhere.depot import FEED, Depot, Greeting, News, is_token, start_labour
from napari_dycon.engine.runners.elsewhere.wire import LineDropError
from napari_dycon.errors import TrainingError
from napari_dycon.io.atomic import write_text_atomic
from napari_dycon.io.json_files import write_model

WORKER, WANTED, TAKEN, OVER = "worker.json", "wanted.json", "taken.json", "over"
LOOK_SECONDS = 0.5
BEAT_SECONDS = 5.0
QUIET_SECONDS = 60.0


class Worker(BaseModel):
    """``worker.json``: who works in the folder; written anew every few seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    greeting: Greeting
    machine: dict[str, Any]
    beat: int = 0


class Wanted(BaseModel):
    """``wanted.json``: a training that waits for somebody to do it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    patience: float | None


class SharedDepot(Depot):
    """Does what is asked in a folder in which another machine works; implements `Far`."""

    private: ClassVar[bool] = False

    def greet(self) -> Greeting:
        """Who works there.

        Raises
        ------
        LineDropError
            When the folder is not there, or nobody works in it.
        """
        return self._worker().greeting

    def machine(self, device: str) -> dict[str, Any]:
        """What a plan must fit into; the device is that with which the other side works."""
        del device
        return self._worker().machine

    def findings(self) -> list[dict[str, str]]:
        """Nothing: dycon doctor tells it there."""
        return []

    def begin(self, token: str, run: str, patience: float | None) -> None:
        """Ask for the trainer, unless that was done."""
        home = self._home(token)
        if not any((home / name).exists() for name in (WANTED, TAKEN, FEED)):
            write_model(home / WANTED, Wanted(run=run, patience=patience))

    def news(self, token: str, offset: int) -> News:
        """What the trainer has said; whether it lives, who works there must say."""
        over = (self._home(token) / OVER).exists()  # before the feed is read
        return super().news(token, offset).model_copy(update={"alive": not over})

    def _worker(self) -> Worker:
        path = self.folder / WORKER
        try:
            found = Worker.model_validate_json(path.read_bytes())
            quiet = time.time() - path.stat().st_mtime
        except (OSError, ValidationError):
            raise LineDropError(_nobody(self.folder)) from None
        if quiet > QUIET_SECONDS:
            raise LineDropError(_nobody(self.folder))
        return found


def work(folder: Path, device: str, control: Control) -> Iterator[str]:
    """Wait in a shared folder for trainings, and do them one after the other, until stopped.

    Yields
    ------
    str
        A line for each that begins and ends.

    Raises
    ------
    TrainingError
        When the device is not there, or the folder cannot be used.
    """
    if not folder.is_dir():
        raise TrainingError(f"There is no folder {folder} to work in.")
    depot = SharedDepot(str(folder))
    worker = Worker(greeting=Depot.greet(depot), machine=Depot.machine(depot, device))
    beat = _Beat(folder / WORKER, worker)
    try:
        while not control.stopped:
            beat.tell()
            for home in sorted(depot.homes()):
                wanted = _take(home)
                if wanted is not None:
                    yield f"Training {wanted.run} began."
                    _train(depot, home, wanted, control, beat)
                    yield f"Training {wanted.run} ended."
            time.sleep(LOOK_SECONDS)
    finally:
        with suppress(OSError):
            (folder / WORKER).unlink()


class _Beat:
    """Says every few seconds that somebody is there."""

    def __init__(self, path: Path, worker: Worker) -> None:
        self._path, self._worker = path, worker
        self._last = 0.0

    def tell(self) -> None:
        if time.monotonic() - self._last >= BEAT_SECONDS or not self._last:
            self._last = time.monotonic()
            self._worker = self._worker.model_copy(update={"beat": self._worker.beat + 1})
            write_text_atomic(self._path, self._worker.model_dump_json())


def _take(home: Path) -> Wanted | None:
    """Take a training that waits, unless somebody else is faster."""
    if not is_token(home.name):
        return None
    try:
        os.rename(home / WANTED, home / TAKEN)
        return Wanted.model_validate_json((home / TAKEN).read_bytes())
    except (OSError, ValidationError):
        return None


def _train(depot: SharedDepot, home: Path, wanted: Wanted, control: Control, beat: _Beat) -> None:
    try:
        process = start_labour(home, depot.run_path(home.name, wanted.run), wanted.patience)
        told = False
        while process.poll() is None:
            beat.tell()
            if control.stopped and not told:
                told = True
                depot.tell(home.name, ["stop"])
            time.sleep(LOOK_SECONDS)
    finally:
        with suppress(OSError):
            (home / OVER).write_text(json.dumps(True), encoding="ascii")


def _nobody(folder: Path) -> str:
    return f"Nobody works in {folder}: run dycon work on that folder, on the machine that shall train."
