"""Docks, windows and the program may go away at any moment; training and painting do not."""

import threading
import warnings

import numpy as np
import pytest

from napari_dycon.plugin.session import get_session
from napari_dycon.study.study import Study

pytestmark = pytest.mark.gui


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("dycon-worker")]


def test_a_dock_closed_during_training_leaves_it_running_and_a_new_one_attaches(desk):
    dock, _ = desk.add_dock()
    desk.start_training()
    before = warnings.showwarning
    dock.destroyOnClose()
    desk.qtbot.wait(300)
    trained = desk.session.tasks.curves.losses["supervised"][0][-1]
    desk.wait(lambda: desk.session.tasks.curves.losses["supervised"][0][-1] > trained)
    _, again = desk.add_dock()
    assert again.session is desk.session
    assert desk.session.tasks.state.kind == "training"
    assert warnings.showwarning is before
    desk.session.tasks.stop()
    desk.wait(lambda: desk.session.cases.has_prediction, 120)
    desk.wait(lambda: not desk.session.tasks.state.busy, 120)
    assert desk.viewer.layers["prediction"].data.shape == desk.viewer.layers["scan"].data.shape
    assert desk.session.suggestions.places
    assert warnings.showwarning is before


def test_closing_the_window_during_training_keeps_checkpoint_painting_and_lock(desk, study_path):
    desk.start_training()
    desk.viewer.layers["annotation"].paint((5, 12, 12), 1)
    desk.viewer.close()
    desk.wait(lambda: desk.session.study is None)
    assert workers() == []
    with Study.open(study_path) as study:
        assert not study.read_only
        assert (study.annotation("patient-03").labels == 1).any()
        assert any((study.run_dir(study.runs()[-1]) / "checkpoints").iterdir())
        assert study.active_run == study.runs()[-1]


def test_a_second_viewer_has_its_own_session(desk, make_napari_viewer):
    other = make_napari_viewer()
    assert get_session(other) is not desk.session
    assert get_session(other).study is None
    other.close()
    desk.qtbot.wait(100)
    assert desk.session.study is not None, "closing one window leaves the other alone"


def test_undo_after_a_prediction_arrived(desk):
    desk.viewer.layers["annotation"].paint((5, 12, 12), 2)
    desk.start_training()
    desk.session.tasks.stop()
    desk.wait(lambda: desk.session.cases.has_prediction, 120)
    predicted = desk.viewer.layers["prediction"].data.copy()
    desk.viewer.layers["annotation"].undo()
    assert not desk.viewer.layers["annotation"].data.any()
    assert np.array_equal(desk.viewer.layers["prediction"].data, predicted)
    desk.session.tasks.stop()
    desk.wait(lambda: not desk.session.tasks.state.busy, 120)


def test_cases_of_different_size_are_swapped_in_a_shown_viewer(desk):
    desk.viewer.window.show()
    for case in ("patient-01", "patient-04", "patient-02", "patient-03"):
        desk.open(case)
        desk.qtbot.wait(30)
        shape = desk.viewer.layers["scan"].data.shape
        assert all(layer.data.shape == shape for layer in desk.viewer.layers)
        desk.session.views.show_plane("coronal")
        desk.qtbot.wait(20)
        desk.session.views.show_plane("axial")


def test_layers_deleted_by_hand_during_training_come_back(desk):
    desk.start_training()
    desk.viewer.layers.clear()
    desk.session.tasks.stop()
    desk.wait(lambda: desk.session.cases.has_prediction, 120)
    desk.session.cases.open("patient-03")
    names = [layer.name for layer in desk.viewer.layers if layer.name != "as it learns"]  # if it was shown
    assert names == ["scan", "entropy", "annotation", "prediction"]
    desk.session.tasks.stop()
    desk.wait(lambda: not desk.session.tasks.state.busy, 120)


def test_a_model_that_is_not_ready_says_so_and_shows_no_mask(desk, notes, monkeypatch):
    monkeypatch.setattr("napari_dycon.engine.readiness.ENOUGH_SKILL", 2.0)
    desk.start_training()
    desk.session.tasks.stop()
    desk.wait(lambda: any("not ready yet" in text for _, text in notes), 120)
    desk.wait(lambda: not desk.session.tasks.state.busy, 120)
    assert not desk.session.cases.has_prediction
    assert not desk.viewer.layers["prediction"].data.any()
    assert not any(
        desk.session.study.predictions.path(run, "patient-03").exists() for run in desk.session.study.runs()
    )
    assert desk.session.suggestions.places


PROGRAM = """
    import sys, napari
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication
    from napari_dycon.plugin.session import get_session
    viewer = napari.Viewer()
    session = get_session(viewer)
    session.open_study(sys.argv[1])
    session.cases.open("patient-03")
    state = {"painted": False}

    def tick():
        if not session.tasks.state.busy and session.cases.case_id and session.training.methods:
            session.training.train("dycon", 5)
        elif session.tasks.curves.losses and not state["painted"]:
            state["painted"] = True
            viewer.layers["annotation"].paint((5, 12, 12), 1)
            {goodbye}

    timer = QTimer()
    timer.timeout.connect(tick)
    timer.start(50)
    napari.run(force=True)
    print("left the event loop")
"""


@pytest.mark.parametrize(
    "goodbye", ["QApplication.instance().quit()", "viewer.close()"], ids=["program", "window"]
)
def test_quitting_during_training_ends_the_process_with_everything_saved(run_program, study_path, goodbye):
    done = run_program(PROGRAM.replace("{goodbye}", goodbye), study_path)
    assert done.returncode == 0, done.stderr
    assert "left the event loop" in done.stdout
    with Study.open(study_path) as study:
        assert not study.read_only
        assert (study.annotation("patient-03").labels == 1).any()
        assert any((study.run_dir(study.runs()[-1]) / "checkpoints").iterdir())
