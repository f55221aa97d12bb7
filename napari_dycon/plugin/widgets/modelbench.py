"""Binds what is asked about models of elsewhere to the session."""

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_dycon.plugin.widgets.dialogs import ask_folder, ask_name
from napari_dycon.plugin.widgets.modeldialog import ModelDialog

if TYPE_CHECKING:
    from napari_dycon.plugin.session import Session

KEEP_QUESTION = (
    "A copy of this model stays on this computer, and any study can start from it. It names no case and no "
    "patient. Call it:"
)


class ModelBench(QObject):
    """Lets a person choose a model to start from, keep one and export one.

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
        self._library = session.training.models.library
        self._dialog: ModelDialog | None = None
        self._library.changed.connect(self._show)

    def open(self) -> None:
        """Ask which model to start from."""
        dialog = self._dialog = ModelDialog(self.parent())
        for signal, slot in (
            (dialog.consider_requested, self._library.consider),
            (dialog.take_requested, self._library.take),
            (dialog.forget_requested, self._library.forget),
            (dialog.rejected, self._library.leave),
        ):
            signal.connect(slot)
        self._library.look()
        dialog.open()

    def ask_to_keep(self) -> None:
        """Ask what the active model shall be called among those that are kept."""
        study = self._session.study
        if study is not None:
            name = ask_name(self.parent(), "Keep this model", KEEP_QUESTION, study.record.name)
            if name:
                self._library.keep(name)

    def choose_export_folder(self) -> None:
        """Ask for an empty folder and write the model into it."""
        folder = ask_folder(self.parent(), "Empty folder for the model")
        if folder is not None:
            self._library.export(folder)

    def _show(self) -> None:
        if isalive(self) and self._dialog is not None and isalive(self._dialog):
            self._dialog.show_kept(self._library.kept)
            self._dialog.show_candidate(self._library.candidate, self._library.sought)
