"""A training that goes on until it is stopped, while slices are completed in the window."""

import json

import pytest

from napari_dycon.study.study import Study

pytestmark = pytest.mark.gui


def folder(desk):
    return desk.session.study.run_dir(desk.session.study.runs()[-1])


def events(desk, kind):
    lines = (folder(desk) / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def complete_slice(desk, index):
    """Paint a square on an axial slice and complete it, as a person does."""
    desk.viewer.dims.set_current_step(0, index)
    layer = desk.viewer.layers["annotation"]
    layer.brush_size = 5
    layer.paint((index, 12, 12), 1)
    desk.session.actions.perform("slice_complete")


@pytest.fixture(params=["here", "apart"])
def where(request, monkeypatch):
    apart = request.param == "apart"
    monkeypatch.setattr("napari_dycon.plugin.controllers.training.prefers_own_process", lambda: apart)
    return request.param


def test_a_completed_slice_joins_a_training_that_runs_until_it_is_stopped(desk, where, study_path, notes):
    said = []
    desk.session.dialogue.message.connect(lambda level, text: said.append(text))
    _, dock = desk.add_dock()
    desk.wait(lambda: bool(desk.session.training.methods))
    dock.training.minutes.setValue(None)
    dock.training.train_button.click()
    desk.wait(lambda: desk.session.tasks.state.seconds_run is not None, 120)
    assert desk.session.tasks.state.fraction is None and not dock.training.progress.share
    before = desk.session.tasks.state.slices

    complete_slice(desk, 9)
    desk.wait(lambda: "1 slice joined the training." in said, 120)
    desk.wait(lambda: desk.session.tasks.state.text.endswith(f" · {before + 1} slices"))
    complete_slice(desk, 10)
    complete_slice(desk, 11)
    desk.wait(lambda: desk.session.tasks.state.slices == before + 3, 120)

    dock.training.stop_button.click()
    desk.wait(lambda: desk.session.study.active_run == "001-dycon", 60)
    desk.wait(lambda: not desk.session.tasks.state.busy, 120)
    assert {name for event in events(desk, "LabelsJoined") for name in event["cases"]} == {"patient-03"}
    config = json.loads((folder(desk) / "config.json").read_text())
    assert config["open_ended"] and "patient-03" in config["trained_on"]
    assert not [text for level, text in notes if level == "error"]
    desk.session.close()
    with Study.open(study_path) as study:
        assert study.annotation("patient-03").complete_counts()[2] == 3


def test_closing_the_window_in_such_a_training_keeps_model_and_labels(desk, study_path):
    desk.wait(lambda: bool(desk.session.training.methods))
    desk.session.training.train("dycon", None)
    desk.wait(lambda: desk.session.tasks.state.seconds_run is not None, 120)
    complete_slice(desk, 9)
    desk.viewer.close()
    desk.wait(lambda: desk.session.study is None)
    with Study.open(study_path) as study:
        assert study.active_run == "001-dycon" and study.notes == ()
        assert study.annotation("patient-03").complete_counts()[2] == 1
