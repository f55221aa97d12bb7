"""The grey-scale windows of the open scan as a menu."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QMenu

from napari_dycon.plugin.actions import BY_ID
from napari_dycon.plugin.keys.schemes import key_text, keys_of

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
            entry = BY_ID[f"window_{window.name}"]
            keys = keys_of(entry, self._session.keys.name)
            key = f"\t{key_text(keys[0])}" if keys else ""
            action = self._menu.addAction(f"{entry.words}  {window.numbers}{key}")
            action.setData(entry.id)
            action.setCheckable(True)
            action.setChecked(chosen is not None and chosen.name == window.name)
        self._menu.addSeparator()
        self._menu.addAction(HOW).setEnabled(False)

    def _choose(self, action: "QAction") -> None:
        self._session.actions.perform(action.data())
