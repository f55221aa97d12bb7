"""The study file: read with its backup, written whole or not at all, paths kept inside the study."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pydantic import ValidationError

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import write_bytes_atomic, write_text_atomic
from napari_dycon.study.schema import SCHEMA_VERSION, StudyRecord

STUDY_FILE = "study.json"
BACKUP_FILE = "study.json.bak"
DAMAGED_FILE = "study.json.damaged"
MAXIMUM_BYTES = 256 << 20

_FORBIDDEN_CHARACTERS = set('\\:<>"|?*') | {chr(code) for code in range(32)}


def now() -> str:
    """Date and time in UTC, ISO format, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_record(folder: Path, record: StudyRecord) -> None:
    """Write ``study.json`` and then its backup, each whole or not at all.

    Raises
    ------
    VolumeError
        If the disk is full or write-protected.
    """
    content = record.model_dump_json(indent=1).encode()
    write_bytes_atomic(folder / STUDY_FILE, content)
    write_bytes_atomic(folder / BACKUP_FILE, content)


def read_record(folder: Path) -> tuple[StudyRecord, tuple[str, ...]]:
    """Read ``study.json``, or its backup where that is damaged or gone.

    Returns
    -------
    StudyRecord
    tuple of str
        A sentence where the backup was used.

    Raises
    ------
    StudyError
        If the folder is no study, its study was made by a newer version, or both files are damaged.
    """
    main, backup = folder / STUDY_FILE, folder / BACKUP_FILE
    if not main.is_file() and not backup.is_file():
        raise StudyError(
            f"{folder} is not a study: it holds no {STUDY_FILE}; choose a study folder or make a new one."
        )
    try:
        return _read(main), ()
    except ValueError as problem:
        damage = problem
    try:
        record = _read(backup)
    except ValueError as problem:
        raise StudyError(
            f"{main} cannot be read ({damage}) and neither can its backup ({problem}); "
            f"restore {STUDY_FILE} from a copy of the study. Nothing was changed."
        ) from damage
    note = f"{STUDY_FILE} could not be read ({damage}); its backup {BACKUP_FILE} was used."
    return record, (note,)


def keep_damaged(folder: Path) -> None:
    """Copy a damaged ``study.json`` aside before it is replaced by its backup."""
    main = folder / STUDY_FILE
    if main.is_file():
        write_bytes_atomic(folder / DAMAGED_FILE, main.read_bytes())


def _read(path: Path) -> StudyRecord:
    """Read one file; ValueError with a short reason where it is damaged, StudyError where it is newer."""
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise ValueError("it is far too large")
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ValueError("it is missing") from error
    except OSError as error:
        raise StudyError(f"{path} cannot be opened: {error.strerror or error}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError("it is damaged or incomplete") from error
    _require_known_version(path, content)
    try:
        return StudyRecord.model_validate(content)
    except ValidationError as error:
        raise ValueError(_first_fault(error)) from error


def _require_known_version(path: Path, content: Any) -> None:
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError("it is not a study file")
    if version > SCHEMA_VERSION:
        raise StudyError(
            f"The study {path.parent} was made by a newer version of napari-dycon (format {version}, this "
            "one reads "
            f"up to {SCHEMA_VERSION}); update napari-dycon to open it. Nothing was changed."
        )


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, fault["loc"]))
    return f"{where}: {fault['msg']}" if where else fault["msg"]


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

    Raises
    ------
    StudyError
        As `path_inside`, and for absolute paths of another system or to network hosts by address.
    """
    if Path(text).is_absolute() and "\0" not in text and ".." not in Path(text).parts:
        return Path(text)
    return path_inside(root, text)


def scan_reference(root: Path, scan: Path) -> str:
    """Text that `scan_path` turns back into the path: relative with ``/`` inside the study, else absolute."""
    scan = Path(os.path.abspath(scan))
    root = Path(os.path.abspath(root))
    if scan.is_relative_to(root) and is_inside(root, scan):
        return scan.relative_to(root).as_posix()
    return str(scan)


def _is_reserved(part: str) -> bool:
    base = part.split(".")[0].strip().lower()
    ports = {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
    return base in {"con", "prn", "aux", "nul", *ports} or bool(PureWindowsPath(part).drive)


def read_json(path: Path, missing: Callable[[], Any]) -> Any:
    """Read a small JSON file of the study; `missing` gives what a file that is not there stands for.

    Raises
    ------
    StudyError
        If it is damaged.
    """
    if not path.is_file():
        return missing()
    try:
        return json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(f"{path} is damaged; remove it, it will be made again.") from error


def write_json(path: Path, content: Any) -> None:
    """Write a small JSON file whole or not at all."""
    write_text_atomic(path, json.dumps(content, indent=1))
