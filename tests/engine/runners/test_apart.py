"""A training in a process of its own gives what one here gives, and whatever ends it is a sentence."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import (
    CheckpointSaved,
    RunFinished,
    RunStarted,
    ScanPreparation,
    StepFinished,
)
from napari_dycon.engine.recorder import read_events
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners import apart, child
from napari_dycon.engine.runners.apart import train_apart, train_bundle_apart
from napari_dycon.engine.runs import RunFolder
from napari_dycon.engine.setup import prepare
from napari_dycon.engine.steps import finish
from napari_dycon.errors import TrainingError
from napari_dycon.study.store.lock import RunLock
from napari_dycon.study.study import Study
from tests.engine.conftest import TINY, numbers


def wish(**changes: object) -> Request:
    return Request(**{"iterations": 6, "overrides": TINY, "threads": 1, "device": "cpu", **changes})


def trainer() -> psutil.Process:
    found = [p for p in psutil.Process().children() if "napari_dycon.engine.runners.child" in p.cmdline()]
    assert len(found) == 1
    return found[0]


def steps(events: list) -> list[int]:
    return [event.iteration for event in events if isinstance(event, StepFinished)]


def test_a_training_apart_gives_the_same_model_and_its_run_becomes_active(make_study, train):
    here, study = make_study(name="here"), make_study()
    expected = train(here, iterations=6)
    events = list(train_apart(study, wish(), Control()))
    assert isinstance(events[0], ScanPreparation)
    assert numbers(events) == numbers(expected)
    assert events[-1].reason == "budget" and study.active_run == events[-1].run == "001-dycon"
    own, other = (RunFolder(s.run_dir("001-dycon")).checkpoints.load() for s in (study, here))
    assert all((own.tensors[key] == other.tensors[key]).all() for key in other.tensors)


def test_a_bundle_is_trained_apart(make_study, train):
    here, study = make_study(name="here"), make_study()
    expected = train(here, iterations=6)
    bundle = finish(prepare(study, wish(), Control()))
    study.close()
    assert numbers(list(train_bundle_apart(bundle.run.path, Control()))) == numbers(expected)
    with Study.open(study.path) as again:
        assert again.active_run == "001-dycon"


def test_a_stop_saves_and_the_run_goes_on_bit_by_bit(make_study, train):
    here, study, control = make_study(name="here"), make_study(), Control()
    expected = train(here, iterations=60)
    first = []
    for event in train_apart(study, wish(iterations=60), control):
        first.append(event)
        if isinstance(event, StepFinished) and event.iteration == 3:
            control.stop()
    assert first[-1].reason == "stopped" and study.active_run == first[-1].run
    second = train(study, None, resume=True)
    assert numbers(first) + numbers(second) == numbers(expected)


def test_a_pause_rests_and_saves_there_too(make_study):
    study, control, rested = make_study(), Control(), []

    def wait():
        rested.append(control.paused)
        threading.Event.wait(threading.Event(), 0.5)
        control.resume()

    control.wait_while_paused = wait  # type: ignore[method-assign]
    events = []
    for event in train_apart(study, wish(method="supervised", iterations=100, holdout=False), control):
        events.append(event)
        if isinstance(event, StepFinished) and event.iteration == 2:
            control.pause()
    assert rested == [True] and events[-1].reason == "budget"
    assert len([event for event in events if isinstance(event, CheckpointSaved)]) == 2


def test_closing_the_events_saves_and_leaves_no_process(make_study):
    study = make_study()
    events = train_apart(study, wish(iterations=10000), Control())
    for event in events:
        if isinstance(event, StepFinished) and event.iteration == 2:
            break
    process = trainer()
    events.close()
    assert not process.is_running()
    assert RunFolder(study.run_dir("001-dycon")).checkpoints.load().iteration >= 2


@pytest.mark.skipif(sys.platform != "linux", reason="niceness of threads")
def test_every_thread_of_the_process_gives_way_to_the_window(make_study):
    """Niceness counts within a session only, where the scheduler of Linux groups by session."""
    events, before = train_apart(make_study(), wish(iterations=10000), Control()), os.getpriority(0, 0)
    for event in events:
        if isinstance(event, StepFinished) and event.iteration == 2:
            break
    process = trainer().pid
    assert os.getsid(process) == os.getsid(0)
    assert os.getpgid(process) == process, "a Ctrl-C in the terminal is not for it"
    threads = [int(thread.name) for thread in Path(f"/proc/{process}/task").iterdir()]
    nices = {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}
    assert len(threads) > 1 and nices == {max(before, child.NICENESS)}
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_IDLE}
    events.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_whatever_ends_the_process_is_a_sentence_and_the_run_can_go_on(make_study, train, number):
    study, events = make_study(), []
    words = "was killed" if number == signal.SIGKILL else rf"crashed \({number.name}\)"
    with pytest.raises(TrainingError, match=rf"The training process {words}.*labels are untouched"):
        for event in train_apart(study, wish(iterations=10000), Control()):
            events.append(event)
            if isinstance(event, StepFinished) and event.iteration == 3:
                trainer().send_signal(number)
    assert isinstance(events[-1], RunFinished) and events[-1].reason == "failed"
    assert study.active_run is None and not RunLock.is_held(study.run_dir("001-dycon"))
    again = train(study, None, resume=True, iterations=4, run_id="001-dycon")
    assert steps(again) == [1, 2, 3, 4] and study.active_run == "001-dycon"


def test_killed_at_any_moment_it_goes_on_from_the_last_checkpoint_and_labels_are_whole(make_study):
    study, chance = make_study(), random.Random(3)
    labels = {case.id: study.annotation(case.id) for case in study.cases}
    request = wish(iterations=100000)
    for number in range(4):
        control, events = Control(), []
        killer = threading.Timer(chance.uniform(0.5, 9), lambda: trainer().kill())
        killer.start()
        with pytest.raises(TrainingError, match=r"^The training process was killed, .*labels are untouched"):
            for event in train_apart(study, request, control):
                events.append(event)
                if isinstance(event, StepFinished) and event.iteration % 5 == 0:
                    control.pause()  # saves
                    control.resume()
        killer.join()
        runs = study.runs()
        saved = [e.iteration for e in events if isinstance(e, CheckpointSaved)]
        if runs and (newest := RunFolder(study.run_dir(runs[-1])).checkpoints.iterations):
            assert not saved or newest[0] >= saved[-1]
            if any(isinstance(event, RunStarted) for event in events) and number:
                done = steps(events)
                assert done == list(range(done[0], done[-1] + 1)) if done else True
            request = wish(iterations=100000, resume=True, run_id=runs[-1])
    for case, was in labels.items():
        now = study.annotation(case)
        assert np.array_equal(now.labels, was.labels) and np.array_equal(now.known, was.known)
    study.close()
    with Study.open(study.path) as again:
        assert again.notes == ()


def test_what_cannot_be_trained_is_refused_in_the_same_words(make_study):
    with pytest.raises(TrainingError, match="Nothing to learn from yet") as told:
        list(train_apart(make_study(labelled=0), wish(), Control()))
    assert "Traceback" in str(told.value.__cause__)
    with pytest.raises(TrainingError, match="no learning method 'magic'"):
        list(train_apart(make_study(name="other"), wish(method="magic"), Control()))


def test_a_stop_before_the_start_leaves_no_run(make_study):
    study, control = make_study(), Control()
    control.stop()
    events = list(train_apart(study, wish(), control))
    assert events[-1].reason == "stopped" and study.runs() == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)", "ended itself unexpectedly .exit 3"),
        ("raise MemoryError", "Memory ran out: close other programs"),
        ("raise RuntimeError('shapes differ')", "The training failed: RuntimeError: shapes differ"),
        ("import os; os._exit(4)", "ended without a result .exit 4"),
        ("import os; os.abort()", "crashed .SIGABRT"),
    ],
)
def test_a_fault_outside_of_the_training_is_a_sentence_too(make_study, monkeypatch, fault, words):
    code = (
        "from napari_dycon.engine.runners import child\n"
        f"def events(self, control):\n    {fault}\n    yield\n"
        "child.Task.events = events\nchild.exit_at_once(child.main())"
    )
    monkeypatch.setattr(apart, "CHILD", (sys.executable, "-c", code))
    with pytest.raises(TrainingError, match=words) as told:
        list(train_apart(make_study(), wish(), Control()))
    assert "Traceback" not in str(told.value)


HOST = """
import sys
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import StepFinished
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.apart import train_apart
from napari_dycon.study.study import Study

