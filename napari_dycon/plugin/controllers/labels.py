"""The labels of the open case: undo, what is complete, slices in between, tidying up."""

from collections.abc import Callable
from functools import partial
from itertools import count

import numpy as np
from psygnal import Signal

from napari_dycon.engine.events import Note
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.label_jobs import (
    LabelsChanged,
    Proposed,
    change,
    clean_up,
    imported_labels,
    proposal,
)
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.region_jobs import decision
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.edits import Edit

AT_ONCE = 1 << 22
"""Voxels that an undo may look at on the GUI thread."""
FILL = "fill"
_serial = count()


class Labels:
    """What the person wants of the labels of the open case.

    Signals: ``saved_changed`` and ``slice_state_changed`` carry what `saved` and `slice_state` have become.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Asks about proposals and says what came of changes.
    desk
        Has the open case.
    presenter
        Shows proposals.
    structures
        Has the active structure.
    loads
        Works in the background.

    Attributes
    ----------
    saved
        A line about what is on disk, and whether all is well.
    slice_state
        Whether the slice on screen is complete, and a line about it.
    """

    saved_changed = Signal(str, bool)
    slice_state_changed = Signal(bool, str)

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        presenter: Presenter,
        structures: Structures,
        loads: JobQueue,
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._presenter, self._structures, self._loads = presenter, structures, loads
        self.saved: tuple[str, bool] = ("", True)
        self.slice_state: tuple[bool, str] = (False, "")
        desk.saving.told.connect(self._on_saved)
        desk.slice_changed.connect(self._on_slice_state)
        presenter.brush.undo, presenter.brush.redo = self.undo, self.redo

    # ---- undo --------------------------------------------------------------------------------

    @property
    def undo_name(self) -> str:
        """What `undo` would take back; empty where there is nothing."""
        case = self._desk.case
        return (case.editor.undo_name or "") if case is not None else ""

    @property
    def redo_name(self) -> str:
        """What `redo` would do again; empty where there is nothing."""
        case = self._desk.case
        return (case.editor.redo_name or "") if case is not None else ""

    @intention
    def undo(self) -> None:
        """Take back the last change of the open case, on whichever slice it was."""
        editor = self.editable().editor
        self._desk.end_stroke()
        self._move(editor.undo, editor.steps_extent()[0], "Undone")

    @intention
    def redo(self) -> None:
        """Do again what was undone last."""
        editor = self.editable().editor
        self._desk.end_stroke()
        self._move(editor.redo, editor.steps_extent()[1], "Done again")

    def _move(self, move: Callable[[], Edit | None], extent: int, verb: str) -> None:
        if extent <= AT_ONCE:
            edit = move()
            if edit is not None:
                self._desk.take_edit()
                self._dialogue.say_of_edit(f"{verb}: {edit.name}.")
            return

        def work() -> str:
            edit = move()
            return "" if edit is None else f"{verb}: {edit.name}."

        self.change(self._desk.open_case(), work)

    # ---- what is complete --------------------------------------------------------------------

    @intention
    def toggle_slice_complete(self) -> None:
        """Declare the slice on screen complete, or open it again."""
        self._current.writable()
        self._desk.toggle_slice_complete()

    @intention
    def complete_case(self) -> None:
        """Declare every voxel of the open case known."""
        case = self.editable()
        source = jobs.edit(case.case_id, case.editor.complete_case, self._desk.saving.toucher(case))
        self._loads.put(f"complete {case.case_id}", source, self._on_edited)

    @intention
    def toggle_case_complete(self) -> None:
        """Declare every voxel of the open case known, or open the case again."""
        case = self.editable()
        complete = self._current.require().case(case.case_id).status == "complete"
        if complete:
            self.decide(case, "reopen", lambda: case.editor.reopen_case())
        else:
            self.decide(case, "complete", lambda: case.editor.complete_case())

    def decide(self, case: OpenCase, what: str, action: Callable[[], Edit]) -> None:
        """Make a decision in the background; none replaces one that waits."""
        source = decision(case, what, action, self._desk.saving.toucher(case))
        self._loads.put(f"decision {next(_serial)}", source, self._on_decided)

    def _on_decided(self, event: jobs.Edited | Note) -> None:
        match event:
            case jobs.Edited():
                self._on_edited(event)
            case Note():
                self._dialogue.say_of_edit(event.text)

    def _on_edited(self, event: jobs.Edited) -> None:
        if event.case_id == self._desk.case_id:
            self._desk.take_edit()

    # ---- slices in between -------------------------------------------------------------------

    @intention
    def propose_between(self, everything: bool = False) -> None:
        """Show what the active structure, or every one, may look like between the labelled slices."""
        case, (axis, _) = self.editable(), self._desk.slice_on_screen()
        structures = self._structures.all if everything else (self._structures.active_structure(),)
        self._loads.put("proposal", proposal(case, structures, axis), self._on_proposed)

    def _on_proposed(self, event: Proposed) -> None:
        if event.case_id != self._desk.case_id or self._desk.case is None:
            return
        number = len(event.proposal.slices)
        text = f"Fill the {number} slices in between?" if number > 1 else "Fill the slice in between?"
        self.propose(text, "Fill", event.proposal.labels, event.proposal.edit)

    def propose(self, text: str, verb: str, labels: np.ndarray, edit: Callable[[Annotation], Edit]) -> None:
        """Outline labels ``(x, y, z)`` in the open case, and make the edit if the person says so.

        Parameters
        ----------
        text, verb
            What is asked, and what the button says that agrees.
        labels
            Label values in source order.
        edit
            Says what would change of an annotation as it is then.
        """
        answers = ((FILL, verb), (CANCEL, "Cancel"))
        self._dialogue.ask(
            Question(text, answers), partial(self._answered_proposal, self._desk.open_case(), edit)
        )
        self._presenter.show_preview(labels)

    def _answered_proposal(self, case: OpenCase, edit: Callable[[Annotation], Edit], key: str) -> None:
        if key != FILL:
            self._presenter.show_preview(None)
            return

        def work() -> str:
            case.editor.reconcile()
            case.editor.apply(edit(case.annotation))
            return ""

        self.change(case, work)

    # ---- tidying up, importing ---------------------------------------------------------------

    @intention
    def clean_up(self, what: str) -> None:
        """Tidy the active structure up; ``what`` is a key of `label_jobs.NOTHING_TO_DO`."""
        case, structure = self.editable(), self._structures.active_structure()
        axis = self._desk.slice_on_screen()[0] if what == "slice_holes" else None
        self.change(case, partial(clean_up, case, structure, what, axis))

    def take_imported(self, case_id: str) -> None:
        """Let labels that came for the open case into it; what a person painted meanwhile stays."""
        study, case = self._current.require(), self._desk.case
        if case is None or case.case_id != case_id:
            return  # it is read anew when it is opened
        self._structures.take_first()

        def work() -> str:
            case.editor.reconcile()
            edit = imported_labels(study, case)
            if edit:
                case.editor.apply(edit)
            return ""

        self.change(case, work)

    # ---- inside ------------------------------------------------------------------------------

    def editable(self) -> OpenCase:
        """Return the open case, to change it.

        Raises
        ------
        StudyError
            When there is none, it may not be changed, or an older version of it is looked at.
        """
        self._current.writable()
        return self._desk.open_case()

    def change(self, case: OpenCase, work: Callable[[], str]) -> None:
        """Do what looks at every voxel in the background, and have it saved whatever is open then."""
        source = change(case, work, self._desk.saving.toucher(case))
        self._loads.put(f"labels {next(_serial)}", source, self._on_labels_changed)

    def _on_labels_changed(self, event: LabelsChanged) -> None:
        if event.case_id == self._desk.case_id:
            self._presenter.show_preview(None)
            self._desk.take_edit()
        if event.sentence:
            self._dialogue.say_of_edit(event.sentence)

    def _on_saved(self, text: str, ok: bool) -> None:
        if not ok and self.saved != (text, ok):
            self._dialogue.say("error", text)
        self.saved = (text, ok)
        self.saved_changed.emit(text, ok)

    def _on_slice_state(self, complete: bool, text: str) -> None:
        if (complete, text) != self.slice_state:
            self.slice_state = (complete, text)
            self.slice_state_changed.emit(complete, text)
