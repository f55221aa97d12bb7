"""Time spent on cases: what a person does keeps the clock of the open case running for a while."""

import time
from collections.abc import Callable

IDLE_SECONDS = 60.0
"""Looking without moving anything counts for this long; then the person has gone."""


class TimeSheet:
    """Counts, case by case, the seconds in which somebody was at work.

    Parameters
    ----------
    clock
        Seconds that only grow.
    idle
        Seconds after the last sign of life at which the clock stops.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, idle: float = IDLE_SECONDS) -> None:
        self._clock = clock
        self._idle = idle
        self._case: str | None = None
        self._counted = self._alive = 0.0
        self._spent: dict[str, float] = {}
        self._total = 0.0

    @property
    def seconds(self) -> float:
        """All that was counted until now, of whatever case."""
        self._count()
        return self._total

    def turn_to(self, case: str | None) -> None:
        """Go on to another case, or to none; opening a case is a sign of life."""
        self._count()
        self._case = case
        self._counted = self._alive = self._clock()

    def touch(self) -> None:
        """Note a sign of life."""
        self._count()
        self._counted = self._alive = self._clock()

    def take(self) -> dict[str, float]:
        """Return the seconds by case that were not taken before."""
        self._count()
        spent, self._spent = self._spent, {}
        return spent

    def _count(self) -> None:
        until = min(self._clock(), self._alive + self._idle)
        if self._case is not None and until > self._counted:
            self._spent[self._case] = self._spent.get(self._case, 0.0) + until - self._counted
            self._total += until - self._counted
            self._counted = until


def duration(seconds: float) -> str:
    """Return a time as a table shows it: ``–``, ``<1 min``, ``12 min``, ``1 h 05``."""
    minutes = int(seconds // 60)
    if seconds <= 0:
        return "–"
    if minutes < 1:
        return "<1 min"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d}"
