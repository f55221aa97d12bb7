"""From a trained run to masks, probabilities and entropy on the grid of each scan."""

import copy
import gc
import traceback
from collections.abc import Generator, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.engine.canvas import Canvas, Prediction, to_source
from napari_dycon.engine.control import Control
from napari_dycon.engine.device import (
    configure_threads,
    free_memory,
    is_out_of_memory,
    release_memory,
    resolve_device,
)
from napari_dycon.engine.events import (
    CasePredicted,
    Event,
    Note,
    PredictionFinished,
    PredictionProgress,
)
from napari_dycon.engine.examination import examine
from napari_dycon.engine.plan import Plan, smaller_patch
from napari_dycon.engine.preprocessing import further_images, prepare_image
from napari_dycon.engine.readiness import Quality, read_quality, write_quality
from napari_dycon.engine.resampling import resample
from napari_dycon.engine.runs import RunFolder
from napari_dycon.engine.steps import finish
from napari_dycon.engine.windows import glance, predict_windows
from napari_dycon.errors import DyconError, TrainingError
from napari_dycon.io.geometry import Reorientation
from napari_dycon.io.masks import label_counts, values_at_edge
from napari_dycon.io.volumes import Volume
from napari_dycon.learning.methods.base import Method
from napari_dycon.learning.networks import SegmentationNetwork
from napari_dycon.study.study import Study

MEMORY_SHARE = 0.4
"""Of the memory that is free, prediction takes at most this share for what it is working on."""
MOST_MEMORY = 2 * 2**30
"""Nor more than so many bytes: larger parts of a scan save little time."""
GLANCE_SHARE = 0.1
"""Of the progress of a prediction, what the first quick look at the scan is shown as."""
BAND_VOXELS = 2
"""The mean entropy of a case is taken over the predicted structures and this margin around them."""

_Result = TypeVar("_Result")


class Predictor:
    """Applies a trained method to scans.

    The mask is the most likely class of the deciders' mean probability. The temperature acts on means, that
    of the deciders and that of the committee, and never on a single network, so it cannot change a mask.

    Parameters
    ----------
    plan, method
        As trained together.
    device
        "auto", "cpu", "cuda" or "mps".
    temperature
        Of probabilities and entropy, see :func:`napari_dycon.engine.calibration.fit_temperature`.
    """

    def __init__(self, plan: Plan, method: Method, device: str = "cpu", temperature: float = 1.0) -> None:
        self.plan = plan
        self.temperature = temperature
        self.memory_share = MEMORY_SHARE
        self.device = torch.device(resolve_device(device))
        self._committee = [network.to(self.device).eval() for network in method.committee()]
        self.deciding = [self._committee.index(network) for network in method.deciders()]

    @classmethod
    def load(cls, study: Study, run_id: str, device: str = "auto") -> "Predictor":
        """Load the newest whole checkpoint of a run, with its temperature if one was fitted.

        Raises
        ------
        TrainingError
            When the run has none.
        """
        folder = RunFolder(study.run_dir(run_id))
        plan, method = folder.method()
        predictor = cls(plan, method, device)
        predictor.trust(read_quality(folder.path, folder.checkpoints.iterations[0]))
        return predictor

    def trust(self, quality: Quality | None) -> None:
        """Take over the temperature that labelled voxels ask for; 1 where they ask for none."""
        self.temperature = (quality.temperature if quality else None) or 1.0

    @property
    def deciders(self) -> list[SegmentationNetwork]:
        """The networks whose mean probability is the prediction."""
        return [self._committee[index] for index in self.deciding]

    def smaller(self) -> "Predictor":
        """The same model with smaller windows and less memory, for when memory ran out."""
        smaller = copy.copy(self)
        smaller.plan = smaller_patch(self.plan) or self.plan
        smaller.memory_share = self.memory_share / 4
        return smaller

    def volume(
        self, volume: Volume, further: Sequence[Volume | None] = (), *, probabilities: bool = True
    ) -> Prediction:
        """Predict one scan, with the other images of its case where the plan asks for some."""
        prediction = finish(self.steps(volume, further, probabilities=probabilities))
        assert prediction is not None
        return prediction

    def steps(
        self,
        volume: Volume,
        further: Sequence[Volume | None] = (),
        *,
        probabilities: bool = False,
        control: Control | None = None,
    ) -> Generator[float, None, Prediction | None]:
        """Predict one scan, yielding the finished fraction; returns None when stopped."""
        image = prepare_image(volume, self.plan, further).array
        means = [self.deciding]
        if sorted(self.deciding) != list(range(len(self._committee))):
            means.append(list(range(len(self._committee))))
        canvas = Canvas(self.plan, self.temperature, volume.geometry, image.shape[1:], probabilities)
        memory = self.memory_share * min(free_memory(), MOST_MEMORY / MEMORY_SHARE)
        blocks = canvas.blocks(len(means), memory)
        glancing = glance(self.deciders, image, self.plan, self.device, control)
        places = yield from _part(glancing, 0, 1, upto=GLANCE_SHARE)
        if places is None:
            return None
        for done, rows in enumerate(blocks):
            needed = canvas.rows_needed(rows)
            steps = predict_windows(
                self._committee,
                image,
                self.plan,
                self.device,
                control,
                means=means,
                rows=needed,
                views=self.plan.views,
                places=places,
            )
            found = yield from _part(steps, done, len(blocks), GLANCE_SHARE)
            if found is None:
                return None
            for slab in canvas.slabs(rows, memory):
                own = canvas.rows_needed(slab)
                part = slice(own.start - needed.start, own.stop - needed.start)
                canvas.add(found[:, :, part].numpy(), own, slab)
        return canvas.prediction()

    def members(self, volume: Volume, further: Sequence[Volume | None] = ()) -> NDArray[np.float32]:
        """Probabilities of every network of the committee as they are, without a temperature.

        They are means over the views of the scan that a prediction is the mean of.

        Returns
        -------
        (network, class, x, y, z) in source order; `deciding` says which networks make the mask.
        """
        image = prepare_image(volume, self.plan, further).array
        found = finish(predict_windows(self._committee, image, self.plan, self.device, views=self.plan.views))
        assert found is not None
        reorientation = Reorientation.to(volume.geometry, "RAS")
        maps = [[resample(one, reorientation.shape) for one in member] for member in found.numpy()]
        return np.stack([np.stack([to_source(one, reorientation) for one in member]) for member in maps])


