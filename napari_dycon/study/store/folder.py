"""The study folder itself: made, opened by one writer and any number of readers, written, closed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock, RLock
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import sweep_leftovers
from napari_dycon.io.json_files import in_words
from napari_dycon.study.store.annotation_store import AnnotationStore
from napari_dycon.study.store.files import READERS, scan_path
from napari_dycon.study.store.live_record import LiveRecord
from napari_dycon.study.store.lock import RunLock, StudyLock
from napari_dycon.study.store.schema import (
    DEFAULT_COLORS,
    MOST_STRUCTURES,
    CaseRecord,
    Status,
    Structure,
    StudyRecord,
    Whole,
    format_of,
    new_structure,
    reader_name,
    sound_wholes,
)
from napari_dycon.study.store.studyfile import BACKUP_FILE, STUDY_FILE, Reading, StudyFile
from napari_dycon.study.store.versions import Version
from napari_dycon.study.truth.annotations import Annotation

OF_OTHERS = ("runs", "cache", READERS)
"""Folders into which trainings and further readers write, who do not hold the study."""


class StudyFolder:
    """What every study has: a record on disk, cases and structures, and at most one writer.

    Attributes
    ----------
    path
        The folder.
    oddities
        Sentences about what was wrong when the study was opened.
    """

    def __init__(
        self, path: Path, record: StudyRecord, lock: StudyLock | None, notes: tuple[str, ...]
    ) -> None:
        self.path = path
        self.oddities: tuple[str, ...] = ()
        self._reasons = notes
        self._live = LiveRecord(path, record)
        self._lock = lock
        self.mutex = RLock()
        self.restructuring = Lock()
        self._annotations = AnnotationStore(path, record.reader)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was wrong when the study was opened, and why it is read-only if it is."""
        return (*self.oddities, *self._reasons)

    # ---- opening and closing -----------------------------------------------------------------

    @classmethod
    def create(
        cls, path: Path | str, structures: Sequence[Structure], name: str | None = None, reader: str = ""
    ) -> Self:
        """Make an empty study in a new folder, or in one that holds no study yet.

        Parameters
        ----------
        path
            The folder.
        structures
            What is to be segmented.
        name
            That of the folder by default.
        reader
            The further reader whose labels alone it is for, if any.

        Raises
        ------
        StudyError
            If there is a study already, or the folder cannot be written.
        """
        path = Path(path).absolute()
        if (path / STUDY_FILE).exists() or (path / BACKUP_FILE).exists():
            raise StudyError(f"{path} holds a study already; open it, or choose another folder.")
        try:
            record = StudyRecord(name=name or path.name, structures=tuple(structures), reader=reader)
        except ValidationError as error:
            raise StudyError(f"These structures cannot be used together: {in_words(error)}.") from error
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
        study = cls(path, record, lock, ())
        try:
            study._live.write(record)
        except BaseException:
            lock.release()
            raise
        return study

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
        path = path.parent if path.name == STUDY_FILE and not path.is_dir() else path
        reading, crashed = StudyFile(path).read(), StudyLock.was_left_behind(path)
        if read_only:
            return cls._open_as(path, reading, None, crashed, "The study was opened only to read.")
        lock = StudyLock(path)
        refusal = lock.acquire()
        if refusal is None:
            return cls._open_to_write(path, reading, lock, crashed)
        sentence = f"The study {path} can only be read, not changed: {refusal}."
        if read_only is False:
            raise StudyError(sentence)
        return cls._open_as(path, reading, None, crashed, sentence)

    def close(self) -> None:
        """Write what is not yet written and let others change the study; may be called twice."""
        with self.mutex:
            if self._lock is None:
                return
            clean = False
            try:
                self._live.save()
                self._annotations.remember(self.record.revision)
                clean = True
            finally:
                self._lock.release(clean=clean)
                self._lock = None
                self._reasons = (*self._reasons, "The study was closed.")

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
        return self._live.now

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.record.name

    @property
    def reader(self) -> str:
        """Who draws, as every version that is saved from now on says; it can be set.

        In the study of a further reader it is always that one.
        """
        return self._annotations.reader

    @reader.setter
    def reader(self, name: str) -> None:
        self._annotations.reader = self.record.reader or reader_name(name)

    @property
    def structures(self) -> tuple[Structure, ...]:
        """Structures in study order; class index ``i`` of a model is the ``i``-th, from 1."""
        return self.record.structures

    @property
    def cases(self) -> tuple[CaseRecord, ...]:
        """Cases in the order of their import."""
        return self.record.cases

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
        found = self._live.by_id.get(case_id)
        if found is None:
            raise StudyError(
                f"There is no case {case_id!r} in the study {self.name}; see the list of its cases."
            )
        return found

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

        A value that a structure had which is gone is never given again: old predictions, versions and models
        hold it still.

        Raises
        ------
        StudyError
            If the name or the value is taken or not allowed, or no value is left.
        """
        with self.mutex:
            retired = self.record.retired
            if value is None:
                value = _free_value(self.record)
            if value in retired:
                free = _free_value(self.record)
                raise StudyError(
                    f"Label value {value} was that of “{retired[value]}”, which is gone; old predictions and "
                    f"models hold it still. Choose another one; the next free one is {free}."
                )
            added = new_structure(value, name, color or _next_color(self.structures))
            self.set_structures((*self.structures, added))
            return added

    def change_structure(self, value: int, **changes: str | bool) -> Structure:
        """Change what a structure is beside its label value: name, color, locked, hidden, group.

        Raises
        ------
        StudyError
            If there is no such structure, or it cannot be so.
        """
        with self.mutex:
            old = self.structure(value)
            self.set_structures(_with_changes(self.structures, old, **changes))
            return self.structure(value)

    # ---- for the modules of this layer -------------------------------------------------------

    def require_writable(self) -> None:
        """Raise StudyError, with the reason, where the study cannot be changed."""
        if self._lock is None:
            reason = self._reasons[-1] if self._reasons else "The study is open only to read."
            raise StudyError(f"Nothing was changed. {reason}")

    def update(self, **changes: Any) -> None:
        """Replace fields of the record and write it."""
        with self.mutex:
            self.require_writable()
            try:
                record = StudyRecord.model_validate({**dict(self.record), **changes})
            except ValidationError as error:
                raise StudyError(f"The study was not changed: {in_words(error)}.") from error
            self._live.write(record)

    def replace_case(self, record: CaseRecord, write: bool = True) -> None:
        """Replace the record of a case, or add it; without `write` it goes to disk with the next change."""
        with self.mutex:
            self.require_writable()
            self._live.put_case(record, write=write)

    def add_case(self, record: CaseRecord, annotation: Annotation | None) -> CaseRecord:
        """Add a case with its annotation; the case appears only once its annotation is on disk."""
        with self.mutex:
            self.require_writable()
            self._annotations.set_aside(record.id)
            if annotation is not None:
                scan = scan_path(self.path, record.scan)
                record = self.with_annotation(
                    record, self._annotations.write(record.id, annotation, scan, "import")
                )
            self.replace_case(record)
            return record

    def with_annotation(self, record: CaseRecord, version: Version | None) -> CaseRecord:
        """Bring status, known share and volumes of a record up to its annotation."""
        if version is not None:
            fraction = version.known_fraction
            facts = {
                "known_fraction": fraction,
                "label_voxels": version.label_voxels,
                "at_edge": version.at_edge,
                "status": _status(fraction),
            }
            record = record.model_copy(update=facts)
        return record.model_copy(update={"volumes_ml": _volumes(record, self.structures, self.record.wholes)})

    def set_structures(
        self, structures: tuple[Structure, ...], wholes: tuple[Whole, ...] | None = None
    ) -> None:
        """Replace the structures, and name the volumes of all cases after them; values given up retire.

        Wholes stay as they are where none are given; one that is left with a single part goes.
        """
        self.require_writable()
        wholes = self.record.wholes if wholes is None else wholes
        names = [structure.name for structure in structures] + [whole.name for whole in wholes]
        values = [structure.value for structure in structures]
        if len(set(names)) < len(names) or len(set(values)) < len(values):
            raise StudyError("There is a structure of that name or label value already; choose another.")
        wholes = sound_wholes(wholes, structures)
        volumes = {case.id: _volumes(case, structures, wholes) for case in self.cases}
        cases = [case.model_copy(update={"volumes_ml": volumes[case.id]}) for case in self.cases]
        gone = {old.value: old.name for old in self.structures if old.value not in values}
        changes = {
            "structures": structures,
            "wholes": wholes,
            "cases": tuple(cases),
            "retired": {**self.record.retired, **gone},
        }
        changed = self.record.model_copy(update=changes)
        self._live.write(changed.model_copy(update={"schema_version": format_of(changed)}))

    @classmethod
    def _open_to_write(cls, path: Path, reading: Reading, lock: StudyLock, crashed: bool) -> Self:
        """Mend what a crash left; the file is read again where the holder before has written in between."""
        try:
            file = StudyFile(path)
            if file.stamp != reading.stamp or reading.notes:
                reading = file.read()
            if reading.notes:
                reading = file.mend(reading)
            study = cls._open_as(path, reading, lock, crashed)
            study._settle()
            return study
        except BaseException:
            lock.release(clean=False)
            raise

    def _settle(self) -> None:
        """Go on with what a crash cut off, while the lock is held; for who owns more than the folder."""

    def tell(self, *sentences: str) -> None:
        """Add to what is odd."""
        self.oddities = (*self.oddities, *sentences)

    @classmethod
    def _open_as(
        cls, path: Path, reading: Reading, lock: StudyLock | None, crashed: bool, *reason: str
    ) -> Self:
        """Make the study; after a crash, or where annotations are not those it saw, bring its record up.

        A program that closes a study leaves a record that is up to date, so nothing is looked at then but
        sizes and times in the annotations' folder.
        """
        study = cls(path, reading.record, lock, reason)
        study._live.resume(reading)
        study.tell(*reading.notes)
        if crashed or reading.notes or not study._annotations.has_seen(reading.record.revision):
            if lock is not None:
                sweep_leftovers(path, spare=OF_OTHERS)
                for run in filter(RunLock.is_abandoned, (path / "runs").glob("*")):
                    sweep_leftovers(run)
                study.tell(*study._annotations.recover([case.id for case in study.cases]))
            study._catch_up()
        return study

    def _catch_up(self) -> None:
        cases = tuple(map(self._update_facts, self.cases))
        if cases != self.cases:
            self._live.now = self.record.model_copy(update={"cases": cases})

    def _update_facts(self, case: CaseRecord) -> CaseRecord:
        """Bring one record up to its annotation; where that cannot be read, opening the case will say so."""
        try:
            return self.with_annotation(case, self._annotations.version(case.id))
        except StudyError:
            return case


def further_structures(record: StudyRecord, names: Iterable[str]) -> tuple[Structure, ...]:
    """Structures of these names, with the next free values and colours, for a study that lacks them.

    Raises
    ------
    StudyError
        If there can be no structure of such a name, or no value is left.
    """
    made = record
    for name in names:
        added = new_structure(_free_value(made), name, _next_color(made.structures))
        made = made.model_copy(update={"structures": (*made.structures, added)})
    return made.structures[len(record.structures) :]


def _free_value(record: StudyRecord) -> int:
    used = {structure.value for structure in record.structures} | record.retired.keys()
    value = next((free for free in range(1, MOST_STRUCTURES + 1) if free not in used), None)
    if value is None:
        raise StudyError(
            f"All {MOST_STRUCTURES} label values are those of structures, or were once; make a new study "
            "for more."
        )
    return value


def _with_changes(
    structures: Sequence[Structure], old: Structure, **changes: str | bool
) -> tuple[Structure, ...]:
    changed = new_structure(**{**dict(old), **changes})
    return tuple(changed if structure is old else structure for structure in structures)


def _next_color(structures: Sequence[Structure]) -> str:
    used = {structure.color.lower() for structure in structures}
    free = [color for color in DEFAULT_COLORS if color not in used]
    return free[0] if free else DEFAULT_COLORS[len(structures) % len(DEFAULT_COLORS)]


def _status(known_fraction: float) -> Status:
    if known_fraction <= 0:
        return "unlabelled"
    return "complete" if known_fraction >= 1 else "partial"


def _volumes(
    record: CaseRecord, structures: Sequence[Structure], wholes: Sequence[Whole]
) -> dict[str, float]:
    if record.status == "unlabelled":
        return {}
    parts = {s.name: (s.value,) for s in structures} | {whole.name: whole.parts for whole in wholes}
    return {
        name: sum(record.label_voxels.get(value, 0) for value in values) * record.voxel_ml
        for name, values in parts.items()
    }
