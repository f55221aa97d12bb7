"""The grey-scale windows of the open scan as a menu."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QMenu

if TYPE_CHECKING:
    from qtpy.QtGui import QAction

    from napari_dycon.plugin.session import Session

HOW = "Or drag over the scan: Shift+right button"


class WindowMenu(QObject):
    """Offers the windows that suit the open scan, with the one in use ticked.

    Parameters
    ----------
    menu
        Filled whenever it is shown.
    session
        Whose scan is shown.
    """

    def __init__(self, menu: QMenu, session: "Session") -> None:
        super().__init__(menu)
        self._menu, self._session = menu, session
        menu.aboutToShow.connect(self.fill)
        menu.triggered.connect(self._choose)

    def fill(self) -> None:
        """List the windows anew."""
        self._menu.clear()
        chosen = self._session.contrast.window
        for window in self._session.contrast.windows:
            action = self._menu.addAction(window.text)
            action.setData(window.name)
            action.setCheckable(True)
            action.setChecked(chosen is not None and chosen.name == window.name)
        self._menu.addSeparator()
        self._menu.addAction(HOW).setEnabled(False)

    def _choose(self, action: "QAction") -> None:
        self._session.contrast.choose(action.data())
