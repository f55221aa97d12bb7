"""``study.json``: read with its backup, written whole or not at all.

Each write is read back before it replaces the file, and the file that it replaces becomes the backup, if it
was sound. A journal beside them (see `journal`) leads from the backup to the file, and from the file to cases
that were added since.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_dycon.errors import StudyError, VolumeError
from napari_dycon.io.atomic import atomic_path, write_bytes_atomic
from napari_dycon.io.json_files import in_words, parse_json, write_model
from napari_dycon.study.store.files import clear_way
from napari_dycon.study.store.journal import Journal
from napari_dycon.study.store.mending import mend
from napari_dycon.study.store.schema import SCHEMA_VERSION, CaseRecord, StudyRecord

STUDY_FILE = "study.json"
BACKUP_FILE = "study.json.bak"
DAMAGED_FILE = "study.json.damaged"
MAXIMUM_BYTES = 256 << 20
CASES_A_LINE = 8
"""The journal may hold one line for so many cases before the whole file is written again."""


def is_study(folder: Path) -> bool:
    """Tell whether a folder holds a study."""
    return any((folder / name).is_file() for name in (STUDY_FILE, BACKUP_FILE))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a study file says.

    Attributes
    ----------
    record
        Its content, brought up to the journal.
    notes
        A sentence for each thing that was wrong.
    base
        Its content without the journal.
    digest
        SHA-256 of the file where it is sound, else empty.
    stamp
        Changes with the file.
    """

    record: StudyRecord
    notes: tuple[str, ...]
    base: StudyRecord
    digest: bytes
    stamp: tuple[int, ...]


