"""An image brought to the grid of another one of the same body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.volumes import Volume

SAME = 1e-3
"""Grids whose corners lie no farther apart than this, in voxels, are the same."""


def on_the_grid_of(geometry: Geometry, volume: Volume) -> NDArray[np.float32]:
    """Sample an image at the voxels of a grid, by linear interpolation.

    Where it has no voxels it has its lowest value, and so it has in the place of values that are not finite.

    Parameters
    ----------
    geometry
        The grid.
    volume
        The image, on any grid.

    Returns
    -------
    ndarray of float32, shape (x, y, z)
        On the grid.

    Raises
    ------
    VolumeError
        If the image has no voxel near the grid.
    """
    values = _finite(np.asarray(volume.array, dtype=np.float32))
    to_image = np.linalg.inv(volume.geometry.affine) @ geometry.affine
    if volume.geometry.shape == geometry.shape and _shift(to_image, geometry.shape) < SAME:
        return values
    require_overlap(geometry, volume)
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    transform = sitk.AffineTransform(to_image[:3, :3].ravel().tolist(), to_image[:3, 3].tolist())
    found = sitk.Resample(
        image,
        geometry.shape,
        transform,
        sitk.sitkLinear,
        defaultPixelValue=float(values.min()),
    )
    return np.ascontiguousarray(sitk.GetArrayFromImage(found).T)


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    finite = np.isfinite(values)
    if finite.all():
        return values
    return np.where(finite, values, values[finite].min() if finite.any() else np.float32(0))


def _corners(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Indices of the corner voxels, (8, 4), with a 1 at the end."""
    sides = np.stack(np.meshgrid(*((0, size - 1) for size in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    return np.concatenate([sides, np.ones((len(sides), 1))], axis=1)


def _shift(to_image: NDArray[np.float64], shape: tuple[int, int, int]) -> float:
    corners = _corners(shape)
    return float(np.abs(corners @ to_image.T - corners).max())


def require_overlap(geometry: Geometry, volume: Volume) -> None:
    """Check that an image shows a part of what a grid spans, by the boxes around both along the image's axes.

    Raises
    ------
    VolumeError
        If it does not.
    """
    to_image = np.linalg.inv(volume.geometry.affine) @ geometry.affine
    places = (_corners(geometry.shape) @ to_image.T)[:, :3]
    apart = (places.max(axis=0) < 0) | (places.min(axis=0) > np.array(volume.geometry.shape) - 1)
    if apart.any():
        raise VolumeError(
            f"{volume.path.name} shows another place than the scan it belongs to; choose the image of the "
            "same exam."
        )
