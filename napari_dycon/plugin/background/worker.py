"""The background thread that iterates a generator of events.

napari's own generator worker swallows every ``RuntimeError`` (all of torch's are), replaces the
process-wide warnings hook while it runs, and shares a pool of as many threads as there are cores.
This one does none of that, and stays reachable by napari's own quit.
"""

import ctypes
import gc
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from qtpy.QtCore import Signal

from napari_dycon.engine.control import Control
from napari_dycon.engine.loading import LOAD_FIRST, is_library_not_loaded
from napari_dycon.errors import DyconError
from napari_dycon.plugin.layers.napari_private import WatchedWorker, WorkerSignals

E = TypeVar("E")
EventSource = Callable[[Control], Iterator[E]]
"""A job: called in the background thread with its control, it returns the iterator of its events."""
NICENESS = 10
_WINDOWS_BELOW_NORMAL = -1
_DARWIN_UTILITY = 0x11
_LARGE_LIBRARIES = ("torch", "monai")
_kept: set[str] = set()


class EventWorkerSignals(WorkerSignals):
    """Signals of a worker; ``failed`` carries a sentence and the traceback, both as text."""

    failed = Signal(str, str)


class EventWorker(WatchedWorker):
    """Iterates ``source(control)`` in a thread of its own and keeps its events until they are taken.

    Parameters
    ----------
    source
        Called in the thread with the control; returns the iterator of events. It must look at the
        control often and end by itself when it is stopped.
    control
        The only way to stop: `quit`, which napari calls as well, stops it.

    Notes
    -----
    ``finished`` is emitted always and last, ``failed`` before it when anything was raised, even
    ``SystemExit``. Nothing but text leaves the thread in case of failure: an exception object would
    keep the frames, and with them the memory, of the failed job alive.
    """

    def __init__(self, source: EventSource[Any], control: Control) -> None:
        super().__init__(EventWorkerSignals)
        self._source: EventSource[Any] | None = source
        self._events: deque[Any] = deque()
        self._thread: threading.Thread | None = None
        self.control = control

    def start(self) -> None:
        """Start the thread; may be called once."""
        if self._thread is not None:
            raise RuntimeError("This worker has been started already.")
        self.enlist()
        self._thread = threading.Thread(target=self.run, name="dycon-worker", daemon=False)
        self._thread.start()

    def quit(self) -> None:
        """Ask the job to stop at its next safe point, because the program or its study is closed."""
        super().quit()
        self.control.leave()

    def wait(self, seconds: float) -> bool:
        """Wait until the thread has ended; return whether it has."""
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def take_events(self) -> list[Any]:
        """Return the events since the last call, oldest first."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def run(self) -> None:
        """Do the work and report how it ended; runs in the thread."""
        self.set_running(True)
        self.tell("started")
        failure = self._iterate()
        self._source = None
        self.set_running(False)
        if failure is not None:
            self.tell("failed", *failure)
        self.tell_finished()

    def _iterate(self) -> tuple[str, str] | None:
        try:
            lower_thread_priority()
            assert self._source is not None
            for event in self._source(self.control):
                self._events.append(event)
                keep_libraries()
        except BaseException as error:  # noqa: BLE001 - the thread's last line of defence: reported as text
            words, details = plain_words(error), traceback.format_exc()
            _let_go(error)
            return words, details
        return None


def _let_go(error: BaseException | None) -> None:
    """Free what the frames of ``error`` and of those that led to it hold: networks, scans."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def plain_words(error: BaseException) -> str:
    """Return one sentence about ``error`` for the person at the screen."""
    if isinstance(error, DyconError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "Memory ran out: close other programs, or choose the CPU as the device, then start again."
    if is_library_not_loaded(error):
        return LOAD_FIRST
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"A file could not be read or written{where}: {error.strerror or error}."
    if isinstance(error, SystemExit):
        return f"The background task ended itself unexpectedly (exit {error.code})."
    return f"Unexpected fault in the background task: {type(error).__name__}: {error}"


def keep_libraries() -> None:
    """Have Python pass over what a large library brought when it looks for garbage, holding all threads."""
    new = {name for name in _LARGE_LIBRARIES if name in sys.modules} - _kept
    if new:
        _kept.update(new)
        gc.freeze()


def lower_thread_priority() -> None:
    """Give way to the interface: lower the priority of the calling thread, where the system allows it."""
    if sys.platform.startswith("linux"):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
    elif sys.platform == "win32":
        kernel = ctypes.windll.kernel32
        kernel.SetThreadPriority(kernel.GetCurrentThread(), _WINDOWS_BELOW_NORMAL)
    elif sys.platform == "darwin":
        ctypes.CDLL(None).pthread_set_qos_class_self_np(_DARWIN_UTILITY, 0)
