"""Threads and lifecycle, items 50 to 60, 65 and 66 of docs/explanation/faults.md, in the real viewer."""

import gc
import os
import threading
import warnings
import weakref

import numpy as np
import pytest
from napari.layers import Layer
from napari.qt.threading import thread_worker
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from superqt.utils import WorkerBase

from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.session import get_session
from napari_dycon.plugin.widgets.dock import DyconDock
from napari_dycon.study.study import Study

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


class OutOfMemoryError(RuntimeError):
    """As torch's: a RuntimeError with this name."""


class Sentinel:
    """Stands for the tensors of a training step."""


ERRORS = {
    "50 runtime": (RuntimeError("shapes do not fit"), "shapes do not fit"),
    "51 out of memory": (OutOfMemoryError("CUDA out of memory"), "Memory ran out"),
    "52 memory": (MemoryError(), "Memory ran out"),
    "52 exit": (SystemExit(3), "ended itself"),
    "52 interrupt": (KeyboardInterrupt(), "KeyboardInterrupt"),
    "52 stop iteration": (StopIteration(), "StopIteration"),
    "68 device assert": (RuntimeError("CUDA error: device-side assert triggered"), "device-side assert"),
    "disk": (OSError(28, "No space left on device", "/x/y"), "No space left"),
}


def test_50_51_52_whatever_ends_a_training_is_told_and_the_next_one_can_begin(
    desk, learner, notes, painted_on_disk
):
    dock = DyconDock(desk.viewer)
    desk.qtbot.addWidget(dock)
    desk.wait(lambda: bool(desk.session.training.methods), 60)
    held = []

    def fail(error):
        big = Sentinel()
        held.append(weakref.ref(big))
        raise error

    for index, (error, words) in enumerate(ERRORS.values()):
        learner.deed = lambda error=error: fail(error)
        learner.steps = 0
        desk.session.training.train("dycon", 1.0)
        desk.wait(lambda count=index + 1: learner.begun == count)
        desk.paint(5, 10 + index, 12)
        desk.wait(lambda: not desk.session.tasks.state.busy)
        assert any(words in text for level, text in notes if level == "error"), words
        assert not any("Traceback" in text for _, text in notes)
        assert dock.training.train_button.isEnabled()
        desk.wait(lambda: not WorkerBase._worker_set)  # napari would wait for such a worker for ever
        notes.clear()
    gc.collect()
    assert [ref() for ref in held] == [None] * len(held), "what the step held is free again"
    learner.deed = lambda: None
    desk.train(learner)
    desk.session.close()
    assert painted_on_disk() > 0


