"""Events cross threads and files as plain data."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import get_args

import pytest
import torch

from napari_dycon.engine.budget import Stopwatch
from napari_dycon.engine.control import Control
from napari_dycon.engine.device import card_fault, configure_threads, is_out_of_memory, resolve_device
from napari_dycon.engine.events import (
    CasePredicted,
    CheckpointSaved,
    Event,
    Glimpse,
    LabelsJoined,
    Note,
    PredictionFinished,
    PredictionProgress,
    RunFinished,
    RunStarted,
    ScanLabelled,
    ScanPreparation,
    StepFinished,
    Transfer,
    Validated,
    from_json,
)
from napari_dycon.engine.recorder import Recorder, read_events
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.errors import StudyError, TrainingError

KINDS_TRIED: set[type] = set()
STEP = StepFinished(3, 0.5, {"supervised": 0.25}, 1.5, 2.0, 5.0, {"beta": 0.1})


@pytest.mark.parametrize(
    "event",
    [
        ScanPreparation("case-1", 0, 3),
        ScanLabelled("case-1", 0, 3),
        Transfer("sent to", "GPU box", 10**6, 3 * 10**6),
        RunStarted(
            "001-dycon", "dycon", "cpu", {"patch_size": [1, 2, 3]}, ("a note", "Vorhof links ü"), {"a": "b"}
        ),
        LabelsJoined(3, ("case-1", "case-2"), 2, ("case-2",)),
        STEP,
        Validated(3, {"left atrium": 0.8}, 0.8, "2 held-out cases"),
        Glimpse("case-1", 2, 0.5, 3, (4, 5), "eA==", "eA=="),
        CheckpointSaved(3),
        Note("warning", "Two\nlines \u2028 and a “quote”."),
        RunFinished("001-dycon", 3, "budget", 1.5, None, 0.8, "Training finished after 3 steps."),
        PredictionProgress("case-1", 0, 3, 0.1),
        CasePredicted("case-1", 1, 3, {"organ": 1.5}, 0.2, False, {"organ": 0.9, "node": None}),
        PredictionFinished("001-dycon", ("case-1", "case-2"), False, {"case-3": "It is gone."}),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_comes_back_from_its_line(event):
    line = event.to_json()
    assert "\n" not in line
    assert from_json(line) == event
    KINDS_TRIED.add(type(event))


def test_every_kind_of_event_was_tried():
    assert set(get_args(Event)) == KINDS_TRIED


def test_numbers_that_are_not_finite_stay_valid_json():
    line = StepFinished(1, 0.1, {"a": float("nan")}, 1, float("inf"), 1).to_json()
    assert json.loads(line)["losses"] == {"a": None}
    back = from_json(line)
    assert math.isnan(back.losses["a"]) and math.isnan(back.seconds_left)


def test_what_is_no_event_is_refused():
    with pytest.raises(ValueError, match="not an event"):
        from_json('{"event": "Surprise"}')


def test_rewinding_drops_later_steps_and_a_torn_line(tmp_path):
    recorder = Recorder(tmp_path)
    for iteration in (1, 2, 3):
        recorder.record(StepFinished(iteration, 0.1, {"a": 1.0}, 1, 1, 1))
    recorder.record(Note("info", "hello"))
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "StepFin')
    recorder.rewind(2)
    events = read_events(tmp_path)
    assert [e.iteration for e in events if isinstance(e, StepFinished)] == [1, 2]
    assert (tmp_path / "metrics.csv").read_text().count("loss/a") == 2


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(StudyError, match="cannot be written"):
        Recorder(tmp_path / "gone").record(STEP)


def test_following_a_run_does_not_import_torch():
    modules = "napari_dycon.engine.events, napari_dycon.engine.control"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_idle_threads_sleep():
    code = "import os, napari_dycon.engine; print(os.environ['OMP_WAIT_POLICY'])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "PASSIVE"


def test_a_stop_wins_over_a_pause():
    control = Control()
    control.pause()
    assert control.paused
    control.stop()
    control.wait_while_paused()
    assert control.stopped


def test_devices_and_threads():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda", "mps")
    with pytest.raises(TrainingError, match="'abacus' is not available"):
        resolve_device("abacus")
    assert configure_threads(1) == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_recognised(error, expected):
    assert is_out_of_memory(error) == expected


def test_the_sleep_of_the_computer_is_no_training_time(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("napari_dycon.engine.budget.time.perf_counter", lambda: clock[0])
    watch = Stopwatch(most=60.0)
    for seconds in (2.0, 3.0, 8 * 3600.0, 2.0):
        watch.start()
        clock[0] += seconds
        assert watch.seconds <= 70
        watch.stop()
        clock[0] += 5.0
    assert watch.seconds == pytest.approx(67)
    slow = Stopwatch(most=60.0)
    for seconds in (50.0, 55.0, 300.0):
        slow.start()
        clock[0] += seconds
        slow.stop()
    assert slow.seconds == pytest.approx(405)


@pytest.fixture
def card_without_kernels(monkeypatch):
    def ones(*arguments, **options):
        if options.get("device") != "cuda":
            return plain(*arguments, **options)
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")

    plain = torch.ones

    card_fault.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", ones)
    yield
    card_fault.cache_clear()


def test_a_card_without_kernels_is_passed_over_and_that_is_said(card_without_kernels):
    assert resolve_device("auto") in ("cpu", "mps")
    with pytest.raises(
        TrainingError, match=r"'cuda' is not available here: CUDA error: no kernel image .* cpu"
    ):
        resolve_device("cuda")


def test_training_says_that_a_card_is_not_used(card_without_kernels, make_study):
    first = next(
        event for event in Trainer(make_study(), iterations=1).run() if isinstance(event, RunStarted)
    )
    assert first.device == "cpu" and any("graphics card is not used" in note for note in first.notes)
