"""Training and predicting: what asks the engine, and what follows when a run ends."""

from collections.abc import Callable, Sequence

from psygnal import Signal

from napari_dycon.engine.comparison import CONTROL_METHOD
from napari_dycon.engine.events import (
    CasePredicted,
    Event,
    Glimpse,
    LabelsJoined,
    Note,
    PredictionFinished,
    RunFinished,
    RunStarted,
)
from napari_dycon.errors import StudyError
from napari_dycon.guidance.suggestions import CaseLooked
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.curves import Curves
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.run_watch import RunWatch
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.expert import Expert
from napari_dycon.plugin.controllers.glimpses import Glimpses
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.join_news import JoinNews
from napari_dycon.plugin.controllers.models import Models
from napari_dycon.plugin.controllers.own_process import OwnProcess
from napari_dycon.plugin.controllers.places import Places
from napari_dycon.plugin.controllers.suggestions import Suggestions
from napari_dycon.plugin.controllers.views import Views
from napari_dycon.plugin.keys.preferences import preferred_device, prefers_own_process
from napari_dycon.study.study import Study

END_SECONDS = 20.0


class Training:
    """What the person wants of the model.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Says what came of a run.
    desk
        Has the open case, which is predicted first.
    cases, suggestions, views, glimpses, models
        Show what was predicted, and what is learned.
    loads, chores, tasks
        Work in the background.
    own_process
        Hears of faults that a training apart would have kept from the window.
    places
        Knows where to train.
    expert
        Has what was set by hand.
    on_failure
        Called with a sentence and details when runs of others cannot be looked for.

    Attributes
    ----------
    methods
        ``(name, title)`` of every learning method; empty until the engine has been loaded in the
        background, announced by ``engine_ready``.
    device
        The device training will use, "auto" until known.
    """

    engine_ready = Signal()

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        cases: Cases,
        suggestions: Suggestions,
        views: Views,
        glimpses: Glimpses,
        models: Models,
        loads: JobQueue,
        chores: JobQueue,
        tasks: Tasks,
        own_process: OwnProcess,
        places: Places,
        expert: Expert,
        on_failure: Callable[[str, str], None],
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._cases, self._suggestions, self._views = cases, suggestions, views
        self._glimpses, self.models = glimpses, models
        self._loads, self._chores, self._tasks = loads, chores, tasks
        self._own_process, self._expert = own_process, expert
        self.places = places
        self._beside = JobQueue(on_failure)
        self._finished: RunFinished | None = None
        self._compared = ""
        self._join_news = JoinNews(dialogue)
        self.methods: list[tuple[str, str]] = []
        self.device = "auto"
        self._run_watch = RunWatch(self._on_run_adopted, lambda: not tasks.state.busy, on_failure)
        tasks.ended.connect(self._on_task_ended)
        cases.opened.connect(self._look_for_maps)
        models.library.taken.connect(self.predict)

    @intention
    def train(self, method: str, minutes: float | None, twin: bool = False) -> None:
        """Train with ``method`` for ``minutes`` from the last model on; then predict every case.

        Without minutes it goes on until it is stopped, and what is labelled meanwhile joins in.

        What an expert has set holds. A run of the same method that a crash has cut off is brought to its own
        end instead, as it began. With ``twin`` a supervised control follows, both begin anew, and the better
        one is used.
        """
        study = self._current.writable()
        if self._tasks.state.kind == "predicting":
            self._tasks.stop(then=lambda: self.train(method, minutes, twin))
            return
        resume = self.places.cut_off(method)
        machine = self.places.where(resume)
        wishes = self._expert.overrides(method)
        if resume and wishes:
            self._dialogue.say(
                "info", f"Run {resume} goes on as it began; what you set holds for the next one."
            )
        source = jobs.training(
            study,
            method,
            None if resume else minutes,
            preferred_device(),
            self._desk.saving.flush,
            resume,
            apart=prefers_own_process(),
            twin=twin and minutes is not None and method != CONTROL_METHOD,
            overrides={} if resume else wishes,
            machine=machine,
        )
        self._own_process.consider_memory()
        self._tasks.run("training", "Preparing", source, self._on_trained, self._on_training_ended)
        self._compared = ""
        self.places.begin_training(machine)
        self._join_news.begin()
        if resume is None:
            self._tasks.show_curves(Curves())

    @intention
    def predict(self, case_ids: Sequence[str] | None = None) -> None:
        """Predict cases (all by default, the open one first) with the active run, then renew suggestions."""
        study = self._current.writable()
        if study.active_run is None:
            raise StudyError("There is no trained model in this study yet: press Train first.")
        wanted = [case.id for case in study.cases] if case_ids is None else list(case_ids)
        wanted.sort(key=lambda case_id: case_id != self._desk.case_id)
        source = jobs.prediction(study, study.active_run, wanted, preferred_device())
        self._tasks.run("predicting", "Preparing", source, self._on_predicted)

    def show_before(self) -> None:
        """Show what the model before said of the open case, or what the last one says."""
        self.models.swap()

    def predict_case(self) -> None:
        """Predict the open case with the active run, beside a training that is under way."""
        case_id = self._desk.case_id
        if case_id is None:
            return
        if self._tasks.state.kind != "training":
            self.predict([case_id])
            return
        study = self._current.writable()
        if study.active_run is not None:
            source = jobs.case_prediction(study, study.active_run, case_id, preferred_device())
            self._beside.put("case", source, self._on_predicted_beside)
            self._dialogue.say("info", "The case is predicted beside the training.")

    def open_study(self, study: Study) -> None:
        """Show the last run of ``study``, list its models, and load the engine."""
        self.models.open_study(study)
        self.places.look()
        self._run_watch.open_study(study)
        self._chores.put("curves", jobs.read_run(study), self._on_run_found)
        self._chores.put("engine", jobs.engine_facts(preferred_device()), self._on_engine_ready)

    def close(self) -> None:
        """Let go of the study."""
        self._run_watch.close()
        self._beside.close(END_SECONDS)
        self.models.close()
        self._finished = None
        self.places.begin_training(None)

    def _on_trained(self, event: Event | jobs.ControlFinished) -> None:
        match event:
            case jobs.ControlFinished():
                self._compared = event.text
            case RunFinished():
                self._finished = event
            case LabelsJoined():
                self._join_news.tell(event)
            case Glimpse():
                self._glimpses.take(event)
            case Note():
                self._dialogue.say(event.level, event.text)
            case RunStarted():
                if self._finished is not None:  # the control, whose curves would cross those before
                    self._tasks.show_curves(Curves())
                if event.device != self.device and self.places.in_use is None:
                    self.device = event.device
                    self.engine_ready.emit()
                for note in event.notes:
                    self._dialogue.say("info", note)

    def _on_predicted(self, event: Event | jobs.Searching | CaseLooked | jobs.SuggestionsReady) -> None:
        match event:
            case CasePredicted():
                self.show_predicted(event)
            case PredictionFinished():
                self._cases.list.check()
            case jobs.Searching() | CaseLooked() | jobs.SuggestionsReady():
                self._suggestions.take(event)
            case _:
                self._on_trained(event)

    def _on_predicted_beside(self, event: Event) -> None:
        match event:
            case CasePredicted():
                self.show_predicted(event)
            case Note():
                self._dialogue.say(event.level, event.text)

    def show_predicted(self, event: CasePredicted) -> None:
        """Show that a case was predicted, and how, if it is open."""
        self._cases.list.change_soon()
        if self._current.study is not None and event.case == self._desk.case_id:
            source = jobs.load_prediction(self._current.study, event.case)
            self._loads.put("prediction", source, self._views.show_prediction)
            self._look_for_maps(event.case)

    def _look_for_maps(self, case_id: str) -> None:
        """Show what lies beside the prediction of the open case; nobody waits for it."""
        if self._current.study is not None:
            self._chores.put("maps", jobs.load_maps(self._current.study, case_id), self._views.show_maps)

    def _on_training_ended(self) -> None:
        finished, self._finished = self._finished, None
        if finished is None:
            return
        failed = finished.reason == "failed"
        if failed:
            self._own_process.consider_failure(finished.message)
        self._dialogue.say("error" if failed else "info", self._compared or finished.message)
        if not failed and self._current.study is not None and self._current.study.active_run is not None:
            self.predict()

    def _on_task_ended(self, kind: str, sentence: str) -> None:
        """A training that failed may go on from its last checkpoint."""
        if sentence and kind == "training" and self._current.study is not None:
            self._own_process.consider_failure(sentence)
            self._chores.put("curves", jobs.read_run(self._current.study), self._on_run_read)

    def _on_run_adopted(self, run: str) -> None:
        """Show what a run says that was trained beside this window."""
        self._cases.list.changed.emit()
        text = f"Run {run}, which was trained outside this window, is the active one now."
        self._dialogue.say("info", text)
        if self._current.study is not None and not self._tasks.state.busy:
            self.predict()

    def _on_run_found(self, event: jobs.RunRead) -> None:
        """Show the last run of a study that was just opened; the program may have ended with it."""
        self._on_run_read(event)
        if event.run == self.places.interrupted and event.away is None:
            self._own_process.offer()

    def _on_run_read(self, event: jobs.RunRead) -> None:
        if self._tasks.state.busy:
            return
        self._tasks.show_curves(event.curves)
        if event.interrupted and self._current.study is not None and not self._current.study.read_only:
            self.places.interrupted = event.run
            text = f"Run {event.run} was cut off. Train goes on from its last checkpoint."
            if event.away is not None:
                self.places.away = (event.run, event.away)
                text = (
                    f"Run {event.run} was left on {event.away.name}. Train fetches it, and follows it there."
                )
            self._dialogue.say("info", text)

    def _on_engine_ready(self, event: jobs.EngineReady) -> None:
        self.methods, self.device = list(event.methods), event.device
        self.engine_ready.emit()
