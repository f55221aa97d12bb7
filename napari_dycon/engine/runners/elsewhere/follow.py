"""A training on another machine, followed from here; the line may drop as often as it likes."""

import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, suppress
from typing import TypeVar

from napari_dycon.engine.bundle import Bundle
from napari_dycon.engine.control import Control, Stopped
from napari_dycon.engine.events import (
    CheckpointSaved,
    Event,
    Note,
    RunFinished,
    RunStarted,
    ScanPreparation,
    Transfer,
    from_json,
)
from napari_dycon.engine.plan import Machine
from napari_dycon.engine.recorder import Recorder, read_events
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.beside import with_joining
from napari_dycon.engine.runners.elsewhere.away import Away, forget_away, new_token, read_away
from napari_dycon.engine.runners.elsewhere.depot import Far, GoneError
from napari_dycon.engine.runners.elsewhere.disguise import Disguise
from napari_dycon.engine.runners.elsewhere.machines import NamedMachine
from napari_dycon.engine.runners.elsewhere.parcel import Landing, pack, pack_update, send
from napari_dycon.engine.runners.elsewhere.ssh import UnfitError, check_version, line_to
from napari_dycon.engine.runners.elsewhere.wire import CUT, LineDropError
from napari_dycon.engine.runners.handover import handing_over
from napari_dycon.engine.setup import latest_unfinished, prepare
from napari_dycon.engine.viewpoint import view_word
from napari_dycon.errors import TrainingError
from napari_dycon.study.store.runs import propose
from napari_dycon.study.study import Study

LOOK_SECONDS = 0.3
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
PATIENCE_SECONDS = 12 * 3600.0
"""A training without an end that nobody asks about for so long saves and stops."""
ATTEMPTS_TO_STOP = 3
"""So often a machine that cannot be reached is tried after a stop was asked for."""
FETCH_SECONDS = 0.3
"""Between two looks at the news, so much time is for a checkpoint on its way here."""

_T = TypeVar("_T")
Steps = Generator[Event, None, _T]


def train_elsewhere(
    study: Study, request: Request, control: Control, machine: NamedMachine
) -> Iterator[Event]:
    """Prepare here, train on another machine, and bring the run back; one that is away already is followed.

    Yields
    ------
    Event
        As :func:`napari_dycon.engine.runners.here.train_here` does. Closing the generator early leaves the
        training going on there.

    Raises
    ------
    TrainingError
        When the machine cannot be used, and whenever a training here would fail; also when a stop could not
        be told to it.
    """
    yield from handing_over(study, with_joining(study, _events(study, request, control, machine)))


def _events(study: Study, request: Request, control: Control, machine: NamedMachine) -> Steps[None]:
    yield ScanPreparation("", 0, len(study.cases))
    run = (request.run_id or latest_unfinished(study)) if request.resume else None
    away = None if run is None else read_away(study.run_dir(run))
    if run is None or away is None:
        reach = Reach(machine, control)
        with closing(reach):
            facts = reach.first(_fitness(machine, request.device))
        request = request.model_copy(update={"device": facts.device})
        try:
            bundle = yield from prepare(study, request, control, facts)
        except Stopped:
            text = "Training was stopped before it began."
            yield RunFinished(request.run_id or "", 0, "stopped", 0.0, None, None, text)
            return
    else:
        bundle = Bundle(study.run_dir(run))
        with closing(Reach(away.machine, control)) as reach:
            reach.first(lambda far: far.greet())
    with bundle.run.lock():
        yield from _Errand(bundle, control, away or _leave(bundle, machine)).events()


def _fitness(machine: NamedMachine, device: str) -> Callable[[Far], Machine]:
    """Ask what a plan must fit into; a device that is asked for comes before that of the settings."""

    def ask(far: Far) -> Machine:
        check_version(machine, far.greet().version)
        return Machine.model_validate(far.machine(machine.device if device == "auto" else device))

    return ask


def _leave(bundle: Bundle, machine: NamedMachine) -> Away:
    """Note that a run is away, before anything of it is."""
    if bundle.contents().request.resume and bundle.run.checkpoints.iterations:
        Recorder(bundle.run.path).rewind(bundle.run.checkpoints.load().iteration)
    events = bundle.run.path / "events.jsonl"
    recorded = events.stat().st_size if events.exists() else 0
    away = Away(machine=machine, token=new_token(), recorded=recorded)
    away.write(bundle.run.path)
    return away


