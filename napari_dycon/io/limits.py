"""What may be decoded: the memory gate that every reader passes before it touches a voxel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError
from napari_dycon.io.geometry import Geometry, affine_fault

SPACING_MM = (1e-5, 1e4)
"""Least and largest size of a voxel in mm: from a fine microscope to ten metres."""
FARTHEST_MM = 1e7
SAYS_LABELS = "The file says of itself that it holds labels; check that it is a scan."
MM_PER_UNIT = {
    name: size
    for size, names in (
        (1.0, ("mm", "millimeter", "millimeters", "millimetre", "millimetres")),
        (10.0, ("cm", "centimeter", "centimeters", "centimetre", "centimetres")),
        (1000.0, ("m", "meter", "meters", "metre", "metres")),
        (0.001, ("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometers", "micrometre")),
    )
    for name in names
}

_USABLE_SHARE = 0.9


def available_memory() -> int:
    """Bytes of memory that can be used without swapping."""
    return int(psutil.virtual_memory().available)


def require_memory(path: Path, size: int) -> None:
    """Refuse a file that would need more than the free memory.

    Parameters
    ----------
    path : Path
        The file, for the message.
    size : int
        Bytes that decoding it takes, computed from its header.

    Raises
    ------
    VolumeError
        If `size` exceeds 90 % of the free memory.
    """
    free = available_memory()
    if size > _USABLE_SHARE * free:
        raise VolumeError(
            f"{path.name} needs about {size / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; "
            "crop the scan, close other programs, or check that the file is not damaged."
        )


def require_plausible(path: Path, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> Geometry:
    """Return the grid of a scan whose size and place can be those of a body.

    Raises
    ------
    VolumeError
        If an axis has no direction, or a voxel or the distance to the origin is of an impossible size.
    """
    fault = affine_fault(affine)
    if fault:
        raise VolumeError(f"{path.name} has no usable position: {fault}; export it again.")
    geometry = Geometry(shape, affine)
    least, largest = SPACING_MM
    if not (least <= min(geometry.spacing) and max(geometry.spacing) <= largest):
        sizes = " x ".join(f"{size:.3g}" for size in geometry.spacing)
        raise VolumeError(f"{path.name} has voxels of {sizes} mm, which cannot be right; export it again.")
    farthest = int(np.abs(affine[:3, 3]).argmax())
    if abs(affine[farthest, 3]) > FARTHEST_MM:
        raise VolumeError(
            f"{path.name} lies kilometres from its origin ({'xyz'[farthest]} = {affine[farthest, 3]:.3g} "
            "mm), which cannot be; export it again."
        )
    return geometry
