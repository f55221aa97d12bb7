"""Resampling between the source grid and the grid a model works on.

Both grids cover the same field of view and have parallel axes, so the work is separable: one small matrix
by axis. Down-sampling averages (no aliasing), up-sampling is linear.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.learning.batch import IGNORE, UNKNOWN

FloatArray = NDArray[np.float32]

LARGE_PIECE = 8
"""A piece of a structure with the volume of so many voxels of the new grid does not vanish."""
ENOUGH_OF_A_VOXEL = 0.25
"""A piece with this share of a voxel's volume is kept; smaller ones may be slips of the hand."""


def resampled_shape(
    shape: Sequence[int], spacing: Sequence[float], target_spacing: Sequence[float]
) -> tuple[int, int, int]:
    """Number of voxels by axis that covers the same field of view at another spacing (mm)."""
    x, y, z = (
        max(1, math.floor(n * s / t + 0.5)) for n, s, t in zip(shape, spacing, target_spacing, strict=True)
    )
    return x, y, z


def resample(array: NDArray[Any], shape: Sequence[int]) -> FloatArray:
    """Resample a volume to `shape` over the same field of view.

    Parameters
    ----------
    array : (x, y, z)
    shape : target shape

    Returns
    -------
    float32 array of that shape.
    """
    result: FloatArray = np.asarray(array, dtype=np.float32)
    for axis in sorted(range(3), key=lambda a: shape[a] / array.shape[a]):
        result = _along(result, axis, shape[axis])
    return result


def rows_needed(old: int, new: int, rows: slice) -> slice:
    """Voxels of an axis of `old` voxels from which `rows` of the same axis with `new` voxels are made."""
    columns = np.flatnonzero(_weights(old, new)[rows].any(axis=0))
    return slice(int(columns[0]), int(columns[-1]) + 1)


def resample_rows(part: NDArray[Any], of: slice, old: int, shape: Sequence[int], rows: slice) -> FloatArray:
    """Give ``resample(whole, shape)[rows]`` of a volume with `old` rows, from its rows `of` alone."""
    result: FloatArray = np.asarray(part, dtype=np.float32)
    sides = (old, *part.shape[1:])
    for axis in sorted(range(3), key=lambda a: shape[a] / sides[a]):
        if axis:
            result = _along(result, axis, shape[axis])
        elif old != shape[0]:
            result = np.tensordot(_weights(old, shape[0])[rows, of], result, axes=(1, 0))
    return result


def resample_target(
    target: NDArray[np.uint8], shape: Sequence[int], keep_small: bool = True
) -> NDArray[np.uint8]:
    """Resample class indices: known voxels vote, a voxel is known only where its source is.

    On an axis that becomes coarser a voxel counts as known when the centre of a known source voxel lies in
    it, so that single labelled slices survive; on one that becomes finer, when the nearest source voxel is
    known. With `keep_small` a structure that would vanish, and a piece of it with a quarter of a voxel, keep
    a voxel.
    """
    if tuple(shape) == target.shape:
        return target.copy()
    known = _resample_known(target != UNKNOWN, shape)
    best = np.zeros(tuple(shape), dtype=np.float32)
    result = np.full(tuple(shape), UNKNOWN, dtype=np.uint8)
    small: list[int] = []
    for value in _values(target):
        votes = resample(target == value, shape)
        wins = known & (votes > best)
        result[wins] = value
        best[wins] = votes[wins]
        if keep_small and 0 < value < IGNORE:
            small.append(value)
    for value in small:
        _keep_small_pieces(target, result, value)
    return result


def resample_weight(weight: FloatArray, voting: NDArray[np.bool_], shape: Sequence[int]) -> FloatArray:
    """Resample the weights of labels: the mean of those that vote in `resample_target`, 1 where none does."""
    if tuple(shape) == weight.shape:
        return np.where(voting, weight, np.float32(1))
    votes = resample(voting, shape)
    some = votes > 0
    mean = resample(np.where(voting, weight, np.float32(0)), shape) / np.where(some, votes, np.float32(1))
    return np.asarray(np.where(some, mean, np.float32(1)), dtype=np.float32)


def _keep_small_pieces(target: NDArray[np.uint8], result: NDArray[np.uint8], value: int) -> None:
    """Give pieces of a structure that no voxel voted for the voxel that holds most of them."""
    box = ndimage.find_objects((target == value).astype(np.uint8))[0]
    pieces, count = ndimage.label(target[box] == value)
    factors = [old / new for old, new in zip(target.shape, result.shape, strict=True)]
    filled = math.prod(max(1.0, factor) for factor in factors)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    few = np.flatnonzero(sizes[1:] < LARGE_PIECE * filled) + 1
    places = np.argwhere(np.isin(pieces, few))
    owner = pieces[tuple(places.T)]
    start = [part.start for part in box]
    cells = np.ravel_multi_index(tuple(((places + start + 0.5) / factors).astype(int).T), result.shape)
    vanishes = not (result == value).any()
    for piece in few[np.argsort(-sizes[few], kind="stable")]:
        own, held = np.unique(cells[owner == piece], return_counts=True)
        if (result.flat[own] == value).any() or not (vanishes or sizes[piece] >= ENOUGH_OF_A_VOXEL * filled):
            continue
        result.flat[own[held.argmax()]] = value
        vanishes = False


def _values(target: NDArray[np.uint8]) -> list[int]:
    """Values in the target; "do not care" last, so that it never wins a tie."""
    found = np.flatnonzero(np.bincount(target.ravel(), minlength=256)).tolist()
    return [v for v in found if v not in (UNKNOWN, IGNORE)] + [v for v in found if v == IGNORE]


def _resample_known(known: NDArray[np.bool_], shape: Sequence[int]) -> NDArray[np.bool_]:
    """A voxel is known where the centre of a known source voxel lies in it, or the nearest one is known."""
    for axis in range(3):
        old, new = known.shape[axis], shape[axis]
        if old != new:
            centres = (np.arange(new) + 0.5) * old / new - 0.5
            reach = 0.5 * max(1.0, old / new) + 1e-6
            covers = np.abs(np.arange(old)[None, :] - centres[:, None]) <= reach
            hits = np.tensordot(covers.astype(np.float32), known.astype(np.float32), axes=(1, axis))
            known = np.moveaxis(hits > 0, 0, axis)
    return known


def _along(array: FloatArray, axis: int, length: int) -> FloatArray:
    if array.shape[axis] == length:
        return array
    weights = _weights(array.shape[axis], length)
    moved = np.tensordot(weights, array, axes=(1, axis))
    return np.ascontiguousarray(np.moveaxis(moved, 0, axis))


def _weights(old: int, new: int) -> FloatArray:
    """Rows of triangular weights, `(new, old)`, as wide as the coarser of both voxels; each sums to 1."""
    factor = max(1.0, old / new)
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    distance = np.abs(np.arange(old)[None, :] - np.clip(centres, 0, old - 1)[:, None]) / factor
    weights = np.maximum(0.0, 1.0 - distance)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
