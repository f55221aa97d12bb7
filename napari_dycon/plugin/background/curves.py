"""The curves of a training run, filled from live events or from the run's own record."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

POINTS = 2000


@dataclass(slots=True)
class Series:
    """One curve of at most about ``POINTS`` points; older ones are thinned out evenly."""

    iterations: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    _stride: int = 1
    _seen: int = 0

    def append(self, iteration: int, value: float) -> None:
        """Add one point; every ``stride``-th one is kept."""
        if self._seen % self._stride == 0:
            self.iterations.append(iteration)
            self.values.append(value)
        self._seen += 1
        if len(self.values) >= POINTS:
            self.iterations, self.values = self.iterations[::2], self.values[::2]
            self._stride *= 2


class Curves:
    """Loss terms and validation Dice of one run against the iteration.

    ``losses`` maps a loss term to ``(iterations, values)``; ``dice`` is ``(iterations, mean Dice)``;
    ``finished`` tells whether a record read back reaches the end of its run.
    """

    def __init__(self) -> None:
        self._losses: dict[str, Series] = {}
        self._dice = Series()
        self.finished = False

    @property
    def losses(self) -> dict[str, tuple[list[int], list[float]]]:
        """Every loss term as ``(iterations, values)``."""
        return {name: (series.iterations, series.values) for name, series in self._losses.items()}

    @property
    def dice(self) -> tuple[list[int], list[float]]:
        """Mean Dice on held-out labels as ``(iterations, values)``, from 0 to 1."""
        return self._dice.iterations, self._dice.values

    @property
    def empty(self) -> bool:
        """Whether nothing has been recorded yet."""
        return not self._losses and not self._dice.values

    def add_losses(self, iteration: int, losses: Mapping[str, float]) -> None:
        """Record the loss terms of one iteration."""
        for name, value in losses.items():
            self._losses.setdefault(name, Series()).append(iteration, value)

    def add_dice(self, iteration: int, mean_dice: float) -> None:
        """Record one validation."""
        self._dice.append(iteration, mean_dice)

    @classmethod
    def from_events(cls, path: Path) -> "Curves":
        """Rebuild the curves from a run's ``events.jsonl``; a torn last line is left out."""
        curves = cls()
        if not path.is_file():
            return curves
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            curves.add_record(event)
        return curves

    def add_record(self, event: Mapping[str, object]) -> None:
        """Record what one line of ``events.jsonl`` tells."""
        self.finished = event.get("event") == "RunFinished"
        iteration, losses, dice = event.get("iteration"), event.get("losses"), event.get("mean_dice")
        if not isinstance(iteration, int):
            return
        if isinstance(losses, dict):
            finite = {str(name): float(value) for name, value in losses.items() if value is not None}
            self.add_losses(iteration, finite)
        if isinstance(dice, int | float):
            self.add_dice(iteration, float(dice))
