"""Binds the tools to the session."""

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QObject

from napari_dycon.plugin.widgets import reasons
from napari_dycon.plugin.widgets.regionbench import RegionBench

if TYPE_CHECKING:
    from napari_dycon.plugin.session import Session
    from napari_dycon.plugin.widgets.tools import ToolsPanel


class Toolbench(QObject):
    """Shows the session's state in the tools and tells it what they ask.

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
        self._regions = RegionBench(tools, session)
        tools.answered.connect(session.answer)
        session.question_changed.connect(self._show_question)

    def show_all(self) -> None:
        """Show everything anew."""
        self._show_question()
        self.show_reasons()

    def show_reasons(self) -> None:
        """Disable what cannot be done now."""
        self._tools.set_blocked(reasons.marking(self._session))
        self._regions.show_known()

    def _show_question(self) -> None:
        if isalive(self._tools):
            self._tools.set_question(self._session.question)
