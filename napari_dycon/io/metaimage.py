"""MetaImage (``.mha``, ``.mhd``): LPS positions to RAS, every field checked before it is used."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError
from napari_dycon.io.detached import damage_error, data_file, number, read_data, read_start, whole_number
from napari_dycon.io.geometry import LPS_TO_RAS, Geometry
from napari_dycon.io.limits import MM_PER_UNIT, require_plausible

SUFFIXES = (".mha", ".mhd")

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_MATRIX = ("transformmatrix", "rotation", "orientation")
_OFFSET = ("offset", "position", "origin")
_FREE_TEXT = ("comment", "name")
_SPACING = ("elementspacing", "elementsize")
_MOST_SIDE = 1 << 20


class Header:
    """Fields of one file by lower-case key, and the byte after its last line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fields: dict[str, str] = {}
        self.end = 0
        content = read_start(path)
        while "elementdatafile" not in self.fields:
            line_end = content.find(b"\n", self.end)
            if line_end < 0:
                line_end = len(content)
            key, equals, value = content[self.end : line_end].decode("latin-1").partition("=")
            if not equals:
                raise VolumeError(
                    f"{path.name} is damaged: its header cannot be read; export the scan again."
                )
            self._state(key.strip(), value.strip())
            self.end = min(line_end + 1, len(content))

    def _state(self, key: str, value: str) -> None:
        """Take a field; synonyms that contradict each other would leave the position to the reader."""
        name = key.lower()
        for other in next((names for names in (_MATRIX, _OFFSET) if name in names), (name,)):
            if self.fields.get(other, value).split() != value.split() and name not in _FREE_TEXT:
                raise damage_error(
                    self.path,
                    f"it states {key[:40]!r} twice, as {self.fields[other][:40]!r} and {value[:40]!r}",
                )
        self.fields[name] = value

    def text(self, *keys: str, default: str = "") -> str:
        """Value of the first of several keys that is there."""
        return next((self.fields[key] for key in keys if key in self.fields), default)

    def numbers(self, count: int, *keys: str) -> list[float] | None:
        """So many finite numbers; None where no key is there."""
        key = next((key for key in keys if key in self.fields), None)
        if key is None:
            return None
        words = self.fields[key].split()
        if len(words) != count:
            raise damage_error(self.path, f"{key} has {len(words)} numbers instead of {count}")
        return [number(self.path, key, word) for word in words]

    def flag(self, *keys: str) -> bool:
        """Whether a key says true."""
        return self.text(*keys, default="false").lower() in ("true", "t", "1", "yes", "y")

    @property
    def sizes(self) -> list[int]:
        """Voxels along each axis, at least three of them."""
        path = self.path
        count = whole_number(path, "NDims", self.text("ndims"), 1, 10)
        words = self.text("dimsize").split()
        if len(words) != count:
            raise damage_error(path, f"DimSize has {len(words)} numbers instead of {count}")
        sizes = [whole_number(path, "DimSize", word, 1, _MOST_SIDE) for word in words]
        if count < 3:
            raise VolumeError(f"{path.name} is a single 2D image {sizes}; a 3D scan is needed.")
        if math.prod(sizes[3:]) > 1:
            raise VolumeError(
                f"{path.name} holds {math.prod(sizes[3:])} volumes instead of one; "
                "save the one to be segmented as a 3D file."
            )
        return sizes


def read_geometry(path: Path) -> Geometry:
    """Read where a volume lies from its header.

    Raises
    ------
    VolumeError
        If the header is damaged, points to another folder, or is not of one 3D grey-value volume.
    """
    header = Header(path)
    _dtype(header)
    _data(header)
    return _geometry(header)


def read_voxels(path: Path) -> tuple[NDArray[Any], Geometry, tuple[str, ...]]:
    """Read voxels (x, y, z) in Fortran order with geometry and notes; errors as in `read_geometry`."""
    header = Header(path)
    dtype, (data, start), geometry = _dtype(header), _data(header), _geometry(header)
    encoding = "zlib" if header.flag("compresseddata") else "raw"
    if header.text("binarydata", default="true").lower().startswith("f"):
        encoding = "text"
    array, notes = read_data(path, data, start, encoding, dtype, geometry.shape)
    return array, geometry, (*_notes(header), *notes)


def _dtype(header: Header) -> np.dtype[Any]:
    name = header.text("elementtype").upper()
    channels = whole_number(
        header.path,
        "ElementNumberOfChannels",
        header.text("elementnumberofchannels", default="1"),
        1,
        1 << 16,
    )
    if channels > 1 or name.endswith("_ARRAY"):
        raise VolumeError(
            f"{header.path.name} has {channels} values per voxel (colour or vector image); "
            "export a single channel as a grey-value scan."
        )
    if name not in _TYPES:
        raise damage_error(header.path, f"its voxels are of the unknown type {name[:40]!r}")
    order = ">" if header.flag("elementbyteordermsb", "binarydatabyteordermsb") else "<"
    return np.dtype(order + _TYPES[name])


def _data(header: Header) -> tuple[Path, int]:
    name = header.text("elementdatafile")
    if name.upper() == "LOCAL":
        return header.path, header.end
    data = data_file(header.path, name)
    most = data.stat().st_size
    return data, whole_number(header.path, "HeaderSize", header.text("headersize", default="0"), -1, most)


def _geometry(header: Header) -> Geometry:
    sizes = header.sizes
    count = len(sizes)
    spacing = header.numbers(count, *_SPACING) or [1.0] * count
    origin = header.numbers(count, *_OFFSET) or [0.0] * count
    matrix = header.numbers(count * count, *_MATRIX) or np.eye(count).ravel().tolist()
    if min(spacing[:3]) <= 0:
        raise damage_error(header.path, f"ElementSpacing is {spacing[:3]}")
    unit = header.text("distanceunits").lower()
    if unit and unit not in MM_PER_UNIT:
        raise damage_error(header.path, f"the unit of length {unit[:40]!r} is not known")
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(matrix, (count, count))[:3, :3].T * spacing[:3]
    lps[:3, 3] = origin[:3]
    lps[:3] *= MM_PER_UNIT[unit] if unit else 1.0
    return require_plausible(header.path, (sizes[0], sizes[1], sizes[2]), LPS_TO_RAS @ lps)


def _notes(header: Header) -> tuple[str, ...]:
    notes = []
    if not any(key in header.fields for key in _MATRIX):
        notes.append("The file states no position in the scanner; left and right cannot be relied on.")
    if not any(key in header.fields for key in _SPACING):
        notes.append("The file states no voxel size; 1 mm is assumed.")
    return tuple(notes)
