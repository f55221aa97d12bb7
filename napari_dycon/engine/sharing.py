"""Long tasks on the workers of a Dask cluster: they tell how far they are, and stop when asked.

A task keeps what it has done in a folder that all workers see. One whose worker dies is given to another one
and goes on there; what comes of it is handed to whoever asked, who alone writes it down.
"""

import queue
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from napari_dycon.engine.cluster import done_of, outcome_of
from napari_dycon.engine.control import Control
from napari_dycon.errors import DyconError

if TYPE_CHECKING:
    from distributed import Client, Future

TELL_SECONDS = 0.5
"""A worker tells no more often how far it is."""

R = TypeVar("R")
_CONTROLS: dict[str, list[Control]] = {}
_STOPPED: set[str] = set()
"""In a worker: the brakes of its tasks by what they belong to, and what was stopped."""
Words = tuple[str, float | None, str]
"""Name of a task, how far it is, and a few words."""


@dataclass(frozen=True, slots=True)
class TaskTold:
    """How far a task is, from 0 to 1, and a few words; ``None`` at its begin."""

    task: str
    share: float | None
    words: str


@dataclass(frozen=True, slots=True)
class TaskDone(Generic[R]):
    """What came of a task: a result, or a sentence why there is none; neither when it was stopped."""

    task: str
    result: R | None
    problem: str


@dataclass
class Report:
    """What a task is given beside its job: the brake, and somebody to tell how far it is."""

    tell_them: Callable[[float | None, str], None]
    control: Control = field(default_factory=Control)
    _told: float = 0.0

    def begin(self, words: str) -> None:
        """Say that the task begins."""
        self.tell_them(None, words)

    def tell(self, share: float, words: str) -> None:
        """Say how far the task is; most of what comes too fast is not passed on."""
        now = time.monotonic()
        if now - self._told >= TELL_SECONDS:
            self._told = now
            self.tell_them(share, words)


Task = Callable[[Any, Report], R | None]
"""Does a job, and returns what comes of it; None when it was stopped."""


def share_out(
    client: "Client",
    task: Task[R],
    jobs: Mapping[str, Any],
    control: Control,
    after: Mapping[str, str] | None = None,
) -> Iterator[TaskTold | TaskDone[R]]:
    """Have jobs done by workers, and pass on what they tell, until all are done or have stopped.

    Parameters
    ----------
    client
        Of the cluster.
    task
        A function of a module, which workers import.
    jobs
        What each task is given, by its name; can be pickled.
    control
        A stop reaches the workers, whose tasks end after the step at hand; those that wait end at once.
    after
        Tasks that begin once another one has a result; without one of that, they end as if stopped.
    """
    topic = f"dycon-{uuid.uuid4().hex}"
    told: queue.SimpleQueue[Words] = queue.SimpleQueue()
    client.subscribe_topic(topic, lambda event: told.put(tuple(event[1])))
    futures: dict[str, Future] = {}
    for name, job in jobs.items():
        before = futures.get((after or {}).get(name, ""))
        futures[name] = client.submit(_work, task, job, topic, name, before, pure=False)
    waiting = {future: name for name, future in futures.items()}
    try:
        while waiting:
            if control.stopped:
                client.run(_stop, topic, on_error="ignore")
            ready = done_of(list(waiting))
            yield from _said(told, set(waiting.values()))
            for future in ready:
                yield TaskDone(waiting.pop(future), *outcome_of(future, None))
    finally:
        client.cancel(list(waiting))
        client.unsubscribe_topic(topic)


def _said(told: "queue.SimpleQueue[Words]", of: Collection[str]) -> Iterator[TaskTold]:
    while not told.empty():
        event = TaskTold(*told.get())
        if event.task in of:
            yield event


def ask(client: "Client", question: Callable[[Any], R], about: Any, control: Control) -> R | None:
    """Have a worker answer a question, as soon as there is one; None when it was stopped before."""
    future = client.submit(question, about, pure=False)
    while not control.stopped:
        if done_of([future]):
            answer: R = future.result()
            return answer
    client.cancel([future])
    return None


def _work(
    task: Task[R], job: Any, topic: str, name: str, before: tuple[Any, str] | None
) -> tuple[R | None, str]:
    """Do a job on a worker; what is wrong is said in words."""
    from distributed import get_worker

    if before is not None and before[0] is None:
        return None, ""
    worker = get_worker()
    report = Report(lambda share, words: worker.log_event(topic, (name, share, words)))
    with _heeding(topic, report.control):
        if report.control.stopped:
            return None, ""
        try:
            return task(job, report), ""
        except (DyconError, MemoryError) as error:
            return None, str(error) or "there is not enough memory for it."


@contextmanager
def _heeding(topic: str, control: Control) -> Iterator[None]:
    """Have a control hear of a stop while the block runs."""
    _CONTROLS.setdefault(topic, []).append(control)
    if topic in _STOPPED:
        control.stop()
    try:
        yield
    finally:
        _CONTROLS[topic].remove(control)


def _stop(topic: str) -> None:
    """Stop all tasks in this process, those to come too; what a worker is told to run, whatever it is at."""
    _STOPPED.add(topic)
    for control in list(_CONTROLS.get(topic, ())):
        control.stop()
