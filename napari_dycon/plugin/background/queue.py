"""Background jobs as the GUI thread sees them: started, fed back in batches, queued."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from qtpy.QtCore import QObject, QTimer

import napari_dycon.plugin.background.preload  # noqa: F401 - before any thread is started
from napari_dycon.engine.control import Control
from napari_dycon.plugin.background.worker import E, EventSource, EventWorker

DRAIN_MS = 100


class JobControl(Control):
    """A control that knows whether the job has really come to rest."""

    def __init__(self) -> None:
        super().__init__()
        self.resting = False

    def wait_while_paused(self) -> None:
        """Block the calling thread until resumed or stopped."""
        self.resting = self.paused
        super().wait_while_paused()
        self.resting = False


class Job(QObject):
    """A worker together with the timer that hands its events to the GUI thread, at most ten times a second.

    Parameters
    ----------
    source
        The generator of events, see `EventWorker`.
    on_events
        Called in the GUI thread with the events since the last call, in order; also when there are none.
    on_end
        Called once in the GUI thread after the last batch with ``(sentence, traceback)`` of a failure,
        or two empty strings.

    Notes
    -----
    A started job stays alive until its end, whoever forgets it.
    """

    _under_way: ClassVar[set["Job"]] = set()

    def __init__(
        self,
        source: EventSource[E],
        on_events: Callable[[list[E]], None],
        on_end: Callable[[str, str], None],
    ) -> None:
        super().__init__()
        self.control = JobControl()
        self._on_events: Callable[[list[Any]], None] = on_events
        self._on_end = on_end
        self._failure = ("", "")
        self._ended = False
        self._worker = EventWorker(source, self.control)
        self._worker.failed.connect(self._remember_failure)
        self._worker.finished.connect(self._end)
        self._timer = QTimer(self)
        self._timer.setInterval(DRAIN_MS)
        self._timer.timeout.connect(self._drain)

    @property
    def running(self) -> bool:
        """Whether the end has not been reported yet."""
        return not self._ended

    def start(self) -> None:
        """Start the worker and the delivery of its events."""
        self._under_way.add(self)
        self._timer.start()
        self._worker.start()

    def stop(self) -> None:
        """Ask the job to stop; its end is still reported."""
        self.control.stop()
        self._worker.quit()

    def stop_and_wait(self, seconds: float) -> bool:
        """Stop, wait at most ``seconds``, and deliver nothing any more; return whether it has ended."""
        self._on_events, self._on_end = _ignore_events, _ignore_end
        with suppress(RuntimeError):  # the application, and with it the timer, may be gone already
            self._timer.stop()
        self._worker.quit()
        ended = self._worker.wait(seconds)
        self._ended = ended
        return ended

    def _remember_failure(self, sentence: str, details: str) -> None:
        self._failure = (sentence, details)

    def _drain(self) -> None:
        self._on_events(self._worker.take_events())

    def _end(self) -> None:
        self._under_way.discard(self)
        self._timer.stop()
        self._drain()
        self._ended = True
        self._on_end(*self._failure)


def _ignore_events(events: list[Any]) -> None:
    del events


def _ignore_end(sentence: str, details: str) -> None:
    del sentence, details


@dataclass(frozen=True)
class _Request:
    key: str
    source: EventSource[Any]
    on_event: Callable[[Any], None]


class JobQueue:
    """Runs short jobs one after the other; a newer request with the same key replaces one that waits.

    Parameters
    ----------
    on_failure
        Called in the GUI thread with ``(sentence, traceback)``.
    """

    def __init__(self, on_failure: Callable[[str, str], None]) -> None:
        self._on_failure = on_failure
        self._waiting: deque[_Request] = deque()
        self._job: Job | None = None

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._job is not None or bool(self._waiting)

    def put(self, key: str, source: EventSource[E], on_event: Callable[[E], None]) -> None:
        """Run ``source`` when everything asked for before is done.

        Parameters
        ----------
        key
            What is asked for.
        source
            The job.
        on_event
            Called in the GUI thread with each of its events.
        """
        self._waiting = deque(request for request in self._waiting if request.key != key)
        self._waiting.append(_Request(key, source, on_event))
        self._next()

    def close(self, seconds: float) -> bool:
        """Stop everything and report nothing more; return whether the job ended within ``seconds``."""
        self._waiting.clear()
        job, self._job = self._job, None
        return job is None or job.stop_and_wait(seconds)

    def _next(self) -> None:
        if self._job is None and self._waiting:
            request = self._waiting.popleft()
            self._job = Job(request.source, partial(_deliver, request.on_event), self._on_end)
            self._job.start()

    def _on_end(self, sentence: str, details: str) -> None:
        self._job = None
        if sentence:
            self._on_failure(sentence, details)
        self._next()


def _deliver(on_event: Callable[[E], None], events: list[E]) -> None:
    for event in events:
        on_event(event)
