"""The list of cases as the person sees it: its rows, its order, notes and marks."""

import logging
from collections.abc import Mapping, Sequence

from psygnal import Signal

from napari_dycon.guidance.quality import Checks
from napari_dycon.plugin.background.checked import CheckedBy
from napari_dycon.plugin.background.known_by import KnownBy
from napari_dycon.plugin.background.lookout import Lookout
from napari_dycon.plugin.background.throttle import Pacer
from napari_dycon.plugin.controllers.case_rows import CaseRow, case_rows, next_case
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.labels import Labels
from napari_dycon.plugin.controllers.logbook import Logbook
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.study.store.patients import set_patient
from napari_dycon.study.store.removing import RemovedCase
from napari_dycon.study.study import Study

logger = logging.getLogger(__name__)
MOST_NAMED = 3
"""So many patients are named in a sentence."""


class CaseList:
    """What is known about every case, open or not.

    Signals: ``changed`` follows the rows.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Says what is wrong with scans and notes.
    desk
        Has the open case.
    presenter
        Shows it.
    structures, labels
        What is painted, and whether it is saved.

    Attributes
    ----------
    change_soon
        Announces `changed`, of many calls at once only some.
    logbook
        Keeps notes, times and the last places.
    """

    changed = Signal()

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        presenter: Presenter,
        structures: Structures,
        labels: Labels,
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._structures, self._labels = structures, labels
        self._order: list[str] = []
        self.change_soon = Pacer(self.changed.emit)
        self._known = KnownBy(self.change_soon)
        self._checked = CheckedBy(self.change_soon)
        self._lookout = Lookout(self.change_soon, self._tell_lost)
        self._watches = (self._known, self._checked, self._lookout)
        self.logbook = Logbook(presenter, lambda: structures.active_value, self.change_soon, self._on_unkept)
        desk.saving.written.connect(self.change_soon)
        structures.edited.connect(self.changed)

    def open_study(self, study: Study) -> None:
        """Look at the cases of ``study`` from now on."""
        self.logbook.open_study(study)
        for watch in self._watches:
            watch.open_study(study)

    def close(self) -> None:
        """Let go of the study."""
        self.logbook.close()
        for watch in self._watches:
            watch.close()

    def rows(self) -> list[CaseRow]:
        """Return the rows of the case table."""
        study, active = self._current.study, self._structures.active
        if study is None:
            return []
        name = None if active is None else active.name
        return case_rows(
            study,
            name,
            self._desk.case_id,
            self._known.summaries,
            self._lookout.refused,
            self._checked.checks,
        )

    @property
    def checks(self) -> Checks:
        """What completed cases say about the active run, as far as it is known."""
        return self._checked.checks

    def set_order(self, case_ids: Sequence[str]) -> None:
        """Take note of which cases the list shows, and in which order."""
        self._order = list(case_ids)

    @intention
    def set_note(self, case_id: str, text: str) -> None:
        """Write a note on a case; an empty one removes it."""
        self._current.writable().notebook.write(case_id, note=" ".join(text.split()))
        self._tell_mark()

    @intention
    def flag(self, case_ids: Sequence[str], flagged: bool) -> None:
        """Mark cases to be found again, or take the mark away."""
        for case_id in case_ids:
            self._current.writable().notebook.write(case_id, flagged=flagged)
        self._tell_mark()

    @intention
    def review(self, case_ids: Sequence[str], to_review: bool) -> None:
        """Say that somebody should review cases, or that it is done."""
        for case_id in case_ids:
            self._current.writable().notebook.write(case_id, to_review=to_review)
        self._tell_mark()

    @intention
    def set_patient(self, case_ids: Sequence[str], patient: str) -> None:
        """Say that cases are scans of one patient; of none in particular, that each has its own."""
        study = self._current.writable()
        before = set_patient(study, case_ids, patient)
        now = {case.id: case.patient for case in study.cases if case.id in before}
        names = [case.name for case in study.cases if case.id in before]
        self._dialogue.say("info", patients_in_words(names, before, now))
        self.changed.emit()

    def patients(self) -> dict[str, str]:
        """Return whose each case is, by its id."""
        study = self._current.study
        return {} if study is None else {case.id: case.patient for case in study.cases}

    def removed_cases(self) -> list[RemovedCase]:
        """Return the cases that can be put back, the latest first."""
        study = self._current.study
        return [] if study is None or study.read_only else study.removed_cases()

    def after(self, case_id: str | None) -> str | None:
        """Return the case to go on with as the list is sorted and filtered; None when there is none."""
        return next_case(self.rows(), self._order, case_id)

    def count(self, cases: Sequence[str] | None = None) -> None:
        """Count what is known of all cases, or of some, and check predictions against it."""
        if cases is None:
            self._known.look()
        else:
            self._known.look_at(cases)
        self._checked.look()

    def check(self) -> None:
        """Check predictions against completed cases, after others were made."""
        self._checked.look()

    def look_again(self) -> None:
        """Count what is known of all cases, and look where their scans are."""
        self.count()
        self.look_for_scans()

    def look_for_scans(self) -> None:
        """Look where the scans are."""
        self._lookout.look()

    def _tell_mark(self) -> None:
        self.logbook.save_soon()
        self.changed.emit()

    def _on_unkept(self, sentence: str, details: str) -> None:
        """Notes and times are not saved: worth a word, unless the same is true of the labels."""
        logger.warning("%s", details)
        if self._labels.saved[1]:
            self._dialogue.say("warning", sentence)

    def _tell_lost(self, lost: int, total: int) -> None:
        """Say that scans are missing, and what to do."""
        are, were = ("is", "was") if lost == 1 else ("are", "were")
        self._dialogue.say(
            "warning",
            f"{lost} of {total} scans {are} not where the study looks, or {were} replaced; each is marked in "
            "the list. If they were moved, choose Add scans, Find moved scans….",
        )


def patients_in_words(names: Sequence[str], before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what was changed about whose cases are, and what it was, for whoever wants it back."""
    if not before:
        return "Nothing was changed: that is whose they were."
    one = len(names) == 1
    change = f"{names[0]} is" if one else f"{len(names)} cases are"
    former = "it was" if one else "they were"
    held = "Scans of one patient are held out of training together, from the next one on."
    return f"{change} now {_whose(now)}; {former} {_whose(before)}. {held}"


def _whose(patients: Mapping[str, str]) -> str:
    """Return whose cases are, given by their ids."""
    named = sorted({patient for case, patient in patients.items() if patient != case})
    told = [f"of patient {patient}" for patient in named[:MOST_NAMED]]
    told += ["of others"] * (len(named) > MOST_NAMED)
    if len(named) < len(patients) and any(case == patient for case, patient in patients.items()):
        told.append("a patient of its own" if len(patients) == 1 else "patients of their own")
    return " and ".join(filter(None, (", ".join(told[:-1]), told[-1])))
