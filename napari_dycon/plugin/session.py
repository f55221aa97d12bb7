"""One session per viewer: opens and closes a study, and wires everybody who works on it.

A session outlives the widgets. Widgets connect to the signals of its controllers, read their state and call
their intentions; they never touch the study, the worker or a layer.
"""

import logging
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_dycon.errors import DyconError, StudyError
from napari_dycon.plugin.actions import Situation
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.curves import Curves
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.background.warm_up import is_warm
from napari_dycon.plugin.canvases.signposts import Signposts
from napari_dycon.plugin.controllers.action_table import ActionTable, deeds, read_situation
from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.contrast import Contrast
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.disputes import Disputes
from napari_dycon.plugin.controllers.exchange import Exchange
from napari_dycon.plugin.controllers.expert import Expert
from napari_dycon.plugin.controllers.folder_choice import name_of
from napari_dycon.plugin.controllers.glimpses import Glimpses
from napari_dycon.plugin.controllers.grower import Grower
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.labels import Labels
from napari_dycon.plugin.controllers.library import Library
from napari_dycon.plugin.controllers.models import Models
from napari_dycon.plugin.controllers.own_process import OwnProcess
from napari_dycon.plugin.controllers.pictures import Pictures
from napari_dycon.plugin.controllers.places import Places
from napari_dycon.plugin.controllers.question import CANCEL
from napari_dycon.plugin.controllers.regions import Regions
from napari_dycon.plugin.controllers.signs import Signs
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.controllers.suggestions import Suggestions
from napari_dycon.plugin.controllers.tools import Tools
from napari_dycon.plugin.controllers.training import Training
from napari_dycon.plugin.controllers.versions import Versions
from napari_dycon.plugin.controllers.views import Views
from napari_dycon.plugin.keys.binding import bind_keys, rebind_keys
from napari_dycon.plugin.keys.preferences import KeyScheme
from napari_dycon.plugin.layers.guests import Guests
from napari_dycon.plugin.layers.hand import Hand
from napari_dycon.plugin.layers.napari_private import main_window
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.plugin.lifecycle import Lifecycle
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

if TYPE_CHECKING:
    from napari.components import ViewerModel

logger = logging.getLogger(__name__)
END_SECONDS = 20.0