class Reach:
    """A line to a machine, drawn again when it drops.

    Parameters
    ----------
    machine
        The other one.
    control
        Ends the waiting for it.
    """

    def __init__(self, machine: NamedMachine, control: Control) -> None:
        self._machine, self._control = machine, control
        self._open = ExitStack()
        self._far: Far | None = None
        self._pause = FIRST_PAUSE
        self._in_vain = 0
        self.dropped = False
        self.drawn = 0

    def first(self, work: Callable[[Far], _T]) -> _T:
        """Ask once; who cannot be reached now is not waited for."""
        return work(self._line())

    def steadily(self, work: Callable[[Far], Steps[_T]]) -> Steps[_T]:
        """Do what can be begun again, until it is done; a note when the line drops, and when it is back."""
        while True:
            try:
                far = self._line()
                if self.dropped:
                    far.greet()
                    self.dropped, self._pause = False, FIRST_PAUSE
                    yield Note("info", f"The line to {self._machine.name} is back.")
                return (yield from work(far))
            except (LineDropError, UnfitError) as error:
                self.close()
                if not self.dropped:
                    self.dropped = True
                    yield Note("info", _words_of_drop(self._machine.name, error))
                self._wait()

    def close(self) -> None:
        """Cut the line."""
        self._far = None
        with suppress(OSError):
            self._open.close()

    def _line(self) -> Far:
        if self._far is None:
            self._far = self._open.enter_context(line_to(self._machine))
            self.drawn += 1
        return self._far

    def _wait(self) -> None:
        """Rest a little longer each time; where a stop was asked for, not often any more."""
        if self._control.left:
            raise _LeftError
        if self._control.stopped:
            self._in_vain += 1
            self._pause = FIRST_PAUSE
            if self._in_vain > ATTEMPTS_TO_STOP:
                raise _UnheardError
        until, stopped = time.monotonic() + self._pause, self._control.stopped
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        while time.monotonic() < until and self._control.stopped == stopped:
            time.sleep(0.1)


class _LeftError(Exception):
    """Nobody follows any more; the run stays there."""


class _UnheardError(Exception):
    """A stop was asked for, and there is no line."""


def _words_of_drop(name: str, error: Exception) -> str:
    why = "" if str(error) == CUT else f" ({str(error).rstrip('.')})"
    return f"The line to {name} has dropped{why}. The training goes on there, and the line is tried again."


