"""What can be done with the selected cases, and with those that were removed, as a menu."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QWidget

from napari_dycon.plugin.actions import BY_ID, Situation, so_many_cases
from napari_dycon.plugin.controllers.case_rows import CaseRow
from napari_dycon.plugin.widgets.action_menu import ActionMenu, Choice, ChoiceMenu, open_at
from napari_dycon.plugin.widgets.dialogs import confirm_removal
from napari_dycon.plugin.widgets.patientdialog import PatientDialog
from napari_dycon.study.store.removing import RemovedCase

MOST_REMOVED_SHOWN = 12
OF_SELECTION = (
    "open_selected",
    "versions_selected",
    "predict_selected",
    "to_review",
    "reviewed",
    "flag",
    "unflag",
    "set_patient",
    "remove_case",
    "restore_case",
)
"""What it does; looking for moved scans is about all of them."""


class CaseMenu(QObject):
    """Asks for what is chosen in it.

    Parameters
    ----------
    parent
        The widget that menu and questions belong to.
    selected
        Returns the rows of the selected cases.

    Attributes
    ----------
    removed_cases
        Returns the cases that can be put back.
    patients
        Returns whose each case is.
    """

    open_requested = Signal(str)
    versions_requested = Signal(str)
    predict_requested = Signal(list)
    review_requested = Signal(list, bool)
    flag_requested = Signal(list, bool)
    patient_requested = Signal(list, str)
    remove_requested = Signal(list)
    restore_requested = Signal(str)
    search_requested = Signal()

    def __init__(self, parent: QWidget, selected: Callable[[], list[CaseRow]]) -> None:
        super().__init__(parent)
        self._selected = selected
        self._now, self._scheme = Situation(), ""
        self._removed = ChoiceMenu(parent)
        self._removed.chosen.connect(lambda folder: self.restore_requested.emit(folder))
        self.removed_cases: Callable[[], Sequence[RemovedCase]] = tuple
        self.patients: Callable[[], Mapping[str, str]] = dict

    def show_situation(self, now: Situation, scheme: str) -> None:
        """Offer what is possible ``now``, with the keys of ``scheme``."""
        self._now, self._scheme = now, scheme

    def look(self, now: Situation) -> Situation:
        """Return the situation with how many cases are selected, and whether any can be put back."""
        return replace(now, selected=len(self._selected()), removed=bool(self.removed_cases()))

    def make(self) -> ActionMenu:
        """Return a new menu; empty where there is nothing to do."""
        menu, rows, now = ActionMenu(self.parent()), self._selected(), self.look(self._now)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        about = so_many_cases(len(rows))
        for name in _entries(rows) if rows else ():
            menu.offer(name, about)
        if now.removed:
            self._list_removed()
            menu.offer_menu("restore_case", self._removed)
        menu.show_situation(now, self._scheme)
        menu.asked.connect(self.perform)
        return menu

    def perform(self, name: str) -> None:
        """Do the action of this id with the selected cases."""
        cases = [row.id for row in self._selected()]
        match name:
            case "open_selected":
                self.open_requested.emit(cases[0])
            case "versions_selected":
                self.versions_requested.emit(cases[0])
            case "predict_selected":
                self.predict_requested.emit(cases)
            case "to_review" | "reviewed":
                self.review_requested.emit(cases, name == "to_review")
            case "flag" | "unflag":
                self.flag_requested.emit(cases, name == "flag")
            case "set_patient":
                self.ask_patient()
            case "remove_case":
                self.ask_removal()
            case "find_scans":
                self.search_requested.emit()
            case "restore_case":
                self._list_removed()
                open_at(self._removed, self.parent())

    def ask_patient(self) -> None:
        """Ask whose scans the selected cases are."""
        rows, patients = self._selected(), self.patients()
        if rows and not BY_ID["set_patient"].why_not(self.look(self._now)):
            cases = {row.id: row.name for row in rows}
            take = lambda patient: self.patient_requested.emit([*cases], patient)  # noqa: E731
            PatientDialog(self.parent(), cases, patients, take).open()

    def ask_removal(self) -> None:
        """Ask whether the selected cases shall leave the study."""
        rows = self._selected()
        if not BY_ID["remove_case"].why_not(self.look(self._now)):
            cases = [row.id for row in rows]
            names = [row.name for row in rows]
            confirm_removal(self.parent(), names, lambda: self.remove_requested.emit(cases))

    def _list_removed(self) -> None:
        removed = list(self.removed_cases())[:MOST_REMOVED_SHOWN]
        self._removed.set_choices(
            [Choice(one.folder, one.name, f"Removed {_moment(one.removed)} UTC") for one in removed]
        )


def _entries(rows: Sequence[CaseRow]) -> Iterator[str]:
    """Yield ids of actions; empty for a line."""
    if len(rows) == 1:
        yield from ("open_selected", "versions_selected")
    yield from ("predict_selected", "")
    yield "reviewed" if all(row.to_review for row in rows) else "to_review"
    yield "unflag" if all(row.flagged for row in rows) else "flag"
    yield from ("set_patient", "", "remove_case")
    if any(row.lost for row in rows):
        yield "find_scans"


def _moment(text: str) -> str:
    return text.replace("T", " ").split("+")[0]
