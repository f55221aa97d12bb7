"""The ways in and out of a study: asks for folders and files, then tells the session."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QWidget

from napari_dycon.plugin.background.jobs import ScansListed
from napari_dycon.plugin.controllers.folder_choice import Beginning, begin_at
from napari_dycon.plugin.controllers.report import Report
from napari_dycon.plugin.widgets import window_memory
from napari_dycon.plugin.widgets.dialogs import StructuresDialog, ask_folder, ask_name, ask_scans, demo_folder
from napari_dycon.plugin.widgets.exportdialog import ExportDialog
from napari_dycon.plugin.widgets.framesdialog import FramesDialog
from napari_dycon.plugin.widgets.modelbench import ModelBench
from napari_dycon.plugin.widgets.reports import PairsDialog, ReportDialog
from napari_dycon.plugin.widgets.seriesdialog import SeriesDialog
from napari_dycon.plugin.widgets.theme import Theme
from napari_dycon.plugin.widgets.valuesdialog import ValuesDialog
from napari_dycon.study.exchange.label_values import Foreign
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.store.studyfile import STUDY_FILE, is_study

READER_QUESTION = "Name or initials, kept with every version of the labels that you draw:"
SECOND_QUESTION = (
    "Name or initials of the reader who draws on the same scans without seeing any labels. Their own study "
    "opens now; it lies inside this one:"
)

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
        self._theme = Theme.of_name("dark")
        self.models = ModelBench(window, session)
        session.study_changed.connect(self._remember)

    def set_theme(self, theme: Theme) -> None:
        """Use the colours of ``theme``."""
        self._theme = theme

    def choose_study(self) -> None:
        """Ask for a folder; open the study in it, or make one for the scans in it."""
        folder = ask_folder(self.parent(), "Folder of a study, or of your scans")
        if folder is not None:
            self._begin(begin_at(folder))

    def open_recent(self, folder: str) -> None:
        """Open a study that was open before."""
        self._session.open_study(Path(folder))

    def open_demo(self) -> None:
        """Open the demo study; the session makes it the first time."""
        self._session.open_demo(demo_folder())

    def choose_scans(self) -> None:
        """Ask for scan files and add them."""
        files = ask_scans(self.parent())
        if files:
            self._session.exchange.add_scans(files)

    def choose_scan_folder(self) -> None:
        """Ask for a folder and add the scans in it."""
        folder = ask_folder(self.parent(), "Folder of scans or DICOM")
        if folder is not None:
            self._session.exchange.add_scans([folder])

    def choose_labelled_folder(self) -> None:
        """Ask for a folder of scans and one of labels, and add both."""
        scans = ask_folder(self.parent(), "Folder of scans")
        if scans is None:
            return
        labels = ask_folder(self.parent(), "Folder of their labels, with the same file names")
        if labels is not None:
            self._session.exchange.add_scans([scans], labels)

    def choose_search_folder(self) -> None:
        """Ask where scans are that were moved, and look for them there."""
        folder = ask_folder(self.parent(), "Folder in which the moved scans are now")
        if folder is not None:
            self._session.exchange.find_scans(folder)

    def choose_export_folder(self) -> None:
        """Ask for a folder and export to it."""
        folder = ask_folder(self.parent(), "Folder for the masks")
        if folder is not None:
            self._session.exchange.export(folder)

    def choose_report_folder(self) -> None:
        """Ask for a folder and write the methods sheet to it."""
        folder = ask_folder(self.parent(), "Folder for the methods sheet")
        if folder is not None:
            self._session.exchange.report(folder)

    def choose_export_settings(self) -> None:
        """Ask how to export, then for a folder."""
        ExportDialog(self.parent(), self._theme, self._export_with).open()

    def _export_with(self, settings: Mapping[str, Any]) -> None:
        folder = ask_folder(self.parent(), "Folder for the masks")
        if folder is not None:
            self._session.exchange.export(folder, settings)

    def ask_reader(self) -> None:
        """Ask who draws."""
        readers = self._session.exchange.readers
        name = ask_name(self.parent(), "Who draws", READER_QUESTION, readers.name)
        if name is not None:
            readers.call(name)

    def invite_reader(self) -> None:
        """Ask for the name of a further reader, and open their own study of the same scans."""
        name = ask_name(self.parent(), "Second reader", SECOND_QUESTION, "")
        if name:
            self._session.exchange.readers.invite(name, self._session.open_study)

    def show_report(self, report: Report) -> None:
        """Show what became of each file, beside the window and in nobody's way."""
        ReportDialog(self.parent(), report).show()

    def ask_pairs(self, candidates: Mapping[Path, Sequence[Path]]) -> None:
        """Ask which label map belongs to which scan."""
        PairsDialog(self.parent(), candidates, self._session.exchange.add_labels).show()

    def ask_values(self, foreign: Sequence[tuple[str, Foreign]]) -> None:
        """Ask what the values of masks mean that are no structure of the study."""
        exchange = self._session.exchange
        take = partial(exchange.explain_labels, foreign)
        values = [one for _, one in foreign]
        dialog = ValuesDialog(self.parent(), values, self._session.structures.all, take)
        dialog.rejected.connect(partial(exchange.leave_labels, len(foreign)))
        dialog.open()

    def ask_which(self, listed: ScansListed) -> None:
        """Ask what the volumes of 4D files are, then which of the scans that were found shall be added."""
        exchange = self._session.exchange
        if listed.volumes and listed.frames is None:
            take = lambda frames: exchange.add_listed(listed.with_volumes(frames))  # noqa: E731
            FramesDialog(self.parent(), listed.volumes, take).open()
            return
        add = partial(exchange.add_chosen, listed.paths, frames=listed.frames)
        SeriesDialog(self.parent(), listed.found, add, listed.together).open()

    def take(self, paths: Sequence[Path]) -> None:
        """Open a dropped study; add dropped scans to the open study, or begin a new one with them."""
        studies = [path for path in paths if is_study(path) or path.name == STUDY_FILE]
        if studies:
            self._begin(begin_at(studies[0]))
        elif paths and self._session.study is not None:
            self._session.exchange.add_scans(list(paths))
        elif paths:
            self._begin(begin_at(paths[0], [path for path in paths if path.is_file() or len(paths) > 1]))

    def _begin(self, beginning: Beginning) -> None:
        if beginning.exists:
            self._session.open_study(beginning.study)
            self._add(beginning)
        else:
            StructuresDialog(self.parent(), beginning, self._create).open()

    def _create(self, beginning: Beginning, structures: list[Structure]) -> None:
        if beginning.exists:
            self._begin(beginning)
            return
        self._session.new_study(beginning.study, structures)
        self._add(beginning)

    def _add(self, beginning: Beginning) -> None:
        """Add the scans to the study they are meant for, and to no other."""
        study = self._session.study
        if beginning.scans and study is not None and study.path.resolve() == beginning.study.resolve():
            self._session.exchange.add_scans(list(beginning.scans))

    def _remember(self) -> None:
        if self._session.study is not None:
            window_memory.remember_study(self._session.study.path)
