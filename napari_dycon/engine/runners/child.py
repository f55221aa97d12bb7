"""The process that trains for another one: ``python -m napari_dycon.engine.runners.child``.

A line of JSON on standard input says what is to be done, the lines after it are the words ``pause``,
``resume`` and ``stop``; the end of the input means that whoever asked is gone, and is a stop. Events are
lines of JSON on standard output.
"""

import faulthandler
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil
from pydantic import BaseModel, ConfigDict

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Event
from napari_dycon.engine.request import Request
from napari_dycon.engine.viewpoint import VIEW, heard_view
from napari_dycon.errors import DyconError

NICENESS = 10
FIRST_TO_GO = 500
"""Where memory runs out, Linux ends this process before others; from -1000 to 1000."""


class Task(BaseModel):
    """What is to be done: prepare and train for a request, or train what a run was prepared with.

    A process that gives way leaves the machine to others, such as the window.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: Path | None = None
    request: Request | None = None
    run: Path | None = None
    gives_way: bool = True

    def events(self, control: Control) -> Iterator[Event]:
        """Do it."""
        if self.run is not None:
            from napari_dycon.engine.bundle import Bundle
            from napari_dycon.engine.trainer import train

            yield from train(Bundle(self.run), control)
        elif self.study is not None and self.request is not None:
            from napari_dycon.engine.runners.here import prepare_and_train, serve
            from napari_dycon.engine.team import Several, join_team
            from napari_dycon.study.study import Study

            with join_team(self.request.device) as team:
                if isinstance(team, Several) and not team.leads:
                    serve(self.study, team)
                    return
                with Study.open(self.study, read_only=True) as study:
                    yield from prepare_and_train(study, self.request, control, team)


class RemoteControl(Control):
    """A control whose verbs come from the other process, which is told when the work has come to rest."""

    def __init__(self, voice: "Voice") -> None:
        super().__init__()
        self._voice = voice

    def obey(self, words: Iterable[str]) -> None:
        """Do as told until nobody says anything any more."""
        verbs = {"pause": self.pause, "resume": self.resume, "stop": self.stop}
        for word in words:
            if word.startswith(VIEW):
                self.watch(heard_view(word))
            else:
                verbs.get(word.strip(), self.stop)()
        self.stop()

    def wait_while_paused(self) -> None:
        """Say that the work rests, and wait."""
        if self.paused:
            self._voice.say({"resting": True})
        super().wait_while_paused()


class Voice:
    """Lines to the other process; once that is gone nothing is said any more, and the work is stopped."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self.heard = True

    def say(self, message: dict[str, Any]) -> None:
        """Send a message that is no event."""
        self.line(json.dumps(message))

    def line(self, text: str) -> None:
        """Send a line."""
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except OSError:
            self.heard = False


def main() -> int:
    """Do what standard input says; return 0 where that was done, else 1."""
    voice = Voice(_own_output())
    faulthandler.enable()
    control = RemoteControl(voice)
    task = Task.model_validate_json(sys.stdin.readline())
    if task.gives_way:
        give_way()
    signal.signal(signal.SIGTERM, lambda number, frame: control.stop())
    threading.Thread(target=control.obey, args=(sys.stdin,)).start()
    try:
        for event in task.events(control):
            voice.line(event.to_json())
            if not voice.heard:
                control.stop()
    except BaseException as error:  # noqa: BLE001 - the last line of defence: whoever asked waits for words
        lost = type(error).__name__ == "TeamLostError"
        voice.say({"error": failure_words(error), "details": traceback.format_exc(), "lost": lost})
        return 1
    return 0


def failure_words(error: BaseException) -> str:
    """Say what ended a training, for the person who waits for it."""
    if isinstance(error, DyconError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "Memory ran out: close other programs, or choose the CPU as the device, then train again."
    if isinstance(error, SystemExit):
        return f"The training ended itself unexpectedly (exit {error.code})."
    return f"The training failed: {type(error).__name__}: {error}"


def _own_output() -> IO[str]:
    """Standard output for the events alone; what libraries print goes to standard error."""
    own = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return own


def give_way() -> None:
    """Leave processor and memory to the interface first; threads that are started later do so, too."""
    process = psutil.Process()
    with suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            process.nice(max(NICENESS, process.nice()))
    if sys.platform.startswith("linux"):
        with suppress(OSError):
            # A core with nothing but this on it counts as free when the window wakes.
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO), encoding="ascii")


def exit_at_once(code: int) -> None:
    """End without waiting for the thread that listens, which may hold a lock of the input."""
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    exit_at_once(main())
