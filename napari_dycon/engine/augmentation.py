"""Random changes of place and intensity, fast enough to be made while training waits.

Geometry is sampled straight from the whole scan, so that rotation and zoom invent no empty corners where
there is tissue. Nothing is learned from what lies outside the scan. All intensity changes are separable or
elementwise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_dycon.engine.plan import Augmentation
from napari_dycon.learning.batch import IGNORE, UNKNOWN

KNOTS = 5


@dataclass(frozen=True)
class Warp:
    """Where each voxel of a patch is taken from.

    Attributes
    ----------
    matrix : (3, 3), patch offset in voxels to scan offset in voxels
    displacement : smooth displacement in voxels at `KNOTS`^3 knots, (3, k, k, k), or None
    """

    matrix: NDArray[np.float64]
    displacement: NDArray[np.float32] | None = None


def identity_warp() -> Warp:
    """A plain crop."""
    return Warp(np.eye(3))


def random_warp(settings: Augmentation, spacing: Sequence[float], random: np.random.Generator) -> Warp:
    """Draw rotation, zoom, mirroring and elastic displacement."""
    matrix = np.eye(3)
    if random.random() < settings.rotation_p:
        angles = [math.radians(a) * random.uniform(-1, 1) for a in settings.rotation]
        matrix = _rotation(angles)
    if random.random() < settings.scale_p:
        low, high = (math.log(s) for s in settings.scale)
        common = random.uniform(low, high)
        zoom = np.exp(common + random.uniform(-0.1, 0.1, 3))
        matrix = matrix @ np.diag(1 / np.where(settings.flat, 1.0, zoom))
    flips = [-1.0 if m and random.random() < 0.5 else 1.0 for m in settings.mirror]
    matrix = matrix @ np.diag(flips)
    millimetres = np.diag(np.asarray(spacing, dtype=float))
    matrix = np.linalg.inv(millimetres) @ matrix @ millimetres
    displacement = None
    if random.random() < settings.elastic_p:
        displacement = random.normal(0, settings.elastic, (3, KNOTS, KNOTS, KNOTS)).astype(np.float32)
        displacement[list(settings.flat)] = 0
    return Warp(matrix, displacement)


def sample_patch(
    image: NDArray[np.float16],
    target: NDArray[np.uint8] | None,
    centre: Sequence[float],
    size: Sequence[int],
    warp: Warp,
    weight: NDArray[np.float16] | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Take a warped patch out of a scan.

    Parameters
    ----------
    image : (channel, x, y, z) of the whole scan
    target, weight : (x, y, z); without a target all of it is unknown
    centre : voxel coordinate that becomes the centre of the patch
    size : shape of the patch

    Returns
    -------
    patches of the image (channel, X, Y, Z) float32, the target (uint8) and the weight (float32); outside the
    scan the image repeats its border, the target is not to be learned from (`IGNORE`) and the weight 1.
    """
    coordinates = _coordinates(centre, size, warp)
    shape = image.shape[1:]
    box = [_range(c, n) for c, n in zip(coordinates, shape, strict=True)]
    window = tuple(slice(start, stop) for start, stop in box)
    grid = torch.stack(
        [
            (c - start) * (2.0 / max(1, stop - start - 1)) - 1.0
            for c, (start, stop) in reversed(list(zip(coordinates, box, strict=True)))
        ],
        dim=-1,
    )[None]
    values = torch.from_numpy(image[:, *window].astype(np.float32))[None]
    patch = F.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=True)
    if target is None:
        return patch[0], _inside(coordinates, shape), None
    labels = _nearest(target, coordinates, IGNORE)
    return patch[0], labels, None if weight is None else _nearest(weight, coordinates, 1).float()


def perturb(
    patch: Tensor, settings: Augmentation, random: np.random.Generator, strength: float = 1.0
) -> Tensor:
    """Change intensities of a patch `(channel, X, Y, Z)`, each channel by itself; the input is left as it is.

    Of the further channels one that is missing, all 0, stays so, and others are made so at times.
    """
    changed = [_perturb_channel(patch[0], settings, random, strength)]
    for channel in patch[1:]:
        missing = random.random() < settings.missing_p or not bool(channel.any())
        changed.append(
            torch.zeros_like(channel) if missing else _perturb_channel(channel, settings, random, strength)
        )
    return torch.stack(changed)


def _perturb_channel(
    patch: Tensor, settings: Augmentation, random: np.random.Generator, strength: float
) -> Tensor:
    def happens(probability: float) -> bool:
        return bool(random.random() < min(1.0, probability * strength))

    result = patch.clone()
    if happens(settings.bias_p):
        result *= _bias(result.shape, random)
    if happens(settings.blur_p):
        sigmas = [0.0 if flat else random.uniform(0.4, 1.2) for flat in settings.flat]
        result = _separable(result, [_blur_matrix(n, s) for n, s in zip(result.shape, sigmas, strict=True)])
    if happens(settings.low_resolution_p):
        zoom = random.uniform(0.45, 1.0)
        coarse = [
            n if f else max(2, round(n * zoom)) for n, f in zip(result.shape, settings.flat, strict=True)
        ]
        result = _separable(result, [_coarse_matrix(n, c) for n, c in zip(result.shape, coarse, strict=True)])
    if happens(settings.contrast_p):
        mean = result.mean()
        result = (result - mean) * random.uniform(0.65, 1.5) + mean + random.uniform(-0.4, 0.4)
    if happens(settings.gamma_p):
        result = _gamma(result, math.exp(random.uniform(-0.45, 0.45)), invert=random.random() < 0.3)
    if happens(settings.noise_p):
        result += random.uniform(0.02, 0.3) * _noise(result.shape, random)
    if happens(settings.cutout_p):
        _cut_out(result, random)
    return result


