"""From scan and annotation to what a network sees: canonical axes, one spacing, robust intensities."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dycon.engine.intensity import normalise, without_outliers
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.resampling import (
    FloatArray,
    resample,
    resample_target,
    resample_weight,
    resampled_shape,
)
from napari_dycon.io.geometry import Geometry, Reorientation
from napari_dycon.io.volumes import Volume
from napari_dycon.learning.batch import IGNORE
from napari_dycon.study.truth.annotations import TRAINING_WEIGHTS, Annotation, Known

UNSEEN = frozenset({Known.INTERPOLATED, Known.ACCEPTED})
"""What no person has drawn or declared complete; quality is not measured on it."""
WEIGHTLESS = frozenset(known for known, weight in TRAINING_WEIGHTS.items() if weight == 0)


@dataclass(frozen=True)
class PreparedImage:
    """A scan as a network sees it.

    Attributes
    ----------
    array : float16, (x, y, z) on the canonical grid at the plan's spacing
    notes : sentences about repairs
    """

    array: NDArray[np.float16]
    notes: tuple[str, ...] = ()


def prepare_image(volume: Volume, plan: Plan) -> PreparedImage:
    """Bring a scan to the plan's grid and intensity scale.

    Voxels that are not finite are replaced, and padding and outliers are brought near the other values.
    """
    reorientation = Reorientation.to(volume.geometry, "RAS")
    values = np.asarray(reorientation.apply(volume.array), dtype=np.float32)
    values, notes = _finite(values)
    intensity = plan.intensity.of(values)
    values, cut = _tame(values)
    shape = resampled_shape(values.shape, reorientation.spacing, plan.spacing)
    image = normalise(resample(values, shape), intensity)
    return PreparedImage(image.astype(np.float16), (*notes, *cut))


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
