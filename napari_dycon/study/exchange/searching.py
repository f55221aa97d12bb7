"""Which scans of a study cannot be used and why, and where those are that were moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_dycon.errors import DyconError
from napari_dycon.io.volumes import find_volumes, read_geometry, read_volume
from napari_dycon.study.exchange import importing
from napari_dycon.study.store import preflight
from napari_dycon.study.store.files import sha256_of
from napari_dycon.study.store.identity import content_of
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study

_LISTED = 4


@dataclass(frozen=True, slots=True)
class Checked:
    """Why a scan cannot be trained on, in sentences; none where it can.

    Attributes
    ----------
    lost
        Whether its file is gone, or shows another scan now.
    """

    case: str
    reasons: tuple[str, ...]
    lost: bool


@dataclass(frozen=True, slots=True)
class Sought:
    """One file of a folder was compared with the scans that are missing.

    Attributes
    ----------
    case
        The scan that it holds, which is read from there now; None where it is none of them.
    problem
        Why it cannot be used although it is one of them.
    """

    done: int
    total: int
    case: CaseRecord | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class SearchEnded:
    """What came of a search: the names of the scans that were found, and of those that were not."""

    folder: Path
    found: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The same in words."""
        if not self.found and not self.missing:
            return "No scan is missing: each is where the study looks for it."
        found = [f"{_count(len(self.found))} found again."] if self.found else []
        missing = [f"{_count(len(self.missing))} not found in {self.folder}: {_list_names(self.missing)}."]
        return " ".join(found + (missing if self.missing else []))


def check_scans(study: Study) -> Iterator[Checked]:
    """Look at the records and files of all scans, one after the other; voxels only where a file has changed.

    Yields
    ------
    Checked
        One a case, in study order.
    """
    for case in study.cases:
        reasons = tuple(preflight.reasons_to_leave_out(study, case))
        yield Checked(case.id, reasons, bool(reasons) and is_lost(study, case))


def is_lost(study: Study, case: CaseRecord) -> bool:
    """Tell whether the file of a scan is gone, damaged, or shows another scan now."""
    try:
        return not study.has_scan(case.id) or study.scan_has_changed(case.id, thorough=False)
    except (DyconError, OSError):
        return True


def find_again(study: Study, folder: Path) -> Iterator[Sought | SearchEnded]:
    """Look in a folder for the scans that are not where they were; nothing else in it is added.

    A scan is known by its voxels and grid, whatever its file is called.

    Yields
    ------
    Sought
        After each file; iteration may be ended at any of them.
    SearchEnded
        Last of all.

    Raises
    ------
    StudyError
        If the study cannot be changed.
    """
    study.require_writable()
    lost = {case.id: case for case in study.cases if is_lost(study, case)}
    names, found = {Path(case.scan.replace("\\", "/")).name for case in lost.values()}, []
    files = sorted(find_volumes(folder), key=lambda file: file.name not in names) if lost else []
    for done, file in enumerate(files, start=1):
        case, problem = _take_up(study, lost.values(), file.absolute())
        if case is not None:
            found.append(lost.pop(case.id).name)
        yield Sought(done, len(files), case, problem)
        if not lost:
            break
    yield SearchEnded(folder, tuple(found), tuple(case.name for case in lost.values()))


def _take_up(study: Study, lost: Iterable[CaseRecord], file: Path) -> tuple[CaseRecord | None, str | None]:
    """Have the scan that a file holds read from there; return its case, or why that cannot be."""
    try:
        if not any(_holds(file, case) for case in _of_one_shape(lost, file)):
            return None, None
    except (DyconError, OSError, MemoryError):  # a file that cannot be read is none of them
        return None, None
    try:
        return importing.add_scan(study, file), None
    except DyconError as error:
        return None, str(error)


def _of_one_shape(lost: Iterable[CaseRecord], file: Path) -> list[CaseRecord]:
    """Scans with as many voxels as a file, which is cheaper to tell than whether they are the same."""
    shape = sorted(read_geometry(file).shape)
    return [case for case in lost if sorted(case.shape) == shape]


def _holds(file: Path, case: CaseRecord) -> bool:
    same = bool(case.content) and content_of(read_volume(file)) == case.content
    return same or sha256_of(file) == case.sha256


def _count(number: int) -> str:
    return "1 scan was" if number == 1 else f"{number} scans were"


def _list_names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
