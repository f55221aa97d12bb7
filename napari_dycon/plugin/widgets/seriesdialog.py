"""Shows what a folder of DICOM holds before anything is imported, and asks which of it is wanted."""

from collections.abc import Callable, Sequence

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QImage, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.plugin.widgets.parts import as_tooltip, flat_button, plain_label
from napari_dycon.study.exchange.listing import (
    Listed,
    day_in_words,
    in_order,
    size_in_words,
    spacing_in_words,
    verdict_in_words,
)

SIZE = 860, 540
PICTURE, ROW = 56, 62
HEADINGS = ("scan", "patient", "voxels, mm", "")
WIDTHS = (330, 130, 150)
OPENING = "cannot be used: "
"""What a reason begins with, after the name that stands in the line already."""


class SeriesDialog(QDialog):
    """A line for each scan that was found, with a tick where it can be added.

    Parameters
    ----------
    parent
        The widget the question belongs to.
    found
        The scans; what is new and no localizer is ticked.
    add
        Told the keys of what is ticked.
    """

    def __init__(
        self, parent: QWidget, found: Sequence[Listed], add: Callable[[frozenset[str]], None]
    ) -> None:
        super().__init__(parent)
        self._found, self._add = in_order(found), add
        self.setWindowTitle("Add scans")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(*SIZE)
        self.table = QTableWidget(len(found), len(HEADINGS))
        self._prepare_table()
        for line, one in enumerate(self._found):
            self._fill(line, one, day_in_words(one, found))
        self.table.itemChanged.connect(lambda _: self._count())
        self.buttons = QDialogButtonBox()
        self._accept = self.buttons.addButton("Add", QDialogButtonBox.ButtonRole.AcceptRole)
        self._accept.setProperty("role", "primary")
        self.buttons.addButton("Cancel", QDialogButtonBox.ButtonRole.RejectRole)
        for button in self.buttons.buttons():
            button.setIcon(QIcon())
        self.buttons.accepted.connect(self._finish)
        self.buttons.rejected.connect(self.reject)
        below = QHBoxLayout()
        below.addWidget(flat_button("Tick all", "Tick everything that can be added", lambda: self.tick(True)))
        below.addWidget(flat_button("Tick none", "Take all ticks away", lambda: self.tick(False)))
        below.addStretch()
        below.addWidget(self.buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 14)
        layout.setSpacing(8)
        layout.addWidget(plain_label("Which of these scans shall be added to the study?"))
        layout.addWidget(self.table, 1)
        layout.addLayout(below)
        self._count()

    @property
    def ticked(self) -> tuple[Listed, ...]:
        """What would be added."""
        lines = zip(self._found, map(self._tick_of, range(len(self._found))), strict=True)
        return tuple(one for one, tick in lines if tick)

    def tick(self, on: bool) -> None:
        """Tick everything that can be added, or nothing."""
        state = Qt.CheckState.Checked if on else Qt.CheckState.Unchecked
        for line, one in enumerate(self._found):
            if one.verdict == "new":
                self.table.item(line, 0).setCheckState(state)

    def _tick_of(self, line: int) -> bool:
        item = self.table.item(line, 0)
        able = bool(item.flags() & Qt.ItemFlag.ItemIsUserCheckable)
        return able and item.checkState() == Qt.CheckState.Checked

    def _prepare_table(self) -> None:
        table = self.table
        table.setHorizontalHeaderLabels(HEADINGS)
        table.setIconSize(QSize(PICTURE, PICTURE))
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.verticalHeader().hide()
        table.verticalHeader().setMinimumSectionSize(ROW)
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header = table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column, width in enumerate(WIDTHS):
            header.resizeSection(column, width)
        header.setSectionResizeMode(len(WIDTHS), QHeaderView.ResizeMode.Stretch)

    def _fill(self, line: int, one: Listed, day: str) -> None:
        apart = one.description and one.description not in one.name
        texts = (
            f"{one.description}\n{one.name}" if apart else one.name,
            "\n".join(filter(None, (one.patient, day))),
            "\n".join(filter(None, (size_in_words(one), spacing_in_words(one)))),
            "" if one.wanted else verdict_in_words(one).partition(OPENING)[2] or verdict_in_words(one),
        )
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setToolTip(as_tooltip(text))
            item.setFlags(Qt.ItemFlag.ItemIsEnabled if one.verdict == "new" else Qt.ItemFlag.NoItemFlags)
            self.table.setItem(line, column, item)
        first = self.table.item(line, 0)
        first.setIcon(_icon(one))
        first.setCheckState(Qt.CheckState.Checked if one.wanted else Qt.CheckState.Unchecked)
        if one.verdict == "new":
            first.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)

    def _count(self) -> None:
        count = len(self.ticked)
        self._accept.setText("Add 1 scan" if count == 1 else f"Add {count} scans")
        self._accept.setEnabled(count > 0)
        self._accept.setToolTip("" if count else "Tick at least one scan.")

    def _finish(self) -> None:
        keys = frozenset(one.key for one in self.ticked)
        self.accept()
        self._add(keys)


def _icon(one: Listed) -> QIcon:
    """Its picture in the middle of a square, so that all texts begin at one place."""
    square = QPixmap(PICTURE, PICTURE)
    square.fill(Qt.GlobalColor.transparent)
    if one.picture is None:
        return QIcon(square)
    rows, columns = one.picture.shape
    image = QImage(one.picture.tobytes(), columns, rows, columns, QImage.Format.Format_Grayscale8)
    whole = Qt.AspectRatioMode.KeepAspectRatio
    smooth = Qt.TransformationMode.SmoothTransformation
    small = QPixmap.fromImage(image).scaled(PICTURE, PICTURE, whole, smooth)
    painter = QPainter(square)
    painter.drawPixmap((PICTURE - small.width()) // 2, (PICTURE - small.height()) // 2, small)
    painter.end()
    return QIcon(square)