def _part(
    steps: Generator[float, None, _Result], done: int, total: int, after: float = 0.0, upto: float = 1.0
) -> Generator[float, None, _Result]:
    """Yield the fraction of the whole while one of its parts is made."""
    while True:
        try:
            fraction = next(steps)
        except StopIteration as end:
            found: _Result = end.value
            return found
        yield after + (upto - after) * (done + fraction) / total


def predict(
    study: Study,
    run_id: str,
    case_ids: Sequence[str] | None = None,
    *,
    device: str = "auto",
    control: Control | None = None,
    probabilities: bool = False,
    threads: int | None = None,
    only_when_ready: bool = False,
) -> Iterator[Event]:
    """Predict cases of a study and write mask, entropy and, on request, probabilities.

    Parameters
    ----------
    case_ids
        All cases by default.
    only_when_ready
        Predict nothing with a model that is not ready yet. It is said in any case.

    Yields
    ------
    Event
        A Note when the model is not ready, PredictionProgress between windows, CasePredicted after each case,
        PredictionFinished at the end. A case that cannot be read, or whose scan is another one now, becomes a
        Note and is left out.

    Raises
    ------
    TrainingError
        When the run has no model, a case does not exist or the study cannot be written.
    """
    cases = cases_to_predict(study, case_ids)
    configure_threads(threads)
    control = control or Control()
    predictor = Predictor.load(study, run_id, device)
    quality = known_quality(study, run_id, predictor, control)
    predictor.trust(quality)
    ready = quality is None or quality.ready
    if quality is not None and quality.sentence:
        yield Note("info" if ready else "warning", quality.sentence)
    if only_when_ready and not ready:
        cases = []
    finished, left_out = list[str](), dict[str, str]()
    for done, case in enumerate(cases):
        try:
            volume = study.unchanged_volume(case)
            images = volume, further_images(study, case, predictor.plan)
            prediction = yield from _progress(
                predict_scan(predictor, *images, probabilities, control), case, done, len(cases)
            )
            if prediction is None:
                break
            maps = maps_of_structures(study, prediction, predictor.plan)
            study.predictions.save(run_id, case, prediction.mask, prediction.entropy, maps)
        except (DyconError, MemoryError) as error:
            left_out[case] = str(error) or "there is not enough memory for it."
            yield Note("warning", f"{case} was not predicted: {left_out[case]}")
            continue
        event = summarise(case, done + 1, len(cases), prediction, volume, predictor.plan)
        study.predictions.save_summary(run_id, {case: summary_row(event, ready)})
        finished.append(case)
        yield event
    yield PredictionFinished(run_id, tuple(finished), control.stopped, left_out)


