"""NRRD, MHA and MHD through SimpleITK: LPS to RAS, and data files only from beside their header."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError
from napari_dycon.io.geometry import LPS_TO_RAS, Geometry, is_invertible
from napari_dycon.io.layout import copy_in_order
from napari_dycon.io.limits import require_memory

_HEADER_LIMIT = 1 << 16
_DATA_FILE = re.compile(rb"^(?:data ?file:|ElementDataFile\s*=)\s*(.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_INLINE = "LOCAL"
_BYTES_PER_COMPONENT = 8


def read_geometry(path: Path) -> Geometry:
    """Read where a volume lies from its header.

    Raises
    ------
    VolumeError
        If the header is damaged, points to another folder, or is not of one 3D grey-value volume.
    """
    return _geometry(path, _information(path))


def read_voxels(path: Path) -> tuple[NDArray[Any], Geometry, tuple[str, ...]]:
    """Read voxels (x, y, z), C-contiguous, with geometry (RAS mm) and notes; errors as in `read_geometry`."""
    reader = _information(path)
    geometry = _geometry(path, reader)
    require_memory(path, 2 * math.prod(geometry.shape) * _BYTES_PER_COMPONENT)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(
            f"{path.name} is damaged or truncated: its voxels cannot be read; copy or export the file again."
        ) from error
    voxels = sitk.GetArrayViewFromImage(image).T.reshape(geometry.shape)
    return copy_in_order(voxels, "C"), geometry, _notes(path)


def _information(path: Path) -> Any:
    """Reader that has read the header alone."""
    _require_own_data_file(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise VolumeError(
            f"{path.name} is damaged: its header cannot be read; export the scan again."
        ) from error
    return reader


def _header_text(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_HEADER_LIMIT)
    if not content:
        raise VolumeError(f"{path.name} is empty (0 bytes); copy or export the file again.")
    if content.startswith(b"NRRD"):
        return re.split(rb"\r?\n\r?\n", content, maxsplit=1)[0]
    element = re.search(rb"ElementDataFile[^\n]*\n?", content, re.IGNORECASE)
    return content[: element.end()] if element else content


def _require_own_data_file(path: Path) -> None:
    """Refuse headers that name a file elsewhere: they would show any file of this computer as an image."""
    for match in _DATA_FILE.findall(_header_text(path)):
        name = match.decode("utf-8", errors="replace")
        if name.upper() == _INLINE:
            continue
        data = path.parent / name
        beside = data.resolve().parent == path.parent.resolve() and Path(name).name == name
        if not beside:
            raise VolumeError(
                f"{path.name} takes its voxels from {name!r}; "
                "only a single data file in the same folder is accepted."
            )
        if not data.is_file():
            raise VolumeError(f"{path.name} needs the file {name!r} beside it, which is missing.")


def _geometry(path: Path, reader: Any) -> Geometry:
    size = list(reader.GetSize())
    if reader.GetNumberOfComponents() > 1:
        raise VolumeError(
            f"{path.name} has {reader.GetNumberOfComponents()} values per voxel (colour or vector image); "
            "export a single channel as a grey-value scan."
        )
    if reader.GetPixelIDValue() in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        raise VolumeError(f"{path.name} is complex-valued; export the magnitude image.")
    if len(size) < 3:
        raise VolumeError(f"{path.name} is a single 2D image {size}; a 3D scan is needed.")
    if math.prod(size[3:]) > 1:
        raise VolumeError(
            f"{path.name} holds {math.prod(size[3:])} volumes instead of one; "
            "save the one to be segmented as a 3D file."
        )
    affine = _affine(reader, len(size))
    if not is_invertible(affine):
        raise VolumeError(f"{path.name} has no usable position: an axis has no direction; export it again.")
    return Geometry((size[0], size[1], size[2]), affine)


def _affine(reader: Any, dimensions: int) -> NDArray[np.float64]:
    direction = np.array(reader.GetDirection()).reshape(dimensions, dimensions)[:3, :3]
    lps = np.eye(4)
    lps[:3, :3] = direction * np.array(reader.GetSpacing()[:3])
    lps[:3, 3] = reader.GetOrigin()[:3]
    return np.asarray(LPS_TO_RAS @ lps)


def _notes(path: Path) -> tuple[str, ...]:
    header = _header_text(path).lower()
    placed = (b"\nspace directions:", b"transformmatrix", b"orientation", b"rotation")
    if any(word in header for word in placed):
        return ()
    return ("The file states no position in the scanner; left and right cannot be relied on.",)
