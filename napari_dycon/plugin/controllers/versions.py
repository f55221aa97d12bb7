"""Earlier versions of the open case: listed, looked at, made the annotation again."""

from dataclasses import replace

from psygnal import Signal

from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.version_jobs import (
    VersionRead,
    VersionRestored,
    VersionsListed,
    version_labels,
    version_list,
    version_return,
)
from napari_dycon.plugin.background.version_rows import CaseVersions
from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.question import CANCEL


class Versions:
    """What the person wants of the versions of the open case.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Says what came of it.
    desk
        Has the open case.
    cases
        Opens the case whose versions are wanted.
    loads
        Works in the background.

    Attributes
    ----------
    shown
        The versions of the open case while the person looks through them, or None.
    """

    changed = Signal()

    def __init__(
        self, current: CurrentStudy, dialogue: Dialogue, desk: Desk, cases: Cases, loads: JobQueue
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._cases, self._loads = cases, loads
        self._asked: str | None = None
        self.shown: CaseVersions | None = None
        cases.leaving.connect(self._leave)
        cases.closing.connect(self.close)
        desk.saving.written.connect(self._list_again)

    @intention
    def show(self, case_id: str | None = None) -> None:
        """List the versions of a case, which is opened for that; by default of the open one."""
        study = self._current.require()
        case_id = case_id or self._desk.case_id or self._desk.open_case().case_id
        if case_id != self._desk.case_id:
            self._cases.open(case_id)
        self._asked = case_id
        self._loads.put("versions", version_list(study, case_id, self._desk.saving.flush), self._on_listed)

    @intention
    def look_at(self, generation: int) -> None:
        """Show a version in place of the annotation, which cannot be painted meanwhile."""
        if self.shown is None or self.shown.chosen == generation:
            return
        self._dialogue.answer(CANCEL)
        self.shown = replace(self.shown, chosen=generation)
        if generation == self.shown.rows[0].generation:
            self._desk.look_at(None)
            self.changed.emit()
        else:
            source = version_labels(self._current.require(), self.shown.case_id, generation)
            self._loads.put("version", source, self._on_read)

    @intention
    def restore(self, generation: int) -> None:
        """Make a version the annotation again, as one edit that can be undone."""
        study, case, versions = self._current.writable(), self._desk.case, self.shown
        if case is None or versions is None:
            return
        when = next(row.when for row in versions.rows if row.generation == generation)
        source = version_return(study, case, generation, when, self._desk.saving.toucher(case))
        self._loads.put(f"restore version {case.case_id}", source, self._on_restored)

    def close(self) -> None:
        """Go back to the annotation as it is."""
        self._asked = None
        self._leave()

    def _leave(self) -> None:
        if self.shown is not None:
            self.shown = None
            self._desk.look_at(None)
            self.changed.emit()

    def _on_listed(self, event: VersionsListed) -> None:
        if not self._asked == event.case_id == self._desk.case_id:
            return
        if not event.rows:
            self._asked = None
            self._dialogue.say("info", "This case has no versions yet: nothing is labelled in it.")
            return
        name = self._current.require().case(event.case_id).name
        generations = [row.generation for row in event.rows]
        before = self.shown
        chosen = generations[0]
        if before is not None and before.chosen in generations and before.chosen != before.rows[0].generation:
            chosen = before.chosen
        if chosen == generations[0]:
            self._desk.look_at(None)
        damaged: frozenset[int] = frozenset() if before is None else before.damaged
        self.shown = CaseVersions(event.case_id, name, event.rows, chosen, damaged)
        self.changed.emit()

    def _on_read(self, event: VersionRead) -> None:
        shown = self.shown
        if event.case_id != self._desk.case_id or shown is None or shown.chosen != event.generation:
            return
        if event.labels is None:
            damaged = shown.damaged | {event.generation}
            self.shown = replace(shown, damaged=damaged, chosen=shown.rows[0].generation)
            self._dialogue.say("error", event.problem)
        self._desk.look_at(event.labels)
        self.changed.emit()

    def _on_restored(self, event: VersionRestored) -> None:
        if event.case_id != self._desk.case_id:
            return
        if event.problem:
            self._dialogue.say("error", event.problem)
            return
        self.close()
        if event.changed:
            self._desk.take_edit()
            self._dialogue.say_of_edit(f"Restored {event.when}. Undo takes it back.")
        else:
            text = "Nothing was changed: that version is the same as what you have."
            self._dialogue.say("info", text)

    def _list_again(self) -> None:
        """After something was saved while the list is open."""
        if self.shown is not None and self._current.study is not None:
            source = version_list(self._current.study, self.shown.case_id)
            self._loads.put("versions", source, self._on_listed)
