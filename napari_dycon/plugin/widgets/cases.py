"""The table of cases: how far each is labelled, its volume, and how sure the model is."""

from collections.abc import Sequence
from typing import Any, Protocol

from qtpy.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPoint,
    QRectF,
    QSize,
    QSortFilterProxyModel,
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

from napari_dycon.plugin.widgets.icons import draw_icon
from napari_dycon.plugin.widgets.parts import plain_label, row
from napari_dycon.plugin.widgets.theme import Theme

STATUS, NAME, LABELLED, VOLUME, UNSURE = range(5)
HEADINGS = ("", "Case", "Labelled", "Volume", "Unsure")
HEADING_TIPS = (
    "Sort by status",
    "Sort by name",
    "Share of the voxels whose label is known",
    "Volume of the chosen structure, in millilitres",
    "Mean predictive entropy in and around the predicted structures: 0 is sure, 100 % is a guess",
)
STATUS_WORDS = {"unlabelled": "not labelled yet", "partial": "partly labelled", "complete": "complete"}
STATUS_ORDER = ("unlabelled", "partial", "complete")
SORT_ROLE = Qt.ItemDataRole.UserRole
ID_ROLE = Qt.ItemDataRole.UserRole + 1
SHARE_ROLE = Qt.ItemDataRole.UserRole + 2


class CaseRow(Protocol):
    """What one row shows."""

    id: str
    name: str
    status: str
    known_fraction: float
    volume_ml: float | None
    uncertainty: float | None
    open: bool


def percent(share: float) -> str:
    """Return a share as text; only nothing reads ``0 %`` and only all of it ``100 %``."""
    if 0 < share < 0.01:
        return "< 1 %"
    if 0.99 < share < 1:
        return "> 99 %"
    return f"{100 * share:.0f} %"


def millilitres(volume: float | None) -> str:
    """Return a volume with three significant digits, or a dash."""
    if volume is None:
        return "–"
    return f"{volume:.0f} ml" if volume >= 100 else f"{volume:.3g} ml"


class CaseTableModel(QAbstractTableModel):
    """The rows of the study; sorting and filtering lie in a proxy above it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[CaseRow] = []

    def set_rows(self, rows: Sequence[CaseRow]) -> None:
        """Show ``rows``; keeps selection and scroll position when the cases are the same."""
        same = [row.id for row in rows] == [row.id for row in self._rows]
        if same:
            self._rows = list(rows)
            if rows:
                self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, UNSURE))
            return
        self.beginResetModel()
        self._rows = list(rows)
        self.endResetModel()

    @property
    def labelled(self) -> int:
        """The number of cases of which at least something is labelled."""
        return sum(case.known_fraction > 0 for case in self._rows)

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Return the number of cases."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Return the number of columns."""
        return 0 if parent.isValid() else len(HEADINGS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return heading, tooltip and alignment of a column."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return HEADINGS[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return HEADING_TIPS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what the view asks for; ``SORT_ROLE`` holds numbers, ``ID_ROLE`` the case."""
        case = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(case, index.column())
        if role == SORT_ROLE:
            return self._sort_key(case, index.column())
        if role == ID_ROLE:
            return case.id
        if role == SHARE_ROLE:
            return {LABELLED: case.known_fraction, UNSURE: case.uncertainty}.get(index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(case)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column())
        if role == Qt.ItemDataRole.FontRole and case.open:
            font = QFont()
            font.setBold(True)
            return font
        return None

    @staticmethod
    def _text(case: CaseRow, column: int) -> str:
        unsure = "–" if case.uncertainty is None else percent(case.uncertainty)
        return (case.status, case.name, percent(case.known_fraction), millilitres(case.volume_ml), unsure)[
            column
        ]

    @staticmethod
    def _sort_key(case: CaseRow, column: int) -> float | str:
        if column == NAME:
            return case.name.lower()
        nothing = -1.0
        return (
            float(STATUS_ORDER.index(case.status)),
            0.0,
            case.known_fraction,
            nothing if case.volume_ml is None else case.volume_ml,
            nothing if case.uncertainty is None else case.uncertainty,
        )[column]

    @staticmethod
    def _tip(case: CaseRow) -> str:
        lines = [
            case.name,
            f"{STATUS_WORDS[case.status]}: {percent(case.known_fraction)} of the voxels are known",
        ]
        if case.volume_ml is not None:
            lines.append(f"volume {case.volume_ml:.2f} ml")
        lines.append(
            "no prediction yet" if case.uncertainty is None else f"uncertainty {percent(case.uncertainty)}"
        )
        lines.append("this case is open" if case.open else "click to open it")
        return "\n".join(lines)


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column <= NAME else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter


class NaturalSortProxy(QSortFilterProxyModel):
    """Sorts by ``SORT_ROLE``; cases with equal keys keep the order of the study."""

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:
        """Return whether ``left`` comes before ``right``."""
        a, b = left.data(SORT_ROLE), right.data(SORT_ROLE)
        if a == b:
            before = left.row() < right.row()
            return before if self.sortOrder() == Qt.SortOrder.AscendingOrder else not before
        return _natural(a) < _natural(b)


def _natural(key: float | str) -> list[tuple[int, float, str]]:
    if not isinstance(key, str):
        return [(0, key, "")]
    parts, digits = [], ""
    for sign in [*key, ""]:
        if sign.isdecimal():
            digits += sign
            continue
        if digits:
            parts.append((0, float(digits), ""))
            digits = ""
        parts.append((1, 0.0, sign))
    return parts


class CaseDelegate(QStyledItemDelegate):
    """Draws the status as a sign and shares as a small bar beside their number."""

    BAR = 26

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
        for column, width in ((STATUS, 24), (LABELLED, 82), (VOLUME, 66), (UNSURE, 78)):
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
