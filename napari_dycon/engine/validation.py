"""Quality on what a person labelled and training never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dycon.engine.arrays import let_go
from napari_dycon.engine.calibration import fit_temperature, near_structures
from napari_dycon.engine.control import Control
from napari_dycon.engine.holdout import HoldOut
from napari_dycon.engine.plan import Plan, smaller_patch
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.readiness import Quality
from napari_dycon.engine.steps import finish
from napari_dycon.engine.windows import PLAIN, glance, predict_windows
from napari_dycon.learning.batch import IGNORE, UNKNOWN
from napari_dycon.learning.networks import SegmentationNetwork

CASES_ON_THE_WAY = 4
"""During training at most this many cases are looked at; at the end all."""
VOXELS_FROM_A_CASE = 50_000
"""At most so many voxels of a case take part in the fit of a temperature, so that no case rules it."""


@dataclass(frozen=True)
class _Case:
    name: str
    image: NDArray[np.float16]
    target: NDArray[np.uint8]
    whole: bool


@dataclass
class _Findings:
    """What came out so far: counts of voxels, and voxels for a temperature.

    ``counts`` are, by structure, voxels found, there, both, and known at all, ``(structure, 4)``: an entry
    for each whole case. Slices of several cases are counted together in ``slices``: a structure may end in
    them, and a few voxels beyond its end must not weigh as much as a case. ``wholes`` has the Dice of each
    whole in each case where it is there or was found.
    """

    slices: NDArray[np.int64]
    counts: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    wholes: dict[str, list[float]] = field(default_factory=dict)
    probabilities: list[NDArray[np.float32]] = field(default_factory=list)
    labels: list[NDArray[np.uint8]] = field(default_factory=list)


class Validator:
    """Predicts held-out voxels and compares; only the part of a scan around them is predicted."""

    def __init__(self, cases: Sequence[PreparedCase], holdout: HoldOut, plan: Plan) -> None:
        self._plan = plan
        self._shrunk = False
        self._where = holdout.where
        self._held: dict[str, _Case | None] = {}
        for case in cases:
            self.take(case, holdout)

    def take(self, case: PreparedCase, holdout: HoldOut) -> None:
        """Compare with what is held out of a case by now."""
        self._where, target = holdout.where, holdout.validation_target(case)
        if target is None:
            self._held[case.case] = None
            return
        window = _window(target, self._plan.patch_size)
        whole = not bool((target == UNKNOWN).any())
        self._held[case.case] = _Case(case.case, case.image[:, *window], target[window].copy(), whole)

    @property
    def possible(self) -> bool:
        """Whether anything is held out."""
        return bool(self._cases)

    @property
    def _cases(self) -> list[_Case]:
        return [case for case in self._held.values() if case is not None]

    def shrink(self) -> bool:
        """Use smaller windows from now on; False when that has been done already."""
        smaller = smaller_patch(self._plan)
        if smaller is None or self._shrunk:
            return False
        self._plan, self._shrunk = smaller, True
        return True

    def run(
        self,
        networks: Sequence[SegmentationNetwork],
        iteration: int,
        device: torch.device,
        control: Control,
        everything: bool,
    ) -> Quality | None:
        """Compare the mean of the networks; None when stopped meanwhile.

        With `everything` all cases are looked at, as a final prediction looks at them, and a temperature is
        fitted.
        """
        views = self._plan.views if everything else PLAIN
        structures = len(self._plan.structure_values)
        findings = _Findings(np.zeros((structures, 4), dtype=np.int64))
        for case in self._cases if everything else self._cases[:CASES_ON_THE_WAY]:
            together = [range(len(networks))]
            places = finish(glance(networks, case.image, self._plan, device, control))
            if places is None:
                return None
            steps = predict_windows(
                networks, case.image, self._plan, device, control, means=together, views=views, places=places
            )
            found = finish(steps)
            if found is None:
                return None
            mean = found.numpy()[0]
            classes = _most_likely(mean)
            counts = _counts(classes, case.target, structures)
            if case.whole:
                findings.counts[case.name] = counts
            else:
                findings.slices += counts
            self._compare_wholes(classes, case.target, findings)
            if everything:
                _sample(mean, classes, case.target, self._plan.spacing, findings)
            let_go(case.image, case.target)
        dice, guess = self._scores(findings)
        return Quality(
            iteration=iteration,
            dice=dice,
            guess=guess,
            wholes={name: fmean(dice) for name, dice in findings.wholes.items()},
            where=self._where,
            held_out=True,
            temperature=_temperature(findings),
            cases=_by_case(findings.counts),
        )

    def _compare_wholes(
        self, classes: NDArray[np.uint8], target: NDArray[np.uint8], findings: _Findings
    ) -> None:
        known = target < IGNORE
        for name, parts in zip(self._plan.wholes, self._plan.whole_classes, strict=True):
            found, there = (np.isin(each[known], parts) for each in (classes, target))
            voxels = int(found.sum() + there.sum())
            if voxels:
                findings.wholes.setdefault(name, []).append(2 * int((found & there).sum()) / voxels)

    def _scores(self, findings: _Findings) -> tuple[dict[str, float], dict[str, float]]:
        """Dice of the model and of a guess, by structure that is there in any of the cases."""
        dice: dict[str, float] = {}
        guess: dict[str, float] = {}
        for index, name in enumerate(self._plan.structure_names):
            rows = [entry[index].tolist() for entry in (*findings.counts.values(), findings.slices)]
            rows = [row for row in rows if row[0] + row[1]]
            if any(there for _, there, _, _ in rows):
                dice[name] = fmean(2 * both / (found + there) for found, there, both, _ in rows)
                guess[name] = fmean(2 * there / (there + known) for _, there, _, known in rows)
        return dice, guess


def _by_case(counts: Mapping[str, NDArray[np.int64]]) -> dict[str, float]:
    """Mean Dice over the structures that are there or were found; cases without any are left out."""
    rows = {case: [row for row in own.tolist() if row[0] + row[1]] for case, own in counts.items()}
    return {
        case: fmean(2 * both / (found + there) for found, there, both, _ in own)
        for case, own in rows.items()
        if own
    }


def _window(target: NDArray[np.uint8], patch: Sequence[int]) -> tuple[slice, ...]:
    """The held-out voxels with half a patch around them."""
    window = []
    for axis, side in enumerate(patch):
        others = tuple(a for a in range(3) if a != axis)
        found = np.flatnonzero((target < IGNORE).any(axis=others))
        start = max(0, int(found[0]) - side // 2) if len(found) else 0
        window.append(slice(start, int(found[-1]) + side // 2 + 1 if len(found) else None))
    return tuple(window)


def _most_likely(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(torch.from_numpy(probabilities).max(dim=0).indices.numpy(), dtype=np.uint8)


def _counts(classes: NDArray[np.uint8], target: NDArray[np.uint8], structures: int) -> NDArray[np.int64]:
    """Known voxels where each structure was found, is there, both, and all of them: (structure, 4)."""
    known = target < IGNORE
    found, truth = classes[known], target[known]
    pairs = ((found == index + 1, truth == index + 1) for index in range(structures))
    return np.array([(a.sum(), b.sum(), (a & b).sum(), truth.size) for a, b in pairs], dtype=np.int64)


def _sample(
    probabilities: NDArray[np.float32],
    classes: NDArray[np.uint8],
    target: NDArray[np.uint8],
    spacing: Sequence[float],
    findings: _Findings,
) -> None:
    """Take known voxels near structures: how much background a scan has must not set the temperature."""
    known = target < IGNORE
    near = near_structures((known & (target > 0)) | (classes > 0), spacing)
    places = np.flatnonzero(known & near)
    if places.size > VOXELS_FROM_A_CASE:
        places = np.random.default_rng(0).choice(places, VOXELS_FROM_A_CASE, replace=False)
    findings.probabilities.append(probabilities.reshape(len(probabilities), -1)[:, places])
    findings.labels.append(target.ravel()[places])


def _temperature(findings: _Findings) -> float | None:
    if not findings.labels:
        return None
    return fit_temperature(np.concatenate(findings.probabilities, axis=1), np.concatenate(findings.labels))
