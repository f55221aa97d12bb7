"""What training and prediction tell whoever iterates them."""

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias

Level: TypeAlias = Literal["info", "warning"]
FinishReason: TypeAlias = Literal["budget", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class _Event:
    """Plain Python values only, so that an event can cross threads and be written as one line of JSON."""

    def to_json(self) -> str:
        """One line of JSON with the event's name under ``"event"``; numbers not finite become null."""
        return json.dumps({"event": type(self).__name__, **_plain(asdict(self))}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class ScanPreparation(_Event):
    """Before a run starts: ``done`` of ``total`` scans are ready, and ``case`` is next; empty at first."""

    case: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Transfer(_Event):
    """What a training on another machine needs is sent, or its result fetched: bytes; not in the record."""

    verb: Literal["sent to", "fetched from"]
    machine: str
    done: int
    total: int

    @property
    def text(self) -> str:
        """One line for the user."""
        return f"{self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB {self.verb} {self.machine}"


@dataclass(frozen=True, slots=True)
class RunStarted(_Event):
    """The first event that a run records: what will be done, with what.

    ``left_out`` says of each case that is not trained on why. One that is ``open_ended`` goes on until it is
    stopped, and labels that are made meanwhile join it; ``slices`` are complete in the cases it begins with.
    """

    run: str
    method: str
    device: str
    plan: dict[str, Any]
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    open_ended: bool = False
    slices: int = 0


@dataclass(frozen=True, slots=True)
class LabelsJoined(_Event):
    """Labels that were made since the run began: the next step learns from them.

    ``slices`` were completed in ``cases`` since the last time, where less is complete than before a negative
    number. Cases in ``held_out`` are kept aside to measure quality on, and not learned from.
    """

    iteration: int
    cases: tuple[str, ...]
    slices: int
    held_out: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """One line for the user."""
        into = "what quality is measured on" if set(self.cases) <= set(self.held_out) else "the training"
        if self.slices > 0:
            return f"{self.slices} slice{'' if self.slices == 1 else 's'} joined {into}."
        where = self.cases[0] if len(self.cases) == 1 else f"{len(self.cases)} cases"
        return f"What changed in {where} joined {into}."


@dataclass(frozen=True, slots=True)
class StepFinished(_Event):
    """One optimiser step. ``progress`` in [0, 1]; ``seconds`` is active time since the run began.

    ``losses`` are weighted, their sum is minimised; ``monitors`` are other numbers worth watching.
    ``seconds_left`` is not finite where the run goes on until it is stopped.
    """

    iteration: int
    progress: float
    losses: dict[str, float]
    seconds: float
    seconds_left: float
    iterations_per_second: float
    monitors: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Validated(_Event):
    """Dice from 0 to 1 by structure name on labelled voxels that training never saw; ``where`` says which."""

    iteration: int
    dice: dict[str, float]
    mean_dice: float
    where: str


@dataclass(frozen=True, slots=True)
class ScanLabelled(_Event):
    """Midway in a run: the model has labelled ``done`` of ``total`` scans by itself; ``case`` is next."""

    case: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Glimpse(_Event):
    """What the model says by now of the slice on screen, see `viewpoint.View`; not a part of the record.

    ``labels`` and ``entropy`` (0 to 255 for 0 to 1) are packed arrays of ``shape`` on the grid of the plan,
    along the other two canonical axes.
    """

    case: str
    axis: int
    at: float
    iteration: int
    shape: tuple[int, int]
    labels: str
    entropy: str


@dataclass(frozen=True, slots=True)
class CheckpointSaved(_Event):
    """The run can be continued from this iteration."""

    iteration: int


@dataclass(frozen=True, slots=True)
class Note(_Event):
    """One sentence for the user."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class RunFinished(_Event):
    """The last event of a run. Dice values are those of validation, None where nothing was held out."""

    run: str
    iteration: int
    reason: FinishReason
    seconds: float
    best_dice: float | None
    final_dice: float | None
    message: str


@dataclass(frozen=True, slots=True)
class PredictionProgress(_Event):
    """Part of one case is predicted; ``fraction`` in [0, 1] is that of all cases together."""

    case: str
    done: int
    total: int
    fraction: float


@dataclass(frozen=True, slots=True)
class CasePredicted(_Event):
    """A prediction was written. Volumes in millilitres by structure name; entropy from 0 to 1.

    ``expected_dice`` is what the model's own probabilities lead one to expect, None where nothing was found;
    ``cut`` names structures that touch the edge of the scan, whose volumes are not the whole.
    """

    case: str
    done: int
    total: int
    volumes_ml: dict[str, float]
    mean_entropy: float
    empty: bool
    expected_dice: dict[str, float | None] = field(default_factory=dict)
    cut: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PredictionFinished(_Event):
    """The last event of a prediction; ``left_out`` says of each case that could not be predicted why."""

    run: str
    cases: tuple[str, ...]
    stopped: bool
    left_out: dict[str, str] = field(default_factory=dict)


Event: TypeAlias = (
    ScanPreparation
    | Transfer
    | RunStarted
    | LabelsJoined
    | StepFinished
    | Validated
    | ScanLabelled
    | Glimpse
    | CheckpointSaved
    | Note
    | RunFinished
    | PredictionProgress
    | CasePredicted
    | PredictionFinished
)

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        ScanPreparation,
        Transfer,
        RunStarted,
        LabelsJoined,
        StepFinished,
        Validated,
        ScanLabelled,
        Glimpse,
        CheckpointSaved,
        Note,
        RunFinished,
        PredictionProgress,
        CasePredicted,
        PredictionFinished,
    )
}


def from_json(line: str) -> Event:
    """Read an event back from a line of ``events.jsonl``; numbers that were not finite become NaN.

    Raises
    ------
    ValueError
        When the line is not an event that this version knows.
    """
    content = json.loads(line)
    kind = _KINDS.get(content.pop("event", ""))
    if kind is None:
        raise ValueError(f"This line is not an event of a run: {line[:80]}")
    known = {entry.name: entry.type for entry in fields(kind)}
    event: Event = kind(**{k: _value(v, known[k]) for k, v in content.items() if k in known})
    return event


def _value(value: Any, kind: Any) -> Any:
    if kind is float and value is None:
        return math.nan
    if kind == dict[str, float] and isinstance(value, dict):
        return {key: _value(item, float) for key, item in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
