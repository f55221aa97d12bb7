"""The case list as the person works through it: opening, going on, coming back, notes and marks."""

from collections.abc import Sequence

from napari_dycon.errors import StudyError
from napari_dycon.plugin.background import jobs, removals
from napari_dycon.plugin.background.tasks import NAMES
from napari_dycon.plugin.controllers.case_rows import next_case
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.logbook import Logbook
from napari_dycon.plugin.controllers.question import CANCEL
from napari_dycon.plugin.controllers.state import SessionState
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.study.store.removing import RemovedCase
from napari_dycon.study.study import Study


class CaseIntentions(SessionState):
    """What the person wants of the list of cases."""

    _log: Logbook

    @intention
    def open_case(self, case_id: str) -> None:
        """Show a case; it is read in the background and announced by ``case_opened``."""
        study = self._needed()
        self._wanted = case_id
        if self.task.kind == "restructuring":
            return  # it is opened when that is done
        if self._desk.case is not None and case_id == self.case_id:
            self._show(self._desk.case)
        else:
            self._loads.put("case", jobs.loading(study, case_id, self._desk.flush))

    @intention
    def open_next(self) -> None:
        """Save, and open the next case of the list as it is sorted and filtered that is not complete."""
        self._needed()
        case_id = next_case(self.case_rows(), self._order, self.case_id)
        if case_id is None:
            self.say("info", "There is no other case left to label.")
        else:
            self.open_case(case_id)

    @intention
    def open_previous(self) -> None:
        """Save, and open the case again that was open before."""
        known = {case.id for case in self._needed().cases}
        while self._trail:
            case_id = self._trail.pop()
            if case_id in known and case_id != self.case_id:
                self._back = True
                self.open_case(case_id)
                return
        self.say("info", "No other case was open before this one.")

    def set_case_order(self, case_ids: Sequence[str]) -> None:
        """Take note of which cases the list shows, and in which order."""
        self._order = list(case_ids)

    @intention
    def set_note(self, case_id: str, text: str) -> None:
        """Write a note on a case; an empty one removes it."""
        self._writable().notebook.write(case_id, note=" ".join(text.split()))
        self._marked()

    @intention
    def flag_cases(self, case_ids: Sequence[str], flagged: bool) -> None:
        """Mark cases to be found again, or take the mark away."""
        for case_id in case_ids:
            self._writable().notebook.write(case_id, flagged=flagged)
        self._marked()

    @intention
    def review_cases(self, case_ids: Sequence[str], to_review: bool) -> None:
        """Say that somebody should review cases, or that it is done."""
        for case_id in case_ids:
            self._writable().notebook.write(case_id, to_review=to_review)
        self._marked()

    @intention
    def remove_cases(self, case_ids: Sequence[str]) -> None:
        """Take cases out of the study; all that is known about them is kept in its folder."""
        study = self._writable()
        if self.task.busy:
            raise StudyError(f"{NAMES[self.task.kind]} is under way: wait for its end or stop it first.")
        if self._wanted in case_ids:
            self._wanted = None  # it may be on its way
        if self.case_id in case_ids:
            self._log.leave()
            self.close_versions()
            self._presenter.retire()  # nothing may be painted from now on
        self._loads.put("remove", removals.removing(study, list(case_ids), self._desk.flush))

    @intention
    def restore_case(self, folder: str) -> None:
        """Put a removed case back as it was, and open it."""
        self._loads.put("restore", removals.restoring(self._writable(), folder))

    def removed_cases(self) -> list[RemovedCase]:
        """Return the cases that can be put back, the latest first."""
        return [] if self.study is None or self.study.read_only else self.study.removed.listed()

    def _take_up(self, study: Study) -> None:
        """Begin where the work on ``study`` was left."""
        self._trail, self._back = [], False
        self._log.open_study(study)
        self._known.open_study(study)
        self._lookout.open_study(study)
        tools, values = study.notebook.tools, [structure.value for structure in study.structures]
        resumed = tools is not None and tools.value in values
        self.active_value = tools.value if resumed else next(iter(values), 1)

    @staticmethod
    def _last_case(study: Study) -> str:
        ids = [case.id for case in study.cases]
        return study.notebook.last_case if study.notebook.last_case in ids else ids[0]

    def _count_again(self) -> None:
        """After something was saved: that can only be the open case, or the one before."""
        self._known.look([*filter(None, (self.case_id, *self._trail[-1:]))])

    def _marked(self) -> None:
        self._log.save_soon()
        self.cases_changed.emit()

    def _show(self, case: OpenCase) -> None:
        before = self.case_id
        if before != case.case_id:
            self.answer(CANCEL)
            self._log.leave()
            if before is not None and not self._back:
                self._trail.append(before)
        self._back = False
        self._leave_versions()
        self._desk.show(case, self.structures, self.active_value)
        visit, self._visit = self._visit, None
        visits = visit is not None and visit.case == case.case_id
        self._log.enter(case, return_to_place=not visits)
        if visits:
            self._presenter.go_to(visit)
            self._follow_viewer()
        elif self.suggestion_index >= 0:
            self._leave_suggestion(case.case_id)
        self.case_opened.emit(case.case_id)
        self.cases_changed.emit()

    def _leave_suggestion(self, case_id: str) -> None:
        """A place and its reason are about one case only."""
        if self.suggestions[self.suggestion_index].case != case_id:
            self._suggested, self.suggestion_index = self.suggestion_index, -1
            self.suggestions_changed.emit()

    def _on_removed(self, event: removals.CasesRemoved) -> None:
        gone = [case.id for case in event.cases]
        following = next_case(self.case_rows(), self._order, self.case_id)
        self._drop_suggestions(gone)
        if self.case_id in gone:
            self._desk.put_away()
            self._open_instead(following)
        elif self._desk.case is not None:
            self._show(self._desk.case)
        self.cases_changed.emit()
        if gone:
            what = event.cases[0].name if len(gone) == 1 else f"{len(gone)} cases"
            self.say("info", f"{what} removed. Right-click the list to put it back.")
        if event.problem:
            self.say("error", event.problem)

    def _on_restored(self, event: removals.CaseRestored) -> None:
        self._known.look([event.case_id])
        self.cases_changed.emit()
        self.say("info", f"{event.name} is back.")
        self.open_case(event.case_id)

    def _open_instead(self, case_id: str | None) -> None:
        rest = [case.id for case in self._needed().cases]
        self._wanted = None
        if case_id in rest or rest:
            self.open_case(case_id if case_id in rest else rest[0])

    def _drop_suggestions(self, gone: Sequence[str]) -> None:
        if any(place.case in gone for place in self.suggestions):
            self.suggestions = [place for place in self.suggestions if place.case not in gone]
            self.suggestion_index = self._suggested = -1
            self.suggestions_changed.emit()
