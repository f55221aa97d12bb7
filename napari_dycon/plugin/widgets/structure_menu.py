"""What can be done with a structure, as a menu."""

from functools import partial

from qtpy.QtCore import QObject, QPoint, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QMenu, QWidget

from napari_dycon.plugin.widgets.chips import COLOUR_ROLE, VALUE_ROLE, ChipList


class StructureMenu(QObject):
    """Asks for what is chosen in it: for the active structure, or for the chip under the pointer.

    Parameters
    ----------
    parent
        The widget that menus and questions belong to.
    chips
        The structures.

    Attributes
    ----------
    of_active
        The menu of the active structure, filled whenever it is shown.
    """

    recolour_requested = Signal(int, str)
    merge_requested = Signal(int, int)
    remove_requested = Signal(int, bool)

    def __init__(self, parent: QWidget, chips: ChipList) -> None:
        super().__init__(parent)
        self._chips = chips
        self._blocked = ""
        self.of_active = QMenu(parent)
        self.of_active.aboutToShow.connect(self._fill_of_active)
        chips.customContextMenuRequested.connect(self._show)
        chips.swatch_double_clicked.connect(self.ask_colour)

    def set_blocked(self, reason: str) -> None:
        """Offer nothing while there is a reason not to."""
        self._blocked = reason

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
        menu = QMenu(self.parent())
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._fill(menu, item.data(VALUE_ROLE))
        menu.popup(self._chips.viewport().mapToGlobal(where))

    def _fill_of_active(self) -> None:
        self.of_active.clear()
        if self._chips.active in self._chips.names:
            self._fill(self.of_active, self._chips.active)

    def _fill(self, menu: QMenu, value: int) -> None:
        names = self._chips.names
        menu.addAction(f"Rename {quote(names[value])}", lambda: self._rename(value))
        menu.addAction("Colour…", lambda: self.ask_colour(value))
        menu.addSeparator()
        merge, remove = menu.addMenu("Merge into"), menu.addMenu("Remove")
        for other, name in names.items():
            if other != value:
                merge.addAction(quote(name), partial(self.merge_requested.emit, value, other))
        remove.addAction("Its voxels become unlabelled…", partial(self.remove_requested.emit, value, False))
        remove.addAction("Its voxels become background…", partial(self.remove_requested.emit, value, True))
        for part in (merge, remove):
            part.menuAction().setEnabled(not merge.isEmpty())

    def _rename(self, value: int) -> None:
        self._chips.editItem(self._chips.item_of(value))

    def _recolour(self, colour: QColor) -> None:
        self.recolour_requested.emit(self.sender().property("value"), colour.name())


def quote(name: str) -> str:
    """Return a name as a menu shows it: an ampersand is no key there."""
    return f"“{name}”".replace("&", "&&")
