"""The ways in and out of a study: asks for folders and files, then tells the session."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QWidget

from napari_dycon.plugin.widgets.dialogs import StructuresDialog, ask_folder, ask_scans, demo_folder, is_study
from napari_dycon.study.schema import DEFAULT_COLORS, Structure

if TYPE_CHECKING:
    from napari_dycon.plugin.session import Session


def dropped_paths(event: QDropEvent) -> list[Path]:
    """Return the local files and folders of a drop."""
    return [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]


class Doors(QObject):
    """Opens and creates studies, adds scans and exports masks on the user's word.

    Parameters
    ----------
    window
        The widget the questions belong to.
    session
        The session that is told the answers.
    """

    def __init__(self, window: QWidget, session: "Session") -> None:
        super().__init__(window)
        self._session = session
        self._folder = Path()
        self._waiting: list[Path] = []

    def choose_study(self) -> None:
        """Ask for a folder; open the study in it, or make one there."""
        title = "Where to keep the study of these scans?" if self._waiting else "Folder of the study"
        folder = ask_folder(self.parent(), title)
        if folder is None:
            self._waiting = []
        elif is_study(folder):
            self._session.open_study(folder)
            self._add_waiting(folder)
        else:
            self._ask_structures(folder)

    def open_demo(self) -> None:
        """Open the demo study; the session makes it the first time."""
        self._session.open_demo(demo_folder())

    def choose_scans(self) -> None:
        """Ask for scan files and add them."""
        files = ask_scans(self.parent())
        if files:
            self._session.add_scans(files)

    def choose_scan_folder(self) -> None:
        """Ask for a folder and add the scans in it."""
        folder = ask_folder(self.parent(), "Folder of scans or DICOM")
        if folder is not None:
            self._session.add_scans([folder])

    def choose_labelled_folder(self) -> None:
        """Ask for a folder of scans and one of labels, and add both."""
        scans = ask_folder(self.parent(), "Folder of scans")
        if scans is None:
            return
        labels = ask_folder(self.parent(), "Folder of their labels, with the same file names")
        if labels is not None:
            self._session.add_scans([scans], labels)

    def choose_export_folder(self) -> None:
        """Ask for a folder and export to it."""
        folder = ask_folder(self.parent(), "Folder for the masks")
        if folder is not None:
            self._session.export(folder)

    def take(self, paths: Sequence[Path]) -> None:
        """Open a dropped study; add dropped scans to the open study, or begin a new one with them."""
        studies = [path for path in paths if path.is_dir() and is_study(path)]
        if studies:
            self._session.open_study(studies[0])
        elif paths:
            self._waiting = list(paths)
            study = self._session.study
            self.choose_study() if study is None else self._add_waiting(study.path)

    def _ask_structures(self, folder: Path) -> None:
        self._folder = folder
        dialog = StructuresDialog(self.parent(), folder)
        dialog.structures_named.connect(self._create)
        dialog.rejected.connect(self._forget_waiting)
        dialog.open()

    def _create(self, names: list[str]) -> None:
        colours = DEFAULT_COLORS
        structures = [
            Structure(value=value, name=name, color=colours[(value - 1) % len(colours)])
            for value, name in enumerate(names, start=1)
        ]
        self._session.new_study(self._folder, structures)
        self._add_waiting(self._folder)

    def _forget_waiting(self) -> None:
        self._waiting = []

    def _add_waiting(self, folder: Path) -> None:
        """Add what was dropped to the study in ``folder``, and to no other."""
        waiting, self._waiting = self._waiting, []
        study = self._session.study
        if waiting and study is not None and study.path.resolve() == folder.resolve():
            self._session.add_scans(waiting)
