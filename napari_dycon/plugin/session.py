"""One session per viewer: the open study, the background task and the state that every widget shows.

A session outlives the widgets. Widgets connect to its signals, read its state and call its intentions;
they never touch the study, the worker or a layer.
"""

import logging
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dycon.engine.events import CasePredicted, Note, RunFinished, RunStarted
from napari_dycon.errors import DyconError, StudyError
from napari_dycon.plugin.background import jobs, removals
from napari_dycon.plugin.background.curves import Curves
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.run_watch import RunWatch
from napari_dycon.plugin.background.warm_up import is_warm
from napari_dycon.plugin.controllers import labels, regions, structures, versions
from napari_dycon.plugin.controllers.cases import CaseIntentions
from napari_dycon.plugin.controllers.contrast import WindowIntentions
from napari_dycon.plugin.controllers.exchange import ExchangeIntentions
from napari_dycon.plugin.controllers.folder_choice import name_of
from napari_dycon.plugin.controllers.import_news import ImportNews
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.labels import LabellingIntentions
from napari_dycon.plugin.controllers.logbook import Logbook
from napari_dycon.plugin.controllers.question import CANCEL
from napari_dycon.plugin.controllers.regions import RegionIntentions
from napari_dycon.plugin.controllers.structures import StructureIntentions
from napari_dycon.plugin.controllers.training import LearningIntentions
from napari_dycon.plugin.controllers.versions import VersionIntentions
from napari_dycon.plugin.controllers.views import ViewIntentions
from napari_dycon.plugin.keys.binding import bind_keys
from napari_dycon.plugin.keys.preferences import preferred_device
from napari_dycon.plugin.layers.guests import Guests
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.lifecycle import Lifecycle, main_window
from napari_dycon.study.exchange.exporting import Exported
from napari_dycon.study.exchange.importing import ImportEvent
from napari_dycon.study.exchange.searching import SearchEnded, Sought
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

if TYPE_CHECKING:
    from napari.components import ViewerModel

logger = logging.getLogger(__name__)
END_SECONDS = 20.0


