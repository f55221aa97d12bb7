"""The cases as a table model: texts, numbers to sort by, and tooltips; and which of them are shown."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt
from qtpy.QtGui import QFont
from qtpy.QtWidgets import QWidget

from napari_dycon.plugin.controllers.case_rows import CaseRow
from napari_dycon.plugin.controllers.timesheet import duration
from napari_dycon.plugin.widgets.quality_words import quality_lines, quality_text, volume_line
from napari_dycon.wording import three_digits

STATUS, NAME, MARKS, LABELLED, VOLUME, QUALITY, UNSURE, TIME = range(8)
HEADINGS = ("", "Case", "", "Known", "Volume ml", "Quality", "Unsure", "Time")
HEADING_TIPS = (
    "Sort by status",
    "Sort by name",
    "Flagged cases and cases with a note first, or last",
    "Share of the voxels whose label is known: by you, accepted from a prediction, interpolated",
    "Volume of the chosen structure; ≥ where the edge of the scan cuts it",
    "Dice to be expected of the chosen structure; a guess until 9 patients whom you completed checked it",
    "Mean predictive entropy in and around the predicted structures: 0 is sure, 100 % is a guess",
    "Time spent on the case; the clock stops a minute after your last move",
)
STATUS_WORDS = {"unlabelled": "not labelled yet", "partial": "in progress", "complete": "complete"}
SIGNS = ("unlabelled", "partial", "complete", "review")
FLAGGED, LEAVE = "flagged", "leave"
SORT_ROLE = Qt.ItemDataRole.UserRole
ID_ROLE = Qt.ItemDataRole.UserRole + 1
SHARE_ROLE = Qt.ItemDataRole.UserRole + 2
CASE_ROLE = Qt.ItemDataRole.UserRole + 3


def percent(share: float) -> str:
    """Return a share as text; only nothing reads ``0 %`` and only all of it ``100 %``."""
    if 0 < share < 0.01:
        return "<1 %"
    if 0.99 < share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def known_by(case: CaseRow) -> str:
    """Return how much is known and by whom, in one line."""
    if case.shares is None or not case.known_fraction:
        return f"{percent(case.known_fraction)} of the voxels are known"
    shares = (
        (case.shares.person, "by you"),
        (case.shares.accepted, "accepted"),
        (case.shares.interpolated, "interpolated"),
        (case.shares.ignored, "do not care"),
    )
    parts = ", ".join(f"{percent(share)} {word}" for share, word in shares if share > 0)
    return f"{percent(case.known_fraction)} of the voxels are known: {parts}"


class CaseTableModel(QAbstractTableModel):
    """The rows of the study; sorting and filtering lie in a proxy above it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[CaseRow] = []
        self.shared = (0, 0)

    def set_rows(self, rows: Sequence[CaseRow]) -> None:
        """Show ``rows``; only those that are new, gone or different are told to the view.

        Selection and scroll position stay, unless the cases come in another order than before.
        """
        ids = [row.id for row in rows]
        if [row.id for row in self._rows] != ids:
            self.shared = shared_ends([row.name for row in rows])
        self._drop({row.id for row in self._rows}.difference(ids))
        if [row.id for row in self._rows] != ids[: len(self._rows)]:
            self.beginResetModel()
            self._rows = list(rows)
            self.endResetModel()
            return
        self._renew(rows)
        if len(rows) > len(self._rows):
            self.beginInsertRows(QModelIndex(), len(self._rows), len(rows) - 1)
            self._rows.extend(rows[len(self._rows) :])
            self.endInsertRows()

    def _drop(self, gone: set[str]) -> None:
        """Take out the rows of cases that have gone, the last ones first."""
        for first, last in reversed(_runs(row.id in gone for row in self._rows)):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self._rows[first : last + 1]
            self.endRemoveRows()

    def _renew(self, rows: Sequence[CaseRow]) -> None:
        """Take over what has changed of the rows that are there."""
        before, here = self._rows, len(self._rows)
        self._rows = list(rows[:here])
        for first, last in _runs(old != new for old, new in zip(before, self._rows, strict=True)):
            self.dataChanged.emit(self.index(first, 0), self.index(last, len(HEADINGS) - 1))

    @property
    def rows(self) -> Sequence[CaseRow]:
        """All rows in study order."""
        return self._rows

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
        if role == CASE_ROLE:
            return case
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
        trouble = "unusable" if case.unusable else "warning"
        signs = ((FLAGGED, case.flagged), ("note", case.note), (trouble, case.problems))
        marks = " ".join(sign for sign, there in signs if there)
        known = percent(case.known_fraction)
        volume = "–" if case.volume_ml is None else "≥ " * case.cut + three_digits(case.volume_ml)
        quality, time = quality_text(case), duration(case.seconds)
        return (case.sign, case.name, marks, known, volume, quality, unsure, time)[column]

    @staticmethod
    def _sort_key(case: CaseRow, column: int) -> float | str:
        if column == NAME:
            return case.name.lower()
        nothing = -1.0
        return (
            float(SIGNS.index(case.sign)),
            0.0,
            -2.0 * case.flagged - bool(case.note),
            case.known_fraction,
            nothing if case.volume_ml is None else case.volume_ml,
            _quality_key(case),
            nothing if case.uncertainty is None else case.uncertainty,
            case.seconds,
        )[column]

    @staticmethod
    def _tip(case: CaseRow) -> str:
        status = "to review, " * case.to_review + STATUS_WORDS[case.status]
        lines = [case.name, f"{status}: {known_by(case)}"]
        if case.note:
            lines.append(f"“{case.note}”")
        lines += case.problems
        lines += filter(None, (volume_line(case),))
        lines.append(
            "no prediction yet" if case.uncertainty is None else f"uncertainty {percent(case.uncertainty)}"
        )
        lines += quality_lines(case)
        if case.patient:
            lines.append(f"patient {case.patient}")
        if case.seconds:
            lines.append(f"{duration(case.seconds)} spent on it")
        lines.append("this case is open" if case.open else "click to open it")
        return "\n".join(lines)


