"""The table of cases: how far each is labelled, its volume, and how sure the model is."""

from collections.abc import Sequence

from qtpy.QtCore import (
    QModelIndex,
    QPoint,
    QRectF,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from qtpy.QtGui import QColor, QFont, QKeyEvent, QPainter, QShowEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QLineEdit,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.plugin.widgets.case_table import (
    ID_ROLE,
    LABELLED,
    NAME,
    SHARE_ROLE,
    STATUS,
    UNSURE,
    VOLUME,
    CaseRow,
    CaseTableModel,
    NaturalSortProxy,
)
from napari_dycon.plugin.widgets.icons import draw_icon
from napari_dycon.plugin.widgets.parts import plain_label, row
from napari_dycon.plugin.widgets.theme import Theme


class CaseDelegate(QStyledItemDelegate):
    """Draws the status as a sign and shares as a small bar beside their number."""

    BAR = 24

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme: Theme | None = None

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Return the size of a row."""
        return QSize(super().sizeHint(option, index).width(), 22)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw one cell."""
        if self.theme is None or index.column() in (NAME, VOLUME):
            option.state &= ~QStyle.StateFlag.State_HasFocus
            super().paint(painter, option, index)
            return
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, option.palette.highlight())
        if index.column() == STATUS:
            self._paint_status(painter, option, index.data())
        else:
            self._paint_share(painter, option, index)

    def _paint_status(self, painter: QPainter, option: QStyleOptionViewItem, status: str) -> None:
        colour = self.theme.good if status == "complete" else self.theme.muted
        box = QRectF(0, 0, 14, 14)
        box.moveCenter(QRectF(option.rect).center())
        draw_icon(painter, status, QColor(colour), box)

    def _paint_share(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        share = index.data(SHARE_ROLE)
        rect = QRectF(option.rect).adjusted(4, 0, -6, 0)
        painter.save()
        font = index.data(Qt.ItemDataRole.FontRole)
        painter.setFont(QFont(option.font) if font is None else _bold(option.font))
        painter.setPen(QColor(self.theme.muted if not share else self.theme.text))
        painter.drawText(rect, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, index.data())
        if share is not None:
            colour = self.theme.good if index.column() == LABELLED else self.theme.unsure
            self._paint_bar(painter, QRectF(rect.left(), rect.center().y() - 2, self.BAR, 4), share, colour)
        painter.restore()

    def _paint_bar(self, painter: QPainter, box: QRectF, share: float, colour: str) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.theme.control))
        painter.drawRoundedRect(box, 2, 2)
        if share > 0:
            painter.setBrush(QColor(colour))
            painter.drawRoundedRect(
                QRectF(box.left(), box.top(), max(3.0, box.width() * share), box.height()), 2, 2
            )


def _bold(font: QFont) -> QFont:
    result = QFont(font)
    result.setBold(True)
    return result


class CaseView(QTableView):
    """A table whose row is chosen by a plain click or by Enter; Ctrl and Shift only select."""

    row_chosen = Signal(QModelIndex)

    def __init__(self) -> None:
        super().__init__()
        self.clicked.connect(self._choose_unless_selecting)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose the current row on Enter."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.row_chosen.emit(self.currentIndex())
            return
        super().keyPressEvent(event)

    def _choose_unless_selecting(self, index: QModelIndex) -> None:
        if QApplication.keyboardModifiers() == Qt.KeyboardModifier.NoModifier:
            self.row_chosen.emit(index)


class CasesPanel(QWidget):
    """The case table with a line to filter it by name."""

    open_case_requested = Signal(str)
    predict_requested = Signal(list)

    def __init__(self) -> None:
        super().__init__()
        self.count = plain_label("", "muted")
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter")
        self.filter.setToolTip("Show only cases whose name contains this")
        self.filter.setClearButtonEnabled(True)
        self.filter.setFixedWidth(120)
        self._open_case: str | None = None
        self.model = CaseTableModel(self)
        self.proxy = NaturalSortProxy(self)
        self.proxy.setSourceModel(self.model)
        self.proxy.setFilterKeyColumn(NAME)
        self.proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.proxy.setDynamicSortFilter(True)
        self.view = CaseView()
        self.delegate = CaseDelegate(self.view)
        self._prepare_view()
        self.filter.textChanged.connect(self.proxy.setFilterFixedString)
        self.view.row_chosen.connect(self._open_index)
        self.view.customContextMenuRequested.connect(self._show_menu)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addLayout(row(plain_label("Cases", "title"), self.count, 1, self.filter))
        layout.addWidget(self.view, 1)

    def _prepare_view(self) -> None:
        view = self.view
        view.setModel(self.proxy)
        view.setItemDelegate(self.delegate)
        view.setSortingEnabled(True)
        view.sortByColumn(NAME, Qt.SortOrder.AscendingOrder)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setShowGrid(False)
        view.setWordWrap(False)
        view.setMinimumHeight(112)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(22)
        header = view.horizontalHeader()
        header.setMinimumSectionSize(20)
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for column, width in ((STATUS, 24), (LABELLED, 82), (VOLUME, 66), (UNSURE, 80)):
            view.setColumnWidth(column, width)

    def set_rows(self, rows: Sequence[CaseRow]) -> None:
        """Show the cases of the study."""
        before = self._open_case
        self.model.set_rows(rows)
        self._open_case = next((case.id for case in rows if case.open), None)
        if self._open_case not in (None, before):
            QTimer.singleShot(0, self._scroll_to_open)
        complete = sum(case.status == "complete" for case in rows)
        partial = sum(case.status == "partial" for case in rows)
        parts = [
            f"{len(rows)}",
            f"{complete} complete" if complete else "",
            f"{partial} partly" if partial else "",
        ]
        self.count.setText(" · ".join(part for part in parts if part))

    def showEvent(self, event: QShowEvent) -> None:
        """Bring the open case into view."""
        super().showEvent(event)
        self._scroll_to_open()

    def _scroll_to_open(self) -> None:
        follow = len(self.selected_cases()) <= 1
        for place in range(self.proxy.rowCount()):
            index = self.proxy.index(place, NAME)
            if index.data(ID_ROLE) == self._open_case:
                self.view.scrollTo(index)
                if follow:
                    self.view.selectRow(place)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self.delegate.theme = theme
        self.view.viewport().update()

    def selected_cases(self) -> list[str]:
        """Return the ids of the selected rows, in the order shown."""
        rows = sorted(index.row() for index in self.view.selectionModel().selectedRows())
        return [self.proxy.index(number, NAME).data(ID_ROLE) for number in rows]

    def _open_index(self, index: QModelIndex) -> None:
        self.open_case_requested.emit(index.data(ID_ROLE))

    def _show_menu(self, where: QPoint) -> None:
        cases = self.selected_cases()
        if not cases:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if len(cases) == 1:
            menu.addAction("Open", self._open_selected)
        menu.addAction(
            "Predict" if len(cases) == 1 else f"Predict {len(cases)} cases", self._predict_selected
        )
        menu.popup(self.view.viewport().mapToGlobal(where))

    def _open_selected(self) -> None:
        self.open_case_requested.emit(self.selected_cases()[0])

    def _predict_selected(self) -> None:
        self.predict_requested.emit(self.selected_cases())