class StudyFile:
    """The study file of one folder; only the holder of the study's lock may write it."""

    def __init__(self, folder: Path, reading: Reading | None = None) -> None:
        self._folder = folder
        self._main, self._backup = folder / STUDY_FILE, folder / BACKUP_FILE
        self._journal = Journal(folder)
        self._sound = b"" if reading is None else reading.digest
        self._before = None if reading is None else reading.base

    @property
    def there(self) -> bool:
        """Whether the folder is a study."""
        return self._main.is_file() or self._backup.is_file()

    @property
    def stamp(self) -> tuple[int, ...]:
        """Numbers that change with the file and its journal."""
        found: list[int] = []
        for path in (self._main, self._journal.path):
            with contextlib.suppress(OSError):
                stat = path.stat()
                found += [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        return tuple(found)

    def read(self) -> Reading:
        """Read ``study.json``, or its backup where that is damaged or gone; bad records are set aside.

        Raises
        ------
        StudyError
            If the folder is no study, its study was made by a newer version, or both files are damaged.
        """
        if not self.there:
            raise StudyError(
                f"{self._folder} is not a study: it holds no {STUDY_FILE}; choose a study folder or make a "
                "new one."
            )
        stamp, lines = self.stamp, self._journal.read()
        try:
            content = _load(self._main)
            record, notes = self._understood(content)
            lost = False
        except ValueError as problem:
            record, notes = self._from_backup(problem)
            lost = True
        whole = self._journal.bring_up(record, lines, backup=lost)
        return Reading(whole, notes, record, b"" if notes else _digest(content), stamp)

    def write(self, record: StudyRecord) -> StudyRecord:
        """Replace the file; return the record with its new revision.

        Raises
        ------
        StudyError
            If the record would not read back; what is on disk stays.
        VolumeError
            If the disk is full or write-protected.
        """
        record = record.model_copy(update={"revision": record.revision + 1})
        self._replace(record)
        with contextlib.suppress(OSError, VolumeError):  # the file itself is there, this is for its loss
            self._journal.restart(self._before or record, record)
        self._before = record
        return record

    def put_case(self, record: StudyRecord, case: CaseRecord) -> bool:
        """Put one case on disk, in the time that one case takes; False where a whole write is due."""
        if CASES_A_LINE * (self._journal.appended + 1) >= len(record.cases):
            return False
        self._journal.append(record.revision, case)
        return True

    def mend(self, reading: Reading) -> Reading:
        """Put what was read from the backup, or in spite of damage, in the place of ``study.json``.

        The damaged file is kept aside.
        """
        self._replace(reading.record)
        return replace(reading, base=reading.record, digest=self._sound)

    def _replace(self, record: StudyRecord) -> None:
        clear_way(self._main)
        with contextlib.suppress(OSError, ValueError, StudyError, VolumeError):
            self._keep_backup()  # an older backup is better than no new labels
        write_model(self._main, record)
        content = self._main.read_bytes()
        self._sound = _digest(content)
        if not self._backup.is_file():
            with contextlib.suppress(VolumeError):
                write_bytes_atomic(self._backup, content)

    def _keep_backup(self) -> None:
        """Make the file the backup where it is sound, else keep it aside."""
        if not self._main.is_file():
            return
        content = _load(self._main)
        if not self._is_sound(content):
            write_bytes_atomic(self._folder / DAMAGED_FILE, content)
            return
        clear_way(self._backup)
        if self._backup.exists() and self._main.samefile(self._backup):
            return  # a program that was stopped right here
        with atomic_path(self._backup) as temporary:
            try:
                os.link(self._main, temporary)
            except OSError:
                temporary.write_bytes(content)

    def _is_sound(self, content: bytes) -> bool:
        if _digest(content) == self._sound:
            return True
        try:
            _strictly(self._folder, content)
        except ValueError:
            return False
        return True

    def _from_backup(self, problem: ValueError) -> tuple[StudyRecord, tuple[str, ...]]:
        try:
            record, notes = self._understood(_load(self._backup))
        except ValueError as other:
            raise StudyError(
                f"{self._main} cannot be read ({in_words(problem)}) and neither can its backup "
                f"({in_words(other)}); restore {STUDY_FILE} from a copy of the study. Nothing was changed."
            ) from problem
        note = f"{STUDY_FILE} could not be read ({in_words(problem)}); its backup {BACKUP_FILE} was used."
        return record, (note, *notes)

    def _understood(self, content: bytes) -> tuple[StudyRecord, tuple[str, ...]]:
        """Read one file; ValueError where it is damaged, StudyError where a newer version made it."""
        try:
            return _strictly(self._folder, content), ()
        except ValueError:
            found = parse_json(content)
        _require_known_version(self._folder, found)
        if not all(isinstance(found.get(part), list) for part in ("structures", "cases")):
            raise ValueError("it is damaged or incomplete")
        return mend(self._folder, found, self._donors())

    def _donors(self) -> dict[str, CaseRecord]:
        """Cases of the backup, as far as they can be read."""
        with contextlib.suppress(ValueError, StudyError):
            content = parse_json(_load(self._backup))
            if isinstance(content, dict):
                return {case.id: case for case in mend(self._folder, content, {})[0].cases}
        return {}


def read_record(folder: Path) -> tuple[StudyRecord, tuple[str, ...]]:
    """Read the record of a study, and a sentence for each thing that was wrong (see `StudyFile.read`)."""
    reading = StudyFile(folder).read()
    return reading.record, reading.notes


def _load(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise ValueError("it is far too large")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ValueError("it is missing") from error
    except IsADirectoryError as error:
        raise ValueError("it is a folder") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("it is a link to itself") from error
        raise StudyError(f"{path} cannot be opened: {error.strerror or error}.") from error


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _strictly(folder: Path, content: bytes) -> StudyRecord:
    """Read a file in which all is well; ValueError where something is not."""
    record = StudyRecord.model_validate_json(content)
    if "schema_version" not in record.model_fields_set:
        raise ValueError("it is not a study file")
    _require_known_version(folder, {"schema_version": record.schema_version})
    return record


def _require_known_version(folder: Path, content: Any) -> None:
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError("it is not a study file")
    if version > SCHEMA_VERSION:
        raise StudyError(
            f"The study {folder} was made by a newer version of napari-dycon (format {version}, this one "
            f"reads up to {SCHEMA_VERSION}); update napari-dycon to open it. Nothing was changed."
        )
