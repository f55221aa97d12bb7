"""Single-file NIfTI-1 and NIfTI-2, read through a gate.

Nothing is decoded before sizes, lengths, data type and affine have been found sane, and a compressed file is
read to its end so that its checksum is verified.
"""

from __future__ import annotations

import gzip
import io
import logging
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError
from napari_dycon.io.atomic import atomic_path
from napari_dycon.io.geometry import Geometry, affine_fault
from napari_dycon.io.headers import HEADER_KINDS
from napari_dycon.io.layout import copy_in_order
from napari_dycon.io.limits import SAYS_LABELS, require_memory, require_plausible

SUFFIXES = (".nii", ".nii.gz")

_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_LIMIT = 1040  # deflate cannot shrink data further than about 1 : 1032
_CHUNK = 1 << 22
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_PAIRS = (b"ni1\0", b"ni2\0")
_INTENT_LABEL = 1002
_COLOUR_CODES = (128, 2304)
_LEAST_SLOPE = 1e-25
_LONGEST_QUATERNION = 1.01
_SAY_FRAMES = (
    "import it with dycon import --frames cases (time points of one patient) or --frames channels (several "
    "images of one exam), or save"
)
_QUIET = logging.Logger("napari_dycon.io.nifti", level=logging.CRITICAL + 1)


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """A header that passed the gate.

    Attributes
    ----------
    raw : bytes
        The 348 or 540 bytes as on disk.
    fields : ndarray
        The same as a structured scalar in the byte order of the file.
    geometry : Geometry
        Grid in RAS mm; units of metre or micron are converted here and nowhere else.
    dtype : dtype
        Stored voxel type in the byte order of the file.
    slope, intercept : float or None
        Scaling to apply, None for none.
    offset : int
        Byte at which the voxels start.
    notes : tuple of str
        Sentences about what is odd but usable.
    frames : int
        Volumes that follow each other on this grid: 1, but for a 4D file that was asked for as such.
    """

    path: Path
    raw: bytes
    fields: NDArray[np.void]
    geometry: Geometry
    dtype: np.dtype[Any]
    slope: float | None
    intercept: float | None
    offset: int
    notes: tuple[str, ...]
    frames: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of the voxels of one volume."""
        return math.prod(self.geometry.shape) * self.dtype.itemsize

    @property
    def end(self) -> int:
        """Byte after the last voxel."""
        return self.offset + self.frames * self.frame_bytes


def is_nifti(path: Path) -> bool:
    """Tell from its name whether a file is a NIfTI."""
    return path.name.lower().endswith(SUFFIXES)


def read_header(path: Path, *, several: bool = False) -> NiftiHeader:
    """Read and check a header without decoding voxels.

    Parameters
    ----------
    path
        The file.
    several
        Let it hold several volumes, one after the other along its fourth axis.

    Raises
    ------
    VolumeError
        With one sentence, if the file is not a readable single-file NIfTI with one real-valued 3D volume, or
        several of them where that is asked for.
    """
    raw, magic, swapped = _raw_header(path)
    kind, _ = HEADER_KINDS[len(raw)]
    header = kind(raw, endianness=">" if swapped else "<", check=False)
    fields = header.structarr.copy()
    _require_magic(path, magic, len(raw))
    shape, frames, notes = _shape(path, fields, several)
    dtype = _dtype(path, header)
    offset = _offset(path, fields, len(raw))
    _require_plausible_size(path, offset + frames * math.prod(shape) * dtype.itemsize)
    notes += _repair(path, header)
    geometry = _geometry(path, header, shape)
    slope, intercept = _scaling(path, header)
    with np.errstate(over="ignore", invalid="ignore"):  # damaged numbers beside a sound position
        notes += _oddities(header, fields, geometry)
    return NiftiHeader(path, raw, fields, geometry, dtype, slope, intercept, offset, tuple(notes), frames)


def read_stored(header: NiftiHeader) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Read the voxels as stored, unscaled, in the byte order of the file, (x, y, z) in Fortran order.

    Returns
    -------
    voxels : ndarray, shape ``header.geometry.shape``
    notes : tuple of str

    Raises
    ------
    VolumeError
        If the file is truncated, longer than its header says, or its checksum is wrong.
    """
    shape = header.geometry.shape
    content, size = _read_to_end(header, spare=shape[0] * shape[1] * header.dtype.itemsize)
    notes = (f"{size - header.end} bytes after the last voxel were ignored.",) if size > header.end else ()
    if size < header.end:
        raise VolumeError(_too_short(header, size))
    flat = np.frombuffer(content, header.dtype, math.prod(shape), header.offset)
    return flat.reshape(shape, order="F"), notes


