"""The keys of the chosen scheme in the dock: shortcuts, tooltips of buttons, lines of the list."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from napari_dycon.plugin.actions import ACTIONS, GROUPS, Action
from napari_dycon.plugin.keys.schemes import (
    HELP_KEYS,
    SCHEMES,
    bound_keys,
    key_text,
    keys_of,
    mouse_lines,
    with_key,
)
from napari_dycon.plugin.widgets.key_table import KeyLine
from napari_dycon.plugin.widgets.keysheet import KeySheet
from napari_dycon.plugin.widgets.parts import set_tip

if TYPE_CHECKING:
    from qtpy.QtWidgets import QStackedWidget

    from napari_dycon.plugin.session import Session
    from napari_dycon.plugin.widgets.cards import CardsPanel
    from napari_dycon.plugin.widgets.cases import CasesPanel
    from napari_dycon.plugin.widgets.header import HeaderPanel
    from napari_dycon.plugin.widgets.review import ReviewPanel
    from napari_dycon.plugin.widgets.structures import StructuresPanel
    from napari_dycon.plugin.widgets.tools import ToolsPanel

QT_NAMES = {"Ctrl+Enter": "Ctrl+Return", "Ctrl+Shift+Enter": "Ctrl+Shift+Return"}
LISTS_NEED = {"Up", "Down", "PageUp", "PageDown"}
"""Keys with which the person moves in a table that has the focus."""
ELSEWHERE_NEED = {"Left", "Right"}
"""Keys that the dock takes for itself, but leaves to napari's own sliders."""


class KeyedDock(Protocol):
    """A dock with pages and with buttons that have keys."""

    pages: "QStackedWidget"
    header: "HeaderPanel"
    cards: "CardsPanel"
    cases: "CasesPanel"
    structures: "StructuresPanel"
    tools: "ToolsPanel"
    review: "ReviewPanel"

    def show_page(self) -> None:
        """Show the work, or the two ways to begin it."""


class DockKeys:
    """Shortcuts that work wherever the focus is in the window, and what the dock says about them.

    Parameters
    ----------
    dock
        Owns the shortcuts and shows the list as one of its pages.
    session
        What they work on.

    Attributes
    ----------
    sheet
        The list of keys.
    """

    def __init__(self, dock: KeyedDock, session: "Session") -> None:
        self._dock, self._session = dock, session
        self._tips = [(button, button.property("tip") or "", name) for button, name in _buttons(dock)]
        self._shortcuts: list[QShortcut] = []
        self.sheet = KeySheet()
        self.sheet.set_schemes(tuple(SCHEMES.items()))
        self.sheet.scheme_requested.connect(session.keys.use)
        self.sheet.closed.connect(dock.show_page)
        session.keys.changed.connect(self.show)
        self.show()

    def toggle_list(self) -> None:
        """Open the list of keys, or go back to the work."""
        if self._dock.pages.currentWidget() is self.sheet:
            self._dock.show_page()
        else:
            self._dock.pages.setCurrentWidget(self.sheet)
            self.sheet.begin()

    def show(self) -> None:
        """Use the keys of the scheme that was chosen in place of those before."""
        if isalive(self._dock):
            scheme = self._session.keys.name
            self._bind(scheme)
            self.sheet.set_keys(scheme, key_lines(scheme))
            for button, tip, command in self._tips:
                set_tip(button, with_key(tip, command, scheme))

    def _bind(self, scheme: str) -> None:
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts = [self._shortcut(key, self.toggle_list) for key in HELP_KEYS]
        for action in ACTIONS:
            for key in bound_keys(action, scheme) if not action.by_dock else ():
                if action.in_dock and key not in LISTS_NEED:
                    self._shortcuts.append(self._shortcut(key, self._deed(action), action.repeats))
            if action.napari is not None and not bound_keys(action, scheme):
                for key in keys_of(action, scheme):
                    shortcut = self._shortcut(key, self._deed(action), action.repeats)
                    shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                    self._shortcuts.append(shortcut)

    def _deed(self, action: Action) -> Callable[[], None]:
        return partial(self._session.actions.perform, action.id)  # holds no dock

    def _shortcut(self, key: str, action: Callable[[], None], repeats: bool = False) -> QShortcut:
        shortcut = QShortcut(QKeySequence(QT_NAMES.get(key, key)), self._dock)
        shortcut.setAutoRepeat(repeats)
        if key in ELSEWHERE_NEED:
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(action)
        shortcut.activatedAmbiguously.connect(action)
        return shortcut


def _buttons(dock: KeyedDock) -> tuple[tuple[QWidget, str], ...]:
    """Return the buttons whose tooltips end in a key, each with its command."""
    return (
        (dock.cards.next_button, "next_place"),
        (dock.cards.previous_button, "previous_place"),
        (dock.cards.skip_button, "skip_place"),
        (dock.cards.finish_button, "finish_place"),
        (dock.cards.accept_button, "accept_piece"),
        (dock.cards.reject_button, "reject_piece"),
        (dock.cases.line.next, "next_case"),
        (dock.cases.line.back, "previous_case"),
        (dock.review.prediction, "prediction"),
        (dock.review.uncertainty, "uncertainty"),
        (dock.header.planes_button, "planes"),
        (dock.structures.slice_button, "slice_complete"),
        (dock.structures.case_button, "case_complete"),
        (dock.tools.grow_button, "grow"),
        (dock.tools.interpolate_button, "interpolate"),
        (dock.tools.region_button, "region"),
        (dock.review.accept.button, "accept_slice"),
        (dock.review.reject.button, "reject_slice"),
    )


def key_lines(scheme: str) -> Sequence[KeyLine]:
    """Return the lines of the list for ``scheme``; what has no key is left out."""
    lines = []
    for action in ACTIONS:
        keys = tuple(key_text(key) for key in keys_of(action, scheme))
        if keys:
            lines.append(KeyLine(action.group, action.title, keys))
    lines += [KeyLine("Mouse", title, (how,)) for title, how in mouse_lines(scheme)]
    return sorted(lines, key=lambda line: GROUPS.index(line.group))
