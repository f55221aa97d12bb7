"""A training through a folder that two programs see."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import StepFinished
from napari_dycon.engine.runners.elsewhere.follow import train_elsewhere
from napari_dycon.engine.runners.elsewhere.machines import make_machine
from napari_dycon.engine.runners.elsewhere.share import WORKER, work
from napari_dycon.errors import TrainingError
from tests.engine.conftest import numbers
from tests.engine.runners.elsewhere.test_follow import RUN, model, wish


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "share"
    path.mkdir()
    return path


@pytest.fixture
def worker(folder):
    command = [sys.executable, "-m", "napari_dycon.cli", "work", str(folder), "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not (folder / WORKER).exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.1)
    yield process
    process.terminate()
    process.communicate(timeout=60)


def test_the_model_is_that_of_a_training_here_and_nothing_is_left(make_study, train, folder, worker):
    here, study = make_study(name="here"), make_study()
    expected = train(here, iterations=6)
    machine = make_machine(name="share", scratch=str(folder))
    events = list(train_elsewhere(study, wish(), Control(), machine))
    assert numbers(events) == numbers(expected) and model(study) == model(here)
    assert study.active_run == RUN
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [WORKER]


def test_a_stop_is_told_there(make_study, folder, worker):
    study, control = make_study(), Control()
    machine = make_machine(name="share", scratch=str(folder))
    for event in train_elsewhere(study, wish(iterations=100000), control, machine):
        if isinstance(event, StepFinished) and event.iteration == 2:
            control.stop()
    assert event.reason == "stopped" and study.active_run == RUN


def test_a_folder_in_which_nobody_works_is_a_sentence(make_study, folder):
    machine = make_machine(name="share", scratch=str(folder))
    with pytest.raises(TrainingError, match=r"Nobody works in .*share: run dycon work"):
        list(train_elsewhere(make_study(), wish(), Control(), machine))


def test_a_folder_that_is_not_there_cannot_be_worked_in(tmp_path):
    with pytest.raises(TrainingError, match="There is no folder"):
        list(work(tmp_path / "nowhere", "cpu", Control()))
