"""The structures as coloured chips, and the two marks that say what is finished."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from qtpy.QtCore import QAbstractItemModel, QModelIndex, QPoint, QRect, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QAction, QColor, QFont, QFontMetrics, QMouseEvent, QPainter, QPen, QResizeEvent
from qtpy.QtWidgets import (
    QColorDialog,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import (
    allow,
    as_tooltip,
    flat_button,
    menu_button,
    plain_label,
    push_button,
    row,
)
from napari_dycon.plugin.widgets.theme import Theme, mix

VALUE_ROLE = Qt.ItemDataRole.UserRole
COLOUR_ROLE = Qt.ItemDataRole.UserRole + 1
CHIP_HEIGHT = 24
SWATCH_WIDTH = 24
WIDEST = 220
SPACING = 2
ROWS_SHOWN = 3
PLANES = ("axial", "coronal", "sagittal")
EDIT_TIP = "Rename, recolour, merge or remove the active structure"
CHIP_TIP = "Double click the name to rename it, the swatch for another colour; right click for more"


class Structure(Protocol):
    """A named label value with its colour ``#rrggbb``."""

    value: int
    name: str
    color: str


class ChipDelegate(QStyledItemDelegate):
    """Draws a structure as a chip; the name is edited in place."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme: Theme | None = None
        self.active = 0

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Return the size of the chip, wide enough for its name in bold."""
        font = QFont(option.font)
        font.setBold(True)
        width = QFontMetrics(font).horizontalAdvance(index.data())
        return QSize(min(SWATCH_WIDTH + width + 14, WIDEST), CHIP_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw swatch and name."""
        if self.theme is None:
            return
        active = index.data(VALUE_ROLE) == self.active
        box = QRectF(option.rect).adjusted(0.5, 1.5, -0.5, -1.5)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self.theme.accent if active else self.theme.line), 1.4 if active else 1))
        painter.setBrush(
            QColor(mix(self.theme.accent, self.theme.background, 0.22) if active else self.theme.field)
        )
        painter.drawRoundedRect(box, 5, 5)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(index.data(COLOUR_ROLE)))
        painter.drawRoundedRect(QRectF(box.left() + 6, box.center().y() - 5.5, 11, 11), 3, 3)
        font = QFont(option.font)
        font.setBold(active)
        painter.setFont(font)
        painter.setPen(QColor(self.theme.text))
        text = option.rect.adjusted(SWATCH_WIDTH, 0, -7, 0)
        name = painter.fontMetrics().elidedText(index.data(), Qt.TextElideMode.ElideRight, text.width())
        painter.drawText(text, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)
        painter.restore()

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: QModelIndex) -> QWidget:
        """Return a line to type the new name into."""
        editor = QLineEdit(parent)
        editor.setMaxLength(60)
        return editor

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: QModelIndex) -> None:
        """Hand the new name to the list, which asks for the change; the chip waits for the study."""
        self.parent().name_typed.emit(index.data(VALUE_ROLE), editor.text().strip())

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Lay the editor over the name, wide enough to type."""
        rect = QRect(option.rect)
        rect.setLeft(rect.left() + SWATCH_WIDTH - 4)
        rect.setWidth(max(rect.width(), 110))
        editor.setGeometry(rect)


class ChipList(QListWidget):
    """Chips that flow from left to right over at most three rows."""

    name_typed = Signal(int, str)
    swatch_double_clicked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.setFlow(QListWidget.Flow.LeftToRight)
        self.setWrapping(True)
        self.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setSpacing(SPACING)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QListWidget.EditTrigger.DoubleClicked | QListWidget.EditTrigger.EditKeyPressed)
        self.setFrameShape(QListWidget.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys with the picture
        self.fit_height()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Ask for a new colour on the swatch; elsewhere edit the name."""
        where = event.position().toPoint()
        item = self.itemAt(where)
        if item is not None and where.x() - self.visualItemRect(item).left() < SWATCH_WIDTH:
            self.swatch_double_clicked.emit(item.data(VALUE_ROLE))
            return
        super().mouseDoubleClickEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the height to the rows that the new width needs."""
        super().resizeEvent(event)
        self.fit_height()

    def fit_height(self) -> None:
        """Take one to three rows of height; more of them scroll."""
        self.doItemsLayout()
        places = [self.visualItemRect(self.item(number)) for number in range(self.count())]
        rows = {place.top() for place in places}
        shown = min(max(len(rows), 1), ROWS_SHOWN)
        self.setFixedHeight(shown * (CHIP_HEIGHT + SPACING) + SPACING)
        needed = len(rows) > ROWS_SHOWN
        policy = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(policy.ScrollBarAsNeeded if needed else policy.ScrollBarAlwaysOff)


class StructuresPanel(QWidget):
    """The structures of the study, the one being painted, and what the person has finished."""

    select_requested = Signal(int)
    add_requested = Signal(str)
    rename_requested = Signal(int, str)
    recolour_requested = Signal(int, str)
    merge_requested = Signal(int, int)
    remove_requested = Signal(int, bool)
    plane_requested = Signal(str)
    slice_complete_requested = Signal()
    case_complete_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.chips = ChipList()
        self.delegate = ChipDelegate(self.chips)
        self.chips.setItemDelegate(self.delegate)
        self.plane_button = menu_button(
            "", "The slice on screen. Press to show another plane.", self._plane_menu(), "flat"
        )
        self.plane_button.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        self.plane_button.hide()
        self.add_button = flat_button("Add", "Add a structure", self.ask_name)
        self.edit_menu = QMenu(self)
        self.edit_button = menu_button("", EDIT_TIP, self.edit_menu, "flat")
        self.edit_menu.aboutToShow.connect(self._fill_edit_menu)
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
        self.chips.customContextMenuRequested.connect(self._show_menu)
        self.chips.name_typed.connect(self._rename)
        self.chips.swatch_double_clicked.connect(self._ask_colour)
        self._lay_out()

    def _plane_menu(self) -> QMenu:
        menu = QMenu(self)
        for plane in PLANES:
            menu.addAction(plane.capitalize()).setData(plane)
        menu.triggered.connect(self._ask_plane)
        return menu

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
        self.delegate.active = active
        self.chips.clear()
        for structure in structures:
            item = QListWidgetItem(structure.name)
            item.setData(VALUE_ROLE, structure.value)
            item.setData(COLOUR_ROLE, structure.color)
            item.setToolTip(as_tooltip(f"{structure.name} (label {structure.value})\n{CHIP_TIP}"))
            item.setFlags(
                Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable
            )
            self.chips.addItem(item)
        self.chips.fit_height()

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
        allow(self.slice_button, marking)
        allow(self.case_button, marking)
        triggers = QListWidget.EditTrigger
        self.chips.setEditTriggers(
            triggers.NoEditTriggers if editing else triggers.DoubleClicked | triggers.EditKeyPressed
        )
        self._draw_icons()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = self.delegate.theme = theme
        self.add_button.setIcon(icon("plus", theme.muted))
        self.plane_button.setIcon(icon("down", theme.muted))
        self.edit_button.setIcon(icon("more", theme.muted))
        self._draw_icons()
        self.chips.viewport().update()

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

    def _ask_plane(self, action: QAction) -> None:
        self.plane_requested.emit(action.data())

    def _ask_slice_complete(self, checked: bool) -> None:
        self.slice_button.setChecked(not checked)
        self.slice_complete_requested.emit()

    def _ask_case_complete(self, checked: bool) -> None:
        self.case_button.setChecked(not checked)
        self.case_complete_requested.emit()

    # ---- the menu of a structure -------------------------------------------------------------

    def _show_menu(self, where: QPoint) -> None:
        item = self.chips.itemAt(where)
        if item is None or not self.edit_button.isEnabled():
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.fill_menu(menu, item.data(VALUE_ROLE))
        menu.popup(self.chips.viewport().mapToGlobal(where))

    def _fill_edit_menu(self) -> None:
        self.edit_menu.clear()
        if any(value == self.delegate.active for value, _ in self._structures()):
            self.fill_menu(self.edit_menu, self.delegate.active)

    def fill_menu(self, menu: QMenu, value: int) -> None:
        """Add what can be done with the structure of label ``value``."""
        name = next(name for other, name in self._structures() if other == value)
        menu.addAction(f"Rename {quoted(name)}", lambda: self.chips.editItem(self._item(value)))
        menu.addAction("Colour…", lambda: self._ask_colour(value))
        menu.addSeparator()
        merge, remove = menu.addMenu("Merge into"), menu.addMenu("Remove")
        for other, other_name in self._structures():
            if other != value:
                merge.addAction(quoted(other_name), partial(self.merge_requested.emit, value, other))
        remove.addAction("Its voxels become unlabelled…", partial(self.remove_requested.emit, value, False))
        remove.addAction("Its voxels become background…", partial(self.remove_requested.emit, value, True))
        for part in (merge, remove):
            part.menuAction().setEnabled(not merge.isEmpty())

    def _structures(self) -> list[tuple[int, str]]:
        items = (self.chips.item(place) for place in range(self.chips.count()))
        return [(item.data(VALUE_ROLE), item.text()) for item in items]

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
        if name and name != self._item(value).text():
            self.rename_requested.emit(value, name)

    def _ask_colour(self, value: int) -> None:
        if not self.add_button.isEnabled():
            return
        item = self._item(value)
        dialog = QColorDialog(QColor(item.data(COLOUR_ROLE)), self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(f"Colour of {item.text()}")
        dialog.setProperty("value", value)
        dialog.colorSelected.connect(self._recolour)
        dialog.open()

    def _recolour(self, colour: QColor) -> None:
        self.recolour_requested.emit(self.sender().property("value"), colour.name())

    def _item(self, value: int) -> QListWidgetItem:
        items = (self.chips.item(place) for place in range(self.chips.count()))
        return next(item for item in items if item.data(VALUE_ROLE) == value)


def quoted(name: str) -> str:
    """Return a name as a menu shows it: an ampersand is no key there."""
    return f"“{name}”".replace("&", "&&")
