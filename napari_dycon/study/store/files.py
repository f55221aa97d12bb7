"""Files of a study: their digests, paths kept inside it, and what stands in the way moved aside."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath, PureWindowsPath

from napari_dycon.errors import StudyError

READERS = "readers"
"""Holds a study of each further reader, of the scans of the study that it lies in."""
OWN_FOLDERS = ("annotations", "predictions", "history", "scans", "runs", "removed", "cache", READERS)
"""Folders that a study makes in its own; whatever else lies there is somebody else's."""

_ABOVE = "../../"
_FORBIDDEN_CHARACTERS = set('\\:<>"|?*') | {chr(code) for code in range(32)}


def now() -> str:
    """Date and time in UTC, ISO format, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_path(path: Path) -> Path:
    """Return the path itself, or with ``-2``, ``-3``, ... behind it where there is something already."""
    number, free = 2, path
    while free.exists() or free.is_symlink():
        free = path.with_name(f"{path.name}-{number}")
        number += 1
    return free


def clear_way(path: Path, *, folder: bool = False) -> None:
    """Rename a folder that lies where a file is to be written, a file where a folder is to be made.

    A link that leads to itself is in the way, too; one to a drive that is not there now is left alone.
    """
    try:
        in_the_way = stat.S_ISDIR(path.stat().st_mode) != folder
    except OSError as error:
        in_the_way = error.errno == errno.ELOOP
    if in_the_way:
        with contextlib.suppress(OSError):  # the write itself says what is wrong then
            path.rename(free_path(path.with_name(f"{path.name}.in-the-way")))


def is_inside(root: Path, path: Path) -> bool:
    """Tell whether a path, links followed, lies inside a folder."""
    return path.resolve().is_relative_to(root.resolve())


def path_inside(root: Path, text: str) -> Path:
    """Resolve a relative path from a file so that it cannot leave a folder on any system.

    Raises
    ------
    StudyError
        If it is absolute, climbs with ``..``, names a drive, share, device or reserved name, or leads
        outside through a link.
    """
    parts = text.split("/")
    hostile = (
        not text
        or any(character in _FORBIDDEN_CHARACTERS for character in text)
        or any(part in ("", ".", "..") or part != part.rstrip(". ") for part in parts)
        or any(_is_reserved(part) for part in parts)
        or PurePosixPath(text).is_absolute()
    )
    if hostile or not is_inside(root, root.joinpath(*parts)):
        raise StudyError(
            f"The study names the file {text[:200]!r}, which is not a safe path inside its folder; it is "
            "refused."
        )
    return root.joinpath(*parts)


def scan_path(root: Path, text: str) -> Path:
    """Where a scan lies: inside the study where the path is relative, else where the absolute path says.

    The study of a further reader refers to what lies in the study around it with ``../../``.

    Raises
    ------
    StudyError
        As `path_inside`, and for absolute paths of another system or to network hosts by address.
    """
    if Path(text).is_absolute() and "\0" not in text and ".." not in Path(text).parts:
        return Path(text)
    around = study_around(root)
    if around is not None and text.startswith(_ABOVE):
        return path_inside(around, text.removeprefix(_ABOVE))
    return path_inside(root, text)


def scan_reference(root: Path, scan: Path) -> str:
    """Text that `scan_path` turns back into the path: relative with ``/`` inside the study, else absolute."""
    scan = Path(os.path.abspath(scan))
    root = Path(os.path.abspath(root))
    for folder, start in ((root, ""), (study_around(root), _ABOVE)):
        if folder is not None and scan.is_relative_to(folder) and is_inside(folder, scan):
            return start + scan.relative_to(folder).as_posix()
    return str(scan)


def study_around(root: Path) -> Path | None:
    """The study in which that of a further reader lies; None for any other study."""
    root = Path(os.path.abspath(root))
    return root.parent.parent if root.parent.name == READERS else None


def _is_reserved(part: str) -> bool:
    base = part.split(".")[0].strip().lower()
    ports = {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
    return base in {"con", "prn", "aux", "nul", *ports} or bool(PureWindowsPath(part).drive)
