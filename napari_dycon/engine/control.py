"""The brake of a running training or prediction."""

import threading

from napari_dycon.engine.viewpoint import View


class Stopped(Exception):
    """A stop was asked for before there was anything to keep."""


class Control:
    """Pause, resume and stop from any thread; checked every training step and every window."""

    def __init__(self) -> None:
        self._running = threading.Event()
        self._running.set()
        self._stop = threading.Event()
        self._view: View | None = None
        self.left = False
        """Whether nobody will look any more: what goes on elsewhere is to go on."""

    def pause(self) -> None:
        """Ask the work to rest after the current step; it keeps everything in memory."""
        self._running.clear()

    def resume(self) -> None:
        """Let paused work go on."""
        self._running.set()

    def stop(self) -> None:
        """Ask the work to save and end after the current step, also while it is paused."""
        self._stop.set()
        self._running.set()

    def leave(self) -> None:
        """Say that the program ends: a stop, but for work that goes on without this program."""
        self.left = self.left or not self.stopped
        self.stop()

    def watch(self, view: View | None) -> None:
        """Say which slice a person looks at, to see what the model makes of it; None for none."""
        self._view = view

    @property
    def view(self) -> View | None:
        """The slice that a person looks at."""
        return self._view

    @property
    def stopped(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop.is_set()

    def raise_if_stopped(self) -> None:
        """Raise `Stopped` if a stop was asked for."""
        if self.stopped:
            raise Stopped

    @property
    def paused(self) -> bool:
        """Whether the work is asked to rest."""
        return not self._running.is_set()

    def wait_while_paused(self) -> None:
        """Block the calling thread until resumed or stopped."""
        self._running.wait()
