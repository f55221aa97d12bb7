"""The background thread: however a job ends, the end is told, nothing leaks and nothing hangs."""

import gc
import logging
import subprocess
import sys
import threading
import time
import warnings
import weakref

import pytest
from superqt.utils import WorkerBase

from napari_dycon.engine.control import Control
from napari_dycon.errors import DyconError, StudyError
from napari_dycon.plugin.background.queue import Job, JobQueue
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.background.worker import EventWorker


class OutOfMemoryError(RuntimeError):
    """As torch's: a RuntimeError with this name."""


def raising(error):
    def source(control):
        yield "before"
        raise error

    return source


def ignore(event):
    del event


def counting(control):
    for number in range(10_000):
        if control.stopped:
            yield "saved"
            return
        control.wait_while_paused()
        yield number
        time.sleep(0.002)


class Log:
    """Keeps what a job reports."""

    def __init__(self):
        self.events, self.ends = [], []

    def take(self, events):
        self.events += events

    def end(self, sentence, details):
        self.ends.append((sentence, details))


@pytest.fixture
def log():
    return Log()


def finish(qtbot, log, seconds=10):
    qtbot.waitUntil(lambda: bool(log.ends), timeout=seconds * 1000)


ERRORS = [
    (RuntimeError("shape mismatch"), "shape mismatch"),
    (OutOfMemoryError("CUDA out of memory"), "Memory ran out"),
    (MemoryError(), "Memory ran out"),
    (SystemExit(3), "ended itself"),
    (KeyboardInterrupt(), "KeyboardInterrupt"),
    (StopIteration(), "StopIteration"),
    (OSError(28, "No space left on device", "/x/y"), "No space left"),
    (StudyError("No labels at all; paint a slice."), "No labels at all; paint a slice."),
]


@pytest.mark.parametrize(("error", "words"), ERRORS, ids=lambda value: type(value).__name__)
def test_any_exception_ends_the_job_with_a_sentence(qtbot, log, error, words):
    job = Job(raising(error), log.take, log.end)
    job.start()
    finish(qtbot, log)
    sentence, details = log.ends[0]
    assert words in sentence
    assert "Traceback" in details
    assert log.events == ["before"]
    assert len(log.ends) == 1
    assert not job.running
    assert not WorkerBase._worker_set, "napari would wait for this worker for ever"


def test_events_arrive_in_order_in_the_gui_thread(qtbot, log):
    threads = set()

    def take(events):
        threads.add(threading.current_thread())
        log.take(events)

    def source(control):
        yield from range(500)

    Job(source, take, log.end).start()
    finish(qtbot, log)
    assert log.events == list(range(500))
    assert threads == {threading.main_thread()}
    assert log.ends == [("", "")]


def test_events_are_delivered_at_most_ten_times_a_second(qtbot, log):
    calls = []

    def take(events):
        calls.append(len(events))

    def source(control):
        for number in range(300):
            yield number
            time.sleep(0.002)

    started = time.monotonic()
    Job(source, take, log.end).start()
    finish(qtbot, log)
    assert sum(calls) == 300
    assert len(calls) <= 10 * (time.monotonic() - started) + 2


def test_napari_quit_stops_the_job_at_a_safe_point(qtbot, log):
    job = Job(counting, log.take, log.end)
    job.start()
    qtbot.waitUntil(lambda: bool(log.events), timeout=5000)
    for worker in set(WorkerBase._worker_set):
        worker.quit()
    finish(qtbot, log)
    assert log.events[-1] == "saved"


def test_stop_also_wakes_a_paused_job(qtbot, log):
    job = Job(counting, log.take, log.end)
    job.start()
    job.control.pause()
    qtbot.waitUntil(lambda: job.control.resting, timeout=5000)
    job.stop()
    finish(qtbot, log)
    assert log.events[-1] == "saved"


def test_stop_and_wait_ends_without_an_event_loop_and_reports_nothing(qtbot, log):
    job = Job(counting, log.take, log.end)
    job.start()
    assert job.stop_and_wait(5)
    qtbot.wait(50)
    assert log.ends == []


def test_the_warnings_hook_is_untouched_during_and_after_overlapping_jobs(qtbot):
    before = warnings.showwarning
    logs = Log(), Log()
    jobs = [Job(counting, log.take, log.end) for log in logs]
    for job in jobs:
        job.start()
    qtbot.waitUntil(lambda: all(log.events for log in logs), timeout=5000)
    assert warnings.showwarning is before
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)
    for job, log in zip(jobs, logs, strict=True):
        job.stop()
        finish(qtbot, log)
    assert warnings.showwarning is before


