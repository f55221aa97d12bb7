"""Trainings on another machine, as the window shows them."""

import pytest

from napari_dycon.engine.runners.elsewhere.away import read_away
from napari_dycon.engine.runners.elsewhere.machines import keep_machine
from napari_dycon.plugin.background.task_state import TaskState
from napari_dycon.plugin.session import get_session
from napari_dycon.study.study import Study
from tests.far_machine import ssh

__all__ = ["ssh"]
pytestmark = pytest.mark.gui
RUN = "001-supervised"


@pytest.fixture
def begin(desk, ssh, monkeypatch):
    """Begin a training there, and wait for its first steps."""
    monkeypatch.setattr(desk.session.training, "predict", lambda: None)

    def go():
        keep_machine(ssh.machine)
        desk.session.training.places.choose("GPU box")
        desk.wait(lambda: "Ready" in desk.session.training.places.said["GPU box"].text)
        desk.session.training.train("supervised", 5.0)
        desk.wait(lambda: desk.session.tasks.state.text.startswith("Iteration"), 120)

    return go


def test_a_training_there_shows_its_curves_and_a_dropped_line_is_a_sentence(desk, ssh, notes, begin):
    said = []
    desk.session.dialogue.message.connect(lambda level, text: said.append((level, text)))
    begin()
    assert desk.session.training.device == "cpu" and ssh.trainers()
    ssh.drop()
    desk.wait(lambda: any("is back" in text for _, text in said))
    assert any(level == "info" and "The line to GPU box has dropped" in text for level, text in said)
    step = max(desk.session.tasks.curves.losses["supervised"][0], default=0)
    desk.wait(lambda: max(desk.session.tasks.curves.losses["supervised"][0]) > step)
    desk.session.tasks.stop()
    desk.wait(lambda: not desk.session.tasks.state.busy)
    assert desk.session.study.active_run == RUN and ssh.left() == []
    assert not [text for level, text in notes if level != "info"]


def test_when_the_window_closes_the_training_goes_on_and_the_next_one_fetches_it(
    desk, ssh, notes, begin, study_path, monkeypatch
):
    begin()
    desk.session.close()
    assert len(ssh.trainers()) == 1 and desk.session.tasks.state == TaskState()
    with Study.open(study_path) as study:
        assert study.active_run is None and read_away(study.run_dir(RUN)) is not None
    desk.session.open_study(study_path)
    desk.wait(
        lambda: any("001-supervised was left on GPU box. Train fetches it" in text for _, text in notes)
    )
    session = get_session(desk.viewer)
    session.training.places.choose("")
    session.training.train("dycon", 5.0)
    desk.wait(lambda: session.tasks.state.text.startswith("Iteration"))
    session.tasks.stop()
    desk.wait(lambda: not session.tasks.state.busy)
    assert session.study.active_run == RUN and session.study.runs() == [RUN] and ssh.left() == []
