"""Binds the known map's button of the tools to the session."""

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QObject

from napari_dycon.plugin.actions import BY_ID
from napari_dycon.plugin.layers.known_map import legend
from napari_dycon.plugin.widgets.parts import as_tooltip

if TYPE_CHECKING:
    from napari_dycon.plugin.session import Session
    from napari_dycon.plugin.widgets.tools import ToolsPanel

KNOWN_TIP = "Show what is known, and how"
REGION_TIP = "Draw a region, then say what holds there: complete, accepted, rejected, do not care"


class RegionBench(QObject):
    """Shows the session's known map in the tools and tells it what they ask.

    Parameters
    ----------
    tools
        The row of tools; the bench lives as long as it.
    session
        What they work on.
    """

    def __init__(self, tools: "ToolsPanel", session: "Session") -> None:
        super().__init__(tools)
        self._tools, self._session = tools, session
        tools.region_button.setProperty("tip", REGION_TIP)
        tools.known_requested.connect(self._ask_known)
        session.views.overlay_changed.connect(self.show_known)

    def show_known(self) -> None:
        """Show whether the known map is on, and what its colours say."""
        button = self._tools.known_button
        if not isalive(button):
            return
        blocked = BY_ID["known_map"].why_not(self._session.actions.situation())
        button.setEnabled(not blocked)
        button.setChecked(self._session.views.known_shown)
        button.setToolTip(as_tooltip(f"{KNOWN_TIP}\n\n{blocked}") if blocked else known_tip())

    def _ask_known(self, shown: bool) -> None:
        del shown
        self._session.actions.perform("known_map")
        self.show_known()


def known_tip() -> str:
    """Return the legend of the known map as the text of a tooltip."""
    parts = [f'<span style="color:{colour}">\u25a0</span>&nbsp;{word}' for word, colour in legend()]
    return f"<qt><p style='white-space:pre'>{KNOWN_TIP} (Shift+K)<br>{'  '.join(parts)}</p></qt>"
