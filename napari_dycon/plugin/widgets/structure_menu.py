"""What can be done with a structure, as a menu."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from qtpy.QtCore import QObject, QPoint, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QInputDialog, QWidget

from napari_dycon.plugin.actions import BY_ID, Situation
from napari_dycon.plugin.widgets.action_menu import ActionMenu, Choice, ChoiceMenu, open_at
from napari_dycon.plugin.widgets.chips import COLOUR_ROLE, GROUP_ROLE, VALUE_ROLE, ChipList
from napari_dycon.study.store.schema import Structure

SWITCHES = ("lock_structure", "hide_structure")
GROUP_SWITCHES = ("lock_group", "hide_group")
NEW_GROUP = "\n"
"""Stands for a group that has no name yet."""

OF_STRUCTURE = (
    "rename_structure",
    "recolour_structure",
    "lock_structure",
    "hide_structure",
    "group_structure",
    "new_group",
    "leave_group",
    "lock_group",
    "hide_group",
    "merge_structure",
    "remove_structure",
    "unlabel_structure",
    "clear_structure",
)


class OneStructure(ActionMenu):
    """What can be done with one structure.

    Attributes
    ----------
    value
        Its label value.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, "rename_structure", "recolour_structure", "", *SWITCHES)
        self.value = 0
        self.merge, self.remove = ChoiceMenu(self), ActionMenu(self, "unlabel_structure", "clear_structure")
        self.group = ChoiceMenu(self)
        for name in SWITCHES:
            self.entry(name).setCheckable(True)
        self.offer_menu("group_structure", self.group)
        self.offer("")
        self.offer_menu("merge_structure", self.merge)
        self.offer_menu("remove_structure", self.remove)

    def show_structure(self, value: int, structures: Mapping[int, Structure], groups: Sequence[str]) -> None:
        """Be about the structure of label ``value`` of all these, which are in these groups."""
        self.value, shown = value, structures[value]
        self.tell("rename_structure", quote(shown.name))
        self.entry("lock_structure").setChecked(shown.locked)
        self.entry("hide_structure").setChecked(shown.hidden)
        others = [Choice(other, quote(one.name)) for other, one in structures.items() if other != value]
        self.merge.set_choices(others)
        here = [Choice(group, group, ticked=group == shown.group) for group in groups]
        none = Choice("", BY_ID["leave_group"].words, ticked=not shown.group)
        self.group.set_choices([none, *here, Choice(NEW_GROUP, BY_ID["new_group"].words)])


