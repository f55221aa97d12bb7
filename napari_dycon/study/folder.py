"""The study folder itself: made, opened by one writer and any number of readers, written, closed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from napari_dycon.errors import DyconError, StudyError
from napari_dycon.io.atomic import sweep_leftovers
from napari_dycon.study import structures
from napari_dycon.study.annotation_store import AnnotationStore, Version
from napari_dycon.study.annotations import Annotation
from napari_dycon.study.files import (
    BACKUP_FILE,
    STUDY_FILE,
    keep_damaged,
    read_record,
    scan_path,
    write_record,
)
from napari_dycon.study.lock import StudyLock
from napari_dycon.study.schema import DEFAULT_COLORS, CaseRecord, Status, Structure, StudyRecord


class StudyFolder:
    """What every study has: a record on disk, cases and structures, and at most one writer.

    Attributes
    ----------
    path
        The folder.
    notes
        Sentences about what was odd when the study was opened, and why it is read-only if it is.
    """

    def __init__(
        self, path: Path, record: StudyRecord, lock: StudyLock | None, notes: tuple[str, ...]
    ) -> None:
        self.path = path
        self.notes = notes
        self._record = record
        self._written = record
        self._lock = lock
        self.mutex = RLock()
        self._annotations = AnnotationStore(path)

    # ---- opening and closing -----------------------------------------------------------------

    @classmethod
    def create(cls, path: Path | str, structures: Sequence[Structure], name: str | None = None) -> Self:
        """Make an empty study in a new folder, or in one that holds no study yet.

        Raises
        ------
        StudyError
            If there is a study already, or the folder cannot be written.
        """
        path = Path(path).absolute()
        if (path / STUDY_FILE).exists() or (path / BACKUP_FILE).exists():
            raise StudyError(f"{path} holds a study already; open it, or choose another folder.")
        try:
            record = StudyRecord(name=name or path.name, structures=tuple(structures))
        except ValidationError as error:
            raise StudyError(
                f"These structures cannot be used together: {error.errors()[0]['msg']}."
            ) from error
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(
                f"The folder {path} cannot be made ({error.strerror}); choose another."
            ) from error
        lock = StudyLock(path)
        refusal = lock.acquire()
        if refusal is not None:
            raise StudyError(f"A study cannot be made in {path}: {refusal}.")
        write_record(path, record)
        return cls(path, record, lock, ())

    @classmethod
    def open(cls, path: Path | str, read_only: bool | None = None) -> Self:
        """Open a study.

        Parameters
        ----------
        path
            Its folder, or its ``study.json``.
        read_only
            True: only to read. False: an error where it cannot be changed. None: read-only where another
            program holds it or the folder is write-protected; `notes` then says why.

        Raises
        ------
        StudyError
            If the folder is no study, was made by a newer version, or is damaged beyond its backup.
        """
        path = Path(path).absolute()
        path = path.parent if path.name == STUDY_FILE else path
        record, notes = read_record(path)
        if read_only:
            return cls._opened(path, record, None, (*notes, "The study was opened only to read."))
        lock = StudyLock(path)
        refusal = lock.acquire()
        if refusal is None:
            return cls._opened_to_write(path, lock)
        sentence = f"The study {path} can only be read, not changed: {refusal}."
        if read_only is False:
            raise StudyError(sentence)
        return cls._opened(path, record, None, (*notes, sentence))

    def close(self) -> None:
        """Write what is not yet written and let others change the study; may be called twice."""
        with self.mutex:
            if self._lock is None:
                return
            try:
                if self._record is not self._written:
                    self._write(self._record)
            finally:
                self._lock.release()
                self._lock = None
                self.notes = (*self.notes, "The study was closed.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- what it holds -----------------------------------------------------------------------

    @property
    def record(self) -> StudyRecord:
        """The content of ``study.json``."""
        return self._record

    @property
    def name(self) -> str:
        """Name of the study."""
        return self._record.name

    @property
    def structures(self) -> tuple[Structure, ...]:
        """Structures in study order; class index ``i`` of a model is the ``i``-th, from 1."""
        return self._record.structures

    @property
    def cases(self) -> tuple[CaseRecord, ...]:
        """Cases in the order of their import."""
        return self._record.cases

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed, because another program holds the study or it was closed."""
        return self._lock is None

    def case(self, case_id: str) -> CaseRecord:
        """Record of one case.

        Raises
        ------
        StudyError
            If there is no such case.
        """
        for record in self._record.cases:
            if record.id == case_id:
                return record
        raise StudyError(f"There is no case {case_id!r} in the study {self.name}; see the list of its cases.")

    def structure(self, value: int) -> Structure:
        """Structure of one label value.

        Raises
        ------
        StudyError
            If there is no such structure.
        """
        for structure in self.structures:
            if structure.value == value:
                return structure
        raise StudyError(f"There is no structure with label value {value} in the study {self.name}.")

    # ---- structures --------------------------------------------------------------------------

    def add_structure(self, name: str, color: str | None = None, value: int | None = None) -> Structure:
        """Add a structure; colour and label value are the next free ones by default.

        Raises
        ------
        StudyError
            If the name or the value is taken or not allowed.
        """
        with self.mutex:
            used = {structure.value for structure in self.structures}
            if value is None:
                value = next((free for free in range(1, 256) if free not in used), 256)
            color = color or _next_color(self.structures)
            added = _structure(value=value, name=name, color=color)
            self.set_structures((*self.structures, added))
            return added

    def rename_structure(self, value: int, name: str) -> Structure:
        """Give a structure another name; its label value stays."""
        with self.mutex:
            old = self.structure(value)
            self.set_structures(self._with(old, name=name))
            return self.structure(value)

    def recolour_structure(self, value: int, color: str) -> Structure:
        """Give a structure another colour, ``#rrggbb``."""
        with self.mutex:
            self.set_structures(self._with(self.structure(value), color=color))
            return self.structure(value)

    # ---- for the modules of this layer -------------------------------------------------------

    def require_writable(self) -> None:
        """Raise StudyError, with the reason, where the study cannot be changed."""
        if self._lock is None:
            reason = self.notes[-1] if self.notes else "The study is open only to read."
            raise StudyError(f"Nothing was changed. {reason}")

    def update(self, **changes: Any) -> None:
        """Replace fields of the record and write it."""
        with self.mutex:
            self.require_writable()
            self._write(StudyRecord.model_validate({**dict(self._record), **changes}))

    def replace_case(self, record: CaseRecord, write: bool = True) -> None:
        """Replace the record of a case, or add it; without `write` it goes to disk with the next change."""
        with self.mutex:
            self.require_writable()
            known = any(case.id == record.id for case in self.cases)
            cases = [record if case.id == record.id else case for case in self.cases]
            updated = self._record.model_copy(update={"cases": tuple(cases if known else [*cases, record])})
            if write:
                self._write(updated)
            self._record = updated

    def add_case(self, record: CaseRecord, annotation: Annotation | None) -> CaseRecord:
        """Add a case with its annotation; the case appears only once its annotation is on disk."""
        with self.mutex:
            self.require_writable()
            self._annotations.set_aside(record.id)
            if annotation is not None:
                scan = scan_path(self.path, record.scan)
                record = self.annotated(
                    record, self._annotations.write(record.id, annotation, scan, "import")
                )
            self.replace_case(record)
            return record

    def annotated(self, record: CaseRecord, version: Version | None) -> CaseRecord:
        """Bring status, known share and volumes of a record up to its annotation."""
        if version is not None:
            fraction = version.known_fraction
            facts = {
                "known_fraction": fraction,
                "label_voxels": version.label_voxels,
                "status": _status(fraction),
            }
            record = record.model_copy(update=facts)
        return record.model_copy(update={"volumes_ml": _volumes(record, self.structures)})

    def set_structures(self, structures: tuple[Structure, ...]) -> None:
        """Replace the structures, and name the volumes of all cases after them."""
        self.require_writable()
        names = [structure.name for structure in structures]
        values = [structure.value for structure in structures]
        if len(set(names)) < len(names) or len(set(values)) < len(values):
            raise StudyError("There is a structure of that name or label value already; choose another.")
        cases = [case.model_copy(update={"volumes_ml": _volumes(case, structures)}) for case in self.cases]
        self._write(self._record.model_copy(update={"structures": structures, "cases": tuple(cases)}))

    def _write(self, record: StudyRecord) -> None:
        write_record(self.path, record)
        self._record = self._written = record

    @classmethod
    def _opened_to_write(cls, path: Path, lock: StudyLock) -> Self:
        """Read again, as the holder before may have written in between, and mend what a crash left."""
        try:
            record, notes = read_record(path)
            if notes:
                keep_damaged(path)
                write_record(path, record)
            sweep_leftovers(path)
            damaged = AnnotationStore(path).recover([case.id for case in record.cases])
            study = cls._opened(path, record, lock, (*notes, *damaged))
            study._finish_structures()
            return study
        except BaseException:
            lock.release()
            raise

    def _finish_structures(self) -> None:
        """Go on with a merge or removal that a crash cut off; where that fails, say so."""
        try:
            structures.finish(self, self._annotations)
        except DyconError as error:
            self.notes = (*self.notes, f"A change of the structures is not finished yet: {error}")

    @classmethod
    def _opened(cls, path: Path, record: StudyRecord, lock: StudyLock | None, notes: tuple[str, ...]) -> Self:
        """Bring the record up to annotations that were saved after it."""
        study = cls(path, record, lock, notes)
        cases = tuple(map(study._caught_up, record.cases))
        if cases != record.cases:
            study._record = record.model_copy(update={"cases": cases})
        return study

    def _caught_up(self, case: CaseRecord) -> CaseRecord:
        """Bring one record up to its annotation; where that cannot be read, opening the case will say so."""
        try:
            return self.annotated(case, self._annotations.version(case.id))
        except StudyError:
            return case

    def _with(self, old: Structure, **changes: str) -> tuple[Structure, ...]:
        changed = _structure(**{**dict(old), **changes})
        return tuple(changed if structure is old else structure for structure in self.structures)


def _structure(**fields: Any) -> Structure:
    try:
        return Structure(**fields)
    except ValidationError as error:
        raise StudyError(
            "A structure needs a name, a colour such as #e6550d and a label value from 1 to 255: "
            f"{error.errors()[0]['msg']}."
        ) from error


def _next_color(structures: Sequence[Structure]) -> str:
    used = {structure.color.lower() for structure in structures}
    free = [color for color in DEFAULT_COLORS if color not in used]
    return free[0] if free else DEFAULT_COLORS[len(structures) % len(DEFAULT_COLORS)]


def _status(known_fraction: float) -> Status:
    if known_fraction <= 0:
        return "unlabelled"
    return "complete" if known_fraction >= 1 else "partial"


def _volumes(record: CaseRecord, structures: Sequence[Structure]) -> dict[str, float]:
    if record.status == "unlabelled":
        return {}
    return {s.name: record.label_voxels.get(s.value, 0) * record.voxel_ml for s in structures}
