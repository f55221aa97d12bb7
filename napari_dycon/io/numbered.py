"""Files named by a number, among whatever else other programs leave in the folder."""

from __future__ import annotations

import os
from pathlib import Path


def numbered_files(folder: Path, suffix: str, digits: int) -> dict[int, Path]:
    """Files named like ``000012.json``, by their number, lowest first.

    Twins and copies (``._000012.json``, ``000012 (1).json``), folders, and numbers written otherwise do not
    count; a folder that cannot be listed holds none.

    Parameters
    ----------
    folder
        Where to look.
    suffix
        What follows the number.
    digits
        Number of digits it is padded to.
    """
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                number = _number(entry.name, suffix, digits)
                if number is not None and entry.is_file():
                    found[number] = Path(entry.path)
    except OSError:
        return {}
    return dict(sorted(found.items()))


def _number(name: str, suffix: str, digits: int) -> int | None:
    stem = name.removesuffix(suffix)
    if not (stem.isascii() and stem.isdecimal() and len(stem) < 20):
        return None
    number = int(stem)
    return number if name == f"{number:0{digits}d}{suffix}" else None
