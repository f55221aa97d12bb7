"""Signed distances to the border of a structure, in millimetres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

FAR = 1e4
"""Distance in mm where there is no border to measure it from."""


def signed_distance(mask: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float32]:
    """Distance of each voxel centre to the border of a mask, positive inside.

    The border runs halfway between the centres of the voxels on both sides. The edge of the volume is no
    border: what touches it is taken to go on.

    Parameters
    ----------
    mask
        Two or three dimensions.
    spacing
        Voxel size along each axis, in mm.

    Returns
    -------
    ndarray of float32, shape of the mask
        In mm; `FAR` or ``-FAR`` where all is inside or all outside.
    """
    if mask.all() or not mask.any():
        return np.full(mask.shape, FAR if mask.all() else -FAR, np.float32)
    inner, outer = _to_edge(mask, spacing), _to_edge(~mask, spacing)
    return np.asarray((inner - outer) / 2, dtype=np.float32)


def _to_edge(mask: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float32]:
    """Signed distance to the outermost voxel centres of a mask."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(mask).view(np.uint8))
    image.SetSpacing([float(size) for size in reversed(spacing)])
    distance = sitk.SignedMaurerDistanceMap(
        image, insideIsPositive=True, squaredDistance=False, useImageSpacing=True
    )
    return np.asarray(sitk.GetArrayViewFromImage(distance), dtype=np.float32).copy()
