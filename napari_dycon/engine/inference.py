"""From a trained run to masks, probabilities and entropy on the grid of each scan."""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.engine.control import Control
from napari_dycon.engine.device import configure_threads, resolve_device
from napari_dycon.engine.events import (
    CasePredicted,
    Event,
    Note,
    PredictionFinished,
    PredictionProgress,
)
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.preprocessing import prepare_image
from napari_dycon.engine.resampling import resample
from napari_dycon.engine.runs import RunFolder
from napari_dycon.engine.windows import predict_windows
from napari_dycon.errors import DyconError, TrainingError
from napari_dycon.io.geometry import Reorientation
from napari_dycon.io.volumes import Volume
from napari_dycon.learning.methods.base import Method
from napari_dycon.study.study import Study

BAND_VOXELS = 2
"""The mean entropy of a case is taken over the predicted structures and this margin around them."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about one scan; all arrays in source order ``(x, y, z)``.

    Attributes
    ----------
    mask : uint8 values of structures
    probabilities : float32 (class, x, y, z), background first; None when not asked for
    entropy : float32 predictive entropy of the committee, divided by ln C, from 0 to 1
    disagreement : float32 mutual information between voxel label and committee member, divided by ln C
    """

    mask: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None
    entropy: NDArray[np.float32]
    disagreement: NDArray[np.float32]


class Predictor:
    """Applies a trained method to scans.

    Parameters
    ----------
    plan, method
        As trained together.
    device
        "auto", "cpu", "cuda" or "mps".
    """

    def __init__(self, plan: Plan, method: Method, device: str = "cpu") -> None:
        self.plan = plan
        self._device = torch.device(resolve_device(device))
        self._committee = [network.to(self._device).eval() for network in method.committee()]
        self._deciding = [self._committee.index(network) for network in method.deciders()]

    @classmethod
    def load(cls, study: Study, run_id: str, device: str = "auto") -> "Predictor":
        """Load the newest whole checkpoint of a run.

        Raises
        ------
        TrainingError
            When the run has none.
        """
        plan, method = RunFolder(study, run_id).method()
        return cls(plan, method, device)

    def volume(self, volume: Volume, *, probabilities: bool = True) -> Prediction:
        """Predict one scan."""
        prediction = _result(self.steps(volume, probabilities=probabilities))
        assert prediction is not None
        return prediction

    def steps(
        self, volume: Volume, *, probabilities: bool = False, control: Control | None = None
    ) -> Generator[float, None, Prediction | None]:
        """Predict one scan, yielding the finished fraction; returns None when stopped."""
        image = prepare_image(volume, self.plan).array
        found = yield from predict_windows(self._committee, image, self.plan, self._device, control)
        return None if found is None else self._to_source(found.numpy(), volume, probabilities)

    def _to_source(self, found: NDArray[np.float32], volume: Volume, keep: bool) -> Prediction:
        """Bring probabilities back class by class, then decide: the border stays smooth."""
        reorientation = Reorientation.to(volume.geometry, "RAS")
        shape = reorientation.shape
        own, mean = found[self._deciding].mean(axis=0), found.mean(axis=0)
        best = np.full(shape, -1.0, dtype=np.float32)
        mask = np.zeros(shape, dtype=np.uint8)
        entropy = np.zeros(shape, dtype=np.float32)
        kept: list[NDArray[np.float32]] = []
        for index, value in enumerate((0, *self.plan.structure_values)):
            probability = resample(own[index], shape)
            wins = probability > best
            mask[wins], best[wins] = value, probability[wins]
            entropy += _surprise(resample(mean[index], shape))
            if keep:
                kept.append(_source(probability, reorientation))
        unit = math.log(self.plan.classes)
        members = np.mean([_surprise(member).sum(axis=0) for member in found], axis=0)
        information = np.clip(_surprise(mean).sum(axis=0) - members, 0, None) / unit
        return Prediction(
            mask=_source(mask, reorientation),
            probabilities=np.stack(kept) if keep else None,
            entropy=_source(np.clip(entropy / unit, 0, 1), reorientation),
            disagreement=_source(resample(information, shape), reorientation),
        )


