"""Did the unlabelled scans help? A run against its supervised twin."""

import json
import math
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Event, Note, RunFinished
from napari_dycon.engine.readiness import read_quality
from napari_dycon.engine.request import Request
from napari_dycon.io.json_files import write_model
from napari_dycon.study.study import Study

CONTROL_METHOD = "supervised"
FILE = "control.json"
TIE = 0.005
LEAST_PATIENTS = 5
"""With fewer held-out patients nothing is said about chance but that it cannot be excluded."""
CERTAINTY = 0.9


class Comparison(BaseModel):
    """Two runs of the same length on the same held-out labelled voxels; Dice from 0 to 1.

    Parameters
    ----------
    method, run, dice
        The run that learned from unlabelled scans too.
    control_run, control_dice
        Its supervised twin.
    gains
        By patient of whom whole cases were held out, what the unlabelled scans brought.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    method: str
    run: str
    dice: float | None
    control_run: str
    control_dice: float | None
    gains: dict[str, float] = {}

    @property
    def better(self) -> str:
        """The run with the higher Dice; the first where that cannot be told."""
        if self.dice is None or self.control_dice is None or self.dice >= self.control_dice:
            return self.run
        return self.control_run

    @property
    def gain_range(self) -> tuple[float, float] | None:
        """Where the mean gain over such patients lies with 90 % certainty (paired t); None with too few."""
        from scipy.stats import t  # takes a moment to load, and the window loads this module

        gains = list(self.gains.values())
        if len(gains) < LEAST_PATIENTS:
            return None
        reach = float(t.ppf((1 + CERTAINTY) / 2, len(gains) - 1)) * stdev(gains) / math.sqrt(len(gains))
        return fmean(gains) - reach, fmean(gains) + reach

    @property
    def text(self) -> str:
        """Which run is better, by how much, and how sure that is, in words."""
        if self.dice is None or self.control_dice is None:
            return (
                f"No labelled voxels could be held out, so {self.method} and its control cannot be compared; "
                f"{self.method} is used. Label more slices or scans."
            )
        gain = self.dice - self.control_dice
        values = f"Dice on held-out labels {self.dice:.3f} against {self.control_dice:.3f} supervised"
        used = self.method if self.better == self.run else "the supervised control"
        if abs(gain) < TIE:
            equal = f"{self.method} and its supervised control are equally good ({values})"
            return f"{equal}; {used} is used. {self._certainty}"
        brought = f"The unlabelled scans brought {100 * gain:+.1f} points here ({values}); {used} is used."
        return f"{brought} {self._certainty}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the judgement."""
        return self.model_dump() | {"better": self.better, "text": self.text}

    @property
    def _certainty(self) -> str:
        count = len(self.gains)
        if count == 0:
            return (
                "That was measured on slices of scans that were learned from: new scans may tell otherwise."
            )
        patients = "1 held-out patient" if count == 1 else f"{count} held-out patients"
        found = self.gain_range
        if found is None:
            return f"That is of {patients} only and may be chance."
        low, high = (f"{100 * value:+.1f}" for value in found)
        verdict = "may be chance" if found[0] <= 0 <= found[1] else "is hardly chance"
        return f"Over {patients} the mean gain lies between {low} and {high} points (90 %), so it {verdict}."


def compare(study: Study, method: str, run: RunFinished, control: RunFinished) -> Comparison:
    """Compare a finished run with its finished control, by the model that each would use, and note it down.

    Raises
    ------
    VolumeError
        When the run's folder cannot be written.
    """
    first, second = (_held_out_cases(study, end) for end in (run, control))
    by_patient: dict[str, list[float]] = {}
    patients = {case.id: case.patient for case in study.cases}
    for case in first.keys() & second.keys():
        by_patient.setdefault(patients.get(case, case), []).append(first[case] - second[case])
    comparison = Comparison(
        method=method,
        run=run.run,
        dice=run.final_dice,
        control_run=control.run,
        control_dice=control.final_dice,
        gains={patient: fmean(gains) for patient, gains in sorted(by_patient.items())},
    )
    write_model(study.run_dir(run.run) / FILE, comparison)
    return comparison


def read_comparison(folder: Path) -> Comparison | None:
    """What a run's control has shown; None where there is none, or it cannot be read."""
    try:
        return Comparison.model_validate(json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError, ValidationError):
        return None


def _held_out_cases(study: Study, end: RunFinished) -> Mapping[str, float]:
    quality = read_quality(study.run_dir(end.run), end.iteration)
    return quality.cases if quality is not None and quality.held_out else {}


class Runner(Protocol):
    """Where a training runs."""

    def __call__(self, study: Study, request: Request, control: Control) -> Iterator[Event]:
        """Prepare and train."""


def twin_of(request: Request) -> Request:
    """The supervised training that a request is compared with; settings of the method are left out."""
    overrides = {name: value for name, value in request.overrides.items() if name != "method_settings"}
    return request.model_copy(
        update={"method": CONTROL_METHOD, "overrides": overrides, "warm_start": False, "run_id": None}
    )


def train_with_control(
    train: Runner, study: Study, request: Request, control: Control
) -> Generator[Event, None, Comparison | None]:
    """Train, then as long a supervised twin; the better of the two becomes the active run.

    Neither begins with an earlier model, lest that one's lessons count for either.

    Yields
    ------
    Event
        Those of both.

    Returns
    -------
    None when either was stopped before its budget was used up; then the run is the active one.
    """
    from napari_dycon.engine.runners.handover import make_active

    request = request.model_copy(update={"warm_start": False})
    end = yield from _ending(train(study, request, control))
    if end is None or end.reason != "budget":
        return None
    yield Note("info", "Now the supervised control, as long as before.")
    twin = yield from _ending(train(study, twin_of(request), control))
    if twin is None or twin.reason != "budget":
        make_active(study, end.run)
        return None
    comparison = compare(study, end.run.split("-", 1)[-1], end, twin)
    make_active(study, comparison.better)
    return comparison


def _ending(events: Iterator[Event]) -> Generator[Event, None, RunFinished | None]:
    """Pass events on and return the last one of the run."""
    end = None
    for event in events:
        if isinstance(event, RunFinished):
            end = event
        yield event
    return end
