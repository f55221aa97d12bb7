"""A training on another machine gives what one here gives, whatever happens to the line."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import LabelsJoined, Note, RunStarted, StepFinished, Transfer
from napari_dycon.engine.recorder import read_events
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.elsewhere.away import read_away
from napari_dycon.engine.runners.elsewhere.follow import train_elsewhere
from napari_dycon.engine.runs import RunFolder
from napari_dycon.errors import TrainingError
from napari_dycon.study.study import Study
from tests.engine.conftest import TINY, numbers

RUN = "001-dycon"


def wish(**changes: object) -> Request:
    return Request(**{"iterations": 6, "overrides": TINY, "threads": 1, **changes})


def model(study: Study, run: str = RUN) -> bytes:
    checkpoints = RunFolder(study.run_dir(run)).checkpoints
    return checkpoints.files(checkpoints.iterations[0])[0].read_bytes()


def test_the_model_is_that_of_a_training_here_and_nothing_is_left_there(make_study, train, ssh):
    here, study = make_study(name="here"), make_study()
    expected = train(here, iterations=6)
    events = list(train_elsewhere(study, wish(), Control(), ssh.machine))
    assert numbers(events) == numbers(expected)
    assert events[-1].reason == "budget" and study.active_run == events[-1].run == RUN
    assert model(study) == model(here)
    for name in ("config.json", "plan.json", "quality.json"):
        other = (here.run_dir(RUN) / name).read_text().replace('"here-', '"study-')
        assert (study.run_dir(RUN) / name).read_text() == other, name
    assert [e for e in read_events(study.run_dir(RUN)) if isinstance(e, StepFinished)]
    assert ssh.left() == [] and read_away(study.run_dir(RUN)) is None
    kept = {path.name for path in study.run_dir(RUN).iterdir()}
    assert kept <= {path.name for path in here.run_dir(RUN).iterdir()}


def test_with_a_line_that_drops_the_model_is_the_same(make_study, train, ssh):
    here, study = make_study(name="here"), make_study()
    expected = train(here, iterations=40)
    events, drops = [], 0
    for event in train_elsewhere(study, wish(iterations=40), Control(), ssh.machine):
        events.append(event)
        if isinstance(event, StepFinished) and event.iteration % 8 == 0:
            ssh.drop()
            drops += 1
    said = [event.text for event in events if isinstance(event, Note)]
    assert drops == 5 and any("has dropped" in text and "goes on there" in text for text in said)
    assert any("is back" in text for text in said)
    assert numbers(events) == numbers(expected) and model(study) == model(here)
    assert study.active_run == RUN and ssh.left() == []


def test_no_name_that_anybody_gave_leaves_this_computer(make_study, ssh):
    study = make_study(name="MUELLER")
    events = train_elsewhere(study, wish(iterations=100000), Control(), ssh.machine)
    for event in events:
        if isinstance(event, StepFinished) and event.iteration == 2:
            break
    files = ssh.left()
    assert any(path.name.endswith(".npy") for path in files)
    for path in files:
        content = path.read_bytes().lower()
        assert b"mueller" not in content and "mueller" not in str(path.relative_to(ssh.scratch)).lower()
    assert "mueller" not in (ssh.home / "asked").read_text().lower()
    events.close()


def test_a_stop_is_told_and_the_run_goes_on_bit_by_bit_here(make_study, train, ssh):
    here, study, control = make_study(name="here"), make_study(), Control()
    expected = train(here, iterations=120)
    first = []
    for event in train_elsewhere(study, wish(iterations=120), control, ssh.machine):
        first.append(event)
        if isinstance(event, StepFinished) and event.iteration == 3:
            control.stop()
    assert first[-1].reason == "stopped" and study.active_run == RUN
    second = train(study, None, resume=True)
    assert numbers(first) + numbers(second) == numbers(expected) and model(study) == model(here)


def test_a_run_that_was_left_here_goes_on_there(make_study, train, ssh):
    here, study, control = make_study(name="here"), make_study(), Control()
    expected = train(here, iterations=30)
    for event in train_elsewhere(study, wish(iterations=30), control, ssh.machine):
        if isinstance(event, StepFinished) and event.iteration == 2:
            control.stop()
    done = RunFolder(study.run_dir(RUN)).checkpoints.iterations[0]
    more = list(train_elsewhere(study, Request(resume=True, threads=1), Control(), ssh.machine))
    assert numbers(more) == numbers(expected)[done:] and model(study) == model(here)
    steps = [e.iteration for e in read_events(study.run_dir(RUN)) if isinstance(e, StepFinished)]
    assert steps == list(range(1, 31))


def test_a_pause_rests_there(make_study, ssh):
    study, control = make_study(), Control()
    before = after = None
    for event in train_elsewhere(study, wish(iterations=400), control, ssh.machine):
        if isinstance(event, StepFinished) and event.iteration == 3:
            control.pause()
            threading.Timer(2.0, control.resume).start()
        if isinstance(event, StepFinished) and event.iteration > 3 and control.paused:
            before = event.iteration
        if isinstance(event, StepFinished) and after is None and before and not control.paused:
            after = event.iteration
            control.stop()
    assert before is not None and after is not None and before < 400


def test_labels_that_are_made_meanwhile_join_there(make_study, ssh):
    study, control = make_study(), Control()
    labels = study.annotation(study.cases[0].id)
    events = []
    for event in train_elsewhere(study, wish(iterations=None, open_ended=True), control, ssh.machine):
        events.append(event)
        if isinstance(event, StepFinished) and event.iteration == 2:
            study.save_annotation(study.cases[2].id, labels, "drawn")
        if isinstance(event, LabelsJoined):
            assert event.cases == (study.cases[2].id,)
            control.stop()
    assert any(isinstance(event, LabelsJoined) for event in events) and events[-1].reason == "stopped"
    assert study.cases[2].id in RunFolder(study.run_dir(RUN)).config().trained_on


HOST = """
import sys
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import StepFinished
from napari_dycon.engine.request import Request
from napari_dycon.engine.runners.elsewhere.follow import train_elsewhere
from napari_dycon.engine.runners.elsewhere.machines import NamedMachine
from napari_dycon.study.study import Study

