"""What follows from many events at once is done a few times a second."""

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer

PACE_MS = 150


class Pacer(QObject):
    """Calls ``action`` at once when asked, but again only after a while, and then for all that was asked.

    Parameters
    ----------
    action
        Called in the GUI thread, which must also make and call this object.
    pace_ms
        How long it is left alone after each call, in milliseconds.
    """

    def __init__(self, action: Callable[[], object], pace_ms: int = PACE_MS) -> None:
        super().__init__()
        self._action = action
        self._asked = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(pace_ms)
        self._timer.timeout.connect(self._again)

    def __call__(self) -> None:
        """Ask for the action."""
        if self._timer.isActive():
            self._asked = True
        else:
            self._act()

    def _again(self) -> None:
        if self._asked:
            self._act()

    def _act(self) -> None:
        self._asked = False
        self._timer.start()
        self._action()
