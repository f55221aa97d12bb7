"""From scan and annotation to what a network sees: canonical axes, one spacing, robust intensities."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dycon.engine.intensity import Intensity, normalise, without_outliers
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.resampling import (
    FloatArray,
    resample,
    resample_target,
    resample_weight,
    resampled_shape,
)
from napari_dycon.io.geometry import Geometry, Reorientation
from napari_dycon.io.regridding import on_the_grid_of
from napari_dycon.io.volumes import Volume
from napari_dycon.learning.batch import IGNORE
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import TRAINING_WEIGHTS, Annotation, Known

UNSEEN = frozenset({Known.INTERPOLATED, Known.ACCEPTED})
"""What no person has drawn or declared complete; quality is not measured on it."""
WEIGHTLESS = frozenset(known for known, weight in TRAINING_WEIGHTS.items() if weight == 0)


@dataclass(frozen=True)
class PreparedImage:
    """A scan as a network sees it.

    Attributes
    ----------
    array : float16, (channel, x, y, z) on the canonical grid at the plan's spacing
    notes : sentences about repairs
    """

    array: NDArray[np.float16]
    notes: tuple[str, ...] = ()


def further_images(study: Study, case: str, plan: Plan) -> tuple[Volume | None, ...]:
    """Read the images of a case that a plan asks for beside the scan; None for one that it lacks.

    Errors are those of `Study.unchanged_volume`.
    """
    there = study.case(case).images
    return tuple(
        study.unchanged_volume(case, channel.name) if channel.name in there else None
        for channel in plan.further
    )


def prepare_image(volume: Volume, plan: Plan, further: Sequence[Volume | None] = ()) -> PreparedImage:
    """Bring the images of a case to the plan's grid and intensity scales.

    Voxels that are not finite are replaced, and padding and outliers are brought near the other values.

    Parameters
    ----------
    volume
        The scan, whose grid counts.
    further
        The other images, as many as the plan has; one that is missing becomes 0, the mean of what is there.

    Raises
    ------
    VolumeError
        If one of them shows another place than the scan.
    """
    reorientation = Reorientation.to(volume.geometry, "RAS")
    shape = resampled_shape(reorientation.shape, reorientation.spacing, plan.spacing)
    array = np.zeros((len(plan.intensities), *shape), dtype=np.float16)
    notes: list[str] = []
    for place, image in enumerate((volume, *further)):
        if image is not None:
            own = image.array if image is volume else on_the_grid_of(volume.geometry, image)
            values = np.asarray(reorientation.apply(own), dtype=np.float32)
            array[place], told = _prepare_channel(values, plan.intensities[place], shape)
            notes += told
    return PreparedImage(array, tuple(notes))


def _prepare_channel(
    values: FloatArray, intensity: Intensity, shape: tuple[int, int, int]
) -> tuple[FloatArray, tuple[str, ...]]:
    values, notes = _finite(values)
    scale = intensity.of(values)
    values, cut = _tame(values)
    return normalise(resample(values, shape), scale), (*notes, *cut)


def prepare_target(
    annotation: Annotation, geometry: Geometry, plan: Plan, without: Collection[Known] = WEIGHTLESS
) -> NDArray[np.uint8]:
    """Bring an annotation to the plan's grid as class indices, 254 (do not care) and 255 (unknown).

    What is known in one of the ways in `without` counts as unknown. Small pieces keep a voxel in what is
    learned from; a part of it, as quality is measured on, is no piece by itself.
    """
    reorientation = Reorientation.to(geometry, "RAS")
    target = reorientation.apply(annotation.training_target(plan.structure_values, without))
    shape = resampled_shape(target.shape, reorientation.spacing, plan.spacing)
    return resample_target(target, shape, keep_small=without is WEIGHTLESS)


def prepare_weight(
    annotation: Annotation, weight: NDArray[np.float32], geometry: Geometry, plan: Plan
) -> NDArray[np.float16]:
    """Bring the importance of each voxel of an annotation to the plan's grid, in step with the target."""
    reorientation = Reorientation.to(geometry, "RAS")
    target = annotation.training_target(plan.structure_values, WEIGHTLESS)
    learned = reorientation.apply(target) < IGNORE
    shape = resampled_shape(learned.shape, reorientation.spacing, plan.spacing)
    return resample_weight(reorientation.apply(weight), learned, shape).astype(np.float16)


def _finite(values: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
    broken = ~np.isfinite(values)
    count = int(broken.sum())
    if not count:
        return values, ()
    filling = float(values[~broken].min()) if count < values.size else 0.0
    note = f"{count} invalid voxels were replaced by {filling:g} for training; the file was not changed."
    return np.where(broken, np.float32(filling), values), (note,)


def _tame(values: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
    tame = without_outliers(values)
    if tame is values:
        return values, ()
    was, now = (f"{float(array.min()):g} to {float(array.max()):g}" for array in (values, tame))
    note = f"Values far from all others were cut for training, {was} to {now}; the file was not changed."
    return tame, (note,)
