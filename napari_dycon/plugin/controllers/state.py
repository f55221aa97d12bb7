"""What a session knows, and the signals that tell of its changes."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.curves import Curves
from napari_dycon.plugin.background.known_by import KnownBy
from napari_dycon.plugin.background.lookout import Lookout
from napari_dycon.plugin.background.task_state import TaskState
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.background.throttle import Paced
from napari_dycon.plugin.controllers.case_rows import CaseRow, case_rows
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.question import CANCEL, Asked, Question
from napari_dycon.plugin.controllers.version_rows import CaseVersions
from napari_dycon.plugin.layers.notices import notify
from napari_dycon.plugin.layers.presenter import Overlay, Presenter
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_dycon.engine.events import RunFinished
    from napari_dycon.guidance.suggestions import Suggestion
    from napari_dycon.plugin.background.queue import JobQueue

logger = logging.getLogger(__name__)


class SessionState:
    """The observable part of a session; widgets read it and never write it.

    Parameters
    ----------
    viewer
        The unwrapped napari viewer (or a viewer model); only weakly referenced.

    Attributes
    ----------
    study
        The open study, or None.
    suggestions, suggestion_index
        Places worth looking at, best first, and which of them is on screen (-1: none).
    active_value
        Label value of the structure being painted.
    methods
        ``(name, title)`` of every learning method; empty until the engine has been loaded in the
        background, announced by ``engine_ready``.
    device
        The device training will use, "auto" until known.
    saved
        A line about what is on disk, and whether all is well.
    slice_state
        Whether the slice on screen is complete, and a line about it.
    versions
        The versions of the open case while the person looks through them, or None.
    """

    study_changed = Signal()
    cases_changed = Signal()
    case_opened = Signal(str)
    saved_changed = Signal(str, bool)
    task_changed = Signal(object)
    curves_changed = Signal()
    structures_changed = Signal()
    suggestions_changed = Signal()
    message = Signal(str, str)
    overlay_changed = Signal()
    slice_state_changed = Signal(bool, str)
    engine_ready = Signal()
    planes_changed = Signal(bool)
    question_changed = Signal()
    reported = Signal(object)
    pairs_found = Signal(object)
    versions_changed = Signal()

    _loads: "JobQueue"
    _chores: "JobQueue"

    def __init__(self, viewer: "ViewerModel") -> None:
        self.study: Study | None = None
        self.suggestions: list[Suggestion] = []
        self.suggestion_index = self._suggested = -1
        self.active_value = 1
        self.methods: list[tuple[str, str]] = []
        self.device = "auto"
        self.saved: tuple[str, bool] = ("", True)
        self.slice_state: tuple[bool, str] = (False, "")
        self._wanted: str | None = None
        self._order: list[str] = []
        self._trail: list[str] = []
        self._back = False
        self._visit: Suggestion | None = None
        self._finished: RunFinished | None = None
        self._interrupted: str | None = None
        self._asked: Asked | None = None
        self._about_edit = False
        self.versions: CaseVersions | None = None
        self._cases_moved = Paced(self.cases_changed.emit)
        self._known = KnownBy(self._cases_moved)
        self._lookout = Lookout(self._cases_moved, self._tell_lost)
        self._presenter = Presenter(viewer)
        self._desk = Desk(self._presenter)
        self._tasks = Tasks()
        self._desk.saved.connect(self._on_saved)
        self._desk.slice_changed.connect(self._on_slice_state)
        self._desk.written.connect(self._cases_moved)
        self._desk.picked.connect(self._on_picked)
        self._desk.history.connect(self._let_go_of_message)
        self._tasks.changed.connect(self.task_changed)
        self._tasks.curves_changed.connect(self.curves_changed)

    @property
    def case_id(self) -> str | None:
        """Id of the case in the viewer, or None."""
        return self._desk.case.case_id if self._desk.case is not None else None

    @property
    def has_prediction(self) -> bool:
        """Whether the open case has a prediction."""
        return self._desk.case is not None and self._desk.case.prediction is not None

    @property
    def task(self) -> TaskState:
        """What runs in the background."""
        return self._tasks.state

    @property
    def question(self) -> Question | None:
        """What waits for an answer, or None."""
        return None if self._asked is None else self._asked.question

    def answer(self, key: str) -> None:
        """Answer the open question; without one nothing happens."""
        asked, self._asked = self._asked, None
        if asked is not None:
            self.question_changed.emit()
            asked.on_answer(key)

    def _ask(self, question: Question, on_answer: Callable[[str], None]) -> None:
        """Ask, and cancel the question before."""
        self.answer(CANCEL)
        self._asked = Asked(question, on_answer)
        self.question_changed.emit()

    @property
    def curves(self) -> Curves:
        """Loss terms and Dice of the run that is, or was last, trained."""
        return self._tasks.curves

    @property
    def overlay(self) -> Overlay:
        """What is shown on top of the scan; changed by `set_overlay`."""
        return self._presenter.overlay

    @property
    def structures(self) -> tuple[Structure, ...]:
        """The structures of the study, empty without one."""
        return tuple(self.study.structures) if self.study is not None else ()

    def case_rows(self) -> list[CaseRow]:
        """Return the rows of the case table."""
        if self.study is None:
            return []
        active = next((s.name for s in self.structures if s.value == self.active_value), None)
        return case_rows(self.study, active, self.case_id, self._known.summaries, self._lookout.refused)

    def say(self, level: str, text: str) -> None:
        """Tell the user something (info, warning, error): in the dock and as a notification of napari.

        What is only for information does without the notification where a dock shows it already.
        """
        self._about_edit = False
        logger.log(logging.getLevelNamesMapping()[level.upper()], text)
        self.message.emit(level, text)
        if level != "info" or not len(self.message):
            notify(level, text)

    def _say_of_edit(self, text: str) -> None:
        """Tell what became of the labels; it stands until they change again."""
        self.say("info", text)
        self._about_edit = True
        self._desk.tell_next_change()

    def _let_go_of_message(self) -> None:
        """After the labels changed: what was said about them before is no longer so."""
        if self._about_edit:
            self._about_edit = False
            self.message.emit("info", "")

    def _follow_viewer(self) -> None:
        """Let further planes go where the viewer has been sent; see `ViewIntentions`."""

    def _needed(self) -> Study:
        if self.study is None:
            raise StudyError("No study is open: open or create one first.")
        return self.study

    def _writable(self) -> Study:
        study = self._needed()
        if study.read_only:
            raise StudyError("This study is open in another session; here you can only look at it.")
        return study

    def _on_failure(self, sentence: str, details: str) -> None:
        logger.error("%s", details)
        self.say("error", sentence)
        self._lookout.look()  # it may be the scans

    def _tell_lost(self, lost: int, total: int) -> None:
        """Say that scans are missing, and what to do."""
        are, were = ("is", "was") if lost == 1 else ("are", "were")
        self.say(
            "warning",
            f"{lost} of {total} scans {are} not where the study looks, or {were} replaced; each is marked in "
            "the list. If they were moved, choose Add scans, Find moved scans….",
        )

    def _on_saved(self, text: str, ok: bool) -> None:
        if not ok and self.saved != (text, ok):
            self.say("error", text)
        self.saved = (text, ok)
        self.saved_changed.emit(text, ok)

    def _on_picked(self, value: int) -> None:
        """Follow napari's own label controls, but only to values that a structure has; 0 is the eraser's."""
        values = {structure.value for structure in self.structures}
        if value not in values | {0}:
            self._presenter.select_value(self.active_value)
        elif value in values and value != self.active_value:
            self.active_value = value
            self.structures_changed.emit()

    def _on_slice_state(self, complete: bool, text: str) -> None:
        if (complete, text) != self.slice_state:
            self.slice_state = (complete, text)
            self.slice_state_changed.emit(complete, text)