with Study.open(sys.argv[1]) as study:
    for event in train_apart(study, Request.model_validate_json(sys.argv[2]), Control()):
        if isinstance(event, StepFinished):
            print("step", flush=True)
"""


def test_when_the_window_is_killed_the_training_saves_and_ends_and_its_run_is_adopted_later(make_study):
    study = make_study()
    study.close()
    request = wish(iterations=100000).model_dump_json()
    command = [sys.executable, "-c", HOST, str(study.path), request]
    host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None and host.stdout.readline() == "step\n"
    (process,) = psutil.Process(host.pid).children()
    host.kill()
    host.communicate()
    psutil.wait_procs([process], timeout=30)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    end = read_events(study.run_dir("001-dycon"))[-1]
    assert isinstance(end, RunFinished) and end.reason == "stopped" and end.iteration > 0
    with Study.open(study.path) as again:
        assert again.active_run == "001-dycon"


def test_what_libraries_print_is_no_event(make_study, monkeypatch):
    code = (
        "import os, sys; from napari_dycon.engine.runners import child; own = child._own_output();"
        "print('noise'); os.write(1, b'more noise'); own.write('event\\n'); own.flush()"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "event\n" and "noise" in found.stderr


def test_the_host_of_a_training_apart_does_not_import_torch():
    code = "import sys, napari_dycon.engine.runners.apart; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [(-9, "was killed"), (-11, "SIGSEGV"), (0xC0000005, "0xc0000005"), (3, "exit 3"), (-99, "exit -99")],
)
def test_every_end_has_words(code, words):
    assert words in apart._end_in_words(code)


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError(), "Memory ran out"), (TrainingError("so"), "so"), (KeyError("x"), "KeyError")],
)
def test_every_failure_has_words(error, words):
    assert words in child.failure_words(error)
