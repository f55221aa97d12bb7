"""The case list as the person works through it: opening, going on, coming back, notes and marks."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_dycon.plugin.background import jobs, removals
from napari_dycon.plugin.background.known_by import KnownBy
from napari_dycon.plugin.background.lookout import Lookout
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.background.throttle import Paced
from napari_dycon.plugin.controllers.case_rows import CaseRow, case_rows, next_case
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.labels import Labels
from napari_dycon.plugin.controllers.logbook import Logbook
from napari_dycon.plugin.controllers.question import CANCEL
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.controllers.views import Views
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.study.store.removing import RemovedCase
from napari_dycon.study.study import Study

if TYPE_CHECKING:
    from napari_dycon.guidance.suggestions import Suggestion

logger = logging.getLogger(__name__)


class Cases:
    """What the person wants of the list of cases.

    Signals: ``changed`` follows the rows; ``leaving`` comes before a case is shown, ``opened`` after it, with
    its id; ``closing`` comes before the open case is given up; ``gone`` carries the ids of removed cases.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Says what came of it.
    desk
        Takes the case that is opened.
    presenter, views
        Show it, and go to a place in it.
    structures, labels
        What is painted, and whether it is saved.
    loads, tasks
        Work in the background.

    Attributes
    ----------
    wanted
        Id of the case that was asked for last; it may be on its way.
    """

    changed = Signal()
    opened = Signal(str)
    leaving = Signal()
    closing = Signal()
    gone = Signal(object)

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        presenter: Presenter,
        views: Views,
        structures: Structures,
        labels: Labels,
        loads: JobQueue,
        tasks: Tasks,
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._presenter, self._views, self._structures = presenter, views, structures
        self._labels, self._loads, self._tasks = labels, loads, tasks
        self.wanted: str | None = None
        self._order: list[str] = []
        self._trail: list[str] = []
        self._back = False
        self._visit: Suggestion | None = None
        self._set_aside: OpenCase | None = None
        self.change_soon = Paced(self.changed.emit)
        self._known = KnownBy(self.change_soon)
        self._lookout = Lookout(self.change_soon, self._tell_lost)
        self.logbook = Logbook(presenter, lambda: structures.active_value, self.change_soon, self._on_unkept)
        desk.written.connect(self.change_soon)
        desk.written.connect(self._count_again)
        structures.edited.connect(self.changed)
        structures.rewriting.connect(self._give_up)
        structures.rewritten.connect(self._take_back)

    # ---- the list ----------------------------------------------------------------------------

    @property
    def case_id(self) -> str | None:
        """Id of the case in the viewer, or None."""
        return self._desk.case_id

    @property
    def has_prediction(self) -> bool:
        """Whether the open case has a prediction."""
        return self._desk.has_prediction

    def rows(self) -> list[CaseRow]:
        """Return the rows of the case table."""
        study, active = self._current.study, self._structures.active
        if study is None:
            return []
        name = None if active is None else active.name
        return case_rows(study, name, self.case_id, self._known.summaries, self._lookout.refused)

    def set_order(self, case_ids: Sequence[str]) -> None:
        """Take note of which cases the list shows, and in which order."""
        self._order = list(case_ids)

    @intention
    def set_note(self, case_id: str, text: str) -> None:
        """Write a note on a case; an empty one removes it."""
        self._current.writable().notebook.write(case_id, note=" ".join(text.split()))
        self._marked()

    @intention
    def flag(self, case_ids: Sequence[str], flagged: bool) -> None:
        """Mark cases to be found again, or take the mark away."""
        for case_id in case_ids:
            self._current.writable().notebook.write(case_id, flagged=flagged)
        self._marked()

    @intention
    def review(self, case_ids: Sequence[str], to_review: bool) -> None:
        """Say that somebody should review cases, or that it is done."""
        for case_id in case_ids:
            self._current.writable().notebook.write(case_id, to_review=to_review)
        self._marked()

    def look_again(self) -> None:
        """Count what is known of all cases, and look where their scans are."""
        self._known.look()
        self.look_for_scans()

    def look_for_scans(self) -> None:
        """Look where the scans are."""
        self._lookout.look()

    # ---- opening -----------------------------------------------------------------------------

    @intention
    def open(self, case_id: str) -> None:
        """Show a case; it is read in the background and announced by ``opened``."""
        study = self._current.needed()
        self.wanted = case_id
        if self._tasks.state.kind == "restructuring":
            return  # it is opened when that is done
        if self._desk.case is not None and case_id == self.case_id:
            self._show(self._desk.case)
        else:
            self._load(study, case_id)

    @intention
    def open_next(self) -> None:
        """Save, and open the next case of the list as it is sorted and filtered that is not complete."""
        self._current.needed()
        case_id = next_case(self.rows(), self._order, self.case_id)
        if case_id is None:
            self._dialogue.say("info", "There is no other case left to label.")
        else:
            self.open(case_id)

    @intention
    def open_previous(self) -> None:
        """Save, and open the case again that was open before."""
        known = {case.id for case in self._current.needed().cases}
        while self._trail:
            case_id = self._trail.pop()
            if case_id in known and case_id != self.case_id:
                self._back = True
                self.open(case_id)
                return
        self._dialogue.say("info", "No other case was open before this one.")

    def visit(self, place: "Suggestion") -> None:
        """Open the case of ``place``, if need be, and show its slice."""
        self._visit = place
        self.open(place.case)

    def _load(self, study: Study, case_id: str) -> None:
        self._loads.put("case", jobs.loading(study, case_id, self._desk.flush), self._on_loaded)

    def _on_loaded(self, case: OpenCase) -> None:
        if case.case_id == self.wanted:
            # Asked for twice: what was painted in between is not on disk yet.
            again = self._desk.case if case.case_id == self.case_id else None
            self._show(again or case)

    def _show(self, case: OpenCase) -> None:
        before = self.case_id
        if before != case.case_id:
            self._dialogue.answer(CANCEL)
            self.logbook.leave()
            if before is not None and not self._back:
                self._trail.append(before)
        self._back = False
        self.leaving.emit()
        self._desk.show(case, self._structures.all, self._structures.active_value)
        visit, self._visit = self._visit, None
        visits = visit is not None and visit.case == case.case_id
        self.logbook.enter(case, return_to_place=not visits)
        if visit is not None and visits:
            self._presenter.slices.go_to(visit)
            self._views.follow_viewer()
        self.opened.emit(case.case_id)
        self.changed.emit()

    # ---- removing ----------------------------------------------------------------------------

    @intention
    def remove(self, case_ids: Sequence[str]) -> None:
        """Take cases out of the study; all that is known about them is kept in its folder."""
        study = self._current.at_rest()
        if self.wanted in case_ids:
            self.wanted = None  # it may be on its way
        if self.case_id in case_ids:
            self._retire()
        source = removals.removal(study, list(case_ids), self._desk.flush)
        self._loads.put("remove", source, self._on_removed)

    @intention
    def restore(self, folder: str) -> None:
        """Put a removed case back as it was, and open it."""
        source = removals.return_of(self._current.writable(), folder)
        self._loads.put("restore", source, self._on_restored)

    def removed(self) -> list[RemovedCase]:
        """Return the cases that can be put back, the latest first."""
        study = self._current.study
        return [] if study is None or study.read_only else study.removed_cases()

    def _on_removed(self, event: removals.CasesRemoved) -> None:
        gone = [case.id for case in event.cases]
        following = next_case(self.rows(), self._order, self.case_id)
        self.gone.emit(gone)
        if self.case_id in gone:
            self._desk.put_away()
            self._open_instead(following)
        elif self._desk.case is not None:
            self._show(self._desk.case)
        self.changed.emit()
        if gone:
            what = event.cases[0].name if len(gone) == 1 else f"{len(gone)} cases"
            self._dialogue.say("info", f"{what} removed. Right-click the list to put it back.")
        if event.problem:
            self._dialogue.say("error", event.problem)

    def _on_restored(self, event: removals.CaseRestored) -> None:
        self._known.look([event.case_id])
        self.changed.emit()
        self._dialogue.say("info", f"{event.name} is back.")
        self.open(event.case_id)

    def _open_instead(self, case_id: str | None) -> None:
        rest = [case.id for case in self._current.needed().cases]
        self.wanted = None
        if case_id is not None and case_id in rest:
            self.open(case_id)
        elif rest:
            self.open(rest[0])

    # ---- around the study --------------------------------------------------------------------

    def open_study(self, study: Study) -> None:
        """Begin where the work on ``study`` was left."""
        self._trail, self._back = [], False
        self.logbook.open_study(study)
        self._known.open_study(study)
        self._lookout.open_study(study)

    def open_last(self, study: Study) -> None:
        """Open the case of ``study`` that was open last."""
        ids = [case.id for case in study.cases]
        if ids:
            self.open(study.notebook.last_case if study.notebook.last_case in ids else ids[0])

    def close(self) -> None:
        """Let go of the study."""
        self.logbook.close()
        self._known.close()
        self._lookout.close()
        self.wanted, self._visit = None, None

    def _retire(self) -> None:
        """Let nothing be painted from now on."""
        self.logbook.leave()
        self.closing.emit()
        self._presenter.retire()

    def _give_up(self) -> None:
        """Set the open case aside while structures change in every annotation."""
        self._retire()
        self._set_aside = self._desk.hand_over()
        if self._set_aside is not None:
            self.wanted = self._set_aside.case_id

    def _take_back(self, begun: bool) -> None:
        """Show the case that was set aside, or what has become of it on disk."""
        kept, self._set_aside = self._set_aside, None
        self._known.look()
        if kept is not None and not begun and kept.case_id == self.wanted:
            self._show(kept)
        elif self.wanted is not None:
            self._load(self._current.needed(), self.wanted)

    def _count_again(self) -> None:
        """After something was saved: that can only be the open case, or the one before."""
        self._known.look([*filter(None, (self.case_id, *self._trail[-1:]))])

    def _marked(self) -> None:
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
