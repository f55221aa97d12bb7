"""How the case table looks and what its keys and clicks mean."""

from qtpy.QtCore import QModelIndex, QPoint, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QKeyEvent, QPainter, QResizeEvent
from qtpy.QtWidgets import (
    QApplication,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from napari_dycon.plugin.controllers.case_rows import CaseRow
from napari_dycon.plugin.widgets.action_menu import Choice, ChoiceMenu
from napari_dycon.plugin.widgets.case_table import (
    CASE_ROLE,
    HEADINGS,
    LABELLED,
    MARKS,
    NAME,
    QUALITY,
    SHARE_ROLE,
    STATUS,
    TIME,
    UNSURE,
    VOLUME,
    CaseProxy,
    shorten,
)
from napari_dycon.plugin.widgets.icons import draw_icon
from napari_dycon.plugin.widgets.parts import prepare_table
from napari_dycon.plugin.widgets.theme import Theme

ROW = 22
NAME_MARGIN = 12
WIDTHS = {STATUS: 24, LABELLED: 74, VOLUME: 72, QUALITY: 84, UNSURE: 70, TIME: 54}
CHOICE = (LABELLED, VOLUME, QUALITY, UNSURE, TIME)
MARK, MARKS_MARGIN = 13, 10
FOLLOWS = "└ "
"""Before the name of a case that stands below another one of its patient."""
TOGETHER = "Exams of a patient together"
ROOM_FOR = {VOLUME: 300, UNSURE: 400, TIME: 460}
"""Pixels that the table must be wide for a column that can be done without."""


def sign_colour(sign: str, theme: Theme) -> str:
    """Return the colour of a status or mark."""
    colours = {
        "complete": theme.good,
        "review": theme.warn,
        "flagged": theme.bad,
        "warning": theme.warn,
        "unusable": theme.bad,
    }
    return colours.get(sign, theme.muted)


def share_colours(theme: Theme) -> dict[str, str]:
    """Return the colours of what is known, by who made it known."""
    return {
        "person": theme.good,
        "accepted": theme.accent,
        "interpolated": "#e3cc58" if theme.dark else "#b59a1e",
        "ignored": "#c07ab8",
    }


class CaseDelegate(QStyledItemDelegate):
    """Draws status and marks as signs, and shares as a small bar beside their number."""

    BAR = 18

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme = Theme.of_name("dark")

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Return the size of a row."""
        return QSize(super().sizeHint(option, index).width(), ROW)

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Shorten a name where it is like the others, then in its middle."""
        super().initStyleOption(option, index)
        option.textElideMode = Qt.TextElideMode.ElideMiddle
        if index.column() == NAME:
            metrics, room = option.fontMetrics, option.rect.width() - NAME_MARGIN
            lead, shared = FOLLOWS * index.model().follows(index), index.model().sourceModel().shared
            room -= metrics.horizontalAdvance(lead)
            name = shorten(option.text, shared, lambda text: metrics.horizontalAdvance(text) <= room)
            option.text = lead + name

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw one cell."""
        if index.column() in (NAME, VOLUME, QUALITY, TIME):
            option.state &= ~QStyle.StateFlag.State_HasFocus
            super().paint(painter, option, index)
            return
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, option.palette.highlight())
        if index.column() == STATUS:
            self._paint_signs(painter, option, (index.data(),))
        elif index.column() == MARKS:
            self._paint_signs(painter, option, tuple(index.data().split()))
        else:
            self._paint_share(painter, option, index)

    def _paint_signs(self, painter: QPainter, option: QStyleOptionViewItem, signs: tuple[str, ...]) -> None:
        box = QRectF(0, 0, MARK, MARK)
        for place, sign in enumerate(signs):
            box.moveCenter(QRectF(option.rect).center())
            box.moveLeft(
                option.rect.left() + MARKS_MARGIN // 2 + MARK * place if len(signs) > 1 else box.left()
            )
            draw_icon(painter, sign, QColor(sign_colour(sign, self.theme)), box)

    def _paint_share(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        share = index.data(SHARE_ROLE)
        rect = QRectF(option.rect).adjusted(4, 0, -6, 0)
        painter.save()
        font = index.data(Qt.ItemDataRole.FontRole)
        painter.setFont(QFont(option.font) if font is None else _bold(option.font))
        painter.setPen(QColor(self.theme.muted if not share else self.theme.text))
        painter.drawText(rect, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, index.data())
        if share is not None:
            box = QRectF(rect.left(), rect.center().y() - 2, self.BAR, 4)
            self._paint_bar(painter, box, self._parts(index, share))
        painter.restore()

    def _parts(self, index: QModelIndex, share: float) -> list[tuple[float, str]]:
        """Return the parts of a bar from the left: the share, and its colour."""
        if index.column() == UNSURE:
            return [(share, self.theme.unsure)]
        case: CaseRow = index.data(CASE_ROLE)
        if case.shares is None:
            return [(share, self.theme.good)]
        return [(getattr(case.shares, who), colour) for who, colour in share_colours(self.theme).items()]

    def _paint_bar(self, painter: QPainter, box: QRectF, parts: list[tuple[float, str]]) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.theme.control))
        painter.drawRoundedRect(box, 2, 2)
        left = box.left()
        for share, colour in parts:
            if share > 0:
                width = min(max(2.0, box.width() * share), box.right() - left)
                painter.setBrush(QColor(colour))
                painter.drawRoundedRect(QRectF(left, box.top(), width, box.height()), 2, 2)
                left += width


def _bold(font: QFont) -> QFont:
    result = QFont(font)
    result.setBold(True)
    return result


class CaseView(QTableView):
    """A table whose row is chosen by a plain click or by Enter; Ctrl, Shift and the arrows only select."""

    row_chosen = Signal(QModelIndex)
    remove_asked = Signal()
    together_asked = Signal(bool)

    def __init__(self, proxy: CaseProxy) -> None:
        super().__init__()
        self._chosen_columns: dict[int, bool] = {}
        self.setModel(proxy)
        self.setItemDelegate(CaseDelegate(self))
        self.setSortingEnabled(True)
        self.sortByColumn(NAME, Qt.SortOrder.AscendingOrder)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        prepare_table(self, ROW)
        self._prepare_header()
        self.clicked.connect(self._choose_unless_selecting)

    def _prepare_header(self) -> None:
        header = self.horizontalHeader()
        header.setMinimumSectionSize(20)
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._show_columns_menu)
        for column, width in WIDTHS.items():
            self.setColumnWidth(column, width)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.itemDelegate().theme = theme
        self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose the current row on Enter, ask for removal on Delete."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.row_chosen.emit(self.currentIndex())
        elif event.key() == Qt.Key.Key_Delete:
            self.remove_asked.emit()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the columns to the width."""
        super().resizeEvent(event)
        self.fit_columns()

    def fit_columns(self) -> None:
        """Leave out what there is no room for, or nothing to tell in, unless the person has chosen."""
        rows = self.model().sourceModel().rows
        most = max((row.flagged + bool(row.note) + bool(row.problems) for row in rows), default=0)
        self.setColumnWidth(MARKS, MARKS_MARGIN + MARK * most)
        quality = any(row.outlook is not None or row.reached is not None for row in rows)
        told = {
            MARKS: most > 0,
            VOLUME: any(row.volume_ml is not None for row in rows),
            QUALITY: quality,
            UNSURE: any(row.uncertainty is not None for row in rows),
            TIME: True,
        }
        room = ROOM_FOR if quality else {**ROOM_FOR, UNSURE: 0}
        for column, there in told.items():
            shown = there and self.viewport().width() >= room.get(column, 0)
            self.setColumnHidden(column, not self._chosen_columns.get(column, shown))

    def choose_column(self, column: int, shown: bool) -> None:
        """Show or hide a column, whatever the room."""
        self._chosen_columns[column] = shown
        self.setColumnHidden(column, not shown)

    def _show_columns_menu(self, where: QPoint) -> None:
        menu = ChoiceMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        shown = {column: not self.isColumnHidden(column) for column in CHOICE}
        choices = [Choice(column, HEADINGS[column], ticked=there) for column, there in shown.items()]
        if any(row.patient for row in self.model().sourceModel().rows):
            choices.append(Choice(NAME, TOGETHER, ticked=self.model().together))
        menu.set_choices(choices)
        menu.chosen.connect(self._act)
        menu.popup(self.horizontalHeader().mapToGlobal(where))

    def _act(self, column: int) -> None:
        if column == NAME:
            self.together_asked.emit(not self.model().together)
        else:
            self.choose_column(column, self.isColumnHidden(column))

    def _choose_unless_selecting(self, index: QModelIndex) -> None:
        if QApplication.keyboardModifiers() == Qt.KeyboardModifier.NoModifier:
            self.row_chosen.emit(index)
