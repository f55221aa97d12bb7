"""From scan and annotation to what a network sees: canonical axes, one spacing, robust intensities."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dycon.engine.fingerprint import Intensity
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
from napari_dycon.study.annotations import TRAINING_WEIGHTS, Annotation, Known

LARGEST_Z_SCORE = 8.0

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
    """Bring a scan to the plan's grid and intensity scale; voxels that are not finite are replaced."""
    reorientation = Reorientation.to(volume.geometry, "RAS")
    values = np.asarray(reorientation.apply(volume.array), dtype=np.float32)
    values, notes = _repaired(values)
    shape = resampled_shape(values.shape, reorientation.spacing, plan.spacing)
    image = normalise(resample(values, shape), plan.intensity)
    return PreparedImage(image.astype(np.float16), notes)


def prepare_target(
    annotation: Annotation, geometry: Geometry, plan: Plan, without: Collection[Known] = WEIGHTLESS
) -> NDArray[np.uint8]:
    """Bring an annotation to the plan's grid as class indices, 254 (do not care) and 255 (unknown).

    What is known in one of the ways in `without` counts as unknown.
    """
    reorientation = Reorientation.to(geometry, "RAS")
    target = reorientation.apply(annotation.training_target(plan.structure_values, without))
    shape = resampled_shape(target.shape, reorientation.spacing, plan.spacing)
    return resample_target(target, shape)


def prepare_weight(
    annotation: Annotation, weight: NDArray[np.float32], geometry: Geometry, plan: Plan
) -> NDArray[np.float16]:
    """Bring the importance of each voxel of an annotation to the plan's grid, in step with the target."""
    reorientation = Reorientation.to(geometry, "RAS")
    target = annotation.training_target(plan.structure_values, WEIGHTLESS)
    learned = reorientation.apply(target) < IGNORE
    shape = resampled_shape(learned.shape, reorientation.spacing, plan.spacing)
    return resample_weight(reorientation.apply(weight), learned, shape).astype(np.float16)


def normalise(image: FloatArray, intensity: Intensity) -> FloatArray:
    """Scale intensities; a scan with one value everywhere becomes zero.

    MR: values are cut at the 0.5th and 99.5th percentile of what is not exactly zero (the filled
    background) and z-scored there. CT: the plan's window and moments.
    """
    if intensity.kind == "ct":
        clipped = np.clip(image, intensity.low, intensity.high)
        return np.asarray((clipped - intensity.mean) / intensity.std, dtype=np.float32)
    inside = image[image != 0]
    if inside.size < 0.01 * image.size or inside.min() == inside.max():
        inside = image.ravel()
    low, high = np.percentile(inside, (0.5, 99.5))
    inside = np.clip(inside, low, high)
    std = float(inside.std(dtype=np.float64))
    if not std > 1e-6 * max(1.0, abs(float(high))):
        return np.zeros_like(image)
    scaled = (np.clip(image, min(low, 0.0), high) - inside.mean(dtype=np.float64)) / std
    return np.asarray(np.clip(scaled, -LARGEST_Z_SCORE, LARGEST_Z_SCORE), dtype=np.float32)


def _repaired(values: FloatArray) -> tuple[FloatArray, tuple[str, ...]]:
    broken = ~np.isfinite(values)
    count = int(broken.sum())
    if not count:
        return values, ()
    filling = float(values[~broken].min()) if count < values.size else 0.0
    note = f"{count} invalid voxels were replaced by {filling:g} for training; the file was not changed."
    return np.where(broken, np.float32(filling), values), (note,)
