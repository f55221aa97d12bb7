"""What a benchmark tells on its way, beside the events of training."""

from dataclasses import dataclass

from napari_dycon.benchmark.rows import Row
from napari_dycon.engine.events import Event


@dataclass(frozen=True, slots=True)
class RowStarted:
    """A method or variant begins, or goes on, to train with a seed; ``number`` runs from 1 to ``total``."""

    method: str
    seed: int
    number: int
    total: int
    resumed: bool
    variant: str = ""


@dataclass(frozen=True, slots=True)
class ScanTested:
    """A test scan was predicted and compared with its label map; Dice is the mean over its structures."""

    case: str
    done: int
    total: int
    dice: float | None


@dataclass(frozen=True, slots=True)
class RowFinished:
    """A row is complete and on disk; ``kept`` says that it was there before."""

    row: Row
    kept: bool


@dataclass(frozen=True, slots=True)
class WorkerTold:
    """How far a worker is with a row, or with a lane of a simulation: from 0 to 1, and a few words."""

    task: str
    share: float
    words: str


BenchmarkEvent = Event | RowStarted | ScanTested | RowFinished | WorkerTold
