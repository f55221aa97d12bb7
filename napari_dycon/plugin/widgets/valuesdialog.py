"""Asks what the values of label maps mean that are no structure of the study."""

from collections.abc import Callable, Mapping, Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QDialog,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.errors import StudyError
from napari_dycon.plugin.widgets.parts import answer_buttons, in_cell, plain_label
from napari_dycon.study.exchange.label_values import Foreign, Key
from napari_dycon.study.store.naming import fold
from napari_dycon.study.store.schema import Structure, new_structure

SIZE = 640, 380
ROW = 36
HEADINGS = ("in the masks", "found in", "means", "")
WIDTHS = (150, 150, 160)
NEW, BACKGROUND = "new structure", "left out"
QUESTION = (
    "Some masks hold values that are no structure of this study. What do they mean? What is left out counts "
    "as background."
)


class ValuesDialog(QDialog):
    """A line for each value, with what it means: a structure, a new one, or nothing here.

    Parameters
    ----------
    parent
        The widget the question belongs to.
    foreign
        The values of each mask.
    structures
        Those of the study.
    take
        Told what each value means: a structure's value, 0 for the background, or the name of a new structure.
    """

    def __init__(
        self,
        parent: QWidget,
        foreign: Sequence[Foreign],
        structures: Sequence[Structure],
        take: Callable[[Mapping[Key, int | str]], None],
    ) -> None:
        super().__init__(parent)
        self._structures, self._take = structures, take
        self._taken = {fold(one.name) for one in structures}
        self.setWindowTitle("Values of masks")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(*SIZE)
        found = _found(foreign)
        self._keys = sorted(found)
        self.choices = [self._choice() for _ in self._keys]
        self.names = [self._field(key) for key in self._keys]
        self.table = QTableWidget(len(found), len(HEADINGS))
        self._prepare_table()
        for line, key in enumerate(self._keys):
            self._fill(line, key, *found[key])
        self.trouble = plain_label("", "bad")
        self.trouble.setWordWrap(True)
        self.buttons, self._accept = answer_buttons(self, "Take labels over", self._finish, "Without labels")
        text = plain_label(QUESTION)
        text.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 14)
        layout.setSpacing(8)
        for part in (text, self.table, self.trouble, self.buttons):
            layout.addWidget(part)
        self._check()

    @property
    def meant(self) -> dict[Key, int | str]:
        """What each value means."""
        return {key: self._meaning(line) for line, key in enumerate(self._keys)}

    def _meaning(self, line: int) -> int | str:
        chosen = self.choices[line].currentData()
        return self.names[line].text().strip() if chosen is None else int(chosen)

    def _choice(self) -> QComboBox:
        choice = QComboBox()
        choice.addItem(BACKGROUND, 0)
        for structure in self._structures:
            choice.addItem(structure.name, structure.value)
        choice.addItem(NEW, None)
        choice.currentIndexChanged.connect(self._check)
        return choice

    def _field(self, key: Key) -> QLineEdit:
        name, _ = key
        field = QLineEdit(name)
        field.setPlaceholderText("its name")
        field.textChanged.connect(self._check)
        return field

    def _prepare_table(self) -> None:
        table = self.table
        table.setHorizontalHeaderLabels(HEADINGS)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        table.setShowGrid(False)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(ROW)
        header = table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column, width in enumerate(WIDTHS):
            header.resizeSection(column, width)
        header.setSectionResizeMode(len(WIDTHS), QHeaderView.ResizeMode.Stretch)

    def _fill(self, line: int, key: Key, files: Sequence[str], voxels: int) -> None:
        name, value = key
        count = files[0] if len(files) == 1 else f"{len(files)} masks"
        number = f"{voxels:,}".replace(",", "\u2009")
        said = (name or f"value {value}", f"{count}, {number} voxels")
        for column, text in enumerate(said):
            item = QTableWidgetItem(text)
            item.setToolTip("\n".join((text, *files[:20])) if column else text)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.table.setItem(line, column, item)
        for column, widget in ((2, self.choices[line]), (3, self.names[line])):
            self.table.setCellWidget(line, column, in_cell(widget))

    def _check(self, change: object = None) -> None:
        del change
        for choice, field in zip(self.choices, self.names, strict=True):
            field.setVisible(choice.currentData() is None)
        trouble = self._trouble()
        self.trouble.setText(trouble)
        self.trouble.setVisible(bool(trouble))
        self._accept.setEnabled(not trouble)
        self._accept.setToolTip(trouble)

    def _trouble(self) -> str:
        """Why there can be no structures of these names, or an empty text."""
        for line in range(len(self._keys)):
            name = self._meaning(line)
            if isinstance(name, str):
                try:
                    new_structure(1, name)
                except StudyError as error:
                    return "Name each new structure." if not name else str(error)
                if fold(name) in self._taken:
                    return f"There is a structure “{name}” already: choose it in the list."
        return ""

    def _finish(self) -> None:
        meant = self.meant
        self.accept()
        self._take(meant)


def _found(foreign: Sequence[Foreign]) -> dict[Key, tuple[list[str], int]]:
    """Return in which files each value is found, and in how many voxels."""
    found: dict[Key, tuple[list[str], int]] = {}
    for one in foreign:
        for value, key in one.keys.items():
            files, voxels = found.get(key, ([], 0))
            found[key] = ([*files, one.labels.name], voxels + one.voxels[value])
    return found
