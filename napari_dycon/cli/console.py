"""Talking to a terminal or a log file: lines, a progress bar, tables, JSON, and Ctrl-C."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import atomic_path, write_text_atomic

if TYPE_CHECKING:
    from napari_dycon.study.study import Study

INTERRUPTED = 130
SECONDS_BETWEEN_LINES = 5.0


def write_json(path: Path | None, result: Any) -> None:
    """Write a result in one step; nothing without a path."""
    if path is not None:
        write_text_atomic(path, json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def list_problems(left_out: Mapping[str, str]) -> list[dict[str, str]]:
    """Cases that were left out and why, as they stand in a JSON result under ``problems``."""
    return [{"case": case, "problem": reason} for case, reason in left_out.items()]


def require_writable_json(path: Path | None) -> None:
    """Refuse before the work is done, not after it, where the result could not be written.

    Raises
    ------
    VolumeError
        If the folder does not exist or cannot be written.
    """
    if path is None:
        return
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"{}")
            raise _OnlyTryingError
    except _OnlyTryingError:
        return


class _OnlyTryingError(Exception):
    """Ends the trial before anything is replaced."""


@contextmanager
def opened_study(path: Path, *, read_only: bool) -> "Iterator[Study]":
    """Open a study for a command, and say on stderr what was wrong with it."""
    from napari_dycon.study.study import Study

    with Study.open(path, read_only=read_only) as study:
        for note in (*study.oddities, *study.notebook.notes):
            print(f"Note: {note}", file=sys.stderr)
        yield study


@contextmanager
def study_to_train_on(path: Path) -> "Iterator[Study]":
    """Open a study to read, put in order before where nobody holds it; whoever wants to may change it."""
    try:
        with opened_study(path, read_only=False):
            pass
    except StudyError:  # it is held, or cannot be opened, which is told below
        pass
    with opened_study(path, read_only=True) as study:
        yield study


class Bar(Protocol):
    """Progress of one long task."""

    def update(self, fraction: float | None, text: str) -> None:
        """Show how much is done, from 0 to 1 or None for work without an end, and a few words."""


class Screen:
    """Where a command writes: a terminal gets bars and tables, anything else plain lines."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)

    def line(self, text: str) -> None:
        """Print one line, above the bar if there is one."""
        self._console.print(text)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Print rows below a header: as a table on a terminal, in aligned columns elsewhere."""
        if self._console.is_terminal:
            table = Table(*rows[0], box=None, header_style="bold", pad_edge=False)
            for row in rows[1:]:
                table.add_row(*row)
            self._console.print(table)
            return
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.line("  ".join(cells).rstrip())

    @contextmanager
    def bar(self, title: str) -> Iterator[Bar]:
        """Show progress while the block runs."""
        if not self._console.is_terminal:
            yield _LineBar(self, title)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
        with Progress(*columns, console=self._console, transient=True) as progress:
            yield _RichBar(progress, title)


class _RichBar:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._title = title
        self._total: float | None = 1.0
        self._task = self._add("")

    def update(self, fraction: float | None, text: str) -> None:
        total = None if fraction is None else 1.0
        if total != self._total:  # rich cannot take the end away from a task
            self._progress.remove_task(self._task)
            self._total = total
            self._task = self._add(text)
        self._progress.update(self._task, completed=fraction, text=text)

    def _add(self, text: str) -> TaskID:
        return self._progress.add_task(self._title, total=self._total, text=text)


class _LineBar:
    def __init__(self, screen: Screen, title: str) -> None:
        self._screen = screen
        self._title = title
        self._last = time.monotonic()

    def update(self, fraction: float | None, text: str) -> None:
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            share = "" if fraction is None else f" {fraction:4.0%}"
            self._screen.line(f"{self._title}{share}  {text}")


class Stoppable(Protocol):
    """What Ctrl-C asks to save and end."""

    def stop(self) -> None:
        """End after the current step."""


@contextmanager
def stop_on_interrupt(work: Stoppable, screen: Screen | None) -> Iterator[None]:
    """Turn the first Ctrl-C, or the end of a cluster job, into a request to save and stop.

    Without a screen nothing is said, and a second one changes nothing: another process decides.
    """
    names = (signal.SIGINT, signal.SIGTERM)
    former = {name: signal.getsignal(name) for name in names}

    def stop(number: int, frame: FrameType | None) -> None:
        work.stop()
        if screen is None:
            return
        signal.signal(signal.SIGINT, signal.default_int_handler)
        screen.line("Stopping after this step; press Ctrl-C again to end at once.")

    for name in names:
        signal.signal(name, stop)
    try:
        yield
    finally:
        for name, handler in former.items():
            signal.signal(name, handler)


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds, or hours."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(number: int, noun: str) -> str:
    """Write a number of things: ``1 scan``, ``2 scans``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def thread_limit() -> int | None:
    """Processor threads that the environment (``OMP_NUM_THREADS``) allows; None for all cores."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdecimal() and int(text) > 0 else None
