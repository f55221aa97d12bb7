"""Questions that need a window of their own: which folder, which files, which structures."""

from collections.abc import Callable, Sequence
from pathlib import Path

from platformdirs import user_data_path
from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QDialog,
    QFileDialog,
    QInputDialog,
    QLineEdit,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.errors import StudyError
from napari_dycon.plugin.controllers.folder_choice import Beginning, begin_at
from napari_dycon.plugin.widgets.parts import answer_buttons, flat_button, plain_label
from napari_dycon.study.store.schema import DEFAULT_COLORS, Structure, new_structure

SCAN_FILTER = "Scans (*.nii *.nii.gz *.nrrd *.mha *.mhd *.dcm *.zip DICOMDIR);;All files (*)"


def ask_folder(parent: QWidget, title: str) -> Path | None:
    """Return the folder the user chooses, or None."""
    chosen = QFileDialog.getExistingDirectory(parent, title)
    return Path(chosen) if chosen else None


def ask_scans(parent: QWidget) -> list[Path]:
    """Return the scan files the user chooses, possibly none."""
    chosen, _ = QFileDialog.getOpenFileNames(parent, "Add scans", "", SCAN_FILTER)
    return [Path(name) for name in chosen]


def ask_name(parent: QWidget, title: str, question: str, text: str) -> str | None:
    """Return what the user types, without spaces around it, or None; ``text`` stands there first."""
    typed, answered = QInputDialog.getText(parent, title, question, text=text)
    return typed.strip() if answered else None


def demo_folder() -> Path:
    """Return where the demo study of this user is kept."""
    return Path(user_data_path("napari-dycon", appauthor=False)) / "demo study"


def confirm_removal(parent: QWidget, names: Sequence[str], remove: Callable[[], None]) -> QMessageBox:
    """Ask whether cases shall leave the study, and call ``remove`` if so; nobody waits for the answer."""
    what = names[0] if len(names) == 1 else f"{len(names)} cases"
    details = (
        "Labels, predictions and notes are kept in the study's folder and can be put back by a right click "
        "in the list. Scan files are not touched."
    )
    return confirm(parent, "Remove from the study", f"Remove {what} from the study?", details, remove)


def confirm(
    parent: QWidget, title: str, question: str, details: str, remove: Callable[[], None]
) -> QMessageBox:
    """Ask whether something shall be removed, and call ``remove`` if so; nobody waits for the answer."""
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle(title)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(question)
    box.setInformativeText(details)
    box.addButton("Remove", QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole))
    for button in box.buttons():
        button.setIcon(QIcon())
    box.accepted.connect(remove)
    box.open()
    return box


def named_structures(names: Sequence[str]) -> list[Structure]:
    """Return structures of these names, with label values from 1 on and the colours given in turn.

    Raises
    ------
    StudyError
        If there cannot be one.
    """
    colours = DEFAULT_COLORS
    return [
        new_structure(value, name, colours[(value - 1) % len(colours)])
        for value, name in enumerate(names, start=1)
    ]


class StructuresDialog(QDialog):
    """Asks for the names of the structures of a new study, and says where it will be.

    Parameters
    ----------
    parent
        The widget the question belongs to.
    beginning
        The study to make.
    create
        Told the study and its structures once they are named.
    """

    def __init__(
        self, parent: QWidget, beginning: Beginning, create: Callable[[Beginning, list[Structure]], None]
    ) -> None:
        super().__init__(parent)
        self._beginning, self._tell = beginning, create
        self.setWindowTitle("New study")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(360)
        self._fields: list[QLineEdit] = []
        self.where = plain_label(beginning.sentence, "muted")
        self.where.setWordWrap(True)
        self.trouble = plain_label("", "bad")
        self.trouble.setWordWrap(True)
        elsewhere = flat_button("Keep it elsewhere…", "Choose another folder for the study", self._move)
        self.another = flat_button("Another structure", "Add one more line", self.add_field)
        self.buttons, self._create = answer_buttons(self, "Create study", self._accept)
        self._lines = QVBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 14)
        layout.setSpacing(8)
        layout.addWidget(plain_label("Which structures will you label? More can be added later."))
        layout.addLayout(self._lines)
        layout.addWidget(self.trouble)
        layout.addWidget(self.another, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addSpacing(6)
        layout.addWidget(self.where)
        layout.addWidget(elsewhere, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.buttons)
        self.add_field()

    @property
    def names(self) -> list[str]:
        """The names typed, without empty and repeated ones."""
        typed = (field.text().strip() for field in self._fields)
        return list(dict.fromkeys(name for name in typed if name))

    def add_field(self) -> None:
        """Add a line for one more structure."""
        field = QLineEdit()
        field.setPlaceholderText("for example: left atrium" if not self._fields else "one more structure")
        field.textChanged.connect(self._check)
        self._fields.append(field)
        self._lines.addWidget(field)
        field.setFocus()
        self._check()

    def _check(self) -> None:
        self.trouble.setText(self._trouble())
        self.trouble.setVisible(bool(self.trouble.text()))
        able = bool(self.names) and not self.trouble.text()
        self._create.setEnabled(able)
        self._create.setToolTip("" if able else self.trouble.text() or "Name at least one structure.")

    def _trouble(self) -> str:
        """Why there can be no structures of these names, or an empty text."""
        try:
            named_structures(self.names)
        except StudyError as error:
            return str(error)
        return ""

    def _move(self) -> None:
        folder = ask_folder(self, "Folder for the study")
        if folder is not None:
            self._beginning = begin_at(folder, self._beginning.scans)
            self.where.setText(self._beginning.sentence or f"The scans are added to the study {folder}.")

    def _accept(self) -> None:
        self.accept()
        self._tell(self._beginning, named_structures(self.names))