def test_a_failed_job_frees_what_its_frames_held(qtbot, log):
    class Tensor:
        pass

    seen = []

    def source(control):
        tensor = Tensor()
        seen.append(weakref.ref(tensor))
        yield "x"
        raise RuntimeError("out of memory")

    job = Job(source, log.take, log.end)
    job.start()
    finish(qtbot, log)
    gc.collect()
    assert seen[0]() is None


def test_the_thread_is_no_daemon_and_has_a_low_priority(qtbot, log):
    facts = {}

    def source(control):
        import os
        import sys

        facts["daemon"] = threading.current_thread().daemon
        if sys.platform.startswith("linux"):
            facts["nice"] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
            facts["main"] = os.getpriority(os.PRIO_PROCESS, threading.main_thread().native_id)
        yield 1

    Job(source, log.take, log.end).start()
    finish(qtbot, log)
    assert facts["daemon"] is False
    if "nice" in facts:
        assert facts["nice"] > facts["main"]


LOADING = """
import gc
from napari_dycon.engine.control import Control
from napari_dycon.plugin.background.worker import EventWorker

def source(control):
    import torch
    yield 1

worker = EventWorker(source, Control())
gc.unfreeze()
gc.freeze()
kept = gc.get_freeze_count()
worker.run()
print(gc.get_freeze_count() - kept > 10_000, len(gc.get_objects()) < 10_000)
"""


def test_what_a_job_has_loaded_is_not_looked_through_again_and_again():
    """A full collection after PyTorch was loaded held the window for more than a quarter of a second."""
    found = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True", "True"]


def test_a_worker_may_be_started_once(qtbot):
    worker = EventWorker(counting, Control())
    worker.start()
    with pytest.raises(RuntimeError, match="already"):
        worker.start()
    worker.quit()
    assert worker.wait(5)


def test_the_queue_keeps_only_the_newest_request_of_a_kind(qtbot):
    shown = []

    def slow(name):
        def source(control):
            time.sleep(0.05)
            yield name

        return source

    queue = JobQueue(lambda *failure: shown.append(failure))
    for name in ("first", "second", "third"):
        queue.put("case", slow(name), shown.append)
    queue.put("other", slow("other"), shown.append)
    qtbot.waitUntil(lambda: not queue.busy, timeout=5000)
    assert shown == ["first", "third", "other"]


def test_the_queue_goes_on_after_a_failure(qtbot):
    shown = []
    queue = JobQueue(lambda sentence, details: shown.append(sentence))
    queue.put("a", raising(DyconError("This scan is damaged; remove it.")), shown.append)
    queue.put("b", lambda control: iter(["fine"]), shown.append)
    qtbot.waitUntil(lambda: not queue.busy, timeout=5000)
    assert shown == ["before", "This scan is damaged; remove it.", "fine"]


def test_a_second_task_is_refused_and_the_first_goes_on(qtbot):
    tasks, seen, ends = Tasks(), [], []
    tasks.ended.connect(lambda *end: ends.append(end))
    tasks.run("training", "go", counting, seen.append)
    with pytest.raises(StudyError, match="Training is under way"):
        tasks.run("predicting", "go", counting, seen.append)
    qtbot.waitUntil(lambda: bool(seen), timeout=5000)
    assert tasks.state.kind == "training"
    tasks.stop()
    assert tasks.state.phase == "stopping"
    qtbot.waitUntil(lambda: bool(ends), timeout=5000)
    assert ends == [("training", "", "")]
    assert not tasks.state.busy


def test_pausing_becomes_paused_only_when_the_job_rests(qtbot):
    tasks, phases = Tasks(), []
    tasks.changed.connect(lambda state: phases.append(state.phase))
    tasks.run("training", "go", counting, ignore)
    tasks.pause()
    assert tasks.state.phase == "pausing"
    qtbot.waitUntil(lambda: tasks.state.phase == "paused", timeout=5000)
    tasks.resume()
    assert tasks.state.phase == "running"
    assert tasks.close(5)
    assert not tasks.state.busy


def test_what_follows_a_stop_begins_after_the_end(qtbot):
    tasks, order = Tasks(), []
    tasks.ended.connect(lambda *end: order.append("ended"))
    tasks.run("predicting", "go", counting, ignore)
    tasks.stop(then=lambda: order.append("next"))
    qtbot.waitUntil(lambda: "next" in order, timeout=5000)
    assert order == ["ended", "next"]


def test_a_failure_is_not_logged_as_an_unhandled_exception(qtbot, log, caplog):
    caplog.set_level(logging.ERROR)
    Job(raising(RuntimeError("x")), log.take, log.end).start()
    finish(qtbot, log)
    assert "Unhandled" not in caplog.text
