"""The grey-scale windows of the open scan as a menu."""

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QMenu

if TYPE_CHECKING:
    from qtpy.QtGui import QAction

    from napari_dycon.plugin.session import Session

HOW = "Or drag over the scan: Shift+right button"


class WindowMenu(QMenu):
    """Offers the windows that suit the open scan, with the one in use ticked.

    Parameters
    ----------
    parent
        The menu this one is put into.
    session
        Whose scan is shown.
    """

    def __init__(self, parent: QMenu, session: "Session") -> None:
        super().__init__("Window", parent)
        self._session = session
        self.aboutToShow.connect(self.fill)
        self.triggered.connect(self._choose)
        parent.addMenu(self)
        parent.aboutToShow.connect(self._show_state)

    def fill(self) -> None:
        """List the windows anew."""
        self.clear()
        chosen = self._session.window
        for window in self._session.windows:
            action = self.addAction(window.title)
            action.setData(window.name)
            action.setCheckable(True)
            action.setChecked(chosen is not None and chosen.name == window.name)
        self.addSeparator()
        self.addAction(HOW).setEnabled(False)

    def _show_state(self) -> None:
        self.setEnabled(bool(self._session.windows))

    def _choose(self, action: "QAction") -> None:
        self._session.set_window(action.data())
