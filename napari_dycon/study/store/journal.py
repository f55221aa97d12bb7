"""Changes of the study file between two writes of the whole of it, one line each.

A line holds the new record of a case, cases that are gone, or all of the study but its cases. Lines follow a
header with the revision that they go on from. The first lead from the backup to the file, and are read where
the file is lost; the others go on from the file. So adding a case costs the same in a large study as in a
small one, and a backup, which is older than the file, becomes as new as the file was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from napari_dycon.io.atomic import append_lines, write_bytes_atomic
from napari_dycon.io.json_files import parse_json
from napari_dycon.study.store.schema import CaseRecord, StudyRecord

JOURNAL_FILE = "study.journal.jsonl"
MAXIMUM_BYTES = 256 << 20


class Journal:
    """The journal of one study; only the holder of the study's lock may write it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_FILE
        self._revision = -1
        self.appended = 0

    def append(self, revision: int, case: CaseRecord) -> None:
        """Note the record of a case, new or changed, as going on from a revision.

        Raises
        ------
        VolumeError
            If the disk is full or write-protected.
        """
        header = [] if revision == self._revision else [_header(revision)]
        append_lines(self.path, [*header, _line(case)])
        self._revision = revision
        self.appended += 1

    def restart(self, before: StudyRecord, after: StudyRecord) -> None:
        """Forget all lines but what leads from one written record to the next."""
        lines = [_header(before.revision, after.revision), *_between(before, after)]
        write_bytes_atomic(self.path, b"\n".join(lines) + b"\n")
        self._revision, self.appended = before.revision, 0

    def bring_up(self, record: StudyRecord, lines: bytes, *, backup: bool) -> StudyRecord:
        """Take over what `lines` (see `read`) say was changed since a file, or its backup, was written."""
        cases, whole, wanted = {case.id: case for case in record.cases}, record, False
        for line in filter(None, lines.splitlines()):
            if line.startswith(b'{"revision"'):
                revision, leads_on = _revision(line)
                fits = revision == record.revision and not leads_on
                wanted = revision >= record.revision if backup else fits
            elif wanted:
                whole = _take_over(cases, whole, line)
        found = tuple(cases.values())
        if whole is record and found == record.cases:
            return record
        return whole.model_copy(update={"cases": found})

    def read(self) -> bytes:
        """All lines; to be read before the study file, which may be written in between."""
        try:
            return self.path.read_bytes() if self.path.stat().st_size <= MAXIMUM_BYTES else b""
        except OSError:
            return b""


def _between(before: StudyRecord, after: StudyRecord) -> Iterator[bytes]:
    known = {case.id: case for case in before.cases}
    kept = {case.id for case in after.cases}
    yield b'{"study": ' + after.model_dump_json(exclude={"cases"}).encode() + b"}"
    if known.keys() - kept:
        yield json.dumps({"gone": sorted(known.keys() - kept)}).encode()
    yield from (_line(case) for case in after.cases if case != known.get(case.id))


def _header(revision: int, becomes: int | None = None) -> bytes:
    return json.dumps({"revision": revision} | ({} if becomes is None else {"becomes": becomes})).encode()


def _line(case: CaseRecord) -> bytes:
    return b'{"case": ' + case.model_dump_json().encode() + b"}"


def _revision(line: bytes) -> tuple[int, bool]:
    """What a header says: the revision, and whether lines lead from there to the file."""
    content = _content(line)
    revision = content.get("revision")
    return (revision if isinstance(revision, int) else -1), "becomes" in content


def _take_over(cases: dict[str, CaseRecord], whole: StudyRecord, line: bytes) -> StudyRecord:
    """Do what one line says, as far as it can be read."""
    content = _content(line)
    try:
        if "case" in content:
            case = CaseRecord.model_validate(content["case"])
            if case.id in cases or case.id.lower() not in {known.lower() for known in cases}:
                cases[case.id] = case
        elif "study" in content:
            return StudyRecord.model_validate(content["study"])
        else:
            _drop(cases, content.get("gone"))
    except ValidationError:
        pass  # a damaged line; what it said is in the study file itself, or lost
    return whole


def _drop(cases: dict[str, CaseRecord], gone: Iterable[Any] | None) -> None:
    for case in gone if isinstance(gone, list) else ():
        cases.pop(str(case), None)


def _content(line: bytes) -> dict[str, Any]:
    try:
        content = parse_json(line)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
