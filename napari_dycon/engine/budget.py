"""How long a run lasts, and where in it we are."""

import math
import time
from dataclasses import dataclass

from napari_dycon.errors import TrainingError

DEFAULT_MINUTES = 10.0
LONGER = 10


@dataclass(frozen=True)
class Budget:
    """Minutes of active time, or a number of iterations."""

    minutes: float | None = None
    iterations: int | None = None

    def __post_init__(self) -> None:
        """Check the budget.

        Raises
        ------
        TrainingError
            When both or none are given, or one is not positive.
        """
        given = [value for value in (self.minutes, self.iterations) if value is not None]
        if len(given) != 1 or given[0] <= 0:
            raise TrainingError("Give the length of the training as minutes or as iterations, above zero.")

    def progress(self, iteration: int, seconds: float) -> float:
        """Share of the budget used, in [0, 1]; exact for iterations, by active time for minutes."""
        if self.iterations is not None:
            return min(1.0, iteration / self.iterations)
        return min(1.0, seconds / (60 * (self.minutes or DEFAULT_MINUTES)))

    def seconds_left(self, iteration: int, seconds: float, per_iteration: float) -> float:
        """Estimate of the active time left."""
        if self.iterations is not None:
            return max(0.0, (self.iterations - iteration) * per_iteration)
        return max(0.0, 60 * (self.minutes or DEFAULT_MINUTES) - seconds)


class Stopwatch:
    """Active time: runs only between :meth:`start` and :meth:`stop`.

    Parameters
    ----------
    seconds
        What it shows at first.
    most
        A stretch of more seconds than this, and of more than ten times the longest before, counts as
        `most`: the computer slept meanwhile.
    """

    def __init__(self, seconds: float = 0.0, most: float = math.inf) -> None:
        self._before = seconds
        self._most = most
        self._longest = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Active seconds so far."""
        return self._before + self._believable(self._running)

    @property
    def _running(self) -> float:
        return 0.0 if self._since is None else time.perf_counter() - self._since

    def _believable(self, stretch: float) -> float:
        return stretch if stretch <= max(self._most, LONGER * self._longest) else self._most

    def start(self) -> None:
        """Go on."""
        if self._since is None:
            self._since = time.perf_counter()

    def stop(self) -> None:
        """Rest."""
        stretch = self._running
        self._before += self._believable(stretch)
        if self._believable(stretch) == stretch:
            self._longest = max(self._longest, stretch)
        self._since = None
