"""The one long background task of a session: started, paused, stopped, and told about."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from psygnal import Signal

from napari_dycon.engine.events import RunFinished, StepFinished, Validated
from napari_dycon.engine.viewpoint import View
from napari_dycon.errors import StudyError
from napari_dycon.plugin.background import progress
from napari_dycon.plugin.background.curves import Curves
from napari_dycon.plugin.background.queue import Job
from napari_dycon.plugin.background.task_state import TaskKind, TaskState
from napari_dycon.plugin.background.worker import E, EventSource

NAMES = {
    "training": "Training",
    "predicting": "Prediction",
    "importing": "Reading scans",
    "exporting": "The export",
    "reporting": "The methods sheet",
    "carrying": "Carrying labels over",
    "restructuring": "The change of all labels",
    "adopting": "Taking a model over",
}


class Tasks:
    """Runs at most one job at a time and turns its events into a `TaskState` and curves.

    Signals: ``changed`` and ``curves_changed`` follow the state; ``ended`` carries the kind, the sentence
    of a failure and its traceback (or "").
    """

    changed = Signal(object)
    curves_changed = Signal()
    ended = Signal(str, str, str)

    def __init__(self) -> None:
        self.state = TaskState()
        self.curves = Curves()
        self._job: Job | None = None
        self._follow_up: Callable[[], None] | None = None

    def run(
        self,
        kind: TaskKind,
        text: str,
        source: EventSource[E],
        on_event: Callable[[E], None],
        on_success: Callable[[], None] | None = None,
    ) -> None:
        """Start ``source``.

        Parameters
        ----------
        kind, text
            What the job does.
        source
            The job.
        on_event
            Called in the GUI thread with each of its events, in order.
        on_success
            Called after ``ended`` when the job did not fail.

        Raises
        ------
        StudyError
            When another job is under way; that one goes on undisturbed.
        """
        if self._job is not None:
            raise StudyError(f"{NAMES[self.state.kind]} is under way: wait for its end or stop it first.")
        self._job = Job(source, partial(self._take, on_event), partial(self._end, on_success))
        self._set(TaskState(kind=kind, text=text))
        self._job.start()

    def pause(self) -> None:
        """Let the job rest after its current step."""
        if self._job is not None and self.state.phase == "running":
            self._job.control.pause()
            self._set(replace(self.state, phase="pausing"))

    def resume(self) -> None:
        """Let a resting job go on."""
        if self._job is not None and self.state.phase in ("pausing", "paused"):
            self._job.control.resume()
            self._set(replace(self.state, phase="running"))

    def watch(self, view: View | None) -> None:
        """Tell the job which slice the person looks at."""
        if self._job is not None:
            self._job.control.watch(view)

    def stop(self, then: Callable[[], None] | None = None) -> None:
        """End the job after its current step, and call ``then`` when it has ended."""
        if self._job is not None:
            self._follow_up = then
            self._job.stop()
            self._set(replace(self.state, phase="stopping", seconds_left=None))

    def close(self, seconds: float) -> bool:
        """Stop the job, wait at most ``seconds`` and report nothing more; return whether it has ended."""
        job, self._job, self._follow_up = self._job, None, None
        ended = job is None or job.stop_and_wait(seconds)
        if job is not None:
            self._set(TaskState())
        return ended

    def show_curves(self, curves: Curves) -> None:
        """Start new curves, or show those of an earlier run."""
        self.curves = curves
        self.curves_changed.emit()

    def _take(self, on_event: Callable[[E], None], events: list[E]) -> None:
        before, drawn = self.state, False
        for event in events:
            drawn = self._draw(event) or drawn
            self.state = progress.after(event, self.state)
            on_event(event)
        if self._job is not None and self._job.control.resting and self.state.phase == "pausing":
            self.state = replace(self.state, phase="paused")
        if self.state != before:
            self.changed.emit(self.state)
        if drawn:
            self.curves_changed.emit()

    def _draw(self, event: object) -> bool:
        match event:
            case StepFinished():
                self.curves.add_losses(event.iteration, event.losses)
            case Validated() if event.mean_dice is not None and math.isfinite(event.mean_dice):
                self.curves.add_dice(event.iteration, event.mean_dice)
            case RunFinished():
                return True
            case _:
                return False
        return True

    def _end(self, on_success: Callable[[], None] | None, sentence: str, details: str) -> None:
        kind, follow_up = self.state.kind, self._follow_up
        self._job, self._follow_up = None, None
        self._set(TaskState())
        self.ended.emit(kind, sentence, details)
        if on_success is not None and not sentence:
            on_success()
        if follow_up is not None:
            follow_up()

    def _set(self, state: TaskState) -> None:
        self.state = state
        self.changed.emit(state)
