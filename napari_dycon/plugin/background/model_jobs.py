"""What the models of a study are, and how the last one differs from the one before on a case."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_dycon.engine.control import Control
from napari_dycon.engine.readiness import latest_quality
from napari_dycon.io.json_files import parse_json
from napari_dycon.plugin.background.jobs import as_shades, while_there
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.store.runs import ENTROPY
from napari_dycon.study.study import Study


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A run of the study: how well it did on labels that were held out, and how many cases it predicted.

    ``dice`` is the mean from 0 to 1, None where nothing was held out; ``origin`` is where a model comes from
    that another study has trained.
    """

    run: str
    active: bool
    dice: float | None
    predicted: int
    origin: str = ""

    @property
    def text(self) -> str:
        """The row in words."""
        origin = f" from {self.origin}" if self.origin else ""
        quality = "" if self.dice is None else f", Dice {self.dice:.2f} held out"
        cases = f"{self.predicted} case{'' if self.predicted == 1 else 's'} predicted"
        return f"{self.run}{origin}{quality}, {cases}"


@dataclass(frozen=True, slots=True)
class ModelsRead:
    """The models of a study, the newest first."""

    rows: tuple[ModelRow, ...]


@dataclass(frozen=True, slots=True)
class Before:
    """What the model before said of a case; uint8 ``(x, y, z)`` in source order, entropy as `SHADES`.

    ``unsure`` and ``unsure_before`` are the mean entropies, None where one was not kept; ``changed`` counts
    the voxels that the models call different things.
    """

    case_id: str
    run: str
    prediction: np.ndarray
    entropy: np.ndarray | None
    changed: int
    unsure: float | None
    unsure_before: float | None

    @property
    def text(self) -> str:
        """What has changed since, in words; what matters most first, since a narrow line cuts the rest."""
        parts = [f"{self.changed:,} voxel{'' if self.changed == 1 else 's'} changed here"]
        if self.unsure is not None and self.unsure_before is not None:
            parts.insert(0, f"unsure {100 * self.unsure_before:.0f} → {100 * self.unsure:.0f} %")
        return f"{', '.join(parts)} since {self.run}"


@dataclass(frozen=True, slots=True)
class NothingBefore:
    """No model before has predicted the case."""

    case_id: str


def read_models(study: Study) -> EventSource[ModelsRead]:
    """List the active run of a study and those that have predicted anything."""

    def source(control: Control) -> Iterator[ModelsRead]:
        del control
        rows = []
        for run in reversed(study.runs()):
            predicted = len(study.predictions.summary(run))
            if predicted or run == study.active_run:
                quality = latest_quality(study.run_dir(run))
                measured = quality.mean_dice if quality is not None and quality.held_out else math.nan
                dice = None if math.isnan(measured) else measured
                origin = _origin(study.run_dir(run))
                rows.append(ModelRow(run, run == study.active_run, dice, predicted, origin))
        yield ModelsRead(tuple(rows))

    return source


def _origin(run: Path) -> str:
    """Where the model of a run comes from, unless it was trained here."""
    try:
        config = parse_json((run / "config.json").read_bytes())
    except (OSError, ValueError):
        return ""
    return str(config.get("continued_from", "")) if config.get("foreign") else ""


def read_before(study: Study, case_id: str) -> EventSource[Before | NothingBefore]:
    """Read what the model before the active one said of a case, and compare."""

    def source(control: Control) -> Iterator[Before | NothingBefore]:
        del control
        yield _compare(study, case_id)

    return while_there(study, case_id, source)


def _compare(study: Study, case_id: str) -> Before | NothingBefore:
    run, now = run_before(study, case_id), study.active_run
    latest = None if run is None or now is None else study.predictions.mask(now, case_id)
    earlier = None if run is None else study.predictions.mask(run, case_id)
    if run is None or now is None or latest is None or earlier is None:
        return NothingBefore(case_id)
    entropy = study.predictions.map(run, case_id, ENTROPY)
    return Before(
        case_id,
        run,
        earlier,
        None if entropy is None else as_shades(entropy),
        int(np.count_nonzero(latest != earlier)),
        _unsure(study, now, case_id),
        _unsure(study, run, case_id),
    )


def run_before(study: Study, case_id: str) -> str | None:
    """Return the newest run older than the active one whose prediction of a case may be shown."""
    runs, active = study.runs(), study.active_run
    if active is None:
        return None
    for run in reversed(runs[: runs.index(active)]):
        row = study.predictions.summary(run).get(case_id)
        if row is not None and row.get("ready", True):
            return run
    return None


def _unsure(study: Study, run: str, case_id: str) -> float | None:
    found = study.predictions.summary(run).get(case_id, {}).get("mean_entropy")
    return None if found is None else float(found)