@pytest.mark.parametrize("phase", ["load", "augment", "step", "validate", "save"])
def test_54_closing_the_window_in_any_phase_of_a_real_training_ends_it_with_everything_saved(
    desk, phantom, painted_on_disk, monkeypatch, phase
):
    entered, go_on = threading.Event(), threading.Event()
    place = {
        "load": "napari_dycon.engine.store.CaseStore.prepare",
        "augment": "napari_dycon.engine.patches.PatchSampler.batches",
        "step": "napari_dycon.engine.optimisation.Optimisation.step",
        "validate": "napari_dycon.engine.validation.Validator.run",
        "save": "napari_dycon.engine.checkpoints.CheckpointFolder.save",
    }[phase]
    module, owner, name = place.rsplit(".", 2)
    cls = getattr(__import__(module, fromlist=[owner]), owner)
    real = getattr(cls, name)

    def slow(*arguments, **options):
        entered.set()
        assert go_on.wait(30)
        return real(*arguments, **options)

    monkeypatch.setattr(cls, name, slow)
    monkeypatch.setattr("napari_dycon.engine.trainer.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("napari_dycon.engine.assessment.VALIDATIONS", 1000)
    small_network(monkeypatch)
    desk.session.training.train("supervised", 0.05)
    desk.wait(entered.is_set)
    desk.paint(5, 12, 12)
    threading.Timer(0.1, go_on.set).start()  # the GUI thread waits in closing by then
    desk.viewer.close()
    desk.wait(lambda: desk.session.study is None)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dycon-")]
    assert painted_on_disk() > 0
    with Study.open(phantom, read_only=False) as study:
        assert study.notes == ()
        assert not list(phantom.rglob(".dycon-tmp-*"))


def small_network(monkeypatch):
    from napari_dycon.engine import setup

    real = setup.change_plan
    tiny = {
        "patch_size": (16, 16, 16),
        "network": {"widths": (4, 8), "strides": ((2, 2, 2),), "projection": 8},
    }
    monkeypatch.setattr(setup, "change_plan", lambda plan, wishes: real(plan, tiny | dict(wishes)))


def canvas_place(viewer, row, column):
    """Where on the canvas a voxel of the slice on screen lies."""
    layer, camera = (
        viewer.layers["annotation"],
        viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera,
    )
    canvas = viewer.window._qt_window._qt_viewer.canvas.native
    y = (row * layer.scale[-2] - camera.center[-2]) * camera.zoom + canvas.height() / 2
    x = (column * layer.scale[-1] - camera.center[-1]) * camera.zoom + canvas.width() / 2
    return canvas, QPoint(round(x), round(y))


def test_54_closing_in_mid_stroke_keeps_what_was_painted_of_it(desk, painted_on_disk):
    desk.viewer.window.show()
    desk.qtbot.wait(50)
    layer = desk.viewer.layers["annotation"]
    desk.viewer.layers.selection.active = layer
    layer.mode, layer.brush_size = "paint", 4
    canvas, first = canvas_place(desk.viewer, 10, 10)
    second = canvas_place(desk.viewer, 20, 20)[1]
    QTest.mouseMove(canvas, first)
    QTest.mousePress(canvas, LEFT, pos=first)
    QTest.mouseMove(canvas, second)
    desk.qtbot.wait(30)
    painted = int(np.count_nonzero(layer.data))
    assert painted > 10, "the button is held down"
    desk.viewer.close()
    desk.wait(lambda: desk.session.study is None)
    assert painted_on_disk() == painted


def test_54_closing_while_it_is_saved_waits_for_the_save(desk, painted_on_disk, monkeypatch):
    """Also a slow network folder: painting goes on while a save hangs, and nothing of it is lost."""
    entered, go_on, real = threading.Event(), threading.Event(), Study.save_annotation

    def slow(*arguments):
        entered.set()
        assert go_on.wait(30)
        return real(*arguments)

    monkeypatch.setattr(Study, "save_annotation", slow)
    desk.paint(5, 8, 8)
    desk.wait(entered.is_set)
    for row in range(10, 24, 2):
        desk.paint(5, row, 12)  # the GUI thread is not held up: otherwise this would never return
    painted = int(np.count_nonzero(desk.viewer.layers["annotation"].data))
    threading.Timer(0.1, go_on.set).start()
    desk.viewer.close()
    desk.wait(lambda: desk.session.study is None)
    assert painted_on_disk() == painted


def test_54_closing_while_scans_are_imported_leaves_whole_cases(desk, phantom, add_scan, monkeypatch):
    from napari_dycon.study.exchange import importing

    scans = [add_scan(f"new-{index}") for index in range(6)]
    entered, real = threading.Event(), importing.read_volume

    def third(path):
        if path == scans[2]:
            entered.set()
        return real(path)

    monkeypatch.setattr(importing, "read_volume", third)
    desk.session.exchange.add_scans(scans)
    desk.wait(entered.is_set)
    desk.viewer.close()
    desk.wait(lambda: desk.session.study is None)
    with Study.open(phantom, read_only=False) as study:
        assert study.notes == ()
        assert len(study.cases) >= 5
        for case in study.cases:
            assert study.annotation(case.id).shape == study.volume(case.id).geometry.shape


def test_54_a_worker_that_does_not_stop_holds_up_closing_only_so_long_and_loses_nothing(
    desk, learner, painted_on_disk, monkeypatch
):
    go_on = threading.Event()
    monkeypatch.setattr("napari_dycon.plugin.session.END_SECONDS", 0.3)
    learner.deed = lambda: go_on.wait(30)
    desk.session.training.train("dycon", 1.0)
    desk.wait(lambda: learner.steps == 5)
    desk.paint(5, 12, 12)
    desk.session.close()
    assert desk.session.study is None
    assert painted_on_disk() > 0
    go_on.set()
    desk.wait(lambda: not WorkerBase._worker_set)


def test_56_layers_deleted_during_training_come_back_with_what_was_painted(desk, learner, painted_on_disk):
    desk.train(learner)
    for gone in ("annotation", "scan", None):
        desk.open("patient-03")
        desk.paint(5, 12, 12)
        painted = int(np.count_nonzero(desk.viewer.layers["annotation"].data))
        if gone is None:
            desk.viewer.layers.clear()
        else:
            desk.viewer.layers.remove(gone)
        steps = learner.steps
        desk.wait(lambda steps=steps: learner.steps > steps)
        desk.open("patient-02").open("patient-03")
        names = [layer.name for layer in desk.viewer.layers]
        assert {"scan", "annotation"} <= set(names)
        assert np.count_nonzero(desk.viewer.layers["annotation"].data) == painted
        assert painted_on_disk() == painted


def test_56_76_a_second_window_on_the_same_study_can_only_look(
    desk, make_napari_viewer, learner, phantom, notes
):
    other = get_session(make_napari_viewer())
    other.open_study(phantom)
    assert any("can only be read" in text for _, text in notes)
    desk.wait(lambda: other.cases.case_id is not None)
    other.training.train("dycon", 1.0)
    assert any("only look" in text for _, text in notes)
    assert learner.begun == 0
    assert not other._presenter.annotation.editable
    other.close()
    desk.paint(5, 12, 12)
    assert desk.session._desk.saving.flush()


def test_58_a_second_press_of_train_changes_nothing_and_says_so(desk, learner, notes):
    desk.train(learner)
    desk.session.training.train("dycon", 1.0)
    desk.session.exchange.export("/nowhere")
    assert [text for _, text in notes if "under way" in text]
    assert learner.begun == 1
    assert desk.session.tasks.state.kind == "training"


def test_59_60_other_work_and_warnings_go_on_during_training(desk, learner):
    before, heard = warnings.showwarning, []
    desk.train(learner)
    assert warnings.showwarning is before

    @thread_worker(connect={"returned": heard.append})
    def work():
        return "done"

    works = [work() for _ in range(3)]
    desk.wait(lambda: len(heard) == len(works))
    warnings.showwarning = before  # those of napari replace it, ours does not
    with pytest.warns(UserWarning, match="from the main thread"):
        warnings.warn("from the main thread", stacklevel=1)
    desk.session.tasks.stop()
    desk.wait(lambda: not desk.session.tasks.state.busy)
    assert warnings.showwarning is before


def test_65_no_layer_and_no_viewer_is_touched_from_another_thread(desk, learner, monkeypatch):
    threads, real = set(), Layer.refresh

    def refresh(self, *arguments, **options):
        threads.add(threading.current_thread())
        return real(self, *arguments, **options)

    monkeypatch.setattr(Layer, "refresh", refresh)
    desk.train(learner)
    desk.session.labels.complete_case()
    desk.open("patient-01").open("patient-03")
    desk.paint(5, 12, 12)
    desk.session._desk.saving.flush()
    desk.session.tasks.stop()
    desk.wait(lambda: not desk.session.tasks.state.busy)
    assert threads == {threading.main_thread()}


def test_66_five_hundred_starts_and_stops_leave_nothing_behind(qtbot):
    tasks, done = Tasks(), []

    def source(control):
        yield "event"
        while not control.stopped:
            control.wait_while_paused()

    tasks.ended.connect(lambda *details: done.append(details))
    at = {}
    for index in range(500):
        tasks.run("training", "x", source, lambda event: None)
        tasks.stop()
        qtbot.waitUntil(lambda index=index: len(done) > index, timeout=10_000)
        if index in (99, 499):
            gc.collect()
            at[index] = (threading.active_count(), files(), memory())
    assert at[499][0] == at[99][0]
    assert at[499][1] <= at[99][1]
    assert at[499][2] - at[99][2] < 20, "MiB"


def files():
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def memory():
    """Memory in use, in MiB; 0 where it cannot be told."""
    if not os.path.exists("/proc/self/statm"):
        return 0
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_55_logging_off_saves_at_once(desk, painted_on_disk):
    desk.paint(5, 12, 12)
    desk.session._lifecycle._on_logging_off()
    assert painted_on_disk() > 0


def test_a_scan_that_was_moved_is_told_and_the_open_case_stays(desk, phantom, notes, painted_on_disk):
    with Study.open(phantom, read_only=True) as study:
        scan = study.scan_path("patient-01")
    scan.rename(scan.with_name("elsewhere.nii.gz"))
    desk.session.cases.open("patient-01")
    desk.wait(lambda: bool(notes))
    assert any("patient-01" in text or scan.name in text for _, text in notes)
    assert desk.session.cases.case_id == "patient-03"
    desk.paint(5, 12, 12)
    assert desk.session._desk.saving.flush()
    assert painted_on_disk() > 0
