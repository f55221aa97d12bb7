"""Quality on labelled voxels that training never saw."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Validated
from napari_dycon.engine.holdout import HoldOut
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.store import PreparedCase
from napari_dycon.engine.windows import predict_windows
from napari_dycon.learning.batch import IGNORE
from napari_dycon.learning.networks import SegmentationNetwork

CASES_ON_THE_WAY = 4
"""During training at most this many cases are looked at; at the end all."""


@dataclass(frozen=True)
class _Case:
    image: NDArray[np.float16]
    target: NDArray[np.uint8]


class Validator:
    """Predicts held-out voxels and compares; only the part of a scan around them is predicted."""

    def __init__(self, cases: Sequence[PreparedCase], holdout: HoldOut, plan: Plan) -> None:
        self._plan = plan
        self._where = holdout.where
        self._cases = []
        for case in cases:
            target = holdout.validation_target(case)
            if target is not None:
                window = _window(target, plan.patch_size)
                self._cases.append(_Case(case.image[window], target[window]))

    @property
    def possible(self) -> bool:
        """Whether anything is held out."""
        return bool(self._cases)

    def run(
        self,
        networks: Sequence[SegmentationNetwork],
        iteration: int,
        device: torch.device,
        control: Control,
        everything: bool,
    ) -> Validated | None:
        """Compare; None when stopped meanwhile."""
        scores: list[list[float]] = [[] for _ in self._plan.structure_values]
        for case in self._cases if everything else self._cases[:CASES_ON_THE_WAY]:
            found = _finish(predict_windows(networks, case.image, self._plan, device, control))
            if found is None:
                return None
            for index, dice in _dice(found, case.target, len(scores)):
                scores[index].append(dice)
        named = zip(self._plan.structure_names, scores, strict=True)
        means = {name: float(np.mean(values)) for name, values in named if values}
        mean = float(np.mean(list(means.values()))) if means else float("nan")
        return Validated(iteration, means, mean, self._where)


def _window(target: NDArray[np.uint8], patch: Sequence[int]) -> tuple[slice, ...]:
    """The held-out voxels with half a patch around them."""
    window = []
    for axis, side in enumerate(patch):
        others = tuple(a for a in range(3) if a != axis)
        found = np.flatnonzero((target < IGNORE).any(axis=others))
        start = max(0, int(found[0]) - side // 2) if len(found) else 0
        window.append(slice(start, int(found[-1]) + side // 2 + 1 if len(found) else None))
    return tuple(window)


def _finish(steps: Generator[float, None, torch.Tensor | None]) -> NDArray[np.uint8] | None:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            probabilities: torch.Tensor | None = end.value
            break
    if probabilities is None:
        return None
    return np.asarray(probabilities.mean(dim=0).argmax(dim=0).numpy(), dtype=np.uint8)


def _dice(found: NDArray[np.uint8], target: NDArray[np.uint8], structures: int) -> list[tuple[int, float]]:
    """Dice over known voxels for each structure that is there or was predicted there."""
    known = target < IGNORE
    found, truth = found[known], target[known]
    scores = []
    for index in range(structures):
        a, b = found == index + 1, truth == index + 1
        size = int(a.sum()) + int(b.sum())
        if size:
            scores.append((index, 2 * int((a & b).sum()) / size))
    return scores
