"""The record of an open study: what counts now, and what of it is on disk."""

from __future__ import annotations

from pathlib import Path

from napari_dycon.study.store.schema import CaseRecord, StudyRecord
from napari_dycon.study.store.studyfile import Reading, StudyFile


class LiveRecord:
    """Keeps the record of a study and its file together; whoever changes it holds the study's mutex.

    Parameters
    ----------
    folder
        The folder of the study.
    record
        What is on disk, or shall be.

    Attributes
    ----------
    now
        The record that counts. Assigning another one goes to disk with the next write.
    """

    def __init__(self, folder: Path, record: StudyRecord) -> None:
        self._folder = folder
        self._file = StudyFile(folder)
        self._written = self.now = record
        self._places: tuple[tuple[CaseRecord, ...], dict[str, CaseRecord]] = ((), {})

    @property
    def by_id(self) -> dict[str, CaseRecord]:
        """Cases by id, in their order."""
        cases = self.now.cases
        if self._places[0] is not cases:
            self._places = cases, {case.id: case for case in cases}
        return self._places[1]

    def resume(self, reading: Reading) -> None:
        """Go on with the file as it was read."""
        self._file, self._written = StudyFile(self._folder, reading), reading.base

    def write(self, record: StudyRecord) -> None:
        """Let ``record`` count, and write it."""
        self.now = self._written = self._file.write(record)

    def save(self) -> None:
        """Write what counts, where that is not on disk."""
        if self.now is not self._written:
            self.write(self.now)

    def put_case(self, case: CaseRecord, *, write: bool) -> None:
        """Replace the record of a case, or add it; without `write` it goes to disk with the next change."""
        cases = tuple({**self.by_id, case.id: case}.values())
        record = self.now.model_copy(update={"cases": cases})
        if write and not self._file.put_case(record, case):
            self.write(record)
        else:
            self.now = record
