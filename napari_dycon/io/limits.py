"""What may be decoded: the memory gate that every reader passes before it touches a voxel."""

from __future__ import annotations

from pathlib import Path

import psutil

from napari_dycon.errors import VolumeError

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
