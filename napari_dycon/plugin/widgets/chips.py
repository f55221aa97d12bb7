"""The structures of a study as coloured chips."""

from collections.abc import Sequence
from typing import Protocol

from qtpy.QtCore import QAbstractItemModel, QModelIndex, QRect, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetrics, QMouseEvent, QPainter, QPen, QResizeEvent
from qtpy.QtWidgets import (
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from napari_dycon.plugin.widgets.parts import as_tooltip
from napari_dycon.plugin.widgets.theme import Theme, mix

VALUE_ROLE = Qt.ItemDataRole.UserRole
COLOUR_ROLE = Qt.ItemDataRole.UserRole + 1
CHIP_HEIGHT = 24
SWATCH_WIDTH = 24
WIDEST = 220
SPACING = 2
ROWS_SHOWN = 3
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
        self._delegate = ChipDelegate(self)
        self.setItemDelegate(self._delegate)
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

    @property
    def active(self) -> int:
        """The label value being painted."""
        return self._delegate.active

    @property
    def names(self) -> dict[int, str]:
        """The names of the structures by label value."""
        items = (self.item(place) for place in range(self.count()))
        return {item.data(VALUE_ROLE): item.text() for item in items}

    def set_structures(self, structures: Sequence[Structure], active: int) -> None:
        """Show the structures; ``active`` is the label value being painted."""
        self._delegate.active = active
        self.clear()
        for structure in structures:
            item = QListWidgetItem(structure.name)
            item.setData(VALUE_ROLE, structure.value)
            item.setData(COLOUR_ROLE, structure.color)
            item.setToolTip(as_tooltip(f"{structure.name} (label {structure.value})\n{CHIP_TIP}"))
            item.setFlags(
                Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable
            )
            self.addItem(item)
        self.fit_height()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._delegate.theme = theme
        self.viewport().update()

    def item_of(self, value: int) -> QListWidgetItem:
        """Return the chip of a label value."""
        items = (self.item(place) for place in range(self.count()))
        return next(item for item in items if item.data(VALUE_ROLE) == value)

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
