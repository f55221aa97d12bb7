"""The cases as a table model: texts, numbers to sort by, and tooltips."""

from collections.abc import Sequence
from typing import Any, Protocol

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt
from qtpy.QtGui import QFont
from qtpy.QtWidgets import QWidget

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
    expected_dice: float | None


def percent(share: float) -> str:
    """Return a share as text; only nothing reads ``0 %`` and only all of it ``100 %``."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
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
        if case.expected_dice is not None:
            lines.append(f"the model expects a Dice of {case.expected_dice:.2f} here")
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
