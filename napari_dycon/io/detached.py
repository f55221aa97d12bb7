"""Voxels behind a text header (NRRD, MetaImage): found beside it alone, and decoded within limits.

Nothing of these files reaches a native reader, which a damaged header could crash.
"""

from __future__ import annotations

import bz2
import math
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError
from napari_dycon.io.limits import require_memory

HEADER_LIMIT = 1 << 20
"""Bytes of the longest header; those of segmentations list hundreds of segments."""

_CHUNK = 1 << 20
_MANY_FILES = re.compile(r"LIST\b|.*%[-+ #0-9.]*[a-z]", re.IGNORECASE | re.DOTALL)
_LONGEST_NUMBER = 32


def read_start(path: Path) -> bytes:
    """First bytes of a file, in which its header must end.

    Raises
    ------
    VolumeError
        If it is empty or cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(HEADER_LIMIT)
    except OSError as error:
        raise VolumeError(f"{path.name} could not be read: {error.strerror or error}.") from error
    if not content:
        raise VolumeError(f"{path.name} is empty (0 bytes); copy or export the file again.")
    return content


def data_file(header: Path, name: str) -> Path:
    """File that a header takes its voxels from; only one in the same folder is accepted.

    Any other would show any file of this computer as an image.
    """
    try:
        data = header.parent / name
        beside = data.resolve().parent == header.parent.resolve() and Path(name).name == name
    except (OSError, ValueError, RuntimeError):
        beside = False
    if _MANY_FILES.match(name) and not (beside and _is_file(data)):
        raise VolumeError(
            f"{header.name} takes its voxels from many files ({name[:40]!r}), one for each slice; only a "
            "single data file in the same folder is accepted, so save the scan as one file (.nrrd, .mha or "
            ".nii.gz), for example in 3D Slicer."
        )
    if not beside:
        raise VolumeError(
            f"{header.name} takes its voxels from {name!r}; "
            "only a single data file in the same folder is accepted."
        )
    if data.resolve() == header.resolve():
        raise damage_error(header, "it names itself as the file with the voxels")
    if not _is_file(data):
        raise VolumeError(f"{header.name} needs the file {name!r} beside it, which is missing.")
    return data


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def number(path: Path, field: str, text: str) -> float:
    """Finite number of a header field."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise damage_error(path, f"{field} is {text.strip()[:40]!r}")
    return value


def whole_number(path: Path, field: str, text: str, least: int, most: int) -> int:
    """Whole number of a header field within limits."""
    value = number(path, field, text)
    if not (value.is_integer() and least <= value <= most):
        raise damage_error(path, f"{field} is {text.strip()[:40]!r}")
    return int(value)


def damage_error(path: Path, what: str) -> VolumeError:
    """The error of a header that says something impossible."""
    return VolumeError(f"{path.name} has a damaged header: {what}; export the scan again.")


def read_data(
    path: Path, data: Path, start: int, encoding: str, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Read voxels.

    Parameters
    ----------
    path
        The header, for messages.
    data
        The file with the voxels, `path` itself where they follow the header.
    start
        Byte at which they begin; -1 for the last ones of the file.
    encoding
        ``raw``, ``gzip``, ``zlib``, ``bzip2`` or ``text``.
    dtype, shape
        Stored type, and voxels in Fortran order.

    Returns
    -------
    array, in Fortran order, and notes

    Raises
    ------
    VolumeError
        If the data are damaged, too short, or longer than the header says by a slice or more.
    """
    size = math.prod(shape) * dtype.itemsize
    require_memory(path, 3 * size)
    spare = max(dtype.itemsize, size // shape[-1])
    most = _LONGEST_NUMBER * math.prod(shape) if encoding == "text" else size + spare
    try:
        with data.open("rb") as file:
            if start < 0:
                start = max(0, data.stat().st_size - size)
            file.seek(start)
            content = b"".join(_limit(_DECODERS[encoding](file), most))
    except PermissionError as error:
        raise VolumeError(f"{data.name} could not be read: {error.strerror}.") from error
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise _cut_short(path) from error
    if encoding == "text":
        return _from_text(path, content, dtype, shape), ()
    if len(content) < size:
        raise _cut_short(path)
    if len(content) >= size + spare:
        raise VolumeError(
            f"{path.name} holds more data than its header announces ({' x '.join(map(str, shape))} voxels); "
            "the header or the file is damaged."
        )
    extra = len(content) - size
    notes = (f"{extra} bytes after the last voxel were ignored.",) if extra else ()
    return np.frombuffer(content, dtype, math.prod(shape)).reshape(shape, order="F"), notes


def _limit(parts: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """At most so many bytes: a small file can promise to unpack without end."""
    for part in parts:
        yield part[:limit]
        limit -= len(part)
        if limit <= 0:
            return


def _plain(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(_CHUNK), b"")


def _inflater(bits: int) -> Callable[[BinaryIO], Iterator[bytes]]:
    def parts(file: BinaryIO) -> Iterator[bytes]:
        stream = zlib.decompressobj(bits)
        waiting = b""
        while not stream.eof:
            waiting = waiting or file.read(_CHUNK)
            if not waiting:
                raise EOFError
            yield stream.decompress(waiting, _CHUNK)
            waiting = stream.unconsumed_tail

    return parts


def _unpack(file: BinaryIO) -> Iterator[bytes]:
    stream = bz2.BZ2Decompressor()
    while not stream.eof:
        part = file.read(_CHUNK) if stream.needs_input else b""
        if stream.needs_input and not part:
            raise EOFError
        yield stream.decompress(part, _CHUNK)


_DECODERS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "raw": _plain,
    "text": _plain,
    "gzip": _inflater(31),
    "zlib": _inflater(15),
    "bzip2": _unpack,
}


def _from_text(path: Path, content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    words = content.split()
    if len(words) != math.prod(shape):
        raise _cut_short(path)
    try:
        values = np.array(words).astype(np.float64)
    except (ValueError, OverflowError) as error:
        raise damage_error(path, "a voxel is no number") from error
    with np.errstate(over="ignore", invalid="ignore"):
        stored = values.astype(dtype)
        kept = np.isfinite(stored) == np.isfinite(values) if dtype.kind == "f" else stored == values
    if not kept.all():
        raise damage_error(path, f"a voxel does not fit its type {dtype.name}")
    return stored.reshape(shape, order="F")


def _cut_short(path: Path) -> VolumeError:
    return VolumeError(
        f"{path.name} is damaged or truncated: its voxels cannot be read; copy or export the file again."
    )
