"""Training, predicting and following the suggestions: the part of a session that asks the engine."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_dycon.errors import StudyError
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.curves import Curves
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.state import SessionState
from napari_dycon.plugin.keys.preferences import preferred_device, prefers_own_process

if TYPE_CHECKING:
    from napari_dycon.guidance.suggestions import Suggestion


class LearningIntentions(SessionState):
    """What the person wants of the model, and what follows when a run ends."""

    @intention
    def go_to(self, suggestion: "Suggestion") -> None:
        """Open the suggestion's case, if need be, and show its slice."""
        if suggestion in self.suggestions:
            self.suggestion_index = self.suggestions.index(suggestion)
            self.suggestions_changed.emit()
        self._visit = suggestion
        self.open_case(suggestion.case)

    @intention
    def next_suggestion(self, step: int = 1) -> None:
        """Go to the next suggestion, or with a negative ``step`` to one before."""
        if not self.suggestions:
            self.say("info", "There are no suggestions at the moment.")
            return
        now = self.suggestion_index if self.suggestion_index >= 0 else self._suggested
        start = max(now, -1 if step > 0 else 0)
        self.go_to(self.suggestions[(start + step) % len(self.suggestions)])

    @intention
    def train(self, method: str, minutes: float) -> None:
        """Train with ``method`` for ``minutes`` from the last model on; then predict every case.

        A run of the same method that a crash has cut off is brought to its own end instead.
        """
        study = self._writable()
        if self.task.kind == "predicting":
            self._tasks.stop(then=lambda: self.train(method, minutes))
            return
        resume = self._interrupted if (self._interrupted or "").endswith(f"-{method}") else None
        wanted = None if resume else minutes
        source = jobs.training(
            study, method, wanted, preferred_device(), self._desk.flush, resume, apart=prefers_own_process()
        )
        self._tasks.run("training", "Preparing", source)
        self._interrupted = None
        if resume is None:
            self._tasks.show_curves(Curves())

    @intention
    def predict(self, case_ids: Sequence[str] | None = None) -> None:
        """Predict cases (all by default, the open one first) with the active run, then renew suggestions."""
        study = self._writable()
        if study.active_run is None:
            raise StudyError("There is no trained model in this study yet: press Train first.")
        wanted = [case.id for case in study.cases] if case_ids is None else list(case_ids)
        wanted.sort(key=lambda case_id: case_id != self.case_id)
        source = jobs.prediction(study, study.active_run, wanted, preferred_device())
        self._tasks.run("predicting", "Preparing", source)

    def pause(self) -> None:
        """Let the task rest after its current step."""
        self._tasks.pause()

    def resume(self) -> None:
        """Let a paused task go on."""
        self._tasks.resume()

    def stop(self) -> None:
        """End the task after its current step; what it has reached is kept."""
        self._tasks.stop()

    def _on_run_adopted(self, run: str) -> None:
        """Show what a run says that was trained beside this window."""
        self.cases_changed.emit()
        self.say("info", f"Run {run}, which was trained outside this window, is the active one now.")
        if self.study is not None and not self.task.busy:
            self.predict()

    def _on_run_read(self, event: jobs.RunRead) -> None:
        self._tasks.show_curves(event.curves)
        if event.interrupted and self.study is not None and not self.study.read_only:
            self._interrupted = event.run
            self.say("info", f"Run {event.run} was cut off. Train goes on from its last checkpoint.")

    def _on_end(self, kind: str, sentence: str, details: str) -> None:
        finished, self._finished = self._finished, None
        self.cases_changed.emit()
        if sentence:
            self._on_failure(sentence, details)
            if kind == "training" and self.study is not None:
                self._chores.put("curves", jobs.reading_run(self.study))
        elif kind == "importing":
            self._known.look()
            self._lookout.look()
            self._tell_import()
        elif kind == "training" and finished is not None:
            failed = finished.reason == "failed"
            self.say("error" if failed else "info", finished.message)
            if not failed and self.study is not None and self.study.active_run is not None:
                self.predict()
