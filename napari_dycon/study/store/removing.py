"""Cases taken out of a study, with everything that belongs to them, and put back.

A removed case lies in ``removed/TIME-CASE``: its record and its page of the notebook, its labels with
their history, its predictions, and whose DICOM series it is. The scan itself is not touched. The copy is
whole before the case leaves ``study.json``, which is the instant at which it is removed; so a crash leaves
the case in the study, or the copy, or both.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import make_folder, write_text_atomic
from napari_dycon.study.store.annotation_store import AnnotationStore
from napari_dycon.study.store.files import now
from napari_dycon.study.store.folder import StudyFolder
from napari_dycon.study.store.notebook import Notebook, Page
from napari_dycon.study.store.runs import RunStore
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.store.structures import StructureChanges

REMOVED = "removed"
RECORD_FILE = "case.json"


class RemovedRecord(BaseModel):
    """What ``case.json`` of a removed case says."""

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_version: int = 1
    removed: str
    case: CaseRecord
    page: Page = Page()
    predictions: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class RemovedCase:
    """A case that can be put back: the folder that holds it, id, name, and when it was removed (UTC)."""

    folder: str
    id: str
    name: str
    removed: str


class RemovedCases:
    """The ``removed/`` folder of one study.

    Parameters
    ----------
    study
        Its record and cases.
    annotations, notebook, runs
        What else a case has in it.
    structures
        Brings a case that is put back to the structures of today.
    """

    def __init__(
        self,
        study: StudyFolder,
        annotations: AnnotationStore,
        notebook: Notebook,
        runs: RunStore,
        structures: StructureChanges,
    ) -> None:
        self._study = study
        self._annotations = annotations
        self._notebook = notebook
        self._runs = runs
        self._structures = structures

    def take_out(self, case_id: str) -> RemovedCase:
        """Take a case out of the study and keep a copy of all that was known about it.

        Raises
        ------
        StudyError
            If there is no such case, the study cannot be changed, or the copy cannot be made; nothing
            is removed.
        """
        with self._study.mutex:
            self._study.require_writable()
            case, when = self._study.case(case_id), now()
            record = RemovedRecord(
                removed=when,
                case=case,
                page=self._notebook.page(case_id),
                predictions=self._summaries(case_id),
            )
            kept = _keep(self._study.path, record)
            cases = tuple(other for other in self._study.cases if other.id != case_id)
            self._study.update(cases=cases)
            self._notebook.take_out(case_id)
            for run in record.predictions:
                self._runs.drop_summary(run, case_id)
            for path in list(_files(self._study.path, case_id)):
                with contextlib.suppress(OSError):  # a stray file is set aside when a case takes its name
                    path.unlink()
            return RemovedCase(kept.name, case.id, case.name, when)

    def list_cases(self) -> list[RemovedCase]:
        """Cases that can be put back, the latest first; folders that cannot be read are left out."""
        found = []
        for path in (self._study.path / REMOVED).glob(f"[!.]*/{RECORD_FILE}"):
            with contextlib.suppress(StudyError):
                record = _read(path.parent)
                found.append(RemovedCase(path.parent.name, record.case.id, record.case.name, record.removed))
        return sorted(found, key=lambda item: (item.removed, item.folder), reverse=True)

    def put_back(self, folder: str) -> CaseRecord:
        """Put a removed case back as it was; it gets the structures of today.

        Parameters
        ----------
        folder
            As `list_cases` names it.

        Raises
        ------
        StudyError
            If there is no such copy, or a case of that id is in the study.
        """
        with self._study.mutex:
            self._study.require_writable()
            if folder not in [item.folder for item in self.list_cases()]:
                raise StudyError(f"There is no removed case {folder!r} in this study.")
            kept = self._study.path / REMOVED / folder
            record = _read(kept)
            if any(case.id.lower() == record.case.id.lower() for case in self._study.cases):
                raise StudyError(
                    f"{record.case.name} cannot be put back: the study holds a case {record.case.id} again. "
                    f"Its labels stay in {kept}."
                )
            self._annotations.set_aside(record.case.id)
            for path in _files(kept, record.case.id):
                _copy(path, self._study.path / path.relative_to(kept))
            self._study.replace_case(record.case)
            self._notebook.put_in(record.case.id, record.page)
            for run in record.predictions.keys() & set(self._runs.ids()):
                self._runs.write_summary(run, {record.case.id: record.predictions[run]})
            shutil.rmtree(kept, ignore_errors=True)
        self._structures.catch_up(record.case.id)
        return self._study.case(record.case.id)

    def _summaries(self, case_id: str) -> dict[str, dict[str, Any]]:
        """What each run says of a case; a damaged summary says nothing."""
        found = {}
        for run in self._runs.ids():
            with contextlib.suppress(StudyError):
                found[run] = self._runs.read_summary(run).get(case_id, {})
        return {run: row for run, row in found.items() if row}


def _keep(root: Path, record: RemovedRecord) -> Path:
    """Copy all that belongs to a case; the folder has its final name only when it is whole."""
    stamp = record.removed.replace(":", "").split("+")[0]
    final = _free(root / REMOVED / f"{stamp}-{record.case.id}")
    part = final.with_name(f".{final.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        for path in _files(root, record.case.id):
            _copy(path, part / path.relative_to(root))
        make_folder(part)
        write_text_atomic(part / RECORD_FILE, record.model_dump_json(indent=1))
        part.rename(final)
    except OSError as error:
        raise StudyError(
            f"{record.case.name} was not removed: its copy cannot be written to {final.parent} "
            f"({error.strerror or error})."
        ) from error
    return final


def _files(root: Path, case_id: str) -> Iterator[Path]:
    """Files of a case, in a study or in a copy of it; ids hold no sign with a meaning in patterns."""
    patterns = (
        *(f"annotations/{case_id}.*", f"history/{case_id}/*", f"predictions/*/{case_id}.*"),
        f"scans/{case_id}.*dicom.json",
    )
    for pattern in patterns:
        yield from (path for path in sorted(root.glob(pattern)) if path.is_file())


def _copy(source: Path, target: Path) -> None:
    """Link a file to another place, or copy it; files of a study are replaced, never written into."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _free(path: Path) -> Path:
    number, free = 2, path
    while free.exists():
        free = path.with_name(f"{path.name}-{number}")
        number += 1
    return free


def _read(folder: Path) -> RemovedRecord:
    try:
        return RemovedRecord.model_validate_json((folder / RECORD_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise StudyError(f"{folder / RECORD_FILE} cannot be read.") from error
