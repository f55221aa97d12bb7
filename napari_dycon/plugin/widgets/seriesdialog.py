"""Shows what a folder of DICOM holds before anything is imported, and asks which of it is wanted."""

from collections.abc import Callable, Sequence
from math import prod

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QImage, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.plugin.widgets.parts import answer_buttons, as_tooltip, flat_button, in_cell, plain_label
from napari_dycon.study.exchange.channels import Endings, endings_of, proposed_name
from napari_dycon.study.exchange.listing import (
    Listed,
    day_in_words,
    in_order,
    size_in_words,
    spacing_in_words,
    verdict_in_words,
)
from napari_dycon.study.store.naming import fold
from napari_dycon.study.store.schema import LONGEST_CHANNEL

SIZE = 860, 540
PICTURE, ROW = 56, 62
HEADINGS = ("scan", "patient", "voxels, mm", "", "image of its exam")
WIDTHS = (330, 130, 150, 110)
NAMES = len(HEADINGS) - 1
TOGETHER = "Series of one exam are images of one case"
TOGETHER_TIP = (
    "The images of a case share its labels, and the model sees all of them. A series without a name stays a "
    "scan of its own."
)
DRAW_ON = "Labels lie on"
OPENING = "cannot be used: "
"""What a reason begins with, after the name that stands in the line already."""


