"""Trainings in another process: that of the window, and one that the window knows nothing of."""

import os
import sys

import psutil
import pytest

from napari_dycon.plugin.background import run_watch
from napari_dycon.study.store.runs import propose
from napari_dycon.study.study import Study

pytestmark = pytest.mark.gui


def trainers():
    children = psutil.Process().children()
    return [child for child in children if "napari_dycon.engine.runners.child" in child.cmdline()]


@pytest.fixture
def own_process(monkeypatch):
    monkeypatch.setattr("napari_dycon.plugin.controllers.training.prefers_own_process", lambda: True)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_trainer_that_is_killed_is_a_sentence_and_train_goes_on_from_its_checkpoint(
    desk, own_process, notes, study_path
):
    desk.start_training()
    desk.session.tasks.pause()  # saves
    desk.wait(lambda: desk.session.tasks.state.phase == "paused")
    desk.viewer.layers["annotation"].paint((5, 12, 12), 1)
    trainers()[0].kill()
    desk.session.tasks.resume()
    desk.wait(lambda: not desk.session.tasks.state.busy)
    assert any("was killed" in text and "can go on" in text for level, text in notes if level == "error")
    desk.wait(lambda: any("goes on from its last checkpoint" in text for _, text in notes))
    desk.session.training.train("dycon", 5.0)
    desk.wait(lambda: desk.session.tasks.state.text.startswith("Iteration"), 90)
    desk.session.tasks.stop()
    desk.wait(lambda: desk.session.study.active_run == "001-dycon", 60)
    desk.wait(lambda: not desk.session.tasks.state.busy, 120)
    assert desk.session.study.runs() == ["001-dycon"] and not trainers()
    desk.session.close()
    with Study.open(study_path) as study:
        assert study.notes == () and (study.annotation("patient-03").labels == 1).any()


def test_closing_the_window_ends_its_trainer_with_everything_saved(desk, own_process, study_path):
    desk.start_training()
    desk.viewer.close()
    desk.wait(lambda: desk.session.study is None)
    assert not trainers()
    with Study.open(study_path) as study:
        assert study.active_run == "001-dycon"


def test_a_run_that_was_trained_beside_the_window_is_taken_up(desk, notes, monkeypatch):
    study, predicted = desk.session.study, []
    desk.wait(lambda: not desk.session._chores.busy)
    monkeypatch.setattr(desk.session.training, "predict", lambda: predicted.append(study.active_run))
    with Study.open(study.path) as beside:
        assert beside.read_only
        run = beside.new_run("dycon")
        propose(beside.run_dir(run))
    desk.wait(lambda: predicted == [run], 3 * run_watch.INTERVAL_MS / 1000)
    assert any(f"Run {run}, which was trained outside this window" in text for _, text in notes)
    desk.qtbot.wait(50)
    assert predicted == [run]


OPEN = """
    import sys, time
    import napari
    from qtpy.QtWidgets import QApplication
    from napari_dycon.plugin.session import get_session
    from napari_dycon.plugin.widgets.dock import DyconDock

    viewer = napari.Viewer(show=False)
    dock, session = DyconDock(viewer), get_session(viewer)
    session.open_study(sys.argv[1])
    end = time.monotonic() + 60
    busy = lambda: session._loads.busy or session._chores.busy
    while time.monotonic() < end and (busy() or not session.cases.case_id):
        QApplication.processEvents()
        time.sleep(0.02)
    assert session.cases.case_id and len(session.training.methods) > 5
    assert dock.training.train_button is not None
    print("heavy:", sorted({"torch", "monai", "lightning_fabric"} & set(sys.modules)))
    session.close()
    viewer.close()
"""


def test_opening_a_study_does_not_load_torch(run_program, study_path):
    done = run_program(OPEN, study_path)
    assert "heavy: []" in done.stdout, (done.stdout, done.stderr, sys.version)