def _quality_key(case: CaseRow) -> float:
    """What is expected comes first, from the worst on; then what is complete; then what was not predicted."""
    if case.outlook is not None:
        return case.outlook.dice
    return 3.0 if case.reached is None else 2.0 + case.reached


def _runs(marked: Iterable[bool]) -> list[tuple[int, int]]:
    """Return the first and the last place of each run of marked ones."""
    runs: list[tuple[int, int]] = []
    for place, mark in enumerate(marked):
        if mark and runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        elif mark:
            runs.append((place, place))
    return runs


def shared_ends(names: Sequence[str]) -> tuple[int, int]:
    """Return how many letters all names share at their beginning and at their end, in whole words."""
    if len(names) < 2:
        return 0, 0
    first = _shared_words(names)
    return first, _shared_words([name[first:][::-1] for name in names])


def _shared_words(names: Sequence[str]) -> int:
    least, most = min(names), max(names)
    pairs = enumerate(zip(least, most, strict=False))
    count = next((place for place, (one, other) in pairs if one != other), len(least))
    return len(re.sub(r"[^\W_]+$", "", least[:count]))


def shorten(name: str, shared: tuple[int, int], fits: Callable[[str], bool]) -> str:
    """Return a name, without as much of what it shares with all others as there is no room for."""
    first, last = shared
    end, tail = len(name) - last, "…" if last else ""
    ways = [name, *(f"…{name[begin:end]}{tail}" for begin in range(1, first + 1))]
    return next((way for way in ways if fits(way)), ways[-1])


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if column <= MARKS else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter


class CaseProxy(QSortFilterProxyModel):
    """Sorts by ``SORT_ROLE``, and shows the cases that a text and a mark are about.

    In the order of names the cases of one patient stand together, unless `together` is false.

    Rows stay where they are while their numbers change, until `arrange` is called: a list that moves under
    the hand of a person who works through it helps nobody.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDynamicSortFilter(False)
        self.text = ""
        self.mark = ""
        self.together = True
        self._ranks: list[int] = []

    def setSourceModel(self, model: CaseTableModel) -> None:
        """Show the rows of ``model``."""
        for signal in (model.modelAboutToBeReset, model.rowsInserted, model.rowsRemoved):
            signal.connect(self._forget_ranks)
        super().setSourceModel(model)

    def _forget_ranks(self) -> None:
        self._ranks.clear()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column."""
        self._ranks.clear()
        super().sort(column, order)

    def arrange(self) -> None:
        """Sort and filter anew."""
        self._ranks.clear()
        self.invalidate()

    def filterAcceptsRow(self, source_row: int, source_parent: QModelIndex) -> bool:
        """Return whether name, note or patient hold the text and the case has the mark."""
        case = self.sourceModel().rows[source_row]
        marks = {"": True, FLAGGED: case.flagged, LEAVE: case.may_leave}
        marked = marks.get(self.mark, case.sign == self.mark)
        return marked and (
            not self.text or self.text in f"{case.name}\n{case.note}\n{case.patient}".casefold()
        )

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:
        """Return whether ``left`` comes before ``right``; equal ones keep the order of the study."""
        if not self._ranks:
            self._rank(left.column())
        return bool(self._ranks[left.row()] < self._ranks[right.row()])

    def _rank(self, column: int) -> None:
        """Compare each key once, and not each time that Qt asks."""
        model, turned = self.sourceModel(), self.sortOrder() == Qt.SortOrder.DescendingOrder
        keys = [_natural(model.index(row, column).data(SORT_ROLE)) for row in range(model.rowCount())]
        order = sorted(range(len(keys)), key=lambda row: (keys[row], -row if turned else row))
        if self.together and column == NAME:
            order = self._join_exams(order[::-1])[::-1] if turned else self._join_exams(order)
        self._ranks.extend([0] * len(order))
        for rank, row in enumerate(order):
            self._ranks[row] = rank

    def _join_exams(self, order: Sequence[int]) -> list[int]:
        """Put all cases of a patient where the first of them stands that is shown."""
        rows, first = self.sourceModel().rows, dict[str, int]()
        for place, row in enumerate(order):
            if rows[row].patient and self.filterAcceptsRow(row, QModelIndex()):
                first.setdefault(rows[row].patient, place)
        joined = sorted((first.get(rows[row].patient, place), place) for place, row in enumerate(order))
        return [order[place] for _, place in joined]

    def follows(self, index: QModelIndex) -> bool:
        """Return whether a case stands below another one of its patient, with which it belongs."""
        if not (self.together and self.sortColumn() == NAME and index.row()):
            return False
        patient = index.data(CASE_ROLE).patient
        return bool(patient) and patient == index.siblingAtRow(index.row() - 1).data(CASE_ROLE).patient


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
