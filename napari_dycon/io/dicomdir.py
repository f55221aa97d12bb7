"""DICOMDIR: which files of a disc are images, and which of those it lists are not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pydicom
from pydicom.config import disable_value_validation

from napari_dycon.errors import VolumeError
from napari_dycon.io.volumes import walk

NAME = "DICOMDIR"


@dataclass(frozen=True)
class Directory:
    """Files that a DICOMDIR lists and that are there, and by series those that are not, where some are."""

    files: tuple[Path, ...]
    missing: Mapping[str, tuple[str, ...]]


def is_directory(path: Path) -> bool:
    """Tell from its name whether a file is a DICOMDIR."""
    return path.name.upper() == NAME


def read_directory(path: Path) -> Directory:
    """Read which files a DICOMDIR lists; those outside its folder are not looked at.

    Names are compared without regard to upper case: discs are copied by programs that change it.

    Raises
    ------
    VolumeError
        If it is damaged.
    """
    try:
        with disable_value_validation():
            records = list(pydicom.dcmread(path, force=True).get("DirectoryRecordSequence") or ())
            listed = list(_files_listed(records))
    except Exception as error:  # pydicom raises many kinds for damaged files
        raise VolumeError(f"{path.name} is damaged and cannot be read; copy it again.") from error
    there = {file.relative_to(path.parent).as_posix().casefold(): file for file in walk(path.parent)}
    files: dict[str, list[Path]] = {}
    missing: dict[str, list[str]] = {}
    for series, name in listed:
        found = there.get(name.casefold())
        if found is None:
            missing.setdefault(series, []).append(name)
        else:
            files.setdefault(series, []).append(found)
    return Directory(
        tuple(file for of_series in files.values() for file in of_series),
        {series: tuple(names) for series, names in missing.items() if series in files},
    )


def _files_listed(records: list[Any]) -> list[tuple[str, str]]:
    """Series and name of each file, in the order of the records: those of a series follow it."""
    found, series = [], ""
    for record in records:
        series = str(record.get("SeriesInstanceUID", "") or "") or series
        parts = [str(part) for part in np.atleast_1d(record.get("ReferencedFileID") or ())]
        if parts and not any(part in ("..", "/", "") for part in parts):
            found.append((series, PurePosixPath(*parts).as_posix()))
    return found
