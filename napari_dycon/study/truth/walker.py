"""How likely a random walker from each voxel comes to an inside stroke first, given what one expects of it.

Grady, "Multilabel random walker image segmentation using prior models" (CVPR 2005): the probability ``x`` is
given at the strokes, and everywhere else it minimises

    sum over neighbours i, j of w_ij (x_i - x_j)^2  +  g sum over voxels of (x_i - p_i)^2

with weights ``w_ij = exp(-beta (I_i - I_j)^2)`` of standardised intensities ``I`` and an expectation ``p``.
The second term makes the equations so well conditioned that conjugate gradients take few steps, and needs no
stroke outside.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]

BETA = 30.0
"""How much a step of intensity, in standard deviations of the box, holds the walker up."""
LEAST_WEIGHT = 1e-3
FAITH = 0.005
"""Weight ``g`` of what is expected of a voxel."""
NOISE = 0.5
"""Standard deviation in voxels of the smoothing before intensities are compared."""
TOLERANCE = 1e-3
MOST_STEPS = 300
STEPS_AT_A_TIME = 10


def walk(
    image: Volume,
    spacing: tuple[float, ...],
    inside: Mask,
    outside: Mask,
    expected: Volume,
    look_up: Callable[[], None] = lambda: None,
) -> Volume:
    """Work out the probability that each voxel lies inside.

    Parameters
    ----------
    image
        Intensities ``(x, y, z)``.
    spacing
        Voxel size along the axes, in mm; through thick slices a walker goes less easily.
    inside, outside
        Where the probability is 1 and 0.
    expected
        What is expected of each voxel, 0 to 1.
    look_up
        Called every few steps; it may raise to end the work.
    """
    given = inside | outside
    fixed, free = inside.astype(np.float32), (~given).astype(np.float32)
    weights = _weights(image, spacing)
    diagonal = _diagonal(weights, image.shape)

    def apply(x: Volume) -> Volume:
        y = diagonal * x
        for axis, weight in enumerate(weights):
            lower, upper = _sides(axis)
            y[lower] -= weight * x[upper]
            y[upper] -= weight * x[lower]
        return y

    right = (FAITH * expected - apply(fixed)) * free
    return np.asarray(fixed + _solve(apply, right, expected * free, free, diagonal, look_up))


def _solve(
    apply: Callable[[Volume], Volume],
    right: Volume,
    x: Volume,
    free: Volume,
    diagonal: Volume,
    look_up: Callable[[], None],
) -> Volume:
    """Conjugate gradients on the free voxels, preconditioned by the diagonal."""
    residual = (right - apply(x)) * free
    scaled = residual / diagonal
    direction, height = scaled, _dot(residual, scaled)
    enough = TOLERANCE**2 * max(_dot(right, right), 1e-12)
    for step in range(MOST_STEPS):
        if _dot(residual, residual) <= enough or height <= 0:
            break
        if step % STEPS_AT_A_TIME == 0:
            look_up()
        along = apply(direction) * free
        length = np.float32(height / _dot(direction, along))
        x = x + length * direction
        residual = residual - length * along
        scaled = residual / diagonal
        before, height = height, _dot(residual, scaled)
        direction = scaled + np.float32(height / before) * direction
    return x


def _weights(image: Volume, spacing: tuple[float, ...]) -> list[Volume]:
    smooth = ndimage.gaussian_filter(image, NOISE)
    spread = max(float(smooth.std()), 1e-6)
    weights = []
    for axis, size in enumerate(spacing):
        step = np.diff(smooth, axis=axis) / np.float32(spread)
        ease = np.float32(min(spacing) / size)
        weights.append(np.asarray((np.exp(-BETA * step * step) + LEAST_WEIGHT) * ease, np.float32))
    return weights


def _diagonal(weights: list[Volume], shape: tuple[int, ...]) -> Volume:
    total = np.full(shape, FAITH, np.float32)
    for axis, weight in enumerate(weights):
        for side in _sides(axis):
            total[side] += weight
    return total


def _sides(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where the voxels with a neighbour after them are along an axis, and where those neighbours."""
    before = (slice(None),) * axis
    return (*before, slice(None, -1)), (*before, slice(1, None))


def _dot(first: Volume, second: Volume) -> float:
    return float(np.vdot(first, second))