def predict_scan(
    predictor: Predictor,
    volume: Volume,
    further: Sequence[Volume | None],
    probabilities: bool,
    control: Control | None = None,
) -> Generator[float, None, Prediction | None]:
    """Predict a scan; where memory runs out, once more in smaller parts.

    Raises
    ------
    TrainingError
        When memory runs out again, or the device fails.
    """
    for attempt in (predictor, predictor.smaller()):
        try:
            prediction = yield from attempt.steps(
                volume, further, probabilities=probabilities, control=control
            )
            return prediction
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise TrainingError(f"The network could not be applied to it: {error}") from error
            traceback.clear_frames(error.__traceback__)
        gc.collect()
        release_memory(resolve_device(predictor.device.type))
    raise TrainingError(
        "There is not enough memory for a scan of this size; close other programs, choose the CPU, or "
        "predict without probabilities."
    )


def cases_to_predict(study: Study, case_ids: Sequence[str] | None) -> list[str]:
    """The cases to predict, after a check that this is possible."""
    if study.read_only:
        raise TrainingError("This study can only be read here, because it is open elsewhere; close it there.")
    known = [record.id for record in study.cases]
    for case in case_ids or ():
        if case not in known:
            raise TrainingError(f"There is no case {case} in this study.")
    return known if case_ids is None else list(case_ids)


def known_quality(study: Study, run: str, predictor: Predictor, control: Control) -> Quality | None:
    """What labelled voxels say about the newest model of a run; they are asked now if nobody has yet."""
    folder = RunFolder(study.run_dir(run))
    quality = read_quality(folder.path, folder.checkpoints.iterations[0])
    if quality is None:
        quality = examine(study, run, predictor.deciders, predictor.device, control)
        if quality is not None:
            write_quality(folder.path, quality)
    return quality


def summary_row(event: CasePredicted, ready: bool) -> dict[str, Any]:
    """What a study keeps of a predicted case beside its files."""
    kept = ("volumes_ml", "mean_entropy", "empty", "expected_dice")
    return {**{name: getattr(event, name) for name in kept}, "cut": list(event.cut), "ready": ready}


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


def maps_of_structures(study: Study, prediction: Prediction, plan: Plan) -> NDArray[np.float32] | None:
    """Probabilities of background and of each structure of a study; None where there are none."""
    maps = prediction.probabilities
    if maps is None:
        return None
    absent = np.zeros_like(maps[0])
    by_value = dict(zip(plan.structure_values, maps[1:], strict=True))
    return np.stack([maps[0], *(by_value.get(s.value, absent) for s in study.structures)])


def summarise(
    case: str, done: int, total: int, prediction: Prediction, volume: Volume, plan: Plan
) -> CasePredicted:
    """What there is to tell of a predicted case."""
    counts = label_counts(prediction.mask)
    voxel_ml = volume.geometry.voxel_volume_mm3 / 1000
    named = list(zip(plan.structure_names, plan.structure_values, strict=True))
    parts = {name: [value] for name, value in named} | {name: list(v) for name, v in plan.wholes.items()}
    at_edge = values_at_edge(prediction.mask)
    foreground = prediction.mask > 0
    empty = not bool(foreground.any())
    region = (
        np.ones_like(foreground) if empty else ndimage.binary_dilation(foreground, iterations=BAND_VOXELS)
    )
    return CasePredicted(
        case=case,
        done=done,
        total=total,
        volumes_ml={name: round(float(counts[values].sum() * voxel_ml), 3) for name, values in parts.items()},
        mean_entropy=round(float(prediction.entropy[region].mean()), 4),
        empty=empty,
        expected_dice={
            name: None if dice is None else round(dice, 4)
            for name, dice in zip(plan.structure_names, prediction.expected_dice, strict=True)
        },
        cut=tuple(name for name, value in named if value in at_edge),
    )
