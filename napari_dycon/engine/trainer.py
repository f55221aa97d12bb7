"""The training loop: named steps, and an event after each."""

from collections.abc import Generator, Iterator
from contextlib import closing

from napari_dycon.engine.assessment import Assessment
from napari_dycon.engine.budget import Stopwatch
from napari_dycon.engine.bundle import Bundle
from napari_dycon.engine.checkpoints import Checkpoint
from napari_dycon.engine.control import Control
from napari_dycon.engine.device import configure_threads
from napari_dycon.engine.events import (
    CheckpointSaved,
    Event,
    FinishReason,
    Glimpse,
    LabelsJoined,
    Note,
    RunFinished,
    RunStarted,
    StepFinished,
)
from napari_dycon.engine.glimpses import Glimpses
from napari_dycon.engine.joins import NOT_JOINED, Join, Joins
from napari_dycon.engine.recorder import Recorder
from napari_dycon.engine.runs import with_new_labels
from napari_dycon.engine.start import Start, make_start, training_case
from napari_dycon.engine.stepping import Steps, in_words
from napari_dycon.engine.team import ALONE, Several, Team, TeamLostError
from napari_dycon.errors import DyconError, StudyError, TrainingError, VolumeError
from napari_dycon.study.store.runs import propose

CHECKPOINT_SECONDS = 60.0
STEP, LABELLED, END = 0.0, 1.0, 2.0
"""What the first of a team says: a step after so many seconds, whether scans were labelled, no more."""
LONGEST_STEP_SECONDS = 60.0
"""Longer steps are not believed, unless those before were long too: the computer slept."""


def train(bundle: Bundle, control: Control, team: Team = ALONE) -> Generator[Event, None, None]:
    """Train what was prepared, in the calling thread; nothing but the folder of the run is read or written.

    Parameters
    ----------
    team
        The processes that train it together, of which this is the first; the others `follow`.

    Yields
    ------
    Event
        RunStarted first and RunFinished last. Closing the generator early saves a checkpoint.

    Raises
    ------
    TrainingError
        When training cannot start, because somebody else trains this run for example, or cannot go on; in the
        latter case after a RunFinished that says so.
    """
    with bundle.run.lock():
        try:
            yield from _record(bundle, control, team)
        finally:
            bundle.drop_arrays()


def follow(bundle: Bundle, team: Several) -> None:
    """Make the steps that the first process of a team says, until it says no more.

    Raises
    ------
    TrainingError
        When the run cannot be read or a step cannot be made.
    """
    configure_threads(team.threads(bundle.contents().request.threads))
    start = make_start(bundle, team)
    self_training = start.self_training()
    steps = Steps(start, self_training)
    while True:
        word, number = team.hear(2)
        if word == END:
            return
        if word == STEP:
            steps.make(number)
            continue
        if number:
            self_training.restore()
        else:
            self_training.forgo()
        steps.learn_from()


def _record(bundle: Bundle, control: Control, team: Team) -> Iterator[Event]:
    contents = bundle.contents()
    configure_threads(team.threads(contents.request.threads))
    start = make_start(bundle, team)
    recorder = Recorder(bundle.run.path)
    if contents.request.resume:
        recorder.rewind(start.checkpoint.iteration if start.checkpoint else 0)
    with closing(_Loop(start, control).events()) as events:
        for event in events:
            if not isinstance(event, Glimpse):
                recorder.record(event)
            yield event


