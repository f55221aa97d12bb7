"""Windows at the end of an import or export: what became of each file, and whose masks these are."""

from collections.abc import Callable, Mapping, Sequence
from os.path import commonpath
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.plugin.controllers.report import Report
from napari_dycon.plugin.widgets.parts import answer_buttons, plain_label

SIZE = 760, 420
NONE = "none of them"
Pair = tuple[Path, Path]


class ReportDialog(QDialog):
    """Everything that a report has to say, in a table; the text can be copied."""

    def __init__(self, parent: QWidget, report: Report) -> None:
        super().__init__(parent)
        self._report = report
        _prepare(self, report.title)
        self.table = _table(report.columns, len(report.rows))
        for line, row in enumerate(report.rows):
            for column, text in enumerate(row):
                self.table.setItem(line, column, _cell(text))
        summary = plain_label(report.summary)
        summary.setWordWrap(True)
        self.buttons = QDialogButtonBox()
        copy = self.buttons.addButton("Copy text", QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(self.copy)
        self.buttons.addButton("Close", QDialogButtonBox.ButtonRole.RejectRole)
        self.buttons.rejected.connect(self.reject)
        _lay_out(self, summary, self.table, self.buttons)

    def copy(self) -> None:
        """Put the whole report into the clipboard."""
        rows = map("\t".join, self._report.rows)
        QApplication.clipboard().setText("\n".join((self._report.summary, *rows)))


class PairsDialog(QDialog):
    """Asks which label map belongs to which scan; none of them, unless the person says so.

    Parameters
    ----------
    candidates
        Label maps that a scan could have, by scan.
    take
        Called with the pairs that were chosen, if any.
    """

    def __init__(
        self, parent: QWidget, candidates: Mapping[Path, Sequence[Path]], take: Callable[[list[Pair]], None]
    ) -> None:
        super().__init__(parent)
        self._take = take
        _prepare(self, "Which masks belong to which scans?")
        shown = _short({*candidates, *(label for labels in candidates.values() for label in labels)})
        self.choices: dict[Path, QComboBox] = {}
        self.table = _table(("Scan", "Its label map"), len(candidates))
        for line, (scan, labels) in enumerate(candidates.items()):
            self.table.setItem(line, 0, _cell(shown[scan]))
            self.choices[scan] = self._choice(scan, labels, shown)
            self.table.setCellWidget(line, 1, self.choices[scan])
        self.buttons, self._accept = answer_buttons(self, "Use as labels", self._finish, "Use none")
        text = plain_label(
            "These files look like label maps, and their names do not say for sure whose they are. "
            "Each can be the labels of one scan."
        )
        text.setWordWrap(True)
        _lay_out(self, text, self.table, self.buttons)
        self._check()

    @property
    def pairs(self) -> list[Pair]:
        """What was chosen, as ``(scan, label map)``."""
        chosen = ((scan, choice.currentData()) for scan, choice in self.choices.items())
        return [(scan, label) for scan, label in chosen if label is not None]

    def _choice(self, scan: Path, labels: Sequence[Path], shown: Mapping[Path, str]) -> QComboBox:
        choice = QComboBox()
        choice.addItem(NONE, None)
        for label in labels:
            choice.addItem(shown[label], label)
        choice.currentIndexChanged.connect(lambda _: self._take_from_others(scan))
        return choice

    def _take_from_others(self, scan: Path) -> None:
        """Take a label map away from every other scan: it belongs to one alone."""
        label = self.choices[scan].currentData()
        for other, choice in self.choices.items():
            if label is not None and other != scan and choice.currentData() == label:
                choice.setCurrentIndex(0)
        self._check()

    def _check(self) -> None:
        self._accept.setEnabled(bool(self.pairs))
        self._accept.setToolTip("" if self.pairs else "Choose a label map for at least one scan.")

    def _finish(self) -> None:
        pairs = self.pairs
        self.accept()
        self._take(pairs)


def _prepare(dialog: QDialog, title: str) -> None:
    dialog.setWindowTitle(title)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.resize(*SIZE)


def _lay_out(dialog: QDialog, *parts: QWidget) -> None:
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(16, 14, 16, 14)
    layout.setSpacing(8)
    for part in parts:
        layout.addWidget(part)
    for buttons in dialog.findChildren(QDialogButtonBox):
        for button in buttons.buttons():
            button.setIcon(QIcon())


def _table(headings: Sequence[str], lines: int) -> QTableWidget:
    table = QTableWidget(lines, len(headings))
    table.setHorizontalHeaderLabels(headings)
    table.verticalHeader().hide()
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    table.setWordWrap(True)
    header = table.horizontalHeader()
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    header.resizeSection(0, SIZE[0] // 3)
    if len(headings) > 2:
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    return table


def _cell(text: str) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setToolTip(text)
    return item


def _short(paths: set[Path]) -> dict[Path, str]:
    """Paths below the folder that they have in common, which is the same on every line."""
    try:
        common = Path(commonpath([path.parent for path in paths]))
    except ValueError:  # on several drives
        return {path: str(path) for path in paths}
    return {path: path.relative_to(common).as_posix() for path in paths}
