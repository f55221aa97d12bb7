"""Waits for the hand to rest before something expensive is drawn."""

from collections.abc import Callable

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication


class Rest:
    """Calls a function once nothing has happened for a while and no mouse button is held.

    Parameters
    ----------
    on_rest
        Called then.
    least_ms
        How long at least nothing must have happened.
    """

    def __init__(self, on_rest: Callable[[], None], least_ms: int) -> None:
        self._on_rest, self._least_ms = on_rest, least_ms
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(least_ms)
        self._timer.timeout.connect(self._look)

    def wait(self) -> None:
        """Begin to wait, or begin again."""
        self._timer.start()

    def ask_for(self, milliseconds: int) -> None:
        """Wait so long from now on, where that is longer than the least."""
        self._timer.setInterval(max(self._least_ms, milliseconds))

    def stop(self) -> None:
        """Wait no longer."""
        self._timer.stop()

    def _look(self) -> None:
        if QApplication.mouseButtons() != Qt.MouseButton.NoButton:
            self.wait()
        else:
            self._on_rest()
