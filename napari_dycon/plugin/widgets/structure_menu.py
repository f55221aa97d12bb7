"""What can be done with a structure, as a menu."""

from functools import partial

from qtpy.QtCore import QObject, QPoint, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QWidget

from napari_dycon.plugin.actions import Situation
from napari_dycon.plugin.widgets.action_menu import ActionMenu, Choice, ChoiceMenu, open_at
from napari_dycon.plugin.widgets.chips import COLOUR_ROLE, VALUE_ROLE, ChipList

OF_STRUCTURE = (
    "rename_structure",
    "recolour_structure",
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
        super().__init__(parent, "rename_structure", "recolour_structure", "")
        self.value = 0
        self.merge, self.remove = ChoiceMenu(self), ActionMenu(self, "unlabel_structure", "clear_structure")
        self.offer_menu("merge_structure", self.merge)
        self.offer_menu("remove_structure", self.remove)

    def show_structure(self, value: int, names: dict[int, str]) -> None:
        """Be about the structure of label ``value`` of those with these ``names``."""
        self.value = value
        self.tell("rename_structure", quote(names[value]))
        others = [Choice(other, quote(name)) for other, name in names.items() if other != value]
        self.merge.set_choices(others)


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
    of_active, of_pointed
        The menu of the active structure, which is filled whenever it is shown, and that of a chip.
    """

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
        if item is not None and not self._blocked:
            self.of_pointed.show_structure(item.data(VALUE_ROLE), self._chips.names)
            self.of_pointed.popup(self._chips.viewport().mapToGlobal(where))

    def _fill_of_active(self) -> None:
        if self._chips.active in self._chips.names:
            self.of_active.show_structure(self._chips.active, self._chips.names)

    def _perform(self, menu: OneStructure, name: str) -> None:
        match name:
            case "rename_structure":
                self._chips.editItem(self._chips.item_of(menu.value))
            case "recolour_structure":
                self.ask_colour(menu.value)
            case "merge_structure":
                open_at(menu.merge, self._chips)
            case "remove_structure":
                open_at(menu.remove, self._chips)
            case "unlabel_structure" | "clear_structure":
                self.remove_requested.emit(menu.value, name == "clear_structure")

    def _merge(self, menu: OneStructure, into: int) -> None:
        self.merge_requested.emit(menu.value, into)

    def _recolour(self, colour: QColor) -> None:
        self.recolour_requested.emit(self.sender().property("value"), colour.name())


def quote(name: str) -> str:
    """Return a name as a menu shows it."""
    return f"“{name}”"
