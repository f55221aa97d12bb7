"""Questions that need a window of their own: which folder, which files, which structures."""

from collections.abc import Callable, Sequence
from pathlib import Path

from platformdirs import user_data_path
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLineEdit,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from napari_dycon.plugin.widgets.parts import flat_button, plain_label

SCAN_FILTER = "Scans (*.nii *.nii.gz *.nrrd *.mha *.mhd);;All files (*)"
STUDY_FILE = "study.json"


def ask_folder(parent: QWidget, title: str) -> Path | None:
    """Return the folder the user chooses, or None."""
    chosen = QFileDialog.getExistingDirectory(parent, title)
    return Path(chosen) if chosen else None


def ask_scans(parent: QWidget) -> list[Path]:
    """Return the scan files the user chooses, possibly none."""
    chosen, _ = QFileDialog.getOpenFileNames(parent, "Add scans", "", SCAN_FILTER)
    return [Path(name) for name in chosen]


def demo_folder() -> Path:
    """Return where the demo study of this user is kept."""
    return Path(user_data_path("napari-dycon", appauthor=False)) / "demo study"


def is_study(folder: Path) -> bool:
    """Return whether ``folder`` holds a study."""
    return (folder / STUDY_FILE).is_file()


def confirm_removal(parent: QWidget, names: Sequence[str], remove: Callable[[], None]) -> QMessageBox:
    """Ask whether cases shall leave the study, and call ``remove`` if so; nobody waits for the answer."""
    what = names[0] if len(names) == 1 else f"{len(names)} cases"
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle("Remove from the study")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(f"Remove {what} from the study?")
    box.setInformativeText(
        "Labels, predictions and notes are kept in the study's folder and can be put back by a right click "
        "in the list. Scan files are not touched."
    )
    box.addButton("Remove", QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole))
    for button in box.buttons():
        button.setIcon(QIcon())
    box.accepted.connect(remove)
    box.open()
    return box


class StructuresDialog(QDialog):
    """Asks for the names of the structures of a new study."""

    structures_named = Signal(list)

    def __init__(self, parent: QWidget, folder: Path) -> None:
        super().__init__(parent)
        self.setWindowTitle("New study")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(360)
        self._fields: list[QLineEdit] = []
        where = plain_label(f"A new study in {folder}")
        where.setWordWrap(True)
        another = flat_button("Another structure", "Add one more line", self.add_field)
        self.buttons = QDialogButtonBox()
        self._create = self.buttons.addButton("Create study", QDialogButtonBox.ButtonRole.AcceptRole)
        self._create.setProperty("role", "primary")
        self.buttons.addButton("Cancel", QDialogButtonBox.ButtonRole.RejectRole)
        for button in self.buttons.buttons():
            button.setIcon(QIcon())
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self._lines = QVBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 14, 16, 14)
        layout.setSpacing(8)
        layout.addWidget(where)
        layout.addWidget(plain_label("Which structures will you label? More can be added later."))
        layout.addLayout(self._lines)
        layout.addWidget(another, 0, Qt.AlignmentFlag.AlignLeft)
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
        field.setMaxLength(60)
        field.setPlaceholderText("for example: left atrium" if not self._fields else "one more structure")
        field.textChanged.connect(self._check)
        self._fields.append(field)
        self._lines.addWidget(field)
        field.setFocus()
        self._check()

    def _check(self) -> None:
        self._create.setEnabled(bool(self.names))
        self._create.setToolTip("" if self.names else "Name at least one structure.")

    def _accept(self) -> None:
        self.structures_named.emit(self.names)
        self.accept()
