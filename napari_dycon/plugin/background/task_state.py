"""What the program is doing in the background, in words a progress bar can show."""

from dataclasses import dataclass
from typing import Literal

TaskKind = Literal[
    "idle",
    "training",
    "predicting",
    "importing",
    "exporting",
    "reporting",
    "carrying",
    "restructuring",
    "adopting",
]
TaskPhase = Literal["running", "pausing", "paused", "stopping"]


@dataclass(frozen=True, slots=True)
class TaskState:
    """The one background task of a session at one moment.

    Attributes
    ----------
    kind
        ``"idle"`` when nothing runs.
    phase
        ``"pausing"`` and ``"stopping"`` last until the task has really reached a safe point.
    fraction
        Done share from 0 to 1, or None while it cannot be told.
    seconds_left
        Estimated time to the end in seconds, or None.
    text
        One short line for the person at the screen.
    seconds_run, dice, slices
        Of a training without an end: its active time, the Dice measured last and the slices that are complete
        in what it learns from; None before they are known, and of any other task.
    """

    kind: TaskKind = "idle"
    phase: TaskPhase = "running"
    fraction: float | None = None
    seconds_left: float | None = None
    text: str = ""
    seconds_run: float | None = None
    dice: float | None = None
    slices: int | None = None

    @property
    def busy(self) -> bool:
        """Whether a task is under way, in whatever phase."""
        return self.kind != "idle"
