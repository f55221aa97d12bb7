"""Items 51, 61 to 64 and 68 of docs/explanation/faults.md: memory, and what must not be reachable."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_dycon
from napari_dycon.engine.device import is_out_of_memory, resolve_device
from napari_dycon.engine.events import Note, RunFinished, StepFinished
from napari_dycon.engine.optimisation import Optimisation
from napari_dycon.engine.processor import available_cores
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.errors import TrainingError
from napari_dycon.study.truth.annotations import Annotation

TINY = {
    "patch_size": (8, 8, 8),
    "network": {"widths": (4, 8), "strides": ((2, 2, 2),), "projection": 8},
    "overlap": 0.25,
}


@pytest.fixture
def training(study):
    """A short training on one labelled scan."""
    labels = np.zeros(study.cases[0].shape, np.uint8)
    labels[3:8, 3:8, 2:6] = 1
    study.save_annotation("heart", Annotation.full(labels), "import")
    return lambda **options: Trainer(
        study, "supervised", iterations=3, overrides=TINY, device="cpu", holdout=False, threads=1, **options
    )


def out_of_memory(monkeypatch, times):
    real, left = Optimisation.step, [times]

    def step(self, *details):
        if left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(self, *details)

    monkeypatch.setattr(Optimisation, "step", step)


def test_51_when_memory_runs_out_once_the_training_goes_on_smaller_and_says_so(training, monkeypatch):
    monkeypatch.setattr("napari_dycon.engine.stepping.smaller_patch", lambda plan: plan)
    out_of_memory(monkeypatch, 1)
    events = list(training().run())
    assert any(isinstance(event, Note) and "Memory ran out" in event.text for event in events)
    assert sum(isinstance(event, StepFinished) for event in events) == 3
    assert events[-1].reason == "budget"


def test_51_when_it_runs_out_again_that_is_said_in_a_sentence_and_the_labels_are_untouched(
    training, study, monkeypatch
):
    monkeypatch.setattr("napari_dycon.engine.stepping.smaller_patch", lambda plan: plan)
    out_of_memory(monkeypatch, 2)
    before, events = study.annotation("heart").labels, []
    with pytest.raises(TrainingError, match=r"not enough memory.*close other programs"):
        events.extend(training().run())
    assert np.array_equal(study.annotation("heart").labels, before)
    assert not any(isinstance(event, RunFinished) and event.reason == "budget" for event in events)


@pytest.mark.parametrize("message", ["CUDA error: device-side assert triggered", "CUDA error: unknown error"])
def test_68_a_device_that_fails_ends_the_training_with_a_sentence(training, monkeypatch, message):
    def step(self, *details):
        raise RuntimeError(f"{message}\nCompile with TORCH_USE_CUDA_DSA")

    monkeypatch.setattr(Optimisation, "step", step)
    with pytest.raises(TrainingError, match="Training failed at step 1: CUDA error") as told:
        list(training().run())
    assert "\n" not in str(told.value)
    assert not is_out_of_memory(RuntimeError(message))


def test_68_a_device_that_is_not_there_is_named_with_those_that_are(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match=r"'cuda' is not available here; use one of: auto.*cpu"):
        resolve_device("cuda")
    assert resolve_device("auto") in ("cpu", "mps")


def test_61_68_training_leaves_a_core_to_the_window_and_gives_way_to_it():
    """What keeps the window fluid; benchmarks/responsiveness.py measures that it does."""
    code = """
import os, threading
from napari_dycon.plugin.background.jobs import spare_threads
from napari_dycon.plugin.background.worker import lower_thread_priority
def work():
    lower_thread_priority()
    found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
found, before = [], os.getpriority(os.PRIO_PROCESS, 0)
thread = threading.Thread(target=work); thread.start(); thread.join()
import torch
from napari_dycon.engine.device import resolve_device
print(spare_threads(), found[0] > before, os.environ.get("OMP_WAIT_POLICY"), resolve_device("auto"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    threads, gives_way, waiting, device = done.stdout.split()
    assert int(threads) == max(1, available_cores() - 1)
    assert gives_way == "True" or sys.platform != "linux"
    assert waiting == "PASSIVE"
    assert device in ("cpu", "mps"), "torch that finds no GPU is no obstacle"


def calls():
    """Every call in the package, with the file it is in."""
    for path in Path(napari_dycon.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path.name, ast.unparse(node.func), {word.arg: word.value for word in node.keywords}


def test_62_63_no_process_is_forked_for_data_and_nothing_needs_a_compiler():
    found = {(file, name) for file, name, _ in calls()}
    assert not [one for one in found if one[1].split(".")[-1] in ("DataLoader", "fork")]
    assert not [one for one in found if one[1] in ("torch.compile", "compile")]


def test_64_no_thread_is_a_daemon():
    """A daemon that is in torch when the interpreter ends takes the process down with it."""
    threads = [(file, words) for file, name, words in calls() if name.split(".")[-1] in ("Thread", "Timer")]
    assert threads
    for file, words in threads:
        daemon = words.get("daemon")
        assert daemon is None or ast.literal_eval(daemon) is False, file
