"""How long a run lasts, and where in it we are."""

import math
import time
from dataclasses import dataclass

from napari_dycon.errors import TrainingError

DEFAULT_MINUTES = 10.0
PLATEAU = 0.8
"""Where the progress of a training without an end comes to rest.

Every ramp-up of our methods is complete by 0.7. A quarter is left of the learning rate, which falls with
(1 - progress) ** 0.9: enough to learn late slices within some hundred steps, and little enough for the
teacher, a mean over about a hundred steps, to be of use at any moment.
"""
LONGER = 10


@dataclass(frozen=True)
class Budget:
    """Minutes of active time, or a number of iterations.

    One that is open-ended has no end: `progress` rises as for its minutes or iterations, for those of ten
    minutes where nothing is said, and then stays at `PLATEAU`.
    """

    minutes: float | None = None
    iterations: int | None = None
    open_ended: bool = False

    def __post_init__(self) -> None:
        """Check the budget.

        Raises
        ------
        TrainingError
            When both are given, or none and it is not open-ended, or one is not positive.
        """
        given = [value for value in (self.minutes, self.iterations) if value is not None]
        if len(given) > 1 or not (given or self.open_ended) or min(given, default=1) <= 0:
            raise TrainingError("Give the length of the training as minutes or as iterations, above zero.")

    def share(self, iteration: int, seconds: float) -> float:
        """Share of the budget used, exact for iterations, by active time for minutes; may exceed 1."""
        if self.iterations is not None:
            return iteration / self.iterations
        return seconds / (60 * (self.minutes or DEFAULT_MINUTES))

    def progress(self, iteration: int, seconds: float) -> float:
        """Where the schedules are, in [0, 1]; at 1 the training ends."""
        return min(PLATEAU if self.open_ended else 1.0, self.share(iteration, seconds))

    def seconds_left(self, iteration: int, seconds: float, per_iteration: float) -> float:
        """Estimate of the active time left; infinite where there is no end."""
        if self.open_ended:
            return math.inf
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