def _rotation(angles: Sequence[float]) -> NDArray[np.float64]:
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = [other for other in range(3) if other != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = math.cos(angle)
        turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    return matrix


def _coordinates(centre: Sequence[float], size: Sequence[int], warp: Warp) -> list[Tensor]:
    offsets = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in size]
    x, y, z = (o.reshape([-1 if a == axis else 1 for a in range(3)]) for axis, o in enumerate(offsets))
    coordinates = []
    for axis, row in enumerate(warp.matrix.tolist()):
        coordinate = (row[0] * x + (row[1] * y + float(centre[axis]))) + row[2] * z
        if warp.displacement is not None:
            coordinate += _field(torch.from_numpy(warp.displacement[axis]), size)
        coordinates.append(coordinate)
    return coordinates


def _range(coordinate: Tensor, length: int) -> tuple[int, int]:
    """Part of an axis that sampling touches, at least two voxels wide where there are two."""
    low, high = (float(v) for v in torch.aminmax(coordinate))
    start = min(max(0, math.floor(low)), max(0, length - 2))
    return start, min(length, max(start + 2, math.ceil(high) + 1))


def _nearest(
    volume: NDArray[np.uint8] | NDArray[np.float16], coordinates: Sequence[Tensor], outside: int
) -> Tensor:
    inside = torch.ones(coordinates[0].shape, dtype=torch.bool)
    flat = torch.zeros(coordinates[0].shape, dtype=torch.int32)
    for coordinate, length in zip(coordinates, volume.shape, strict=True):
        index = coordinate.round().to(torch.int32)
        inside &= (index >= 0) & (index < length)
        flat = flat * length + index.clamp_(0, length - 1)
    values = np.ascontiguousarray(volume).reshape(-1)
    found = torch.from_numpy(values.take(flat.numpy(), mode="clip"))  # a mapped file is no tensor
    return found.masked_fill_(~inside, outside)


def _inside(coordinates: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """Target of a patch of which nothing is known, `(X, Y, Z)` uint8."""
    inside = torch.ones(coordinates[0].shape, dtype=torch.bool)
    for coordinate, length in zip(coordinates, shape, strict=True):
        index = coordinate.round()
        inside &= (index >= 0) & (index < length)
    return torch.where(inside, UNKNOWN, IGNORE).to(torch.uint8)


def _field(knots: Tensor, size: Sequence[int]) -> Tensor:
    x, y, z = (_knot_matrix(n) for n in size)
    return _separable(knots, (x, y, z))


@lru_cache(maxsize=64)
def _knot_matrix(length: int) -> Tensor:
    """Smooth weights of `KNOTS` knots for each voxel of an axis."""
    position = torch.linspace(0, KNOTS - 1, length)[:, None]
    weights = torch.exp(-0.5 * ((position - torch.arange(KNOTS)) / 0.6) ** 2)
    return weights / weights.sum(1, keepdim=True)


def _bias(size: Sequence[int], random: np.random.Generator) -> Tensor:
    knots = random.normal(0, random.uniform(0.05, 0.25), (KNOTS, KNOTS, KNOTS)).astype(np.float32)
    return _field(torch.from_numpy(knots), size).exp_()


def _separable(patch: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Apply a matrix along each axis, each time to one wide matrix: many narrow ones take far longer."""
    x, y, z = matrices
    patch = patch @ z.T
    patch = (x @ patch.flatten(1)).reshape(len(x), *patch.shape[1:])
    turned = (y @ patch.transpose(0, 1).flatten(1)).reshape(len(y), len(x), len(z))
    return turned.transpose(0, 1).contiguous()


def _blur_matrix(length: int, sigma: float) -> Tensor:
    if sigma == 0:
        return torch.eye(length)
    index = torch.arange(length, dtype=torch.float32)
    weights = torch.exp(-0.5 * ((index[:, None] - index[None, :]) / sigma) ** 2)
    return weights / weights.sum(1, keepdim=True)


@lru_cache(maxsize=256)
def _coarse_matrix(length: int, coarse: int) -> Tensor:
    """Averaging to a coarser axis and linear interpolation back, as one matrix."""
    eye = torch.eye(length)[None]
    down = F.adaptive_avg_pool1d(eye, coarse)
    return F.interpolate(down, size=length, mode="linear", align_corners=False)[0].T.contiguous()


def _gamma(patch: Tensor, gamma: float, invert: bool) -> Tensor:
    low, high = torch.aminmax(patch)
    extent = (high - low).clamp_min(1e-6)
    unit = (patch - low) / extent
    unit = 1 - (1 - unit).pow_(gamma) if invert else unit.pow_(gamma)
    return unit * extent + low


def _noise(size: Sequence[int], random: np.random.Generator) -> Tensor:
    generator = torch.Generator().manual_seed(int(random.integers(2**62)))
    return torch.randn(tuple(size), generator=generator)


def _cut_out(patch: Tensor, random: np.random.Generator) -> None:
    """Cover a few small boxes with one random value each."""
    for _ in range(int(random.integers(1, 5))):
        sides = [max(1, int(n * random.uniform(0.05, 0.25))) for n in patch.shape]
        starts = [int(random.integers(0, n - s + 1)) for n, s in zip(patch.shape, sides, strict=True)]
        window = tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))
        patch[window] = float(random.normal())
