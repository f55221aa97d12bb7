"""The structures as coloured chips, and the two marks that say what is finished."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_dycon.plugin.actions import PLANES
from napari_dycon.plugin.widgets.action_menu import ActionMenu
from napari_dycon.plugin.widgets.chips import VALUE_ROLE, ChipList
from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import (
    allow,
    flat_button,
    menu_button,
    plain_label,
    push_button,
    row,
)
from napari_dycon.plugin.widgets.structure_menu import StructureMenu
from napari_dycon.plugin.widgets.theme import Theme
from napari_dycon.study.store.schema import Structure

EDIT_TIP = "Rename, recolour, lock, hide, group, merge or remove the active structure"


class StructuresPanel(QWidget):
    """The structures of the study, the one being painted, and what the person has finished."""

    select_requested = Signal(int)
    add_requested = Signal(str)
    rename_requested = Signal(int, str)
    slice_complete_requested = Signal()
    case_complete_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.chips = ChipList()
        self.menu = StructureMenu(self, self.chips)
        self.plane_menu = ActionMenu(self, *(f"plane_{plane}" for plane in PLANES))
        self.plane_button = menu_button(
            "", "The slice on screen. Press to show another plane.", self.plane_menu, "flat"
        )
        self.plane_button.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        self.plane_button.hide()
        self.add_button = flat_button("Add", "Add a structure", self.ask_name)
        self.edit_button = menu_button("", EDIT_TIP, self.menu.of_active, "flat")
        self.new_name = QLineEdit()
        self.new_name.setPlaceholderText("Name, then Enter")
        self.new_name.setMaxLength(60)
        self.new_name.hide()
        self.slice_button = push_button(
            "Slice complete",
            "Everything on this slice is labelled: what is not painted is background",
            self._ask_slice_complete,
        )
        self.slice_button.setCheckable(True)
        self.case_button = push_button(
            "Case complete",
            "Every slice of this scan is labelled: what is not painted is background",
            self._ask_case_complete,
        )
        self.case_button.setCheckable(True)
        self._theme: Theme | None = None
        self.new_name.returnPressed.connect(self._add)
        self.new_name.editingFinished.connect(self._end_add)
        self.chips.itemClicked.connect(self._select)
        self.chips.name_typed.connect(self._rename)
        self._lay_out()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        head = (plain_label("Structures", "title"), 1, self.plane_button, self.new_name)
        title = row(*head, self.add_button, self.edit_button)
        title.setStretch(3, 100)
        layout.addLayout(title)
        layout.addWidget(self.chips)
        layout.addLayout(row(self.slice_button, self.case_button))

    def set_structures(self, structures: Sequence[Structure], active: int) -> None:
        """Show the structures; ``active`` is the label value being painted."""
        self.chips.set_structures(structures, active)

    def set_slice_state(self, complete: bool, text: str) -> None:
        """Show which slice is on screen and whether it is complete."""
        self.slice_button.setChecked(complete)
        self.plane_button.setText(text)
        self.plane_button.setVisible(bool(text) and self.new_name.isHidden())
        self._draw_icons()

    def set_case_state(self, complete: bool) -> None:
        """Show whether the open case is complete."""
        self.case_button.setChecked(complete)
        self._draw_icons()

    def set_blocked(self, editing: str, marking: str) -> None:
        """Disable changes of the structures or the marks, each with the reason."""
        allow(self.add_button, editing)
        allow(self.edit_button, editing)
        self.menu.set_blocked(editing)
        allow(self.slice_button, marking)
        allow(self.case_button, marking)
        triggers = QListWidget.EditTrigger
        self.chips.setEditTriggers(
            triggers.NoEditTriggers if editing else triggers.DoubleClicked | triggers.EditKeyPressed
        )
        self._draw_icons()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme
        self.add_button.setIcon(icon("plus", theme.muted))
        self.plane_button.setIcon(icon("down", theme.muted))
        self.edit_button.setIcon(icon("more", theme.muted))
        self._draw_icons()
        self.chips.set_theme(theme)

    def _draw_icons(self) -> None:
        if self._theme is None:
            return
        for button in (self.slice_button, self.case_button):
            complete = button.isChecked()
            colour = self._theme.text if button.isEnabled() else self._theme.muted
            name = "tick box" if complete else "empty box"
            button.setIcon(icon(name, self._theme.good if complete else colour))

    def _select(self, item: QListWidgetItem) -> None:
        self.select_requested.emit(item.data(VALUE_ROLE))

    def _ask_slice_complete(self, checked: bool) -> None:
        self.slice_button.setChecked(not checked)
        self.slice_complete_requested.emit()

    def _ask_case_complete(self, checked: bool) -> None:
        self.case_button.setChecked(not checked)
        self.case_complete_requested.emit()

    def ask_name(self) -> None:
        """Let a person type the name of a new structure."""
        self.plane_button.hide()
        self.new_name.show()
        self.new_name.setFocus()

    def _add(self) -> None:
        name = self.new_name.text().strip()
        self.new_name.clear()
        if name:
            self.add_requested.emit(name)

    def _end_add(self) -> None:
        self.new_name.clear()
        self.new_name.hide()
        self.plane_button.setVisible(bool(self.plane_button.text()))

    def _rename(self, value: int, name: str) -> None:
        if name and name != self.chips.names[value]:
            self.rename_requested.emit(value, name)
