"""What a run leaves to be read later: ``events.jsonl`` and ``metrics.csv``."""

import contextlib
import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from napari_dycon.engine.events import Event, RunFinished, RunStarted, StepFinished, Validated, from_json
from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import write_text_atomic

COLUMNS = ("iteration", "seconds", "name", "value")


class Recorder:
    """Appends every event as a line of JSON, and every number as a row of a table.

    The table is long: iteration, active seconds, name (``loss/…`` or ``dice/…``), value.
    """

    def __init__(self, folder: Path) -> None:
        self._events = folder / "events.jsonl"
        self._metrics = folder / "metrics.csv"
        self._seconds = 0.0

    def rewind(self, iteration: int) -> None:
        """Forget what was recorded after an iteration, and a last line that a crash cut short."""
        if self._events.exists():
            lines = _lines(self._events)
            kept = [line for line in lines if _iteration(line) <= iteration]
            write_text_atomic(self._events, "".join(f"{line}\n" for line in kept))
        if self._metrics.exists():
            rows = [cells for cells in map(_cells, _lines(self._metrics)) if len(cells) == len(COLUMNS)]
            kept_rows = [row for row in rows if row[0].isdecimal() and int(row[0][:18]) <= iteration]
            write_text_atomic(self._metrics, _table([list(COLUMNS), *kept_rows]))

    def record(self, event: Event) -> None:
        """Append one event.

        Raises
        ------
        StudyError
            When the folder cannot be written.
        """
        try:
            self._append(event)
        except OSError as error:
            raise StudyError(
                f"The events of the run cannot be written to {self._events.parent}: {error.strerror}. "
                "Make room, then resume the training."
            ) from error

    def _append(self, event: Event) -> None:
        with self._events.open("a", encoding="utf-8") as file:
            file.write(event.to_json() + "\n")
        rows = self._rows(event)
        if rows:
            header = [] if self._metrics.exists() else [list(COLUMNS)]
            with self._metrics.open("a", encoding="utf-8", newline="") as file:
                file.write(_table([*header, *rows]))

    def _rows(self, event: Event) -> list[list[str]]:
        if isinstance(event, StepFinished):
            self._seconds = event.seconds
            values = {f"loss/{name}": value for name, value in event.losses.items()}
        elif isinstance(event, Validated):
            values = {f"dice/{name}": value for name, value in event.dice.items()}
        else:
            return []
        return [[str(event.iteration), f"{self._seconds:.3f}", k, f"{v:.6g}"] for k, v in values.items()]


def read_events(folder: Path) -> list[Event]:
    """All events of a run that can be read, in order; empty when nothing was recorded."""
    path = folder / "events.jsonl"
    if not path.exists():
        return []
    events = []
    for line in _lines(path):
        if _content(line):
            with contextlib.suppress(ValueError, TypeError):  # of another version, or damaged
                events.append(from_json(line))
    return events


def reached_its_end(folder: Path) -> bool:
    """Whether the run in a folder has used its whole budget, when it was trained last."""
    ends = [event for event in read_events(folder) if isinstance(event, RunStarted | RunFinished)]
    return bool(ends) and isinstance(ends[-1], RunFinished) and ends[-1].reason == "budget"


def _iteration(line: str) -> float:
    content = _content(line)
    iteration = content.get("iteration", 0) if content else None
    return iteration if isinstance(iteration, int | float) else math.inf


def _lines(path: Path) -> list[str]:
    """Lines of a file, whatever was done to it; none where it cannot be read."""
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError:
        return []
    return [line.rstrip("\r") for line in text.split("\n")]


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:
        return []


def _content(line: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) and "event" in content else {}


def _table(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
