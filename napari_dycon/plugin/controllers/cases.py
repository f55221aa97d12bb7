"""Working through the cases: opening, going on, coming back, removing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_dycon.plugin.background import jobs, removals
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.controllers.case_list import CaseList
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.labels import Labels
from napari_dycon.plugin.controllers.question import CANCEL
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.controllers.views import Views
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.study.study import Study

if TYPE_CHECKING:
    from napari_dycon.guidance.suggestions import Suggestion


class Cases:
    """Which case is open, and which comes next.

    Signals: ``leaving`` comes before a case is shown, ``opened`` after it, with
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
    list
        The rows, notes and marks of all cases.
    wanted
        Id of the case that was asked for last; it may be on its way.
    """

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
        self._loads, self._tasks = loads, tasks
        self.wanted: str | None = None
        self._trail: list[str] = []
        self._back = False
        self._visit: Suggestion | None = None
        self._set_aside: OpenCase | None = None
        self.list = CaseList(current, dialogue, desk, presenter, structures, labels)
        desk.saving.written.connect(self._count_again)
        structures.rewriting.connect(self._give_up)
        structures.rewritten.connect(self._take_back)

    @property
    def case_id(self) -> str | None:
        """Id of the case in the viewer, or None."""
        return self._desk.case_id

    @property
    def has_prediction(self) -> bool:
        """Whether the open case has a prediction."""
        return self._desk.has_prediction

    # ---- opening -----------------------------------------------------------------------------

    @intention
    def open(self, case_id: str) -> None:
        """Show a case; it is read in the background and announced by ``opened``."""
        study = self._current.require()
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
        self._current.require()
        case_id = self.list.after(self.case_id)
        if case_id is None:
            self._dialogue.say("info", "There is no other case left to label.")
        else:
            self.open(case_id)

    @intention
    def open_previous(self) -> None:
        """Save, and open the case again that was open before."""
        known = {case.id for case in self._current.require().cases}
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
        self._loads.put("case", jobs.load_case(study, case_id, self._desk.saving.flush), self._on_loaded)

    def _on_loaded(self, case: OpenCase) -> None:
        if case.case_id == self.wanted:
            # Asked for twice: what was painted in between is not on disk yet.
            again = self._desk.case if case.case_id == self.case_id else None
            self._show(again or case)

    def _show(self, case: OpenCase) -> None:
        before = self.case_id
        if before != case.case_id:
            self._dialogue.answer(CANCEL)
            self.list.logbook.leave()
            if before is not None and not self._back:
                self._trail.append(before)
        self._back = False
        self.leaving.emit()
        self._desk.show(case, self._structures.all, self._structures.active_value)
        visit, self._visit = self._visit, None
        visits = visit is not None and visit.case == case.case_id
        self.list.logbook.enter(case, return_to_place=not visits)
        if visit is not None and visits:
            self._presenter.slices.go_to(visit)
            self._views.follow_viewer()
        self.opened.emit(case.case_id)
        self.list.changed.emit()

    # ---- removing ----------------------------------------------------------------------------

    @intention
    def remove(self, case_ids: Sequence[str]) -> None:
        """Take cases out of the study; all that is known about them is kept in its folder."""
        study = self._current.at_rest()
        if self.wanted in case_ids:
            self.wanted = None  # it may be on its way
        if self.case_id in case_ids:
            self._retire()
        source = removals.removal(study, list(case_ids), self._desk.saving.flush)
        self._loads.put("remove", source, self._on_removed)

    @intention
    def restore(self, folder: str) -> None:
        """Put a removed case back as it was, and open it."""
        source = removals.return_of(self._current.writable(), folder)
        self._loads.put("restore", source, self._on_restored)

    def _on_removed(self, event: removals.CasesRemoved) -> None:
        gone = [case.id for case in event.cases]
        following = self.list.after(self.case_id)
        self.gone.emit(gone)
        if self.case_id in gone:
            self._desk.put_away()
            self._open_instead(following)
        elif self._desk.case is not None:
            self._show(self._desk.case)
        self.list.changed.emit()
        if gone:
            what = event.cases[0].name if len(gone) == 1 else f"{len(gone)} cases"
            self._dialogue.say("info", f"{what} removed. Right-click the list to put it back.")
        if event.problem:
            self._dialogue.say("error", event.problem)

    def _on_restored(self, event: removals.CaseRestored) -> None:
        self.list.count([event.case_id])
        self.list.changed.emit()
        self._dialogue.say("info", f"{event.name} is back.")
        self.open(event.case_id)

    def _open_instead(self, case_id: str | None) -> None:
        rest = [case.id for case in self._current.require().cases]
        self.wanted = None
        if case_id is not None and case_id in rest:
            self.open(case_id)
        elif rest:
            self.open(rest[0])

    # ---- around the study --------------------------------------------------------------------

    def open_study(self, study: Study) -> None:
        """Begin where the work on ``study`` was left."""
        self._trail, self._back = [], False
        self.list.open_study(study)

    def open_last(self, study: Study) -> None:
        """Open the case of ``study`` that was open last."""
        ids = [case.id for case in study.cases]
        if ids:
            self.open(study.notebook.last_case if study.notebook.last_case in ids else ids[0])

    def close(self) -> None:
        """Let go of the study."""
        self.list.close()
        self.wanted, self._visit = None, None

    def _retire(self) -> None:
        """Let nothing be painted from now on."""
        self.list.logbook.leave()
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
        self.list.count()
        if kept is not None and not begun and kept.case_id == self.wanted:
            self._show(kept)
        elif self.wanted is not None:
            self._load(self._current.require(), self.wanted)

    def _count_again(self) -> None:
        """After something was saved: that can only be the open case, or the one before."""
        self.list.count([*filter(None, (self.case_id, *self._trail[-1:]))])
