"""The line above the case table: how many cases there are of each kind, which of them to show, a search."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QIcon, QKeyEvent
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QWidget

from napari_dycon.plugin.controllers.case_rows import CaseRow
from napari_dycon.plugin.widgets.case_table import FLAGGED, LEAVE, SIGNS
from napari_dycon.plugin.widgets.case_view import sign_colour
from napari_dycon.plugin.widgets.icons import icon
from napari_dycon.plugin.widgets.parts import as_tooltip
from napari_dycon.plugin.widgets.quality_words import leave_tip
from napari_dycon.plugin.widgets.theme import Theme

MARKS_SHOWN = (*SIGNS, FLAGGED, LEAVE)
WORDS = {
    "unlabelled": "not labelled yet",
    "partial": "in progress",
    "complete": "complete",
    "review": "to review",
    FLAGGED: "flagged",
}


def _tip(mark: str, number: int) -> str:
    verb = "case is" if number == 1 else "cases are"
    return f"{number} {verb} {WORDS[mark]}. Click to show only these, or all again."


class SearchLine(QLineEdit):
    """A search field from which Enter opens the first hit and the arrow down leads into the list."""

    entered = Signal()
    left_downwards = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip("Show only cases whose name, note or patient contains this")
        self.setClearButtonEnabled(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Act on Enter, arrow down and Escape; the rest is typing."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit()
        elif event.key() == Qt.Key.Key_Down:
            self.left_downwards.emit()
        elif event.key() == Qt.Key.Key_Escape:
            self.clear()
        else:
            super().keyPressEvent(event)


class CaseFilter(QWidget):
    """A button for each status, for the flagged ones and for those that may be left, and the search."""

    filter_changed = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.chips = {mark: self._chip(mark) for mark in MARKS_SHOWN}
        self.search = SearchLine()
        self.search.textChanged.connect(self._tell)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for chip in self.chips.values():
            layout.addWidget(chip)
        layout.addSpacing(4)
        layout.addWidget(self.search, 1)
        self.set_rows(())

    def _chip(self, mark: str) -> QPushButton:
        chip = QPushButton()
        chip.setProperty("role", "count")
        chip.setCheckable(True)
        chip.setObjectName(mark)
        chip.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        chip.setCursor(Qt.CursorShape.PointingHandCursor)
        chip.clicked.connect(self._choose)
        return chip

    @property
    def mark(self) -> str:
        """The status that is shown, ``"flagged"``, ``"leave"``, or an empty text for all."""
        return next((mark for mark, chip in self.chips.items() if chip.isChecked()), "")

    def set_rows(self, rows: Sequence[CaseRow]) -> None:
        """Count ``rows``."""
        counts = {mark: sum(row.sign == mark for row in rows) for mark in SIGNS}
        counts[FLAGGED] = sum(row.flagged for row in rows)
        counts[LEAVE] = sum(row.may_leave for row in rows)
        for mark, chip in self.chips.items():
            number = counts[mark]
            chip.setText(f"leave {number}" if mark == LEAVE else f"{number}")
            chip.setToolTip(as_tooltip(leave_tip(number) if mark == LEAVE else _tip(mark, number)))
            chip.setVisible(bool(number) or chip.isChecked() or mark in ("unlabelled", "partial", "complete"))
        self.search.setPlaceholderText(f"Search {len(rows)} cases" if len(rows) > 1 else "Search")

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        for mark, chip in self.chips.items():
            if mark == LEAVE:
                continue
            chip.setIcon(QIcon(icon(mark, sign_colour(mark, theme))))

    def _choose(self) -> None:
        for chip in self.chips.values():
            if chip is not self.sender():
                chip.setChecked(False)
        self._tell()

    def _tell(self) -> None:
        self.filter_changed.emit(self.mark, self.search.text().strip().casefold())
