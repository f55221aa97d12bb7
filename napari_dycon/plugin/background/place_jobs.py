"""Writes what became of suggested places, and reads what they brought."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from napari_dycon.engine.control import Control
from napari_dycon.errors import DyconError
from napari_dycon.guidance.brought import Brought, compare
from napari_dycon.guidance.quality import Checks
from napari_dycon.guidance.stopping import Stopping, stopping
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.store.place_log import PlaceEntry, add_place, read_places
from napari_dycon.study.study import Study


class PlaceWriter:
    """Adds lines to the log of one study, in the order in which they came; what fails is tried again.

    Parameters
    ----------
    study
        The folder.
    """

    def __init__(self, study: Path) -> None:
        self._folder = study
        self._waiting: deque[Callable[[], PlaceEntry]] = deque()
        self._mutex = Lock()

    def add(self, make: Callable[[], PlaceEntry]) -> None:
        """Have a line written that is put down when its turn comes."""
        self._waiting.append(make)

    def write(self) -> int:
        """Write what waits; return how many lines.

        Raises
        ------
        DyconError
            If the disk is full or write-protected.
        """
        count = 0
        with self._mutex:
            while self._waiting:
                try:
                    add_place(self._folder, self._waiting[0]())
                except DyconError as error:
                    raise DyconError(f"What became of suggestions is not saved: {error}") from error
                self._waiting.popleft()
                count += 1
        return count


def write_places(writer: PlaceWriter) -> EventSource[int]:
    """Write what waits, and tell how many lines that were."""

    def source(control: Control) -> Iterator[int]:
        del control
        yield writer.write()

    return source


def do_once(action: Callable[[], None]) -> EventSource[object]:
    """Do what looks at every voxel."""

    def source(control: Control) -> Iterator[object]:
        del control
        action()
        yield from ()

    return source


@dataclass(frozen=True, slots=True)
class VerdictReached:
    """What suggestions brought and whether a person can probably stop, and what is wrong with the log."""

    brought: Brought
    stopping: Stopping
    notes: tuple[str, ...]


def read_verdict(study: Study, checks: Checks) -> EventSource[VerdictReached]:
    """Read the log of a study and what its models say."""

    def source(control: Control) -> Iterator[VerdictReached]:
        del control
        log = read_places(study.path)
        yield VerdictReached(compare(log.entries), stopping(study, log.entries, checks), log.notes)

    return source