class SeriesDialog(QDialog):
    """A line for each scan that was found, with a tick where it can be added.

    Where an exam has several series, they may be images of one case; each has a name then.

    Parameters
    ----------
    parent
        The widget the question belongs to.
    found
        The scans; what is new and no localizer is ticked.
    add
        Told the keys of what is ticked, and what tells the images of a case from each other.
    together
        Whether the study tells by itself which series are images of one case.
    """

    def __init__(
        self,
        parent: QWidget,
        found: Sequence[Listed],
        add: Callable[[frozenset[str], Endings], None],
        together: bool = False,
    ) -> None:
        super().__init__(parent)
        self._found, self._add = in_order(found), add
        self.setWindowTitle("Add scans")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(*SIZE)
        self.table = QTableWidget(len(found), len(HEADINGS))
        self._prepare_table()
        self.names = [self._field(one) for one in self._found]
        for line, one in enumerate(self._found):
            self._fill(line, one, day_in_words(one, found))
        self.together, self.drawn_on = QCheckBox(TOGETHER), QComboBox()
        self.together.setToolTip(TOGETHER_TIP)
        self.drawn_on_label, self.trouble = plain_label(DRAW_ON, "muted"), plain_label("", "bad")
        self.trouble.setWordWrap(True)
        self.together.setVisible(not together and _has_exam(self._found))
        self.together.toggled.connect(self._join)
        self.drawn_on.currentIndexChanged.connect(self._count)
        self.table.itemChanged.connect(self._count)
        self.buttons, self._accept = answer_buttons(self, "Add", self._finish)
        images = QHBoxLayout()
        images.addWidget(self.together)
        images.addStretch()
        images.addWidget(self.drawn_on_label)
        images.addWidget(self.drawn_on)
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
        layout.addLayout(images)
        layout.addWidget(self.trouble)
        layout.addLayout(below)
        self._join(False)

    @property
    def ticked(self) -> tuple[Listed, ...]:
        """What would be added."""
        lines = zip(self._found, map(self._tick_of, range(len(self._found))), strict=True)
        return tuple(one for one, tick in lines if tick)

    @property
    def endings(self) -> Endings:
        """What tells the images of a case from each other; nothing where each series is a case."""
        named = [(one.description, name) for one, name in self._images()]
        return endings_of(named, self.drawn_on.currentText()) if named else {}

    def _images(self) -> list[tuple[Listed, str]]:
        """Return what is ticked and has a name as an image of its exam."""
        if not self.together.isChecked():
            return []
        lines = zip(self._found, self.names, map(self._tick_of, range(len(self._found))), strict=True)
        return [(one, field.text().strip()) for one, field, tick in lines if tick and field.text().strip()]

    def _join(self, on: bool) -> None:
        """Let series of an exam be images of one case, or scans of their own."""
        self.table.setColumnHidden(NAMES, not on)
        self.drawn_on_label.setVisible(on)
        self.drawn_on.setVisible(on)
        self._count()

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
        header.setSectionResizeMode(NAMES - 1, QHeaderView.ResizeMode.Stretch)
        header.resizeSection(NAMES, WIDTHS[-1])

    def _field(self, one: Listed) -> QLineEdit:
        field = QLineEdit(proposed_name(one.description) if one.wanted and one.exam else "")
        field.setMaxLength(LONGEST_CHANNEL)
        field.setPlaceholderText("on its own")
        field.setEnabled(one.verdict == "new" and one.exam > 0 and bool(one.description))
        field.textChanged.connect(self._count)
        return field

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
        self.table.setCellWidget(line, NAMES, in_cell(self.names[line]))
        first = self.table.item(line, 0)
        first.setIcon(_icon(one))
        first.setCheckState(Qt.CheckState.Checked if one.wanted else Qt.CheckState.Unchecked)
        if one.verdict == "new":
            first.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)

    def _count(self, change: object = None) -> None:
        del change
        named = self._images()
        self._offer_images(named)
        alone = len(self.ticked) - len(named)
        count, noun = alone + len({one.exam for one, _ in named}), "case" if named else "scan"
        trouble = self._trouble(named)
        self.trouble.setText(trouble)
        self.trouble.setVisible(bool(trouble))
        self._accept.setText(f"Add 1 {noun}" if count == 1 else f"Add {count} {noun}s")
        self._accept.setEnabled(count > 0 and not trouble)
        self._accept.setToolTip(trouble or ("" if count else "Tick at least one scan."))

    def _offer_images(self, named: Sequence[tuple[Listed, str]]) -> None:
        """List the images that labels may lie on; by default the finest of those that most exams have."""
        names = list(dict.fromkeys(name for _, name in named))
        if names == [self.drawn_on.itemText(place) for place in range(self.drawn_on.count())]:
            return
        before = self.drawn_on.currentText()
        self.drawn_on.blockSignals(True)
        self.drawn_on.clear()
        self.drawn_on.addItems(names)
        self.drawn_on.setCurrentText(before if before in names else _finest(named))
        self.drawn_on.blockSignals(False)

    def _trouble(self, named: Sequence[tuple[Listed, str]]) -> str:
        """Why these cannot be images of one case, or an empty text."""
        if self.together.isChecked() and len({fold(name) for _, name in named}) < 2:
            return "Name at least two images of an exam."
        exams: dict[int, set[str]] = {}
        for one, name in named:
            of_exam = exams.setdefault(one.exam, set())
            if fold(name) in of_exam:
                return f"Two series of one exam are called {name}: name one otherwise, or untick it."
            of_exam.add(fold(name))
        first = self.drawn_on.currentText()
        if any(fold(first) not in names for names in exams.values()):
            return f"An exam has no {first} image, which labels lie on: choose another, or clear its names."
        return ""

    def _finish(self) -> None:
        keys = frozenset(key for one in self.ticked for key in (one.key, *one.images))
        endings = self.endings
        self.accept()
        self._add(keys, endings)


def _has_exam(found: Sequence[Listed]) -> bool:
    """Tell whether an exam has several series that can be added."""
    exams = [one.exam for one in found if one.wanted and one.exam and one.description]
    return len(exams) > len(set(exams))


def _finest(named: Sequence[tuple[Listed, str]]) -> str:
    """Return the image that most exams have and, of several, the one with the smallest voxels."""

    def rank(name: str) -> tuple[int, float]:
        of_name = [one for one, its in named if its == name]
        return -len(of_name), min(prod(one.spacing) for one in of_name)

    return min(dict.fromkeys(name for _, name in named), key=rank, default="")


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