def predict(
    study: Study,
    run_id: str,
    case_ids: Sequence[str] | None = None,
    *,
    device: str = "auto",
    control: Control | None = None,
    probabilities: bool = False,
    threads: int | None = None,
) -> Iterator[Event]:
    """Predict cases of a study and write mask, entropy and, on request, probabilities.

    Parameters
    ----------
    case_ids
        All cases by default.

    Yields
    ------
    Event
        PredictionProgress between windows, CasePredicted after each case, PredictionFinished at the end. A
        case that cannot be read becomes a Note and is left out.

    Raises
    ------
    TrainingError
        When the run has no model, a case does not exist or the study cannot be written.
    """
    if study.read_only:
        raise TrainingError("This study can only be read here, because it is open elsewhere; close it there.")
    configure_threads(threads)
    control = control or Control()
    known = [record.id for record in study.cases]
    cases = known if case_ids is None else list(case_ids)
    for case in cases:
        if case not in known:
            raise TrainingError(f"There is no case {case} in this study.")
    predictor = Predictor.load(study, run_id, device)
    finished: list[str] = []
    for done, case in enumerate(cases):
        try:
            volume = study.volume(case)
            steps = predictor.steps(volume, probabilities=probabilities, control=control)
            prediction = yield from _progress(steps, case, done, len(cases))
            if prediction is None:
                break
            _save(study, run_id, case, prediction, predictor.plan)
        except DyconError as error:
            yield Note("warning", f"{case} was not predicted: {error}")
            continue
        event = _summarise(case, done + 1, len(cases), prediction, volume, predictor.plan)
        row = {"volumes_ml": event.volumes_ml, "mean_entropy": event.mean_entropy, "empty": event.empty}
        study.save_prediction_summary(run_id, {case: row})
        finished.append(case)
        yield event
    yield PredictionFinished(run_id, tuple(finished), control.stopped)


def _progress(
    steps: Generator[float, None, Prediction | None], case: str, done: int, total: int
) -> Generator[Event, None, Prediction | None]:
    while True:
        try:
            fraction = next(steps)
        except StopIteration as end:
            prediction: Prediction | None = end.value
            return prediction
        yield PredictionProgress(case, done, total, (done + fraction) / total)


def _save(study: Study, run: str, case: str, prediction: Prediction, plan: Plan) -> None:
    maps = prediction.probabilities
    if maps is not None:
        absent = np.zeros_like(maps[0])
        by_value = dict(zip(plan.structure_values, maps[1:], strict=True))
        maps = np.stack([maps[0], *(by_value.get(s.value, absent) for s in study.structures)])
    study.save_prediction(run, case, prediction.mask, prediction.entropy, maps)


def _summarise(
    case: str, done: int, total: int, prediction: Prediction, volume: Volume, plan: Plan
) -> CasePredicted:
    counts = np.bincount(prediction.mask.ravel(), minlength=256)
    voxel_ml = volume.geometry.voxel_volume_mm3 / 1000
    named = zip(plan.structure_names, plan.structure_values, strict=True)
    foreground = prediction.mask > 0
    empty = not bool(foreground.any())
    region = (
        np.ones_like(foreground) if empty else ndimage.binary_dilation(foreground, iterations=BAND_VOXELS)
    )
    return CasePredicted(
        case=case,
        done=done,
        total=total,
        volumes_ml={name: round(float(counts[value] * voxel_ml), 3) for name, value in named},
        mean_entropy=round(float(prediction.entropy[region].mean()), 4),
        empty=empty,
    )


def _surprise(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(-probability * np.log(np.clip(probability, 1e-8, None)), dtype=np.float32)


_Array = TypeVar("_Array", bound=NDArray[Any])


def _source(array: _Array, reorientation: Reorientation) -> _Array:
    result: _Array = np.ascontiguousarray(reorientation.invert(array))  # type: ignore[assignment]
    return result


_Result = TypeVar("_Result")


def _result(steps: Generator[float, None, _Result]) -> _Result:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result
