"""The grey-scale windows of the open scan as a menu."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_dycon.plugin.actions import HOW_TO_DRAG
from napari_dycon.plugin.widgets.action_menu import ActionMenu

if TYPE_CHECKING:
    from napari_dycon.plugin.session import Session


class WindowMenu(QObject):
    """Offers the windows that suit the open scan, with the one in use ticked.

    Parameters
    ----------
    menu
        Filled whenever it is shown.
    session
        Whose scan is shown.
    """

    def __init__(self, menu: ActionMenu, session: "Session") -> None:
        super().__init__(menu)
        self._menu, self._session = menu, session
        menu.aboutToShow.connect(self.fill)

    def fill(self) -> None:
        """List the windows anew."""
        menu, contrast = self._menu, self._session.contrast
        menu.clear()
        for window in contrast.windows:
            menu.offer(f"window_{window.name}", window.numbers)
        if self._session.views.pictures.names:
            menu.offer("next_image", self._session.views.pictures.shown)
        menu.tick("" if contrast.window is None else f"window_{contrast.window.name}")
        menu.hint(HOW_TO_DRAG)
        menu.show_situation(self._session.actions.situation(), self._session.keys.name)
