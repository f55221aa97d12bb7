"""Writes what became of suggested places."""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

from napari_dycon.engine.control import Control
from napari_dycon.errors import DyconError
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.store.place_log import PlaceEntry, add_place


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
