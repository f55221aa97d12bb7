"""Runs that others trained while the study is open here; whoever holds the study makes them active."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qtpy.QtCore import QTimer

from napari_dycon.engine.control import Control
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.study import Study

INTERVAL_MS = 5000
END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class RunAdopted:
    """A run that another process trained is the active one now."""

    run: str


class RunWatch:
    """Looks every few seconds for such runs of the open study.

    Parameters
    ----------
    on_adopted
        Called with the name of a run that has become the active one.
    free
        Says whether to look now; a training here sees to its run itself.
    on_failure
        Called with a sentence and details.
    """

    def __init__(
        self,
        on_adopted: Callable[[str], object],
        free: Callable[[], bool],
        on_failure: Callable[[str, str], None],
    ) -> None:
        self._on_adopted = on_adopted
        self._free = free
        self._study: Study | None = None
        self._queue = JobQueue(on_failure)
        self._timer = QTimer()
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self.look)

    def open_study(self, study: Study) -> None:
        """Look at the runs of ``study`` from now on."""
        self._study = None if study.read_only else study
        if self._study is not None:
            self._timer.start()

    def look(self) -> None:
        """Look now, in the background."""
        if self._study is not None and self._free() and not self._queue.busy:
            self._queue.put("runs", adopt_runs(self._study), self._take)

    def close(self) -> None:
        """Forget the study."""
        self._timer.stop()
        self._queue.close(END_SECONDS)
        self._study = None

    def _take(self, event: RunAdopted) -> None:
        if self._study is not None:
            self._on_adopted(event.run)


def adopt_runs(study: Study) -> EventSource[RunAdopted]:
    """Make the run active that was proposed last, if any."""

    def source(control: Control) -> Iterator[RunAdopted]:
        del control
        run = None if study.read_only else study.adopt_runs()
        if run is not None:
            yield RunAdopted(run)

    return source
