"""The structures of a study as coloured chips."""

from collections.abc import Sequence

from qtpy.QtCore import QAbstractItemModel, QModelIndex, QPoint, QRect, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetrics, QMouseEvent, QPainter, QPen, QResizeEvent
from qtpy.QtWidgets import (
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import as_tooltip
from napari_dycon.plugin.widgets.theme import Theme, mix
from napari_dycon.study.store.schema import Structure, in_groups

VALUE_ROLE = Qt.ItemDataRole.UserRole
COLOUR_ROLE = Qt.ItemDataRole.UserRole + 1
MARKS_ROLE = Qt.ItemDataRole.UserRole + 2
GROUP_ROLE = Qt.ItemDataRole.UserRole + 3
FOLDED_ROLE = Qt.ItemDataRole.UserRole + 4
CHIP_HEIGHT = 24
SWATCH_WIDTH = 24
MARK_WIDTH = 16
MARK_SIZE = 12
WIDEST = 220
SPACING = 2
ROWS_SHOWN = 3
MARKS = ("locked", "hidden")
"""What is drawn at the end of a chip where it is so; a click there ends it."""
GROUP_TIP = "Click to fold the group or unfold it; right click for more"
CHIP_TIP = "Double click the name to rename it, the swatch for another colour; right click for more"


class ChipDelegate(QStyledItemDelegate):
    """Draws a structure as a chip, whose name is edited in place, and a group by its name."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme: Theme | None = None
        self.active = 0

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Return the size of the chip, wide enough for its name in bold."""
        width = QFontMetrics(_bold(option.font, True)).horizontalAdvance(index.data())
        marks = MARK_WIDTH * len(index.data(MARKS_ROLE) or ())
        return QSize(min(SWATCH_WIDTH + width + 14, WIDEST) + marks, CHIP_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw swatch, name and marks of a structure, or the name of a group."""
        if self.theme is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if index.data(GROUP_ROLE):
            self._paint_group(painter, option, index, self.theme)
        else:
            self._paint_chip(painter, option, index, self.theme)
        painter.restore()

    def _paint_group(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex, theme: Theme
    ) -> None:
        folded = "right" if index.data(FOLDED_ROLE) else "down"
        icon(folded, theme.muted).paint(painter, _square(option.rect.left() + 2, option.rect))
        self._write(painter, option.rect.adjusted(18, 0, -2, 0), index.data(), theme.muted)

    def _paint_chip(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex, theme: Theme
    ) -> None:
        active, marks = index.data(VALUE_ROLE) == self.active, index.data(MARKS_ROLE)
        box = QRectF(option.rect).adjusted(0.5, 1.5, -0.5, -1.5)
        painter.setPen(QPen(QColor(theme.accent if active else theme.line), 1.4 if active else 1))
        painter.setBrush(QColor(mix(theme.accent, theme.background, 0.22) if active else theme.field))
        painter.drawRoundedRect(box, 5, 5)
        colour = QColor(index.data(COLOUR_ROLE))
        painter.setPen(QPen(colour, 1.4) if "hidden" in marks else Qt.PenStyle.NoPen)
        painter.setBrush(Qt.BrushStyle.NoBrush if "hidden" in marks else colour)
        painter.drawRoundedRect(QRectF(box.left() + 6, box.center().y() - 5.5, 11, 11), 3, 3)
        painter.setFont(_bold(option.font, active))
        text = option.rect.adjusted(SWATCH_WIDTH, 0, -7 - MARK_WIDTH * len(marks), 0)
        self._write(painter, text, index.data(), theme.muted if "hidden" in marks else theme.text)
        for place, mark in enumerate(marks):
            icon(mark, theme.muted).paint(painter, mark_rect(option.rect, len(marks), place))

    @staticmethod
    def _write(painter: QPainter, where: QRect, text: str, colour: str) -> None:
        painter.setPen(QColor(colour))
        name = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, where.width())
        painter.drawText(where, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)

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


def mark_rect(chip: QRect, marks: int, place: int) -> QRect:
    """Return where one of so many marks is drawn on a chip."""
    return _square(chip.right() - 4 - MARK_WIDTH * (marks - place), chip)


def _square(left: int, chip: QRect) -> QRect:
    return QRect(left, chip.center().y() - MARK_SIZE // 2 + 1, MARK_SIZE, MARK_SIZE)


def _bold(font: QFont, bold: bool) -> QFont:
    font = QFont(font)
    font.setBold(bold)
    return font


class ChipList(QListWidget):
    """Chips that flow from left to right over at most three rows, each group behind its name.

    Signals: ``mark_clicked`` carries a label value and the mark that was clicked.
    """

    name_typed = Signal(int, str)
    swatch_double_clicked = Signal(int)
    mark_clicked = Signal(int, str)

    def __init__(self) -> None:
        super().__init__()
        self.structures: dict[int, Structure] = {}
        self._folded: set[str] = set()
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
        return {value: structure.name for value, structure in self.structures.items()}

    @property
    def groups(self) -> list[str]:
        """The names of the groups."""
        return [group for group in in_groups(self.structures.values()) if group]

    def members(self, group: str) -> list[Structure]:
        """Return the structures of a group."""
        return [structure for structure in self.structures.values() if structure.group == group]

    def set_structures(self, structures: Sequence[Structure], active: int) -> None:
        """Show the structures; ``active`` is the label value being painted."""
        self._delegate.active = active
        self.structures = {structure.value: structure for structure in structures}
        self._fill()

    def _fill(self) -> None:
        """List all, but of a group that is folded only its name and what is painted."""
        self.clear()
        for group, structures in in_groups(self.structures.values()).items():
            folded = group in self._folded
            if group:
                self.addItem(_group_item(group, len(structures), folded))
            for structure in structures:
                if not folded or structure.value == self.active:
                    self.addItem(_chip(structure))
        self.fit_height()

    def fold(self, group: str) -> None:
        """Show nothing of a group but its name, or all of it again."""
        self._folded ^= {group}
        self._fill()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._delegate.theme = theme
        self.viewport().update()

    def item_of(self, value: int) -> QListWidgetItem:
        """Return the chip of a label value, which is unfolded where it is not seen."""
        self._folded.discard(self.structures[value].group)
        if all(self.item(place).data(VALUE_ROLE) != value for place in range(self.count())):
            self._fill()
        items = (self.item(place) for place in range(self.count()))
        return next(item for item in items if item.data(VALUE_ROLE) == value)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """End what a mark says that is clicked; fold a group; anything else is a click on the chip."""
        where = event.position().toPoint()
        item = self.itemAt(where)
        if item is None or event.button() != Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
        elif item.data(GROUP_ROLE):
            self.fold(item.data(GROUP_ROLE))
        elif mark := self._mark_at(item, where):
            self.mark_clicked.emit(item.data(VALUE_ROLE), mark)
        else:
            super().mousePressEvent(event)

    def _mark_at(self, item: QListWidgetItem, where: QPoint) -> str:
        marks, chip = item.data(MARKS_ROLE), self.visualItemRect(item)
        places = ((mark, mark_rect(chip, len(marks), place)) for place, mark in enumerate(marks))
        return next((mark for mark, place in places if place.adjusted(-2, -6, 2, 6).contains(where)), "")

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Ask for a new colour on the swatch; elsewhere edit the name."""
        where = event.position().toPoint()
        item = self.itemAt(where)
        if item is not None and (item.data(GROUP_ROLE) or self._mark_at(item, where)):
            return
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
        self.setFixedHeight(shown * (CHIP_HEIGHT + 2 * SPACING))
        needed = len(rows) > ROWS_SHOWN
        policy = Qt.ScrollBarPolicy
        self.setVerticalScrollBarPolicy(policy.ScrollBarAsNeeded if needed else policy.ScrollBarAlwaysOff)


def _chip(structure: Structure) -> QListWidgetItem:
    item = QListWidgetItem(structure.name)
    marks = [mark for mark in MARKS if getattr(structure, mark)]
    item.setData(VALUE_ROLE, structure.value)
    item.setData(COLOUR_ROLE, structure.color)
    item.setData(MARKS_ROLE, marks)
    said = ", ".join([f"label {structure.value}", *marks])
    item.setToolTip(as_tooltip(f"{structure.name} ({said})\n{CHIP_TIP}"))
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable)
    return item


def _group_item(group: str, count: int, folded: bool) -> QListWidgetItem:
    item = QListWidgetItem(f"{group} ({count})" if folded else group)
    item.setData(GROUP_ROLE, group)
    item.setData(FOLDED_ROLE, folded)
    item.setToolTip(as_tooltip(f"{group}\n{GROUP_TIP}"))
    item.setFlags(Qt.ItemFlag.ItemIsEnabled)
    return item
