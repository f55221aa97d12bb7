"""The case list as the person works through it: opening, going on, coming back."""

from napari_dycon.plugin import jobs
from napari_dycon.plugin.intentions import intention
from napari_dycon.plugin.opencase import OpenCase
from napari_dycon.plugin.rows import most_uncertain
from napari_dycon.plugin.state import SessionState


class CaseIntentions(SessionState):
    """What the person wants of the list of cases."""

    @intention
    def open_case(self, case_id: str) -> None:
        """Show a case; it is read in the background and announced by ``case_opened``."""
        study = self._needed()
        self._wanted = case_id
        if self._desk.case is not None and case_id == self.case_id:
            self._show(self._desk.case)
        else:
            self._loads.put("case", jobs.loading(study, case_id, self._desk.flush))

    @intention
    def open_next(self) -> None:
        """Open the case most worth looking at: not complete, and the most uncertain of these."""
        case_id = most_uncertain(self.case_rows())
        if case_id is None:
            self.say("info", "There is no other case left to label.")
        else:
            self.open_case(case_id)

    def _show(self, case: OpenCase) -> None:
        self._desk.show(case, self.structures, self.active_value)
        visit, self._visit = self._visit, None
        if visit is not None and visit.case == case.case_id:
            self._presenter.go_to(visit)
        self.case_opened.emit(case.case_id)
        self.cases_changed.emit()