class _Errand:
    """One run on its way: there, being trained, and back."""

    def __init__(self, bundle: Bundle, control: Control, away: Away) -> None:
        self._bundle, self._control, self._away = bundle, control, away
        self._run, self._name = bundle.run.run, away.machine.name
        self._contents = bundle.contents()
        self._disguise = Disguise(self._contents, bundle.run.config())
        self._landing = Landing(bundle.run, self._disguise)
        self._recorder = Recorder(bundle.run.path)
        self._reach = Reach(away.machine, control)
        self._offset = 0
        self._skipped = _lines_after(bundle, away.recorded)
        self._told: tuple[int, list[str]] = (0, [])
        self._update = (0, 0, 0)
        self._glimpse = ""
        self._coming: Generator[Transfer, None, bool] | None = None
        self._fetched_of = 0
        self._finish: RunFinished | None = None
        self._failure = ""
        self._ended = False

    def events(self) -> Steps[None]:
        """From wherever the run is to its end."""
        with closing(self._reach):
            try:
                if not self._away.begun:
                    yield from self._reach.steadily(self._set_out)
                yield from self._reach.steadily(self._follow)
                yield from self._reach.steadily(self._bring_back)
                yield from self._arrive()
            except _LeftError:
                return
            except GoneError:
                yield from self._lost()
            except _UnheardError:
                raise TrainingError(
                    f"There is no line to {self._name}, so run {self._run} stays there, and goes on unless "
                    "it was told to stop before. Train fetches it when the line is back."
                ) from None
            except TrainingError:
                if not self._away.begun:
                    self._give_up()
                raise

    def _set_out(self, far: Far) -> Steps[None]:
        run, token = self._bundle.run.path, self._away.token
        items = pack(self._bundle, self._disguise)
        files = {path: item.sha256 for path, item in items.items()}
        while far.assemble(token, self._run, files):
            for event in send(far, items, self._name):
                yield event
                if self._control.stopped:
                    raise TrainingError(f"The training was stopped before it began on {self._name}.")
        self._away = self._away.model_copy(update={"begun": True})
        self._away.write(run)

    def _give_up(self) -> None:
        """Leave nothing of what was sent, as far as that can be."""
        with suppress(TrainingError):
            self._reach.first(lambda far: far.drop(self._away.token, self._away.machine.keep_scans))
        forget_away(self._bundle.run.path)

    def _follow(self, far: Far) -> Steps[None]:
        self._coming = None
        patience = PATIENCE_SECONDS if self._contents.open_ended else None
        far.begin(self._away.token, self._run, patience)
        while not self._ended:
            if self._control.left:
                raise _LeftError
            self._speak(far)
            self._pass_update(far)
            news = far.news(self._away.token, self._offset)
            yield from self._understand(news.lines)
            self._offset = news.offset
            if news.glimpse and news.glimpse != self._glimpse:
                self._glimpse = news.glimpse
                yield from self._heard(news.glimpse, record=False)
            if not news.lines and not news.alive and not self._ended:
                self._failure = _end_there(self._name, self._run, news.log)
                return
            self._take_parts(far)
            if not news.lines:
                time.sleep(LOOK_SECONDS)

    def _speak(self, far: Far) -> None:
        """Tell what the control says, when it has changed or the line is a new one."""
        control = self._control
        words = ["stop" if control.stopped else "pause" if control.paused else "resume"]
        words += [view_word(self._disguise.view(control.view))]
        if (self._reach.drawn, words) != self._told:
            far.tell(self._away.token, words)
            self._told = (self._reach.drawn, words)

    def _pass_update(self, far: Far) -> None:
        """Send labels that were prepared since the last look; the trainer there looks for them."""
        stamp = self._bundle.update_stamp()
        if stamp == self._update or not self._contents.open_ended:
            return
        items = pack_update(self._bundle, self._bundle.read_update(), self._disguise)
        for _ in send(far, items, self._name):
            pass
        update = {path: item.sha256 for path, item in items.items()}
        if not far.assemble(self._away.token, self._run, update):
            self._update = stamp

    def _understand(self, lines: tuple[str, ...]) -> Iterator[Event]:
        for line in lines:
            if '"event"' in line:
                yield from self._heard(line, record=True)
                continue
            with suppress(ValueError):
                message = json.loads(line)
                self._failure = str(message.get("error", self._failure))
                self._ended = self._ended or "end" in message

    def _heard(self, line: str, *, record: bool) -> Iterator[Event]:
        try:
            event = self._with_notes(from_json(self._disguise.reveal(line)))
        except (ValueError, TypeError, AttributeError):
            return
        if isinstance(event, RunFinished):
            self._finish = event
            return
        if isinstance(event, CheckpointSaved):
            self._fetched_of += 1
            self._coming = None
        known = record and self._skipped > 0
        if known:
            self._skipped -= 1
        elif record:
            self._recorder.record(event)
        if not known or isinstance(event, RunStarted):
            yield event

    def _with_notes(self, event: Event) -> Event:
        """What the run was prepared with is told here, with the names from here."""
        if not isinstance(event, RunStarted):
            return event
        told = {name: getattr(event, name) for name in event.__slots__}
        notes = (*self._contents.notes, *event.notes, f"The training runs on {self._name}.")
        return RunStarted(**{**told, "notes": notes, "left_out": dict(self._contents.left_out)})

    def _take_parts(self, far: Far) -> None:
        """Let a checkpoint come a little further."""
        if self._coming is None and self._fetched_of:
            self._coming = self._landing.fetch(far, self._away.token, self._name)
        if self._coming is None:
            return
        until = time.monotonic() + FETCH_SECONDS
        while time.monotonic() < until:
            if next(self._coming, None) is None:
                self._coming, self._fetched_of = None, 0
                return

    def _bring_back(self, far: Far) -> Steps[None]:
        while True:
            coming = self._landing.fetch(far, self._away.token, self._name)
            try:
                while True:
                    yield next(coming)
                    if self._control.left:
                        raise _LeftError
            except StopIteration as end:
                if end.value:
                    return

    def _arrive(self) -> Steps[None]:
        """The run is here, whole: only now does anybody else get to see it."""
        folder = self._bundle.run
        iterations = folder.checkpoints.iterations
        finish = self._finish or _failure_event(self._run, max(iterations, default=0), self._failure)
        if not self._already_recorded(finish):
            self._recorder.record(finish)
        if finish.iteration > 0 and finish.reason != "failed":
            propose(folder.path)
        yield from self._reach.steadily(self._clean_up)
        self._landing.clear()
        self._bundle.drop_arrays()
        forget_away(folder.path)
        yield finish
        if finish.reason == "failed":
            raise TrainingError(self._failure or finish.message)

    def _clean_up(self, far: Far) -> Steps[None]:
        far.drop(self._away.token, self._away.machine.keep_scans)
        yield from ()

    def _lost(self) -> Steps[None]:
        """The machine knows nothing of it any more: it was here already, or is gone."""
        folder = self._bundle.run
        ends = [event for event in read_events(folder.path) if isinstance(event, RunFinished | RunStarted)]
        forget_away(folder.path)
        self._landing.clear()
        if ends and isinstance(ends[-1], RunFinished):
            yield ends[-1]
            return
        raise TrainingError(
            f"{self._name} has nothing of run {self._run} any more. Your labels are untouched; the run can "
            "go on from the last checkpoint that came back, if any did."
        )

    def _already_recorded(self, finish: RunFinished) -> bool:
        return read_events(self._bundle.run.path)[-1:] == [finish]


def _failure_event(run: str, iteration: int, sentence: str) -> RunFinished:
    return RunFinished(run, iteration, "failed", 0.0, None, None, sentence or "The training failed there.")


def _end_there(name: str, run: str, log: str) -> str:
    last = f" Its last words: {log.splitlines()[-1]}" if log else ""
    return (
        f"The training process on {name} was killed or has crashed. Your labels are untouched, and run {run} "
        f"can go on from its last checkpoint.{last}"
    )


def _lines_after(bundle: Bundle, offset: int) -> int:
    """How many events were recorded since the run left; a line that a crash has cut short is removed."""
    path = bundle.run.path / "events.jsonl"
    try:
        with path.open("r+b") as file:
            file.seek(offset)
            content = file.read()
            whole = content.rfind(b"\n") + 1
            file.truncate(offset + whole)
    except FileNotFoundError:
        return 0
    return content[:whole].count(b"\n")
