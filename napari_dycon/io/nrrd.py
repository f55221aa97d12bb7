"""NRRD (``.nrrd``, ``.nhdr``): its spaces and units to RAS mm, every field checked before it is used."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError
from napari_dycon.io.detached import damage_error, data_file, number, read_data, read_start, whole_number
from napari_dycon.io.geometry import LPS_TO_RAS, Geometry
from napari_dycon.io.limits import MM_PER_UNIT, SAYS_LABELS, require_plausible

SUFFIXES = (".nrrd", ".nhdr")

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: dtype for dtype, names in _TYPES.items() for name in names}
_ENCODINGS = {
    "raw": "raw",
    "gzip": "gzip",
    "gz": "gzip",
    "bzip2": "bzip2",
    "bz2": "bzip2",
    "text": "text",
    "txt": "text",
    "ascii": "text",
}
_TO_RAS = {
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "lpst": (-1, -1, 1),
    "rast": (1, 1, 1),
    "last": (-1, 1, 1),
}
_OTHER_SPACES = ("scanner-xyz", "3d-right-handed", "3d-left-handed")
_SPATIAL_KINDS = ("domain", "space")
_NO_POSITION = "The file states no position in the scanner; left and right cannot be relied on."
_MOST_SIDE = 1 << 20
_VECTOR = re.compile(r"\(([^()]*)\)|none", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)")
_SEGMENT_KEY = re.compile(r"segment(\d+|ation)_|org\.mitk\.multilabel\.|(org\.mitk\.)?label_\d")


class Header:
    """Fields and key/value pairs of one file by lower-case name, and the byte after its blank line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        content = read_start(path)
        if not content.startswith(b"NRRD"):
            raise damage_error(path, "it does not begin with NRRD")
        found = re.search(rb"\r?\n\r?\n", content)
        self.end = found.end() if found else len(content)
        self.fields: dict[str, str] = {}
        self.pairs: dict[str, str] = {}
        for line in content[: found.start() if found else None].splitlines()[1:]:
            text = line.decode("utf-8", errors="replace")
            name, colon, value = text.partition(":")
            if not colon or text.startswith("#"):
                continue
            if value.startswith("="):
                self.pairs[name.strip().lower()] = _ESCAPED.sub(_unescape, value[1:].strip())
            else:
                self._state(name.strip().lower().replace("datafile", "data file"), value.strip())
        self.attached = "data file" not in self.fields
        if self.attached and not found:
            raise VolumeError(
                f"{path.name} is damaged or truncated: its header does not end; export it again."
            )

    def _state(self, name: str, value: str) -> None:
        if self.fields.setdefault(name, value) != value and name != "content":  # which is free text
            raise damage_error(
                self.path, f"it states {name[:40]!r} twice, {self.fields[name][:40]!r} and {value[:40]!r}"
            )

    def text(self, name: str, default: str = "") -> str:
        """Value of a field."""
        return self.fields.get(name, default)

    @property
    def sizes(self) -> list[int]:
        """Voxels along each stored axis."""
        count = whole_number(self.path, "dimension", self.text("dimension"), 1, 16)
        words = self.text("sizes").split()
        if len(words) != count:
            raise damage_error(self.path, f"sizes has {len(words)} numbers instead of {count}")
        return [whole_number(self.path, "sizes", word, 1, _MOST_SIDE) for word in words]

    @property
    def directions(self) -> list[list[float] | None] | None:
        """Step along each stored axis in the units of the space; None for axes that are no space."""
        text = self.fields.get("space directions")
        if text is None:
            return None
        found = [
            None
            if match.group(1) is None
            else [number(self.path, "space directions", word) for word in match.group(1).split(",")]
            for match in _VECTOR.finditer(text)
        ]
        if len(found) != len(self.sizes):
            raise damage_error(
                self.path, f"space directions has {len(found)} vectors instead of {len(self.sizes)}"
            )
        return found

    @property
    def axes(self) -> list[int]:
        """The three stored axes that span the volume.

        Raises
        ------
        VolumeError
            If there are fewer, or if more than one volume is stored along the others.
        """
        chosen, others, many = self._spans()
        if many > 1 and others[0] < chosen[0]:
            what = "layers of segments; a grey-value scan is needed"
            raise VolumeError(
                f"{self.path.name} is a segmentation with {many} {what}."
                if self.is_segmentation
                else f"{self.path.name} has {many} values per voxel (colour or vector image); "
                "export a single channel as a grey-value scan."
            )
        if many > 1:
            raise VolumeError(
                f"{self.path.name} holds {many} volumes instead of one; "
                "save the one to be segmented as a 3D file."
            )
        return chosen

    @property
    def layers(self) -> int:
        """Label maps that a segmentation stores voxel by voxel, one upon the other; 1 for all else."""
        chosen, others, many = self._spans()
        return many if self.is_segmentation and others == [0] and chosen == [1, 2, 3] else 1

    @property
    def is_segmentation(self) -> bool:
        """Whether 3D Slicer or MITK wrote the file as one."""
        return any(_SEGMENT_KEY.match(name) for name in self.pairs)

    def _spans(self) -> tuple[list[int], list[int], int]:
        """Axes of the volume, the others, and how many values those hold for each voxel."""
        sizes, directions = self.sizes, self.directions
        kinds = self.text("kinds").lower().split()
        if directions is not None:
            spatial = [axis for axis, vector in enumerate(directions) if vector is not None]
        elif len(kinds) == len(sizes):
            spatial = [a for a, kind in enumerate(kinds) if kind in _SPATIAL_KINDS or kind.startswith("?")]
        else:
            spatial = list(range(len(sizes)))
        chosen = spatial[:3]
        others = [axis for axis in range(len(sizes)) if axis not in chosen]
        many = math.prod(sizes[axis] for axis in others)
        if len(chosen) < 3:
            raise VolumeError(f"{self.path.name} is a single 2D image {sizes}; a 3D scan is needed.")
        return chosen, others, many


