"""The models of a study: which one is shown, and the one before beside it."""

from collections.abc import Callable

from psygnal import Signal

from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.jobs import PredictionLoaded
from napari_dycon.plugin.background.model_jobs import (
    Before,
    ModelRow,
    ModelsRead,
    NothingBefore,
    read_before,
    read_models,
)
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.library import Library
from napari_dycon.plugin.controllers.views import Views
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.study.study import Study


class Models:
    """What the person wants of the models.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Says what came of it.
    desk
        Has the open case.
    presenter
        Shows the one prediction or the other.
    views
        Loads another model's prediction, and draws.
    cases
        Tells which case was opened.
    library
        Brings models of elsewhere.
    loads, chores
        Work in the background.

    Attributes
    ----------
    library
        Models of elsewhere, and for elsewhere.
    rows
        The active model and those that have predicted anything, the newest first.
    before
        What the model before said of the open case; None where there was none.
    looking_back
        Whether that is what is seen.
    """

    changed = Signal()

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        presenter: Presenter,
        views: Views,
        cases: Cases,
        library: Library,
        loads: JobQueue,
        chores: JobQueue,
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._presenter, self._views, self._cases = presenter, views, cases
        self._loads, self._chores = loads, chores
        self.library = library
        self.rows: tuple[ModelRow, ...] = ()
        self.before: Before | None = None
        self.looking_back = False
        cases.opened.connect(self._on_case_opened)
        views.predicted.connect(self._renew)
        library.taken.connect(self._on_taken)

    def open_study(self, study: Study) -> None:
        """List the models of ``study``."""
        self._forget()
        self._chores.put("models", read_models(study), self._on_read)

    @intention
    def swap(self) -> None:
        """Show what the model before said of the open case, or what the last one says."""
        case = self._desk.case
        if case is None or self.before is None:
            return
        self.looking_back = not self.looking_back
        maps = self._presenter.maps
        if self.looking_back:
            maps.show_prediction(self.before.prediction, self.before.entropy)
        else:
            maps.show_prediction(case.prediction, case.entropy, case.open_prediction)
        self._views.redraw()
        self.changed.emit()

    @intention
    def choose(self, run: str) -> None:
        """Show the predictions of another model from now on, and train from it."""
        study = self._current.writable()
        if run == study.active_run:
            return
        study.set_active_run(run)
        self._dialogue.say("info", f"Run {run} is the active model now: training goes on from it.")
        self._show_active(study, self._on_other)

    def close(self) -> None:
        """Let go of the study."""
        self._forget()
        self.rows = ()

    @property
    def text(self) -> str:
        """One line on the prediction that is seen."""
        study = self._current.study
        if study is None:
            return ""
        if self.looking_back and self.before is not None:
            return f"before: predicted by {self.before.run}"
        model = f"predicted by {study.active_run}"
        return model if self.before is None else f"{self.before.text} · {model}"

    def _show_active(self, study: Study, show: Callable[[PredictionLoaded], None]) -> None:
        """Show what the model says that is the active one now."""
        self._cases.list.changed.emit()
        if self._desk.case_id is not None:
            self._loads.put("prediction", jobs.load_prediction(study, self._desk.case_id), show)
        self._chores.put("models", read_models(study), self._on_read)

    def _on_taken(self) -> None:
        """A model of elsewhere is the active one, and will predict."""
        self._forget()
        self._show_active(self._current.require(), self._views.show_prediction)

    def _on_case_opened(self, case_id: str) -> None:
        del case_id
        self._renew()

    def _renew(self) -> None:
        """Compare anew, after a case was opened or predicted."""
        self._forget()
        study, case_id = self._current.study, self._desk.case_id
        if study is not None and case_id is not None and self._desk.has_prediction:
            self._chores.put("before", read_before(study, case_id), self._on_before)
            self._chores.put("models", read_models(study), self._on_read)

    def _forget(self) -> None:
        told, self.before, self.looking_back = self.before, None, False
        if told is not None:
            self.changed.emit()

    def _on_read(self, event: ModelsRead) -> None:
        self.rows = event.rows
        self.changed.emit()

    def _on_before(self, event: Before | NothingBefore) -> None:
        if event.case_id == self._desk.case_id and not self.looking_back:
            self.before = event if isinstance(event, Before) else None
            self.changed.emit()

    def _on_other(self, event: PredictionLoaded) -> None:
        self._views.show_prediction(event)
        if event.prediction is None and event.case_id == self._desk.case_id:
            self._dialogue.say("info", "That model has not predicted this case yet: press Predict.")
