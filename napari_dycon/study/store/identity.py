"""Which image it is: a digest of voxels and grid, which compression, format and header text do not change."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from napari_dycon.io.geometry import Geometry, Reorientation
from napari_dycon.io.volumes import Volume

_STEP_MM = 0.00314159
"""Positions are compared in steps of so much. No spacing in use is an odd multiple of half of it, where two
roundings of one number would differ."""


def content_of(volume: Volume) -> str:
    """Digest of what a scan shows and where.

    The same for the same values on the same grid, whatever the type they are stored as, the file format, the
    compression, and the order and direction of the stored axes.

    Returns
    -------
    str
        Hexadecimal SHA-256.
    """
    canonical = Reorientation.to(volume.geometry)
    digest = hashlib.sha256(_grid_bytes(canonical.geometry))
    voxels = canonical.apply(volume.array)
    kind = _plainest_type(volume.array)
    for plane in voxels:
        digest.update(_plain(plane, kind).tobytes())
    return digest.hexdigest()


def _grid_bytes(geometry: Geometry) -> bytes:
    steps = np.rint(geometry.affine[:3] / _STEP_MM)
    with np.errstate(invalid="ignore"):
        return str((geometry.shape, steps.clip(-(2.0**62), 2.0**62).astype(np.int64).tolist())).encode()


def _plainest_type(array: NDArray[np.generic]) -> np.dtype[np.generic]:
    """Smallest of int32, float32 and float64 that holds every value; it follows from the values alone."""
    if array.dtype.kind in "biu" and array.dtype.itemsize < 4:
        return np.dtype("<i4")
    for kind in (np.dtype("<i4"), np.dtype("<f4")):
        if all(_fits(plane, kind) for plane in array):
            return kind
    return np.dtype("<f8")


def _fits(plane: NDArray[np.generic], kind: np.dtype[np.generic]) -> bool:
    with np.errstate(invalid="ignore", over="ignore"):
        back = plane.astype(kind).astype(np.float64)
    return bool(np.array_equal(back, plane.astype(np.float64), equal_nan=kind.kind == "f"))


def _plain(plane: NDArray[np.generic], kind: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Values as `kind` in C order, with one zero and one NaN."""
    plain = np.array(plane, dtype=kind, order="C")
    if kind.kind == "f":
        plain[plain == 0] = 0
        plain[np.isnan(plain)] = np.nan
    return plain