def _unescape(found: re.Match[str]) -> str:
    return "\n" if found.group(1) == "n" else found.group(1)


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
    return _geometry(header, header.axes)[0]


def read_voxels(path: Path) -> tuple[NDArray[Any], Geometry, tuple[str, ...]]:
    """Read voxels (x, y, z) in Fortran order with geometry and notes; errors as in `read_geometry`."""
    header = Header(path)
    geometry, notes = _geometry(header, header.axes)
    array, more = _read(header, geometry.shape)
    said = (SAYS_LABELS,) if header.is_segmentation else ()
    return array, geometry, (*notes, *more, *said)


def read_layers(header: Header) -> tuple[NDArray[Any], Geometry, tuple[str, ...]]:
    """Read the layers of a segmentation, (layer, x, y, z) in Fortran order; errors as in `read_geometry`."""
    geometry, notes = _geometry(header, [1, 2, 3])
    array, more = _read(header, (header.layers, *geometry.shape))
    return array, geometry, (*notes, *more)


def _read(header: Header, shape: tuple[int, ...]) -> tuple[NDArray[Any], tuple[str, ...]]:
    path, dtype, (data, start) = header.path, _dtype(header), _data(header)
    encoding = _ENCODINGS.get(header.text("encoding").lower())
    if encoding is None:
        raise damage_error(path, f"the encoding {header.text('encoding')[:40]!r} is not known")
    return read_data(path, data, start, encoding, dtype, shape)


def _dtype(header: Header) -> np.dtype[Any]:
    name = " ".join(header.text("type").lower().split())
    if name not in _DTYPES:
        raise damage_error(header.path, f"its voxels are of the unknown type {name[:40]!r}")
    order = {"big": ">", "little": "<", "": "<"}.get(header.text("endian").lower())
    if order is None:
        raise damage_error(header.path, f"the byte order {header.text('endian')[:40]!r} is not known")
    return np.dtype(order + _DTYPES[name])


