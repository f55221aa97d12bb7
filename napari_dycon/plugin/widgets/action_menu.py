"""Menus whose words come from `actions`, and from what the person and the study have named.

Nothing else in the plugin adds entries to a menu: an entry is an action, whose name, key and reason `actions`
knows, or one of the things that an action can be done with, such as a structure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QMenu, QWidget, QWidgetAction

from napari_dycon.plugin.actions import BY_ID, Situation
from napari_dycon.plugin.keys.schemes import key_text, keys_of


@dataclass(frozen=True)
class Choice:
    """Something that has a name already: a structure, a model, a case, a column.

    Attributes
    ----------
    key
        What is told when it is chosen.
    ticked
        Whether it is in use; None where that says nothing.
    """

    key: object
    name: str
    tip: str = ""
    ticked: bool | None = None


class ChoiceMenu(QMenu):
    """Lists things by their names; ``chosen`` carries the key of the one that was chosen."""

    chosen = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setToolTipsVisible(True)
        self.triggered.connect(self._choose)
        self.set_choices([])

    def set_choices(self, choices: Sequence[Choice]) -> None:
        """List these in place of those before; an ampersand is no key in a name."""
        self.clear()
        for choice in choices:
            entry = self.addAction(choice.name.replace("&", "&&"))
            entry.setData(choice.key)
            entry.setToolTip(choice.tip)
            entry.setCheckable(choice.ticked is not None)
            entry.setChecked(bool(choice.ticked))
        self.setEnabled(bool(choices))

    def _choose(self, entry: QAction) -> None:
        self.chosen.emit(entry.data())


class PanelMenu(QMenu):
    """A menu that holds nothing but a panel."""

    def __init__(self, parent: QWidget, panel: QWidget) -> None:
        super().__init__(parent)
        holder = QWidgetAction(self)
        holder.setDefaultWidget(panel)
        self.addAction(holder)


class ActionMenu(QMenu):
    """Lists actions; ``asked`` carries the id of the one that was chosen.

    Parameters
    ----------
    parent
        The widget it belongs to.
    names
        Ids of its actions from top to bottom; an empty one stands for a line.
    """

    asked = Signal(str)

    def __init__(self, parent: QWidget, *names: str) -> None:
        super().__init__(parent)
        self._group: QActionGroup | None = None
        self.setToolTipsVisible(True)
        for name in names:
            self.offer(name)
        self.triggered.connect(self._ask)

    def offer(self, name: str, about: str = "") -> None:
        """Add the action of this id below the others, and what it is about; an empty id stands for a line."""
        if name:
            self._prepare(self.addAction(""), name)
            self.tell(name, about)
        else:
            self.addSeparator()

    def offer_menu(self, name: str, menu: QMenu) -> None:
        """Add ``menu`` below the others, under the words of the action of this id."""
        self._prepare(self.addMenu(menu), name)
        self.tell(name, "")

    def tell(self, name: str, about: str) -> None:
        """Name in the entry of an action what it is about; an ampersand is no key in a name."""
        entry = self.entry(name)
        entry.setProperty("about", about.replace("&", "&&"))
        entry.setText(self._words(entry))

    def tick(self, name: str) -> None:
        """Show the action of this id as the one of them all that is in use."""
        if self._group is None:
            self._group = QActionGroup(self)
        for entry in self.actions():
            if entry.data():
                entry.setCheckable(True)
                self._group.addAction(entry)
                entry.setChecked(entry.data() == name)

    def hint(self, text: str) -> None:
        """Say below a line how else it is done."""
        self.addSeparator()
        self.addAction(text).setEnabled(False)

    def entry(self, name: str) -> QAction:
        """Return the entry of the action of this id."""
        return next(entry for entry in self.actions() if entry.data() == name)

    def show_situation(self, now: Situation, scheme: str) -> None:
        """Show the keys of ``scheme``, and disable what is not possible now, each with the reason."""
        for entry in self.actions():
            if entry.data():
                action, inner = BY_ID[entry.data()], entry.menu()
                reason, keys = action.why_not(now), keys_of(action, scheme)
                words = self._words(entry)
                entry.setText(f"{words}\t{key_text(keys[0])}" if keys else words)
                entry.setEnabled(not reason and (inner is None or inner.isEnabled()))
                entry.setToolTip(reason or action.how)
                if action.ticked is not None:
                    entry.setCheckable(True)
                    entry.setChecked(action.ticked(now))
                if isinstance(inner, ActionMenu):
                    inner.show_situation(now, scheme)

    @staticmethod
    def _prepare(entry: QAction, name: str) -> None:
        entry.setData(name)
        entry.setToolTip(BY_ID[name].how)

    @staticmethod
    def _words(entry: QAction) -> str:
        return BY_ID[entry.data()].words_about(entry.property("about") or "")

    def _ask(self, entry: QAction) -> None:
        if entry.data() and entry in self.actions():  # a menu within this one has entries of its own
            self.asked.emit(entry.data())


def open_at(menu: QMenu, widget: QWidget) -> None:
    """Open ``menu`` below a widget."""
    menu.popup(widget.mapToGlobal(widget.rect().bottomLeft()))
