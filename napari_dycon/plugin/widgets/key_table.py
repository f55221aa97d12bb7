"""The keys as a table: an action a line, under the heading of its group; searched, read out, copied."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QRectF, QSize, QSortFilterProxyModel, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QKeyEvent, QKeySequence, QPainter, QPen
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from napari_dycon.plugin.widgets.parts import prepare_table
from napari_dycon.plugin.widgets.theme import Theme

TITLE, KEYS = range(2)
HEADINGS = ("What", "Keys")
LINE, HEAD, GAP, EDGE = 25, 34, 5, 8
LINE_ROLE = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class KeyLine:
    """One line of the list: what is done, under which heading, and with which keys."""

    group: str
    title: str
    keys: tuple[str, ...]

    def holds(self, words: Sequence[str]) -> bool:
        """Return whether every one of ``words`` is in the title, the heading or a key."""
        text = " ".join((self.group, self.title, *self.keys)).casefold()
        return all(word in text for word in words)

    def __str__(self) -> str:
        return f"{self.title}\t{', '.join(self.keys)}"


class KeyModel(QAbstractTableModel):
    """Lines of one group after the other, each group after its heading."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[KeyLine | str] = []

    def set_lines(self, lines: Sequence[KeyLine]) -> None:
        """Have these lines; those of one group follow each other."""
        self.beginResetModel()
        self.rows = list(_under_headings(lines))
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many lines and headings there are."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return that there are two: what is done, and with which keys."""
        return 0 if parent is not None and parent.isValid() else len(HEADINGS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return what a column tells; nobody sees it, but it is read aloud."""
        told = orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole
        return HEADINGS[section] if told else None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return that lines can be selected, and headings cannot."""
        if isinstance(self.rows[index.row()], str):
            return Qt.ItemFlag.ItemIsEnabled
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text of a cell; a screen reader is told the group of a line too."""
        row = self.rows[index.row()]
        if role == LINE_ROLE:
            return row
        if isinstance(row, str):
            spoken = role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole)
            return row if spoken and index.column() == TITLE else None
        text = row.title if index.column() == TITLE else ", ".join(row.keys)
        if role == Qt.ItemDataRole.AccessibleDescriptionRole:
            return row.group
        shown = (
            Qt.ItemDataRole.DisplayRole,
            Qt.ItemDataRole.ToolTipRole,
            Qt.ItemDataRole.AccessibleTextRole,
        )
        return text if role in shown else None


def _under_headings(lines: Sequence[KeyLine]) -> Iterator[KeyLine | str]:
    group = None
    for line in lines:
        if line.group != group:
            group = line.group
            yield group
        yield line


class KeySearchProxy(QSortFilterProxyModel):
    """Lets through the lines that hold every word of a search, and the headings above them."""

    def __init__(self) -> None:
        super().__init__()
        self._words: list[str] = []

    def search(self, text: str) -> None:
        """Look for the words of ``text`` from now on."""
        self._words = text.casefold().split()
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        """Return whether a line is found, or any line below a heading."""
        rows = self.sourceModel().rows
        found = rows[row]
        if isinstance(found, KeyLine):
            return found.holds(self._words)
        lines = (line for line in rows if isinstance(line, KeyLine) and line.group == found)
        return any(line.holds(self._words) for line in lines)


class KeyDelegate(QStyledItemDelegate):
    """Draws headings bold over a hairline, and keys as caps at the right."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme = Theme.of_name("dark")

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Return the room of a cell: that of the caps, or of a row."""
        line = index.data(LINE_ROLE)
        if isinstance(line, str):
            return QSize(0, HEAD)
        if index.column() != KEYS:
            return QSize(0, LINE)
        metrics = QFontMetricsF(option.font)
        return QSize(round(sum(_cap_width(metrics, key) + GAP for key in line.keys)) + EDGE, LINE)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw one cell."""
        line = index.data(LINE_ROLE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(option.font)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, QColor(self.theme.chosen))
        if isinstance(line, str):
            self._draw_heading(painter, option, line)
        elif index.column() == TITLE:
            self._draw_title(painter, option, line.title)
        else:
            self._draw_caps(painter, option, line.keys)
        painter.restore()

    def _draw_heading(self, painter: QPainter, option: QStyleOptionViewItem, text: str) -> None:
        font = QFont(option.font)
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(QColor(self.theme.text))
        box = QRectF(option.rect).adjusted(EDGE, 10, -EDGE, -4)
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
        painter.setPen(QPen(QColor(self.theme.line), 1))
        painter.drawLine(box.bottomLeft(), box.bottomRight())

    def _draw_title(self, painter: QPainter, option: QStyleOptionViewItem, text: str) -> None:
        painter.setPen(QColor(self.theme.text))
        box = QRectF(option.rect).adjusted(EDGE, 0, -GAP, 0)
        shown = QFontMetricsF(option.font).elidedText(text, Qt.TextElideMode.ElideRight, box.width())
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)

    def _draw_caps(self, painter: QPainter, option: QStyleOptionViewItem, keys: Sequence[str]) -> None:
        right, metrics = float(option.rect.right() - EDGE), QFontMetricsF(option.font)
        for key in reversed(keys):
            width = _cap_width(metrics, key)
            cap = QRectF(right - width, option.rect.top() + 3.5, width, LINE - 7)
            painter.setPen(QPen(QColor(self.theme.hover), 1))
            painter.setBrush(QColor(self.theme.background))
            painter.drawRoundedRect(cap, 4, 4)
            painter.setPen(QColor(self.theme.text))
            painter.drawText(cap, Qt.AlignmentFlag.AlignCenter, key)
            right -= width + GAP


def _cap_width(metrics: QFontMetricsF, key: str) -> float:
    return float(max(metrics.horizontalAdvance(key) + 12, 22.0))


class KeyTable(QTableView):
    """Shows the keys; Ctrl+C copies the lines that are selected, or else all that are shown."""

    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._keys, self._found = KeyModel(), KeySearchProxy()
        self._found.setSourceModel(self._keys)
        self.setModel(self._found)
        self.setItemDelegate(KeyDelegate(self))
        prepare_table(self, LINE)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAccessibleName("Keys")
        self.horizontalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(TITLE, QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setSectionResizeMode(KEYS, QHeaderView.ResizeMode.ResizeToContents)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)

    @property
    def lines(self) -> tuple[KeyLine, ...]:
        """The lines that are shown."""
        rows = (self._found.index(row, TITLE).data(LINE_ROLE) for row in range(self._found.rowCount()))
        return tuple(row for row in rows if isinstance(row, KeyLine))

    @property
    def text(self) -> str:
        """What is copied, a line an action: what is done, a tab, the keys."""
        chosen = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return "\n".join(map(str, [index.data(LINE_ROLE) for index in chosen] or self.lines))

    def set_lines(self, lines: Sequence[KeyLine]) -> None:
        """Show these lines, as far as they are found; those of one group follow each other."""
        self._keys.set_lines(lines)
        self._span_headings()

    def search(self, text: str) -> None:
        """Show only lines that hold every word of ``text``."""
        self._found.search(text)
        self._span_headings()

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.itemDelegate().theme = theme
        self.viewport().update()

    def copy(self) -> None:
        """Put the selected lines, or else all that are shown, on the clipboard."""
        QApplication.clipboard().setText(self.text)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy on Ctrl+C, leave on Escape."""
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.key() == Qt.Key.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def _span_headings(self) -> None:
        self.clearSpans()
        for row in range(self._found.rowCount()):
            if isinstance(self._found.index(row, TITLE).data(LINE_ROLE), str):
                self.setSpan(row, TITLE, 1, len(HEADINGS))
