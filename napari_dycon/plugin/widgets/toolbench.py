"""Binds the tools to the session."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from napari_dycon.plugin.actions import BY_ID, Situation
from napari_dycon.plugin.keys.schemes import key_text, keys_of
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
    dock
        Where the keys of undo work; in the canvases, the layers have them.
    """

    def __init__(self, tools: "ToolsPanel", session: "Session", dock: QWidget) -> None:
        super().__init__(tools)
        self._tools, self._session = tools, session
        self._regions = RegionBench(tools, session)
        for signal, slot in (
            (tools.strip.answered, session.dialogue.answer),
            (tools.undo_requested, partial(session.actions.perform, "undo")),
            (tools.redo_requested, partial(session.actions.perform, "redo")),
            (tools.brush_requested, session.tools.take_brush),
            (tools.growth_requested, partial(session.actions.perform, "grow")),
            (tools.intensity.limited, session.tools.limit_paint),
            (tools.intensity.range_chosen, session.tools.set_paint_range),
            (session.dialogue.question_changed, self._show_question),
            (session.tools.changed, self._show_tools),
            (session.structures.changed, self._show_tools),
        ):
            signal.connect(slot)
        self._dock = dock
        self._shortcuts: list[QShortcut] = []
        session.keys.changed.connect(self.bind_keys)
        self.bind_keys()

    def bind_keys(self) -> None:
        """Have undo and redo on the keys of the scheme, but for letters: those are typed in the dock."""
        if not isalive(self._tools):
            return
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        scheme, perform = self._session.keys.name, self._session.actions.perform
        self._shortcuts = [
            self._shortcut(key, partial(perform, command))
            for command in ("undo", "redo")
            for key in keys_of(BY_ID[command], scheme)
            if "+" in key
        ]
        self._show_tools()

    def _shortcut(self, key: str, slot: Callable[[], None]) -> QShortcut:
        shortcut = QShortcut(QKeySequence(key), self._dock)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(slot)
        return shortcut

    def show_all(self) -> None:
        """Show everything anew."""
        self._show_question()
        self._show_tools()
        self.show_reasons(self._session.actions.situation())

    def show_reasons(self, now: Situation) -> None:
        """Disable what cannot be done now."""
        self._tools.set_blocked(BY_ID["paint"].why_not(now))
        self._show_history()
        self._regions.show_known()

    def _show_tools(self) -> None:
        tools, session = self._tools, self._session
        if not isalive(tools):
            return
        self._show_history()
        tools.set_paint(session.tools.says.value, session.tools.tool == "paint")
        tools.set_range(session.tools.range_on, session.tools.paint_range, session.tools.intensity_bounds)
        names = {structure.value: structure.name for structure in session.structures.all}
        tools.set_structure(names.get(session.structures.active_value, ""))

    def _show_history(self) -> None:
        session = self._session
        keys = [key_text(keys_of(BY_ID[command], session.keys.name)[0]) for command in ("undo", "redo")]
        blocked = BY_ID["undo"].why_not(session.actions.situation())
        self._tools.set_history(session.labels.undo_name, session.labels.redo_name, keys, blocked)

    def _show_question(self) -> None:
        if isalive(self._tools):
            self._tools.set_question(self._session.dialogue.question)