def _data(header: Header) -> tuple[Path, int]:
    path = header.path
    data = path if header.attached else data_file(path, header.text("data file"))
    start = header.end if header.attached else 0
    if int(number(path, "line skip", header.text("line skip", header.text("lineskip", "0")))) > 0:
        raise VolumeError(
            f"{path.name} has lines before its voxels, which is not supported; save it again as NRRD."
        )
    most = data.stat().st_size
    skip = whole_number(path, "byte skip", header.text("byte skip", header.text("byteskip", "0")), -1, most)
    return data, -1 if skip < 0 else start + skip


def _geometry(header: Header, axes: list[int]) -> tuple[Geometry, tuple[str, ...]]:
    path, sizes, directions = header.path, header.sizes, header.directions
    space = header.text("space").lower().removesuffix("-time")
    to_ras = _TO_RAS.get(space)
    if space and to_ras is None and space not in _OTHER_SPACES:
        raise damage_error(path, f"the space {space[:40]!r} is not known")
    affine = np.eye(4)
    words = header.text("spacings").split()
    if len(words) not in (0, len(sizes)):
        raise damage_error(path, f"spacings has {len(words)} numbers instead of {len(sizes)}")
    if directions is None:
        if not words and {"axis maxs", "axismaxs"} & header.fields.keys():
            raise VolumeError(
                f"{path.name} states its voxel size by axis mins and maxs, which is not supported; save it "
                "again in 3D Slicer."
            )
        words = words or ["1"] * len(sizes)
        affine[:3, :3] = np.diag([number(path, "spacings", words[axis]) for axis in axes])
    else:
        for column, axis in enumerate(axes):
            vector = directions[axis]
            if vector is None or len(vector) < 3:
                raise damage_error(path, "space directions has a vector with fewer than three numbers")
            affine[:3, column] = vector[:3]
    agree = _agree(affine, [words[axis] for axis in axes]) if words else True
    affine[:3, 3] = _origin(header)
    affine[:3] *= np.array(_units(header))[:, None]
    ras = np.diag([*to_ras, 1]) @ affine if to_ras is not None else LPS_TO_RAS @ affine
    shape = (sizes[axes[0]], sizes[axes[1]], sizes[axes[2]])
    notes = [] if to_ras is not None and directions is not None else [_NO_POSITION]
    if directions is None and not header.text("spacings"):
        notes.append("The file states no voxel size; 1 mm is assumed.")
    if directions is not None and "space origin" not in header.fields:
        notes.append("The file states no origin; where the scan lies in the scanner is not known.")
    if directions is not None and not agree:
        notes.append("The stated spacings differ from the space directions, which are used.")
    return require_plausible(path, shape, ras), tuple(notes)


def _agree(affine: NDArray[np.float64], words: list[str]) -> bool:
    """Tell whether spacings say what the directions say; those of other axes are not stated."""
    try:
        stated = np.abs([float(word) for word in words])
    except ValueError:
        return False
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.all(np.isnan(stated) | np.isclose(stated, steps, rtol=1e-3)))


def _origin(header: Header) -> list[float]:
    text = header.fields.get("space origin")
    found = _VECTOR.fullmatch(text) if text is not None else None
    if found is None or found.group(1) is None:
        return [0.0, 0.0, 0.0]
    numbers = [number(header.path, "space origin", word) for word in found.group(1).split(",")]
    if len(numbers) < 3:
        raise damage_error(header.path, "space origin has fewer than three numbers")
    return numbers[:3]


def _units(header: Header) -> list[float]:
    """Millimetres per unit of each axis of the space."""
    names = re.findall(r'"([^"]*)"', header.text("space units"))
    units = [name.strip().lower() for name in names] or [""] * 3
    if len(units) < 3:
        raise damage_error(header.path, f"space units has {len(units)} entries instead of 3")
    for unit in units[:3]:
        if unit and unit not in MM_PER_UNIT:
            raise damage_error(header.path, f"the unit of length {unit[:40]!r} is not known")
    return [MM_PER_UNIT[unit] if unit else 1.0 for unit in units[:3]]
