"""Tells a session when its window, or the whole program, goes away."""

import weakref
from collections.abc import Callable

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QApplication, QMainWindow


class Lifecycle(QObject):
    """Watches one main window and the application.

    A dock widget hears nothing reliable when it is closed, and napari waits without limit for its workers
    before ``aboutToQuit`` reaches anyone else; so jobs are stopped through their worker's ``quit``, which
    napari calls, and the rest is done here.

    Parameters
    ----------
    window
        The main window of the viewer, only weakly referenced; None for a viewer without one.
    on_closing
        Called when the window is asked to close, which the user may still call off.
    on_closed
        Called once when the window has gone or the program quits.
    """

    def __init__(
        self, window: QMainWindow | None, on_closing: Callable[[], None], on_closed: Callable[[], None]
    ) -> None:
        super().__init__()
        self._on_closing = on_closing
        self._on_closed = on_closed
        self._window = None if window is None else weakref.ref(window)
        self._done = False
        if window is not None:
            window.installEventFilter(self)
            window.destroyed.connect(self._close)
        app = QApplication.instance()
        if app is not None:
            app.aboutToQuit.connect(self._close)
            app.commitDataRequest.connect(self._on_logging_off)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Notice the window's closing; never consumes an event."""
        if event.type() == QEvent.Type.Close and isinstance(watched, QMainWindow):
            self._on_closing()
            QTimer.singleShot(0, self._close_if_hidden)
        return False

    def _on_logging_off(self, manager: object = None) -> None:
        """Save before the system ends the session, which may not ask again."""
        del manager
        self._on_closing()

    def _close_if_hidden(self) -> None:
        window = None if self._window is None else self._window()
        if not self._done and (window is None or not isalive(window) or not window.isVisible()):
            self._close()

    def _close(self) -> None:
        if not self._done:
            self._done = True
            self._on_closed()