class Session(
    CaseIntentions,
    ExchangeIntentions,
    LabellingIntentions,
    LearningIntentions,
    RegionIntentions,
    StructureIntentions,
    VersionIntentions,
    ViewIntentions,
    WindowIntentions,
):
    """What the person wants, and what then happens.

    Parameters
    ----------
    viewer
        The unwrapped napari viewer (or a viewer model); only weakly referenced. Use `get_session`.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        super().__init__(viewer)
        self._loads = JobQueue(self._on_loaded, self._on_failure)
        self._chores = JobQueue(self._on_loaded, self._on_failure)
        self._warming = JobQueue(self._on_loaded, self._on_failure)  # of no study: none waits for it to end
        if not is_warm():
            self._warming.put("warming", jobs.warming())
        self._log = Logbook(self._presenter, lambda: self.active_value, self._cases_moved, self._on_unkept)
        self._desk.written.connect(self._count_again)
        self._desk.written.connect(self._list_again)
        self._imported = ImportNews()
        self._run_watch = RunWatch(self._on_run_adopted, lambda: not self.task.busy, self._on_failure)
        self._hear_scheme()
        self.case_opened.connect(self._rewindow)
        self.case_opened.connect(self._mark_plane)
        self._guests = Guests(viewer, self._presenter, lambda: self.case_id is not None, self.say)
        self._lifecycle = Lifecycle(main_window(viewer), self.save_now, self.close)
        self._tasks.event.connect(self._on_event)
        self._tasks.ended.connect(self._on_end)
        for emitter in (
            viewer.dims.events.current_step,
            viewer.dims.events.order,
            viewer.dims.events.ndisplay,
        ):
            emitter.connect(self._desk.tell_slice)

    @intention
    def open_study(self, path: Path | str) -> None:
        """Open the study in folder ``path`` in place of the current one."""
        path = Path(path)
        folder = path.parent if path.name == "study.json" else path
        if self.study is None or folder.resolve() != self.study.path.resolve():
            self._adopt(Study.open(folder))

    @intention
    def new_study(self, path: Path | str, structures: Sequence[Structure]) -> None:
        """Create an empty study in folder ``path`` and open it."""
        self._adopt(Study.create(Path(path), structures, name_of(Path(path))))

    @intention
    def open_demo(self, folder: Path | str) -> None:
        """Open the phantom study in ``folder``; it is made there in the background if need be."""
        if (Path(folder) / "study.json").exists():
            self.open_study(folder)
        else:
            self._tasks.run("importing", "Making the demo study", jobs.making_demo(Path(folder)))

    @intention
    def toggle_slice_complete(self) -> None:
        """Declare the slice on screen complete, or open it again."""
        self._writable()
        self._desk.toggle_slice_complete()

    @intention
    def complete_case(self) -> None:
        """Declare every voxel of the open case known."""
        self._writable()
        case = self._desk.open_case()
        self._edit("complete", case, case.editor.complete_case)

    def save_now(self) -> None:
        """Put everything painted on disk before going on."""
        self._log.look()
        self._desk.flush()

    @intention
    def set_overlay(
        self, prediction: bool | None = None, entropy: bool | None = None, opacity: float | None = None
    ) -> None:
        """Show or hide prediction and entropy, set the entropy's opacity (0 to 1); None leaves as it is."""
        self._presenter.change_overlay(prediction, entropy, opacity)
        self.overlay_changed.emit()

    @intention
    def show_plane(self, plane: str) -> None:
        """Show 2D slices of a plane: axial, coronal or sagittal."""
        if self._desk.case is not None:
            self._presenter.show_plane(plane)

    def close(self) -> None:
        """Stop the task at its next safe point, save everything and let go of the study."""
        self.answer(CANCEL)
        self.close_versions()
        for part in (self._tasks, self._loads, self._chores):
            if not part.close(END_SECONDS):
                logger.error("A background task did not end within %s seconds.", END_SECONDS)
        self._log.close()
        self._known.close()
        self._lookout.close()
        self._run_watch.close()
        if not self._desk.clear():
            self.say("error", "The last strokes could not be saved: the disk or the scans cannot be reached.")
        try:
            if self.study is not None:
                self.study.close()
        except DyconError as error:
            self.say("error", str(error))
        self.study, self._wanted, self._visit, self._interrupted = None, None, None, None

    def _adopt(self, study: Study) -> None:
        """Put ``study`` in the place of the one before, which is saved and closed."""
        if not self._desk.flush():
            study.close()
            raise StudyError("The open case cannot be saved, so its study stays open; see the header.")
        self.close()
        self._presenter.retire()
        self.study = study
        self._desk.open_study(study)
        self._take_up(study)
        self._run_watch.open_study(study)
        self.suggestions, self.suggestion_index, self._suggested = [], -1, -1
        self._tasks.show_curves(Curves())
        bind_keys(self._presenter.viewer, get_session)
        self._tell_all()
        for note in (*study.notes, *study.notebook.notes):
            self.say("warning", note)
        if study.cases:
            self.open_case(self._last_case(study))
        self._chores.put("curves", jobs.reading_run(study))
        self._chores.put("engine", jobs.engine_facts(preferred_device()))
        self._chores.put("suggestions", jobs.suggestions(study))

    def _tell_all(self) -> None:
        for signal in (
            self.study_changed,
            self.structures_changed,
            self.cases_changed,
            self.suggestions_changed,
        ):
            signal.emit()

    def _on_unkept(self, sentence: str, details: str) -> None:
        """Notes and times are not saved: worth a word, unless the same is true of the labels."""
        logger.warning("%s", details)
        if self.saved[1]:
            self.say("warning", sentence)

    def _edit(self, what: str, case: OpenCase, action: Callable[[], None]) -> None:
        source = jobs.editing(case.case_id, action, self._desk.toucher(case))
        self._loads.put(f"{what} {case.case_id}", source)

    def _on_loaded(self, event: object) -> None:
        match event:
            case OpenCase() if event.case_id == self._wanted:
                # Asked for twice: what was painted in between is not on disk yet.
                self._show(self._desk.case if event.case_id == self.case_id else event)
            case versions.VersionsListed() | versions.VersionRead() | versions.VersionRestored():
                self._on_version_event(event)
            case removals.CasesRemoved():
                self._on_removed(event)
            case removals.CaseRestored():
                self._on_restored(event)
            case structures.Saved():
                event.go_on()
            case Note("info", text):
                self._say_of_edit(text)
            case jobs.PredictionLoaded():
                self._desk.show_prediction(event)
                self.overlay_changed.emit()
            case regions.DecisionsSeen():
                self._desk.show_open_prediction(event.case)
            case regions.PiecesFound():
                self._on_pieces_found(event)
            case labels.Proposed():
                self._on_proposed(event)
            case labels.LabelsChanged():
                self._on_labels_changed(event)
            case jobs.Edited() if event.case_id == self.case_id:
                self._desk.edited()
            case Note():
                self.say(event.level, event.text)
            case jobs.SuggestionsReady():
                self.suggestions = list(event.suggestions)
                self.suggestion_index = self._suggested = -1
                self.suggestions_changed.emit()
            case jobs.EngineReady():
                self.methods, self.device = list(event.methods), event.device
                self.engine_ready.emit()
            case jobs.RunRead() if not self.task.busy:
                self._on_run_read(event)

    def _on_event(self, event: object) -> None:
        match event:
            case CasePredicted():
                self._cases_moved()
                if self.study is not None and event.case == self.case_id:
                    self._loads.put("prediction", jobs.loading_prediction(self.study, event.case))
            case RunFinished():
                self._finished = event
            case Note():
                self.say(event.level, event.text)
            case RunStarted():
                if event.device != self.device:
                    self.device = event.device
                    self.engine_ready.emit()
                for note in event.notes:
                    self.say("info", note)
            case ImportEvent():
                self._on_imported(event)
            case Sought() | SearchEnded():
                self._on_sought(event)
            case Exported():
                self._tell_export(event)
            case jobs.SuggestionsReady():
                self._on_loaded(event)
            case structures.StructuresRewritten():
                self._on_rewritten(event)
            case jobs.StudyMade():
                self._adopt(event.study)


_sessions: "weakref.WeakKeyDictionary[ViewerModel, Session]" = weakref.WeakKeyDictionary()


def get_session(viewer: "ViewerModel") -> Session:
    """Return the session of ``viewer``, made on the first call.

    Plugin widgets receive a proxy that equals the viewer but dies with the widget; the session belongs to
    the viewer behind it.
    """
    viewer = getattr(viewer, "__wrapped__", viewer)
    if viewer not in _sessions:
        _sessions[viewer] = Session(viewer)
    return _sessions[viewer]