class Session:
    """The study of one viewer and its controllers, each of which owns its state and its signals.

    Parameters
    ----------
    viewer
        The unwrapped napari viewer (or a viewer model); only weakly referenced. Use `get_session`.
    """

    study_changed = Signal()

    def __init__(self, viewer: "ViewerModel") -> None:
        self._presenter = presenter = Presenter(viewer)
        self._desk, hand = Desk(presenter), Hand(presenter)
        self.dialogue, self.tasks, self.keys = Dialogue(self._desk), Tasks(), KeyScheme()
        self._loads, self._chores, self._warming = (JobQueue(self._on_failure) for _ in range(3))
        self._current = CurrentStudy(self.tasks)
        work = (self._current, self.dialogue, self._desk)
        self.structures = Structures(*work, presenter, hand, self._loads, self.tasks)
        self.labels = Labels(*work, presenter, self.structures, self._loads)
        self.contrast = Contrast(self._desk, presenter, self.dialogue)
        self.actions = ActionTable(self.keys, self._current, self.contrast, self.dialogue)
        actions_of = weakref.ref(self.actions)
        signposts = Signposts()
        pictures = Pictures(self._current, self.dialogue, self._desk, self.contrast, self._loads)
        seen = (self.contrast, pictures, self.dialogue)
        self.views = Views(self._desk, presenter, hand, *seen, actions_of, signposts)
        grower = Grower(*work, presenter, self.labels, self.structures, self._on_failure)
        self.tools = Tools(*work, presenter, hand, self.structures, self.views, grower)
        self.regions = Regions(*work, presenter, self.labels, self.views, self._loads)
        self.cases = Cases(
            *work, presenter, self.views, self.structures, self.labels, self._loads, self.tasks
        )
        self.versions = Versions(*work, self.cases, self._loads)
        self.suggestions = Suggestions(
            *work, presenter, self.cases, self.structures, signposts, self._chores, self._on_failure
        )
        disputes = Disputes(*work, presenter, self.views, self.cases, self._on_failure)
        shown = (self.cases, self.views, self.structures, self.suggestions, disputes, signposts)
        self.signs = Signs(self._desk, *shown, self._on_failure)
        library = Library(self._current, self.dialogue, self.structures, self._chores, self.tasks)
        self.own_process, self.expert = OwnProcess(self.dialogue), Expert(self._current, self._chores)
        self.training = Training(
            *work,
            self.cases,
            self.suggestions,
            self.views,
            Glimpses(self._desk, presenter, self.tasks, self.views.redraw),
            Models(*work, presenter, self.views, self.cases, library, self._loads, self._chores),
            self._loads,
            self._chores,
            self.tasks,
            self.own_process,
            Places(self.dialogue, self._chores),
            self.expert,
            self._on_failure,
        )
        taking = (*work, self.cases, self.labels, self.structures, self.suggestions)
        self.exchange = Exchange(*taking, self._loads, self.tasks, disputes)
        self.actions.fill(
            deeds(
                self.cases,
                self.labels,
                self.tools,
                self.structures,
                self.views,
                self.contrast,
                self.regions,
                self.suggestions,
                self.versions,
                self.training,
                self.own_process,
                self.exchange,
            ),
            self._read_situation,
        )
        for slot in (grower.begin_case, self._show_case, self.contrast.show_case, pictures.show_case):
            self.cases.opened.connect(slot)
        pictures.changed.connect(self.tools.range_for_case)
        self.cases.opened.connect(self.views.caption_canvas)
        self.study_changed.connect(self.views.redraw)
        self.keys.changed.connect(rebind_keys)
        self.tasks.ended.connect(self._on_end)
        if not is_warm():
            self._warming.put("warming", jobs.warm(), lambda event: None)  # of no study: none waits for it
        case_open = lambda: self._desk.case is not None  # noqa: E731
        self._guests = Guests(viewer, presenter, case_open, self.dialogue.say)
        self._lifecycle = Lifecycle(main_window(viewer), self.save_now, self.close)

    @property
    def study(self) -> Study | None:
        """The open study, or None."""
        return self._current.study

    @property
    def _dialogue(self) -> Dialogue:
        return self.dialogue

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
            return
        source = jobs.make_demo(Path(folder))
        self.tasks.run("importing", "Making the demo study", source, lambda made: self._adopt(made.study))

    def save_now(self) -> None:
        """Put everything painted on disk before going on."""
        self.cases.list.logbook.look()
        self._desk.saving.flush()

    def close(self) -> None:
        """Stop the task at its next safe point, save everything and let go of the study."""
        self.dialogue.answer(CANCEL)
        self.versions.close()
        for part in (self.tasks, self._loads, self._chores, self.tools):
            if not part.close(END_SECONDS):
                logger.error("A background task did not end within %s seconds.", END_SECONDS)
        self.suggestions.close()
        self.signs.close()
        self.exchange.readers.disputes.close()
        self.cases.close()
        self.training.close()
        self.expert.close()
        if not self._desk.clear():
            text = "The last strokes could not be saved: the disk or the scans cannot be reached."
            self.dialogue.say("error", text)
        try:
            if self.study is not None:
                self.study.close()
        except DyconError as error:
            self.dialogue.say("error", str(error))
        self._current.study = None

    def _adopt(self, study: Study) -> None:
        """Put ``study`` in the place of the one before, which is saved and closed."""
        if not self._desk.saving.flush():
            study.close()
            raise StudyError("The open case cannot be saved, so its study stays open; see the header.")
        self.close()
        self._presenter.retire()
        self._current.study = study
        self._desk.saving.begin(study)
        self.cases.open_study(study)
        self.structures.open_study(study)
        self.suggestions.open_study(study)
        self.tasks.show_curves(Curves())
        bind_keys(self._presenter.viewer, weakref.ref(self.actions))
        for signal in (
            self.study_changed,
            self.structures.changed,
            self.cases.list.changed,
            self.suggestions.changed,
        ):
            signal.emit()
        for note in (*study.notes, *study.notebook.notes):
            self.dialogue.say("warning", note)
        self.cases.open_last(study)
        self.training.open_study(study)
        self.suggestions.look()

    def _read_situation(self) -> Situation:
        work = (self.cases, self.contrast, self.views.pictures, self.structures, self.versions, self.training)
        return read_situation(self.study, self.tasks, *work, self.exchange)

    def _show_case(self) -> None:
        """Fit everything to the case that was just shown."""
        self.tools.range_for_case()
        self.tools.hear_tool()
        self.views.show_known()

    def _on_failure(self, sentence: str, details: str) -> None:
        logger.error("%s", details)
        self.dialogue.say("error", sentence)
        self.cases.list.look_for_scans()  # it may be the scans

    def _on_end(self, kind: str, sentence: str, details: str) -> None:
        del kind
        self.cases.list.changed.emit()
        if sentence:
            self._on_failure(sentence, details)


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