machine = NamedMachine.model_validate_json(sys.argv[3])
with Study.open(sys.argv[1]) as study:
    for event in train_elsewhere(study, Request.model_validate_json(sys.argv[2]), Control(), machine):
        if isinstance(event, StepFinished):
            print(event.iteration, flush=True)
"""


def test_when_who_asked_is_killed_the_run_goes_on_and_is_fetched_later(make_study, train, ssh):
    here, study = make_study(name="here"), make_study()
    expected = train(here, iterations=60)
    study.close()
    request = wish(iterations=60).model_dump_json()
    command = [sys.executable, "-c", HOST, str(study.path), request, ssh.machine.model_dump_json()]
    host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None and int(host.stdout.readline()) > 0
    host.kill()
    host.communicate()
    psutil.wait_procs(ssh.trainers(), timeout=120)
    with Study.open(study.path) as again:
        assert again.active_run is None and read_away(again.run_dir(RUN)) is not None
        with pytest.raises(TrainingError, match=r"is being trained on GPU box\. Fetch it"):
            train(again, None, resume=True)
        events = list(train_elsewhere(again, Request(resume=True), Control(), ssh.machine))
        assert isinstance(events[1], RunStarted) and events[-1].reason == "budget"
        assert again.active_run == RUN and model(again) == model(here)
        recorded = read_events(again.run_dir(RUN))
        assert numbers(recorded) == numbers(expected)
        assert len([event for event in recorded if isinstance(event, RunStarted)]) == 1


def test_a_trainer_that_is_killed_there_is_a_sentence_and_the_run_can_go_on(make_study, train, ssh):
    study, control, events = make_study(), Control(), []
    with pytest.raises(TrainingError, match=r"on GPU box was killed.*labels are untouched"):
        for event in train_elsewhere(study, wish(iterations=100000), control, ssh.machine):
            events.append(event)
            if isinstance(event, StepFinished) and event.iteration == 3:
                control.pause()  # saves
                threading.Timer(2.0, lambda: [process.kill() for process in ssh.trainers()]).start()
    assert events[-1].reason == "failed" and study.active_run is None and ssh.left() == []
    saved = RunFolder(study.run_dir(RUN)).checkpoints.iterations[0]
    assert saved >= 3
    control = Control()
    for event in train(study, None, resume=True, iterations=saved + 2, run_id=RUN):
        assert not isinstance(event, StepFinished) or event.iteration > saved
    assert study.active_run == RUN


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Host key verification failed.", "ssh does not know GPU box.*run 'ssh somebody@gpu' in a terminal"),
        ("somebody@gpu: Permission denied (publickey,password).", "asks for a password.*ssh-copy-id"),
        ("ssh: Could not resolve hostname gpu", r"cannot be reached \(ssh: Could not resolve hostname gpu\)"),
    ],
)
def test_who_cannot_be_reached_is_a_sentence_at_once(make_study, ssh, said, words):
    study = make_study()
    ssh.go_down(said)
    with pytest.raises(TrainingError, match=words):
        list(train_elsewhere(study, wish(), Control(), ssh.machine))
    assert study.runs() == []


@pytest.mark.parametrize(
    ("python", "words"),
    [
        ("no-such-python", "has no command no-such-python"),
        (
            "/usr/bin/python3 -I -S",
            "napari-dycon is not installed for /usr/bin/python3.*pip install napari-dycon==",
        ),
    ],
)
def test_what_is_missing_there_is_said(make_study, ssh, python, words):
    machine = ssh.machine.model_copy(update={"python": python})
    with pytest.raises(TrainingError, match=words):
        list(train_elsewhere(make_study(), wish(), Control(), machine))


def test_another_version_there_is_refused_with_what_to_install(make_study, ssh, monkeypatch):
    monkeypatch.setattr("napari_dycon.__version__", "0.0.1")
    with pytest.raises(
        TrainingError, match=r"this computer 0\.0\.1: .* -m pip install napari-dycon==0\.0\.1"
    ):
        list(train_elsewhere(make_study(), wish(), Control(), ssh.machine))


def test_a_stop_that_cannot_be_told_leaves_the_run_there(make_study, ssh):
    study, control = make_study(), Control()
    with pytest.raises(
        TrainingError, match=r"no line to GPU box, so run 001-dycon stays there.*Train fetches"
    ):
        for event in train_elsewhere(study, wish(iterations=200), control, ssh.machine):
            if isinstance(event, StepFinished) and event.iteration == 2:
                ssh.go_down()
                ssh.drop()
            if isinstance(event, Note) and "dropped" in event.text:
                control.stop()
    assert read_away(study.run_dir(RUN)) is not None
    ssh.come_up()
    events = list(train_elsewhere(study, Request(resume=True), Control(), ssh.machine))
    assert events[-1].reason == "budget" and study.active_run == RUN


def test_when_the_program_ends_the_training_goes_on_there(make_study, ssh):
    study, control, events = make_study(), Control(), []
    for event in train_elsewhere(study, wish(iterations=100000), control, ssh.machine):
        events.append(event)
        if isinstance(event, StepFinished) and event.iteration == 2:
            control.leave()
    assert isinstance(events[-1], StepFinished) and read_away(study.run_dir(RUN)) is not None
    assert len(ssh.trainers()) == 1
    control = Control()
    for event in train_elsewhere(study, Request(resume=True), control, ssh.machine):
        if isinstance(event, StepFinished):
            control.stop()
    assert event.reason == "stopped" and study.active_run == RUN and not ssh.trainers()


def test_a_stop_while_scans_are_sent_leaves_nothing_there(make_study, train, ssh):
    study, control = make_study(), Control()
    with pytest.raises(TrainingError, match="stopped before it began on GPU box"):
        for event in train_elsewhere(study, wish(), control, ssh.machine):
            if isinstance(event, Transfer):
                control.stop()
    assert ssh.left() == [] and read_away(study.run_dir(RUN)) is None
    train(study, iterations=2)


def test_scans_that_are_kept_there_are_not_sent_again(make_study, ssh):
    study, machine = make_study(), ssh.machine.model_copy(update={"keep_scans": True})
    list(train_elsewhere(study, wish(method="supervised"), Control(), machine))
    kept = ssh.left()
    assert kept and all(len(path.name) == 64 for path in kept)
    stamps = {path: path.stat().st_mtime_ns for path in kept}
    list(train_elsewhere(study, wish(method="supervised"), Control(), machine))
    assert {path: path.stat().st_mtime_ns for path in kept} == stamps


def test_a_run_that_is_gone_there_is_told(make_study, ssh):
    import shutil

    study = make_study()
    events = train_elsewhere(study, wish(iterations=100000), Control(), ssh.machine)
    for event in events:
        if isinstance(event, StepFinished):
            break
    events.close()
    for process in ssh.trainers():
        process.kill()
    time.sleep(0.5)
    shutil.rmtree(ssh.scratch)
    with pytest.raises(TrainingError, match=r"has nothing of run 001-dycon any more"):
        list(train_elsewhere(study, Request(resume=True, run_id=RUN), Control(), ssh.machine))
    assert read_away(study.run_dir(RUN)) is None


def test_what_is_sent_names_no_path_of_this_computer(make_study, ssh, tmp_path: Path):
    study = make_study()
    events = train_elsewhere(study, wish(iterations=100000), Control(), ssh.machine)
    for event in events:
        if isinstance(event, StepFinished):
            break
    bundle = next(path for path in ssh.left() if path.name == "bundle.json")
    assert str(study.path) not in bundle.read_text() and json.loads(bundle.read_text())["notes"] == []
    events.close()