class _Loop:
    """The state of a run while it runs."""

    def __init__(self, start: Start, control: Control) -> None:
        self._control = control
        self._start = start
        self._budget = start.budget
        self._saved_at: float | None = None
        done = start.checkpoint.state if start.checkpoint is not None else {"seconds": 0.0}
        self._watch = Stopwatch(float(done["seconds"]), LONGEST_STEP_SECONDS)
        self._rate = 0.0
        self._self_training = start.self_training()
        self._steps = Steps(start, self._self_training)
        self._assessment = Assessment(start, control, self._steps.optimisation.device, self._watch)
        self._joins = Joins(Bundle(start.folder.path), start)
        if start.checkpoint is not None:
            self._saved_at = float(done["seconds"])
            self._assessment.best, self._assessment.dice = done["best_dice"], done["dice"]

    def events(self) -> Generator[Event, None, None]:
        yield self._start_event()
        try:
            reason = yield from self._train()
            self._start.team.tell(END, 0.0)
            yield from self._finish(reason)
        except GeneratorExit:
            self._save_if_new()
            raise
        except DyconError as error:
            if isinstance(error, TeamLostError):
                yield self._save_on_the_way()
            yield self._finish_event("failed", str(error))
            raise
        except (RuntimeError, MemoryError) as error:
            failure = TrainingError(f"Training failed after step {self._steps.iteration}: {in_words(error)}")
            yield self._finish_event("failed", str(failure))
            raise failure from error

    def _train(self) -> Generator[Event, None, FinishReason]:
        glimpses = Glimpses(self._start.cases, self._control)
        while True:
            if self._control.paused:
                yield from self._rest()
            if self._control.stopped:
                return "stopped"
            if self._progress >= 1:
                return "budget"
            if self._self_training.due(self._progress):
                yield from self._label_scans()
                continue
            before = self._share
            self._watch.start()
            event = self._step()
            self._watch.stop()
            yield event
            if isinstance(event, Note):
                continue
            if self._progress < 1:
                yield from self._assessment.look(self._steps.iteration, before, self._share)
            yield from glimpses.events(
                self._start.method.deciders(),
                self._start.plan,
                self._steps.optimisation.device,
                self._steps.iteration,
                self._watch,
            )
            if self._watch.seconds - (self._saved_at or 0.0) >= CHECKPOINT_SECONDS:
                yield self._save_on_the_way()
            yield from self._join()

    @property
    def _share(self) -> float:
        return self._budget.share(self._steps.iteration, self._watch.seconds)

    @property
    def _progress(self) -> float:
        return self._budget.progress(self._steps.iteration, self._watch.seconds)

    def _step(self) -> StepFinished | Note:
        """One optimiser step, or a note about why there was none and what was changed."""
        started = self._watch.seconds
        self._start.team.tell(STEP, started)
        made = self._steps.make(started)
        return made if isinstance(made, Note) else self._step_event(made, self._watch.seconds - started)

    def _step_event(self, losses: dict[str, float], seconds: float) -> StepFinished:
        self._rate = seconds if self._rate == 0 else 0.9 * self._rate + 0.1 * seconds
        return StepFinished(
            iteration=self._steps.iteration,
            progress=self._progress,
            losses=losses,
            seconds=self._watch.seconds,
            seconds_left=self._budget.seconds_left(self._steps.iteration, self._watch.seconds, self._rate),
            iterations_per_second=1 / max(self._rate, 1e-9),
            monitors=dict(self._start.method.monitors),
        )

    def _join(self) -> Iterator[Event]:
        """Learn from labels that were made meanwhile, from the next step on."""
        found = self._joins.look()
        if isinstance(found, Join):
            try:
                yield self._take_over(found)
            except (StudyError, VolumeError) as error:
                yield Note("warning", f"{NOT_JOINED} {error}")
        elif found is not None:
            yield found

    def _take_over(self, join: Join) -> LabelsJoined | Note:
        start, new = self._start, {case.case: case for case in join.cases}
        cases = [new.get(case.case, case) for case in start.cases]
        config = with_new_labels(start.config, cases)
        changed = {n: case for n, case in enumerate(cases) if case.case in new}
        try:
            sampler = self._steps.sampler.with_cases(
                {n: training_case(case, config.holdout, start.method) for n, case in changed.items()}
            )
        except ValueError:
            return Note("warning", f"{NOT_JOINED} nothing would be left to learn from.")
        for case in join.cases:
            self._self_training.take(case)
        self._joins.put_down(join, config, self._steps.iteration)
        start.cases, start.config = cases, config
        for case in join.cases:
            self._assessment.take(case)
        self._steps.learn_from(sampler)
        kept = tuple(case.case for case in join.cases if config.holdout.holds(case))
        return LabelsJoined(self._steps.iteration, tuple(new), join.slices, kept)

    def _label_scans(self) -> Iterator[Event]:
        """Let the model label scans by itself, and go on from these labels."""
        networks = [network.eval() for network in self._start.method.deciders()]
        steps = self._self_training.label(
            networks, self._steps.iteration / self._progress, self._steps.optimisation.device, self._control
        )
        while True:
            self._watch.start()
            try:
                event = next(steps)
            except StopIteration as end:
                note: Note | None = end.value
                break
            finally:
                self._watch.stop()
            yield event
        if note is not None:
            self._start.team.tell(LABELLED, self._self_training.begun)
            yield note
        if self._self_training.begun:
            self._steps.learn_from()
            yield self._save_on_the_way()

    def _rest(self) -> Iterator[Event]:
        """Save, so that a pause is as safe as a stop, and wait."""
        if self._save_if_new():
            yield CheckpointSaved(self._steps.iteration)
        self._control.wait_while_paused()

    def _save(self) -> CheckpointSaved:
        state = {
            "seconds": self._watch.seconds,
            "rate_factor": self._steps.optimisation.rate_factor,
            "rolled_back": self._steps.rolled_back,
            "best_dice": self._assessment.best,
            "dice": self._assessment.dice,
            "own_labels": self._self_training.begun,
        }
        tensors = self._steps.optimisation.tensors()
        self._start.folder.checkpoints.save(Checkpoint(self._steps.iteration, tensors, state))
        self._saved_at = self._watch.seconds
        return CheckpointSaved(self._steps.iteration)

    def _save_on_the_way(self) -> CheckpointSaved | Note:
        """Save, or say why that failed and try again later: a full disk must not end a training."""
        try:
            return self._save()
        except (StudyError, VolumeError) as error:
            self._saved_at = self._watch.seconds
            return Note("warning", f"The training goes on, but could not be saved: {error}")

    def _save_if_new(self) -> bool:
        if self._steps.iteration in self._start.folder.checkpoints.iterations or self._steps.iteration == 0:
            return False
        self._save()
        return True

    def _finish(self, reason: FinishReason) -> Iterator[Event]:
        if self._save_if_new():
            yield CheckpointSaved(self._steps.iteration)
        if reason == "budget":
            yield from self._assessment.measure(self._steps.iteration, everything=True)
        if reason == "budget":
            self._self_training.drop()
        if self._steps.iteration > 0:
            propose(self._start.folder.path)
        yield self._finish_event(reason, "")

    def _start_event(self) -> RunStarted:
        start = self._start
        return RunStarted(
            start.folder.run,
            start.config.method,
            start.device,
            start.plan.model_dump(mode="json"),
            tuple(start.notes),
            dict(start.left_out),
            self._budget.open_ended,
            self._joins.slices,
        )

    def _finish_event(self, reason: FinishReason, message: str) -> RunFinished:
        if not message:
            done = "Training finished" if reason == "budget" else "Training stopped"
            message = f"{done} after {self._steps.iteration} steps."
        return RunFinished(
            self._start.folder.run,
            self._steps.iteration,
            reason,
            self._watch.seconds,
            self._assessment.best,
            self._assessment.dice,
            message,
        )
