"""Scans as they are read: voxels in source order, geometry, and the header a mask will be written with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError
from napari_dycon.io import metaimage, nifti, nrrd
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.layout import copy_in_order

_SKEW_DEGREES = 0.006  # what rounding to single precision and three decimals leaves

_USUAL_SIDE_MM = (1.0, 3000.0)

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan or mask as read from one file.

    Attributes
    ----------
    array : ndarray, shape (x, y, z)
        Real numbers in source order, native byte order, C-contiguous; scaling applied, integers kept where
        the file has none. NaN and infinite voxels are kept.
    geometry : Geometry
        Where the voxels lie, in RAS mm.
    path : Path
        The file.
    header : bytes or None
        Raw NIfTI header as on disk (348 or 540 bytes); None for other formats.
    notes : tuple of str
        Sentences about what is odd but usable.
    """

    array: NDArray[Any]
    geometry: Geometry
    path: Path
    header: bytes | None = None
    notes: tuple[str, ...] = ()


def read_volume(path: Path | str) -> Volume:
    """Read one 3D scan or mask (NIfTI, NRRD, MHA or MHD) after checking that it is whole.

    Raises
    ------
    VolumeError
        With one sentence: missing, damaged, truncated, too large, colour, complex, or not 3D.
    """
    path = _existing(path)
    if nifti.is_nifti(path):
        header = nifti.read_header(path)
        voxels, notes = nifti.read_voxels(header)
        return _add_notes(Volume(voxels, header.geometry, path, header.raw, header.notes + notes))
    reader = metaimage if path.name.lower().endswith(metaimage.SUFFIXES) else nrrd
    stored, geometry, notes = reader.read_voxels(path)
    voxels = copy_in_order(stored, "C", stored.dtype.newbyteorder("="))
    return _add_notes(Volume(voxels, geometry, path, None, notes))


def read_geometry(path: Path | str) -> Geometry:
    """Read where a volume lies from its header alone (errors as in `read_volume`)."""
    path = _existing(path)
    if nifti.is_nifti(path):
        return nifti.read_header(path).geometry
    if path.name.lower().endswith(metaimage.SUFFIXES):
        return metaimage.read_geometry(path)
    return nrrd.read_geometry(path)


def is_volume(path: Path | str) -> bool:
    """Tell from its name whether a file is a volume that `read_volume` knows; the file is not opened."""
    name = Path(path).name.lower()
    return name.endswith(VOLUME_SUFFIXES) and not name.startswith(".")


def find_volumes(folder: Path | str) -> list[Path]:
    """All volumes in a folder and its subfolders, sorted by path (see `walk`)."""
    return [path for path in walk(Path(folder)) if is_volume(path)]


def walk(folder: Path) -> list[Path]:
    """All files in a folder and its subfolders, sorted by path; hidden ones are left out.

    Links to folders are followed, but no folder is entered twice.
    """
    found: list[Path] = []
    entered: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(place)
        found += [here / name for name in files if not name.startswith(".")]
    return sorted(path for path in found if path.is_file())


def stem(path: Path | str) -> str:
    """File name without its volume suffix (``scan.1.nii.gz`` gives ``scan.1``)."""
    name = Path(path).name
    for suffix in sorted(VOLUME_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return Path(path).stem


def _existing(path: Path | str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise VolumeError(f"{path} is not a file; check that it was not moved or renamed.")
    if not path.name.lower().endswith(VOLUME_SUFFIXES):
        raise VolumeError(f"{path.name} is of a type that cannot be read; use {', '.join(VOLUME_SUFFIXES)}.")
    return path


def _add_notes(volume: Volume) -> Volume:
    """Add notes about sizes, axes and voxels that are odd.

    Raises
    ------
    VolumeError
        If no voxel is a number.
    """
    notes = [*volume.notes, *_place_notes(volume.geometry)]
    floats = volume.array.dtype.kind == "f"
    invalid = volume.array.size - int(np.count_nonzero(np.isfinite(volume.array))) if floats else 0
    if invalid == volume.array.size:
        raise VolumeError(f"{volume.path.name} holds no valid voxel (all NaN or infinite); export it again.")
    if invalid:
        notes.append(f"{invalid} voxels are invalid (NaN or infinite); they are kept as they are.")
    return replace(volume, notes=tuple(notes))


def _place_notes(geometry: Geometry) -> Iterator[str]:
    if geometry.skew_degrees > _SKEW_DEGREES:
        yield (
            f"The voxel axes are not perpendicular ({geometry.skew_degrees:.2g} degrees off); ITK-SNAP and "
            "3D Slicer may refuse this scan."
        )
    sides = [size * step for size, step in zip(geometry.shape, geometry.spacing, strict=True)]
    least, largest = _USUAL_SIDE_MM
    if not least <= max(sides) <= largest:
        measures = " x ".join(f"{side:.5g}" for side in sides)
        yield f"The scan measures {measures} mm; check the unit in which its file states the voxel size."
