"""Prepared arrays as files, and their hashes."""

import contextlib
import hashlib
import io
import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def let_go(*arrays: NDArray[Any] | None) -> None:
    """Take what was read of mapped files out of the process's memory.

    The system keeps it at hand while memory is spare; without this a training on many large scans would come
    to hold all of them.
    """
    for array in arrays:
        mapped = getattr(array, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def npy_bytes(array: NDArray[Any]) -> bytes:
    """Content of a NumPy file."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


def sha256_of(path: Path) -> str:
    """SHA-256 of a prepared array: that of when it was written, where that was noted."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        noted = note_of(path).read_text(encoding="ascii")
        if len(noted) == 64:
            return noted
    return file_sha256(path)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file as it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def note_of(path: Path) -> Path:
    """Where the SHA-256 of an array is noted."""
    return path.with_name(f"{path.name}.sha256")
