"""What a simulation tells on its way, beside the events of training and prediction."""

from dataclasses import dataclass

from napari_dycon.benchmark.events import ScanTested, WorkerTold
from napari_dycon.benchmark.simulation.rows import Row
from napari_dycon.engine.events import Event
from napari_dycon.guidance.suggestions import CaseLooked


@dataclass(frozen=True, slots=True)
class LaneStarted:
    """A strategy begins, or goes on, with a seed; ``number`` runs from 1 to ``total``."""

    strategy: str
    seed: int
    number: int
    total: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class RoundAnswered:
    """The annotator has labelled what a strategy has asked for in a round; all counted from the start."""

    strategy: str
    seed: int
    round: int
    slices: int
    effort_seconds: float


@dataclass(frozen=True, slots=True)
class RoundFinished:
    """A row is complete and on disk; ``kept`` says that it was there before."""

    row: Row
    kept: bool


SimulationEvent = Event | CaseLooked | ScanTested | LaneStarted | RoundAnswered | RoundFinished | WorkerTold
