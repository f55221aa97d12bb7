"""A training in a process of its own: whatever ends that, this one goes on and has a sentence about it.

Nothing here imports torch.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import (
    CheckpointSaved,
    Event,
    RunFinished,
    RunStarted,
    StepFinished,
    from_json,
)
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.crew import END_SECONDS, Crew, places
from napari_dycon.engine.runners.handover import handing_over
from napari_dycon.engine.viewpoint import View, view_word
from napari_dycon.errors import TrainingError
from napari_dycon.study.study import Study

CHILD = (sys.executable, "-m", "napari_dycon.engine.runners.child")
LOOK_SECONDS = 0.1
TAIL_BYTES = 4000
_KILLED = {signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)}


class ChildFault(Exception):
    """What the other process wrote about its end; for the logbook."""


def train_apart(study: Study, request: Request, control: Control) -> Iterator[Event]:
    """Prepare and train in a process of its own.

    Yields
    ------
    Event
        As :func:`napari_dycon.engine.runners.here.train_here` does.

    Raises
    ------
    TrainingError
        Also when the process was killed or has crashed; after a RunFinished, where the run had started. The
        run can then go on from its last checkpoint.
    """
    task = {"study": str(study.path), "request": request.model_dump(mode="json")}
    yield from handing_over(study, _Child(task, control).events())


def train_together(
    study: Study, request: Request, control: Control, devices: int, machines: int = 1
) -> Iterator[Event]:
    """Prepare and train in so many processes on each of some machines, with a device each; this is the first.

    Yields
    ------
    Event
        As :func:`train_apart` does.

    Raises
    ------
    TrainingError
        When one of them fails, is killed or crashes; the others have ended then. The run can then go on from
        its last checkpoint, with as many or other devices.
    """
    environments = places(devices, machines)
    yield from handing_over(study, _Child(_task(study.path, request), control, environments).events())


def help_together(study: Path, request: Request, devices: int, machines: int) -> None:
    """Train in so many processes with those of the first machine, which is another one, until that is done.

    Raises
    ------
    TrainingError
        When one of them fails, is killed or crashes.
    """
    with tempfile.TemporaryFile() as errors:
        start = partial(_start_process, errors)
        with Crew(places(devices, machines), _task(study, request), start) as crew:
            crew.wait()
            fault = crew.fault()
        if fault is not None:
            raise TrainingError(_crew_fault(*fault)) from ChildFault(_tail(errors))


def _task(study: Path, request: Request) -> dict[str, Any]:
    return {"study": str(study), "request": request.model_dump(mode="json"), "gives_way": False}


def train_bundle_apart(run: Path, control: Control) -> Iterator[Event]:
    """Train what was prepared in the folder of a run; events and errors as of :func:`train_apart`."""
    yield from _Child({"run": str(run)}, control).events()


class _Child:
    """One process and what is known of it."""

    def __init__(
        self, task: dict[str, Any], control: Control, environments: Sequence[dict[str, str]] = ({},)
    ) -> None:
        self._task = task
        self._environments = environments
        self._control = control
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._told: str = "resume"
        self._viewed: View | None = None
        self._goes_on = bool(task.get("request", {}).get("resume"))
        self._run, self._saved = "", 0
        self._last: StepFinished | None = None
        self._ended = False
        self._failure: tuple[str, str] | None = None
        self._lost = False

    def events(self) -> Generator[Event, None, None]:
        with tempfile.TemporaryFile() as errors, self._start_all(errors):
            reader = threading.Thread(target=self._listen, name="dycon-child")
            reader.start()
            try:
                self._say(json.dumps(self._task))
                yield from self._heard()
                code = self._process.wait()
                yield from self._outcome(code, errors)
            finally:
                self._end()
                reader.join()

    @contextmanager
    def _start_all(self, errors: IO[bytes]) -> Iterator[None]:
        first, *others = self._environments
        start = partial(_start_process, errors)
        with Crew(others, self._task, start) as self._crew, start(first) as self._process:
            yield

    def _heard(self) -> Iterator[Event]:
        while True:
            self._pass_on()
            if self._crew.broken:
                self._process.kill()
            try:
                line = self._lines.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if line is None:
                return
            event = self._understood(line)
            if event is not None:
                yield event

    def _pass_on(self) -> None:
        """Tell what the control says, when it has changed."""
        control = self._control
        word = "stop" if control.stopped else "pause" if control.paused else "resume"
        if word != self._told:
            self._told = word
            self._say(word)
        if control.view != self._viewed:
            self._viewed = control.view
            self._say(view_word(self._viewed))

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it is gone, which is told elsewhere
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _understood(self, line: str) -> Event | None:
        try:
            event = from_json(line)
        except (ValueError, TypeError, AttributeError):
            self._take_message(line)
            return None
        self._remember(event)
        return event

    def _take_message(self, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:  # cut short by the end of the process
            return
        if "error" in message:
            self._failure = (str(message["error"]), str(message.get("details", "")))
            self._lost = bool(message.get("lost"))
        elif "resting" in message:
            self._control.wait_while_paused()

    def _remember(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._run = event.run
            case StepFinished():
                if self._last is None:
                    self._saved = max(self._saved, event.iteration - 1)
                self._last = event
            case CheckpointSaved():
                self._saved = event.iteration
            case RunFinished():
                self._ended = True

    def _outcome(self, code: int, errors: IO[bytes]) -> Iterator[Event]:
        """Nothing where the work was done; otherwise why it was not."""
        fault = self._crew.fault()
        if self._failure is not None and (fault is None or not self._lost):
            sentence, details = self._failure
            raise TrainingError(sentence) from ChildFault(details)
        if self._ended and self._failure is None:
            return
        ended = f"The training process {_end_in_words(code)}." if fault is None else _crew_fault(*fault)
        sentence = f"{ended} {self._what_is_left()}"
        if self._run and not self._ended:
            step, seconds = (self._last.iteration, self._last.seconds) if self._last else (0, 0.0)
            yield RunFinished(self._run, step, "failed", seconds, None, None, sentence)
        raise TrainingError(sentence) from ChildFault(_tail(errors))

    def _what_is_left(self) -> str:
        labels = "Your labels are untouched"
        if not self._run:
            return f"{labels}; train again."
        if not self._saved and not self._goes_on:
            return f"{labels}; nothing of run {self._run} was saved yet, train again."
        step = f" at step {self._saved}" if self._saved else ""
        return f"{labels}, and run {self._run} can go on from its last checkpoint{step}."

    def _end(self) -> None:
        """See that the process ends, in good order if it can."""
        if self._process.poll() is None:
            self._say("stop")
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
        if self._process.poll() is None:
            self._process.kill()


def _start_process(errors: IO[bytes], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """The process, without a window, and out of reach of a Ctrl-C in the terminal that is for this one.

    Something is added to its environment.

    It stays in the session of this one: Linux shares the processor out between sessions first (autogroups of
    the scheduler), by niceness within each of them. In a session of its own it would get half of a core that
    the window needs, however nice it is.
    """
    flags = ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW")  # on Windows
    return subprocess.Popen(
        CHILD,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        encoding="utf-8",
        errors="replace",
        process_group=0,
        creationflags=sum(getattr(subprocess, flag, 0) for flag in flags),
        env={**os.environ, **environment},
    )


def _end_in_words(code: int) -> str:
    if -code in _KILLED:
        return "was killed, by the system because memory ran out or by somebody"
    if code < 0:
        with suppress(ValueError):
            return f"crashed ({signal.Signals(-code).name})"
    if code > 255:  # Windows' numbers for faults, for example 0xC0000005
        return f"crashed ({code:#x})"
    return f"ended without a result (exit {code})"


def _crew_fault(number: int, code: int, words: str) -> str:
    """What was wrong with one of several processes, in words."""
    return words or f"Process {number} of those that trained together {_end_in_words(code)}."


def _tail(errors: IO[bytes]) -> str:
    """The end of what the process wrote on standard error."""
    errors.seek(0, 2)
    errors.seek(max(0, errors.tell() - TAIL_BYTES))
    return errors.read().decode("utf-8", errors="replace")