class OneGroup(ActionMenu):
    """What can be done with all structures of a group.

    Attributes
    ----------
    group
        Its name.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, *GROUP_SWITCHES)
        self.group = ""
        for name in GROUP_SWITCHES:
            self.entry(name).setCheckable(True)

    def show_group(self, group: str, members: Sequence[Structure]) -> None:
        """Be about a group with these structures."""
        self.group = group
        self.entry("lock_group").setChecked(all(one.locked for one in members))
        self.entry("hide_group").setChecked(all(one.hidden for one in members))


class StructureMenu(QObject):
    """Asks for what is chosen for the active structure, or for the chip under the pointer.

    Parameters
    ----------
    parent
        The widget that menus and questions belong to.
    chips
        The structures.

    Attributes
    ----------
    of_active, of_pointed, of_group
        The menu of the active structure, filled whenever it is shown, that of a chip, and that of a group.
    """

    change_requested = Signal(object, str, object)
    recolour_requested = Signal(int, str)
    merge_requested = Signal(int, int)
    remove_requested = Signal(int, bool)

    def __init__(self, parent: QWidget, chips: ChipList) -> None:
        super().__init__(parent)
        self._chips = chips
        self._blocked = ""
        self.of_active, self.of_pointed = OneStructure(parent), OneStructure(parent)
        self.of_active.aboutToShow.connect(self._fill_of_active)
        for menu in (self.of_active, self.of_pointed):
            for part in (menu, menu.remove):
                part.asked.connect(partial(self._perform, menu))
            menu.merge.chosen.connect(partial(self._merge, menu))
            menu.group.chosen.connect(partial(self._move, menu))
        self.of_group = OneGroup(parent)
        self.of_group.asked.connect(self._perform_for_group)
        chips.mark_clicked.connect(self._end_mark)
        chips.customContextMenuRequested.connect(self._show)
        chips.swatch_double_clicked.connect(self.ask_colour)

    def set_blocked(self, reason: str) -> None:
        """Offer nothing while there is a reason not to."""
        self._blocked = reason

    def show_situation(self, now: Situation, scheme: str) -> None:
        """Disable what is not possible now, each with the reason."""
        self._fill_of_active()
        for menu in (self.of_active, self.of_pointed):
            menu.show_situation(now, scheme)
        self.of_group.show_situation(replace(now, grouped=True), scheme)

    def perform(self, name: str) -> None:
        """Do the action of this id with the active structure."""
        self._fill_of_active()
        self._perform(self.of_active, name)

    def ask_colour(self, value: int) -> None:
        """Ask for another colour of the structure of label ``value``."""
        if self._blocked:
            return
        item = self._chips.item_of(value)
        dialog = QColorDialog(QColor(item.data(COLOUR_ROLE)), self.parent())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(f"Colour of {item.text()}")
        dialog.setProperty("value", value)
        dialog.colorSelected.connect(self._recolour)
        dialog.open()

    def _show(self, where: QPoint) -> None:
        item = self._chips.itemAt(where)
        if item is None or self._blocked:
            return
        menu: ActionMenu = self.of_pointed
        if item.data(GROUP_ROLE):
            self.of_group.show_group(item.data(GROUP_ROLE), self._chips.members(item.data(GROUP_ROLE)))
            menu = self.of_group
        else:
            self.of_pointed.show_structure(item.data(VALUE_ROLE), self._chips.structures, self._chips.groups)
        menu.popup(self._chips.viewport().mapToGlobal(where))

    def _fill_of_active(self) -> None:
        if self._chips.active in self._chips.structures:
            self.of_active.show_structure(self._chips.active, self._chips.structures, self._chips.groups)

    def _perform(self, menu: OneStructure, name: str) -> None:
        match name:
            case "rename_structure":
                self._chips.editItem(self._chips.item_of(menu.value))
            case "recolour_structure":
                self.ask_colour(menu.value)
            case "lock_structure":
                self._switch([self._chips.structures[menu.value]], "locked")
            case "hide_structure":
                self._switch([self._chips.structures[menu.value]], "hidden")
            case "group_structure":
                open_at(menu.group, self._chips)
            case "new_group":
                self.ask_group(menu.value)
            case "leave_group":
                self._move(menu, "")
            case "lock_group" | "hide_group":
                self.of_group.group = self._chips.structures[menu.value].group
                self._perform_for_group(name)
            case "merge_structure":
                open_at(menu.merge, self._chips)
            case "remove_structure":
                open_at(menu.remove, self._chips)
            case "unlabel_structure" | "clear_structure":
                self.remove_requested.emit(menu.value, name == "clear_structure")

    def _perform_for_group(self, name: str) -> None:
        members = self._chips.members(self.of_group.group)
        self._switch(members, "locked" if name == "lock_group" else "hidden")

    def _switch(self, structures: Sequence[Structure], what: str) -> None:
        """Let all of them be so, or none where all are."""
        becomes = not all(getattr(one, what) for one in structures)
        self.change_requested.emit([one.value for one in structures], what, becomes)

    def _end_mark(self, value: int, mark: str) -> None:
        if not self._blocked:
            self.change_requested.emit([value], mark, False)

    def _move(self, menu: OneStructure, group: str) -> None:
        if group == NEW_GROUP:
            self.ask_group(menu.value)
        else:
            self.change_requested.emit([menu.value], "group", group)

    def ask_group(self, value: int) -> None:
        """Ask for the name of a new group for the structure of label ``value``."""
        dialog = QInputDialog(self.parent())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle("New group")
        dialog.setLabelText(f"Name of the group for {self._chips.names[value]}:")
        dialog.textValueSelected.connect(partial(self._name_group, value))
        dialog.open()

    def _name_group(self, value: int, name: str) -> None:
        if name.strip():
            self.change_requested.emit([value], "group", name.strip())

    def _merge(self, menu: OneStructure, into: int) -> None:
        self.merge_requested.emit(menu.value, into)

    def _recolour(self, colour: QColor) -> None:
        self.recolour_requested.emit(self.sender().property("value"), colour.name())


def quote(name: str) -> str:
    """Return a name as a menu shows it."""
    return f"“{name}”"
