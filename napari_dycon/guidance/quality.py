"""How good predictions are that nobody has read, told from the cases that the person has completed.

A case that is completed after a model predicted it, and that the model did not learn from, shows what its
probabilities are worth: what they led one to expect, and what came true.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import DyconError
from napari_dycon.io.json_files import parse_json
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import BY_PERSON, Annotation

PRIOR = 4
"""A mean offset of n patients counts n / (n + 4): a few of them are mostly chance."""
USUAL_SHARE = 0.8
SHARES = (USUAL_SHARE, 0.9, 0.95)
"""Ranges that can be given: from 4, 9 and 19 patients on."""
ENOUGH = 9
LEAVE_SHARE, LEAVE_DICE = 0.9, 0.85
"""A case may be left where the range of this share lies above this Dice, in every structure."""
BY_PERSON_SHARE = 0.9
"""Of what a structure covers in mask or annotation, so much must be drawn without accepting to be truth."""
GOOD, FAIR = 0.85, 0.7


@dataclass(frozen=True, slots=True)
class Check:
    """A structure of a completed case against its prediction by a model that did not learn from it.

    Attributes
    ----------
    case, patient, structure
        Which one.
    expected, dice
        The Dice that the model expected of itself, and the one that it reached.
    predicted_ml, true_ml
        Volume in the prediction and in truth, over the voxels that a person has spoken about.
    """

    case: str
    patient: str
    structure: str
    expected: float
    dice: float
    predicted_ml: float
    true_ml: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """What may be expected of a prediction, and what that rests on.

    Attributes
    ----------
    dice
        Expected, corrected by what came true elsewhere.
    constant
        Mean of the Dice that was reached where it was checked; a guess that needs no model. None without any.
    checked
        Patients that it rests on.
    ranges
        ``(low, high)`` by the share of cases that lie in it; those that so many patients allow.
    """

    dice: float
    constant: float | None = None
    checked: int = 0
    ranges: Mapping[float, tuple[float, float]] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """Good, fair or poor; a guess until enough is checked."""
        if self.checked < ENOUGH:
            return "guess"
        shown = round(self.dice, 2)
        return "good" if shown >= GOOD else "fair" if shown >= FAIR else "poor"

    @property
    def may_leave(self) -> bool:
        """Whether it is good enough, with so much certainty, that nobody needs to look."""
        return self.checked >= ENOUGH and self.ranges.get(LEAVE_SHARE, (0.0, 1.0))[0] >= LEAVE_DICE


@dataclass(frozen=True)
class Record:
    """Forecasts and what came true, by patient: corrects a new forecast and gives it a range.

    The correction is the mean offset, shrunk by n / (n + 4). The range is that of split conformal prediction
    (Papadopoulos et al., ECML 2002; Lei et al., JASA 2018) with errors left out one by one (Barber et al.,
    Annals of Statistics 2021): at least the asked share of new cases lies in it, or nearly so, if they are
    like the checked ones. Of several cases of a patient the worst counts, so patients may be seen as drawn
    one by one.

    Attributes
    ----------
    offsets
        By patient, what came true less what was forecast.
    """

    offsets: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, entries: Iterable[tuple[str, float]]) -> "Record":
        """Collect ``(patient, truth less forecast)``."""
        by_patient: dict[str, list[float]] = {}
        for patient, offset in entries:
            by_patient.setdefault(patient, []).append(offset)
        return cls(tuple(tuple(own) for own in by_patient.values()))

    @property
    def shift(self) -> float:
        """What is to be added to a forecast."""
        return _shift(self.offsets)

    def reach(self, share: float) -> float | None:
        """How far, at most, the given share of cases is from the corrected forecast; None with too few."""
        rank = math.ceil((len(self.offsets) + 1) * share - 1e-9)
        if rank > len(self.offsets):
            return None
        return sorted(self._errors())[rank - 1]

    def _errors(self) -> Iterable[float]:
        """Error at each patient under the correction that all others lead to."""
        for place, own in enumerate(self.offsets):
            shift = _shift(self.offsets[:place] + self.offsets[place + 1 :])
            yield max(abs(offset - shift) for offset in own)


def _shift(offsets: Sequence[Sequence[float]]) -> float:
    count = len(offsets)
    return count / (count + PRIOR) * fmean(map(fmean, offsets)) if count else 0.0


class Checks:
    """All checks of one model.

    Parameters
    ----------
    checks
        In any order.
    """

    def __init__(self, checks: Iterable[Check] = ()) -> None:
        self.all = tuple(checks)
        self._by_structure: dict[str, list[Check]] = {}
        for check in self.all:
            self._by_structure.setdefault(check.structure, []).append(check)
        self._outlooks: dict[tuple[str, float], Outlook] = {}

    def of(self, structure: str) -> list[Check]:
        """Checks of a structure."""
        return self._by_structure.get(structure, [])

    def dice(self, case: str, structure: str) -> float | None:
        """What the model reached in a case that was checked."""
        return next((check.dice for check in self.of(structure) if check.case == case), None)

    def patients(self, structure: str) -> int:
        """How many patients were checked."""
        return len({check.patient for check in self.of(structure)})

    def outlook(self, structure: str, expected: float) -> Outlook:
        """What may be expected where the model expects a Dice of itself."""
        if (structure, expected) not in self._outlooks:
            self._outlooks[structure, expected] = self._outlook(structure, expected)
        return self._outlooks[structure, expected]

    def _outlook(self, structure: str, expected: float) -> Outlook:
        checks = self.of(structure)
        record = Record.of((check.patient, check.dice - check.expected) for check in checks)
        dice = _cut(expected + record.shift)
        reaches = {share: record.reach(share) for share in SHARES}
        return Outlook(
            dice=dice,
            constant=fmean(check.dice for check in checks) if checks else None,
            checked=len(record.offsets),
            ranges={s: (_cut(dice - r), _cut(dice + r)) for s, r in reaches.items() if r is not None},
        )

    def volume_range(
        self, structure: str, predicted_ml: float, share: float = USUAL_SHARE
    ) -> tuple[float, float] | None:
        """Range of the true volume in ml where the model finds so much; None as long as it cannot be told.

        Ratios of volumes are compared, so a range grows with the volume.
        """
        known = [check for check in self.of(structure) if check.true_ml > 0 and check.predicted_ml > 0]
        record = Record.of((check.patient, math.log(check.true_ml / check.predicted_ml)) for check in known)
        reach = record.reach(share)
        if reach is None or predicted_ml <= 0:
            return None
        middle = math.log(predicted_ml) + record.shift
        return math.exp(middle - reach), math.exp(middle + reach)

    def may_leave(self, expected: Mapping[str, float | None]) -> bool:
        """Tell whether a case may be left as the model has it, by what it expects of every structure."""
        return bool(expected) and all(
            value is not None and self.outlook(name, value).may_leave for name, value in expected.items()
        )


def _cut(dice: float) -> float:
    return min(1.0, max(0.0, dice))


def true_dice(annotation: Annotation, mask: NDArray[np.uint8], value: int) -> tuple[float, int, int] | None:
    """Compare a predicted structure with what a person drew.

    Accepted predictions and interpolated voxels are no truth, and what was drawn where a person had accepted
    the rest are the errors alone. So nearly all that the structure covers must be drawn.

    Parameters
    ----------
    annotation
        Of the whole case, ``(x, y, z)``.
    mask : (x, y, z) predicted label values
    value
        Of the structure.

    Returns
    -------
    Dice, predicted voxels and true voxels, over what a person has said; None where that is too little, or
    where neither has anything of the structure.
    """
    found, there = mask == value, annotation.labels == value
    covered = found | there
    spoken = covered & np.isin(annotation.known, BY_PERSON)
    count, total = int(np.count_nonzero(spoken)), int(np.count_nonzero(covered))
    if total == 0 or count < BY_PERSON_SHARE * total:
        return None
    found &= spoken
    there &= spoken
    sizes = int(np.count_nonzero(found)), int(np.count_nonzero(there))
    return 2 * int(np.count_nonzero(found & there)) / sum(sizes), *sizes


def to_check(study: Study, run: str) -> list[CaseRecord]:
    """Complete cases that a run has predicted and of whose patients it has learned nothing."""
    learned = _learned_from(study, run)
    summary, early = study.predictions.summary(run), study.predictions.unready(run)
    known = {case.patient for case in study.cases if case.id in learned}
    return [
        case
        for case in study.cases
        if case.status == "complete"
        and case.id in summary
        and case.id not in early
        and case.patient not in known
    ]


def check_case(study: Study, run: str, case: CaseRecord) -> list[Check]:
    """Compare the prediction of a complete case with its annotation, structure by structure.

    Raises
    ------
    StudyError, VolumeError
        If either cannot be read.
    """
    mask = study.predictions.mask(run, case.id)
    expected = study.predictions.summary(run).get(case.id, {}).get("expected_dice", {})
    if mask is None:
        return []
    annotation, checks = study.annotation(case.id), []
    for structure in study.structures:
        forecast = expected.get(structure.name)
        found = None if forecast is None else true_dice(annotation, mask, structure.value)
        if forecast is not None and found is not None:
            dice, predicted, true = found
            volumes = predicted * case.voxel_ml, true * case.voxel_ml
            checks.append(Check(case.id, case.patient, structure.name, forecast, dice, *volumes))
    return checks


def check_all(study: Study, run: str | None) -> Checks:
    """Check all that can be; cases that cannot be read are left out."""
    found: list[Check] = []
    for case in to_check(study, run) if run is not None else ():
        try:
            found += check_case(study, run or "", case)
        except DyconError:
            continue
    return Checks(found)


def _learned_from(study: Study, run: str) -> Collection[str]:
    """Cases whose labels a run has seen; all where that is not known, so that nothing is claimed.

    Read without the engine, which loads torch.
    """
    config: object = None
    with suppress(OSError, ValueError):
        config = parse_json((study.run_dir(run) / "config.json").read_bytes())
    seen = config.get("trained_on") if isinstance(config, dict) else None
    return seen if isinstance(seen, list) else [case.id for case in study.cases]