def read_voxels(header: NiftiHeader) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Read the scaled voxels, native byte order, C-contiguous, with notes.

    Integers stay integers where the file has no scaling; 8- and 16-bit integers with scaling become float32.
    """
    require_memory(
        header.path, header.end + math.prod(header.geometry.shape) * _decoded_type(header).itemsize
    )
    stored, notes = read_stored(header)
    voxels = copy_in_order(stored, "C", _decoded_type(header))
    if header.slope is not None:
        valid = np.count_nonzero(np.isfinite(voxels))
        with np.errstate(over="ignore", invalid="ignore"):
            voxels *= voxels.dtype.type(header.slope)
            voxels += voxels.dtype.type(header.intercept or 0.0)
        if np.count_nonzero(np.isfinite(voxels)) < valid:
            raise VolumeError(
                f"{header.path.name} has a damaged intensity scaling (slope {header.slope:g}): its values "
                "become infinite; export it again."
            )
    return voxels, notes


def split_frames(header: NiftiHeader, targets: Sequence[Path]) -> None:
    """Write each volume of a file by itself, with its voxels as they are stored and the header they had.

    Parameters
    ----------
    header
        Of a file with several volumes.
    targets
        Where to, one path ending in ``.nii.gz`` for each.

    Raises
    ------
    VolumeError
        As `read_stored`, or if the disk is full or write-protected.
    """
    require_memory(header.path, header.end)
    content, size = _read_to_end(header, spare=header.frame_bytes)
    if size < header.end:
        raise VolumeError(_too_short(header, size))
    fields = header.fields.copy()
    fields["dim"][0], fields["dim"][4:] = 3, 1
    fields["vox_offset"] = len(header.raw) + 4
    start = fields.tobytes() + bytes(4)
    for frame, target in enumerate(targets):
        first = header.offset + frame * header.frame_bytes
        voxels = memoryview(content)[first : first + header.frame_bytes]
        with atomic_path(target) as temporary:
            temporary.write_bytes(gzip.compress(b"".join((start, voxels)), compresslevel=3, mtime=0))


def _too_short(header: NiftiHeader, size: int) -> str:
    return (
        f"{header.path.name} is truncated: its header announces {header.end} bytes and it holds {size}; "
        "copy or export the file again."
    )


def _open(path: Path) -> BinaryIO:
    """Open for reading, decompressed; the name and the content must agree."""
    try:
        with path.open("rb") as file:
            magic = file.read(2)
    except OSError as error:
        raise VolumeError(f"{path.name} could not be read: {error.strerror or error}.") from error
    if not magic:
        raise VolumeError(f"{path.name} is empty (0 bytes); copy or export the file again.")
    compressed = path.name.lower().endswith(".gz")
    if magic == _GZIP_MAGIC and not compressed:
        raise VolumeError(f"{path.name} is gzip-compressed but not named so; rename it to end in .nii.gz.")
    if magic != _GZIP_MAGIC and compressed:
        raise VolumeError(
            f"{path.name} is not gzip-compressed although its name ends in .gz; "
            "rename it to end in .nii if it is an uncompressed NIfTI, or export it again."
        )
    return cast(BinaryIO, gzip.open(path, "rb")) if compressed else path.open("rb")


def _read(path: Path, stream: BinaryIO, target: memoryview) -> int:
    """Fill `target` from a stream until full or at the end; damage becomes a sentence."""
    filled = 0
    try:
        while filled < len(target):
            count = cast(io.BufferedIOBase, stream).readinto(target[filled : filled + _CHUNK])
            if not count:
                break
            filled += count
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise VolumeError(
            f"{path.name} is damaged: its compressed data are truncated or their checksum is wrong; "
            "copy or export the file again."
        ) from error
    except OSError as error:
        raise VolumeError(f"{path.name} could not be read: {error.strerror or error}.") from error
    return filled


def _read_to_end(header: NiftiHeader, spare: int) -> tuple[bytearray, int]:
    """Whole decompressed content; at most `spare` bytes more than the header announces are taken in."""
    content = bytearray(header.end + spare)
    with _open(header.path) as stream:
        size = _read(header.path, stream, memoryview(content))
    if size == len(content):
        raise VolumeError(
            f"{header.path.name} holds more data than its header announces "
            f"({' x '.join(map(str, header.geometry.shape))} voxels); the header or the file is damaged."
        )
    return content, size


def _raw_header(path: Path) -> tuple[bytes, bytes, bool]:
    """Header bytes, magic, and whether the file is big-endian."""
    content = bytearray(540)
    with _open(path) as stream:
        size = _read(path, stream, memoryview(content))
    for length in HEADER_KINDS:
        for order in ("little", "big"):
            if size >= length and int.from_bytes(content[:4], cast(Any, order)) == length:
                magic = bytes(content[344:348] if length == 348 else content[4:12])
                return bytes(content[:length]), magic, order == "big"
    raise VolumeError(f"{path.name} is not a NIfTI file, or its header is damaged; export the scan again.")


def _require_magic(path: Path, magic: bytes, length: int) -> None:
    if magic[:4] in _PAIRS:
        raise VolumeError(
            f"{path.name} is one half of a two-file NIfTI (.hdr and .img); convert it to one .nii.gz file."
        )
    if magic != HEADER_KINDS[length][1]:
        raise VolumeError(
            f"{path.name} is an Analyze file or has a damaged header, so left and right are not known; "
            "convert the original data to NIfTI again."
        )


def _shape(
    path: Path, fields: NDArray[np.void], several: bool
) -> tuple[tuple[int, int, int], int, list[str]]:
    """Size of a volume, how many there are, and notes."""
    dims = [int(size) for size in fields["dim"]]
    if not 1 <= dims[0] <= 7 or any(size < 1 for size in dims[1 : dims[0] + 1]):
        raise VolumeError(f"{path.name} has a damaged header: impossible image size {dims}; export it again.")
    sizes = dims[1 : dims[0] + 1]
    if len(sizes) < 3:
        raise VolumeError(f"{path.name} is a single 2D image or a line {sizes}; a 3D scan is needed.")
    x, y, z, *rest = sizes
    frames = math.prod(rest)
    if frames > 1 and not (several and rest[0] == frames):
        told = f"{path.name} holds {frames} volumes ({' x '.join(map(str, sizes))}) instead of one; "
        raise VolumeError(
            f"{told}{_SAY_FRAMES if rest[0] == frames else 'save'} the one to be segmented as a 3D file."
        )
    single = frames == 1 and bool(rest)
    notes = [f"The file has {dims[0]} dimensions with a single volume, which is used."] if single else []
    return (x, y, z), frames, notes


def _dtype(path: Path, header: Any) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code in _COLOUR_CODES:
        raise VolumeError(f"{path.name} is a colour image; export a single channel as a grey-value scan.")
    try:
        dtype = cast("np.dtype[Any]", header.get_data_dtype())
    except (KeyError, HeaderDataError) as error:
        raise VolumeError(f"{path.name} has a damaged header: unknown voxel type {code}.") from error
    if dtype.kind == "c":
        raise VolumeError(f"{path.name} is complex-valued; export the magnitude image.")
    if dtype.kind not in "iuf" or dtype.itemsize == 0:
        raise VolumeError(
            f"{path.name} has voxels of type {code}, which are not grey values; export it again."
        )
    return dtype


def _offset(path: Path, fields: NDArray[np.void], length: int) -> int:
    offset = float(fields["vox_offset"])
    if not (math.isfinite(offset) and offset.is_integer() and offset >= length + 4):
        raise VolumeError(f"{path.name} has a damaged header: its voxels cannot start at byte {offset:g}.")
    return int(offset)


def _require_plausible_size(path: Path, end: int) -> None:
    """Refuse from the size on disk alone what cannot hold the announced bytes."""
    compressed = path.name.lower().endswith(".gz")
    present = path.stat().st_size
    if present * (_DEFLATE_LIMIT if compressed else 1) < end:
        raise VolumeError(
            f"{path.name} is truncated or has a damaged header: {end} bytes are announced and the file has "
            f"{present}{' compressed' if compressed else ''}; copy or export it again."
        )


def _repair(path: Path, header: Any) -> list[str]:
    """Let nibabel mend harmless faults (negative pixdim, unknown form codes), and do without a damaged form.

    Of two forms the sound one is used; where none is, the file is refused.
    """
    try:
        header.check_fix(logger=_QUIET, error_level=50)
    except (HeaderDataError, ValueError) as error:
        raise VolumeError(f"{path.name} has a damaged header ({error}); export the scan again.") from error
    notes = []
    for name, other in (("sform", "qform"), ("qform", "sform")):
        fault = _fault(header, name) if int(header[f"{name}_code"]) > 0 else None
        if fault:
            if int(header[f"{other}_code"]) <= 0 or _fault(header, other):
                raise VolumeError(
                    f"{path.name} has a damaged header and no usable position: in its {name}, {fault}; "
                    "export it again."
                )
            header[f"{name}_code"] = 0
            notes.append(f"The {name} of the file is damaged; the {other} is used.")
    return notes


def _fault(header: Any, name: str) -> str | None:
    """Say why one of the two forms is no finite, invertible affine; None where it is."""
    try:
        with np.errstate(all="ignore"):
            return affine_fault(np.asarray(_form(header, name), dtype=np.float64))
    except (HeaderDataError, ValueError, np.linalg.LinAlgError):
        values = ", ".join(f"{float(header[f'quatern_{letter}']):.4g}" for letter in "bcd")
        return f"the rotation ({values}) is no unit quaternion"


def _form(header: Any, name: str) -> Any:
    """Affine of a form; a quaternion that rounding made a little too long is taken as of length 1."""
    if name == "sform":
        return header.get_sform()
    quaternion = np.array([header[f"quatern_{letter}"] for letter in "bcd"], dtype=np.float64)
    length = float(np.linalg.norm(quaternion))
    if 1.0 < length <= _LONGEST_QUATERNION:
        for letter, value in zip("bcd", quaternion / length, strict=True):
            header[f"quatern_{letter}"] = value * (1 - 1e-7)
    return header.get_qform()


def _geometry(path: Path, header: Any, shape: tuple[int, int, int]) -> Geometry:
    affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    scale = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    return require_plausible(path, shape, np.diag([scale, scale, scale, 1.0]) @ affine)


def _scaling(path: Path, header: Any) -> tuple[float | None, float | None]:
    if np.isinf(header["scl_slope"]):
        raise VolumeError(f"{path.name} has a damaged intensity scaling (slope inf); export it again.")
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise VolumeError(
            f"{path.name} has a damaged intensity scaling ({error}); export it again."
        ) from error
    if slope is None or (slope, intercept) == (1, 0):
        return None, None
    if not (_LEAST_SLOPE <= abs(slope) <= 1 / _LEAST_SLOPE and abs(intercept) <= 1 / _LEAST_SLOPE):
        raise VolumeError(
            f"{path.name} has a damaged intensity scaling (slope {slope:g}, intercept {intercept:g}); "
            "export it again."
        )
    return slope, intercept


def _decoded_type(header: NiftiHeader) -> np.dtype[Any]:
    kind, size = header.dtype.kind, header.dtype.itemsize
    if kind == "f":
        return np.dtype(np.float32 if size <= 4 else np.float64)
    if header.slope is None:
        return header.dtype.newbyteorder("=")
    return np.dtype(np.float32 if size <= 2 else np.float64)


def _oddities(header: Any, fields: NDArray[np.void], geometry: Geometry) -> list[str]:
    notes = [SAYS_LABELS] if int(fields["intent_code"]) == _INTENT_LABEL else []
    unit = int(fields["xyzt_units"]) & 7
    if unit not in _MM_PER_UNIT:  # 0, not stated, is what most programs write and means mm
        notes.append("The file states an unknown unit of length; millimetres are assumed.")
    qform, sform = int(header["qform_code"]), int(header["sform_code"])
    if qform <= 0 and sform <= 0:
        notes.append("The file states no position in the scanner; left and right cannot be relied on.")
    if qform > 0 and sform > 0:
        other = Geometry(geometry.shape, np.asarray(header.get_qform()))
        apart = Geometry(geometry.shape, np.asarray(header.get_sform())).distance_mm(other)
        if apart * _MM_PER_UNIT.get(unit, 1.0) > 0.01:
            notes.append(f"The file states two positions up to {apart:.2f} apart; the sform is used.")
    stated = np.abs(np.asarray(fields["pixdim"][1:4], dtype=np.float64)) * _MM_PER_UNIT.get(unit, 1.0)
    if not np.allclose(stated, geometry.spacing, rtol=1e-3):
        notes.append("The stated voxel size differs from that of the affine, which is used.")
    return notes
