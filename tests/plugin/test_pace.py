"""Nothing that grows with a study or a volume runs on the GUI thread; long jobs show progress and stop."""

import functools
import gzip
import threading
import zlib

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtCore import QTimer

from napari_dycon.engine.control import Control
from napari_dycon.errors import VolumeError
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.manifest import writer
from napari_dycon.study.exchange import importing
from napari_dycon.study.exchange.exporting import ExportRequest
from napari_dycon.study.exchange.importing import ImportEvent
from napari_dycon.study.exchange.writers import nifti
from napari_dycon.study.store.structures import StructureChanges

SLICE_VOXELS = 24 * 20
HEAVY = (
    (zlib, "compressobj", 0),
    (zlib, "decompressobj", 0),
    (gzip, "compress", 0),
    (np, "unique", SLICE_VOXELS),
    (np, "bincount", SLICE_VOXELS),
    (np, "percentile", SLICE_VOXELS),
    (np, "ascontiguousarray", SLICE_VOXELS),
)
"""Functions that take long on a large volume, and how many voxels they may look at on the GUI thread."""


@pytest.fixture
def heavy(monkeypatch):
    """What heavy work was done on the main thread."""
    seen = []

    def guarded(function, most):
        @functools.wraps(function)
        def call(*args, **kwargs):
            size = np.size(args[0]) if most and args else most + 1
            if threading.current_thread() is threading.main_thread() and size > most:
                seen.append(function.__name__)
            return function(*args, **kwargs)

        return call

    for module, name, most in HEAVY:
        monkeypatch.setattr(module, name, guarded(getattr(module, name), most))
    return seen


@pytest.fixture
def ticks(qtbot):
    """A timer of the GUI thread that counts how often the event loop came round."""
    counted = []
    timer = QTimer()
    timer.setInterval(1)
    timer.timeout.connect(lambda: counted.append(None))
    timer.start()
    yield counted
    timer.stop()


@pytest.fixture
def slow_export(monkeypatch):
    """Each mask of an export waits until it may be written."""
    gate, begun = threading.Semaphore(0), []

    def slow(mask, scan, path):
        begun.append(path.name)
        assert gate.acquire(timeout=20)

    monkeypatch.setattr(nifti, "export_mask", slow)
    return gate, begun


def label_all(opened):
    for case in ("alpha", "beta", "gamma"):
        opened.open(case)
        opened.paint([4, 8, 8])
        opened.session.labels.complete_case()
        opened.rest()
    opened.session.save_now()


def test_a_session_does_nothing_heavy_on_the_gui_thread(opened, engine, heavy, tmp_path):
    session = opened.session
    opened.open("beta").paint([4, 8, 8])
    session.labels.toggle_slice_complete()
    session.labels.undo()
    session.labels.redo()
    session.views.toggle_known_map()
    opened.open("alpha").open("gamma")
    session.training.train("dycon", 1.0)
    opened.rest()
    session.regions.decide("accept", "slice")
    session.regions.decide("accept", "case")
    opened.rest()
    session.labels.undo()
    opened.rest()
    session.exchange.add_scans([write_more(tmp_path)])
    opened.rest()
    session.exchange.export(tmp_path / "out")
    opened.rest()
    assert (tmp_path / "out" / "volumes.csv").exists()
    assert heavy == []


def write_more(folder):
    (folder / "more").mkdir()
    for seed in range(2):
        values = np.random.default_rng(seed).normal(100, 20, (20, 24, 10)).astype(np.float32)
        nib.save(nib.Nifti1Image(values, np.eye(4)), folder / "more" / f"more-{seed}.nii")
    return folder / "more"


def test_an_export_shows_progress_and_leaves_the_window_alive(opened, slow_export, ticks, tmp_path):
    gate, begun = slow_export
    label_all(opened)
    shares = []
    opened.session.tasks.changed.connect(lambda task: shares.append(task.fraction))
    opened.session.exchange.export(tmp_path / "out")
    for number in range(3):
        opened.wait(lambda number=number: len(begun) == number + 1)
        before = len(ticks)
        opened.wait(lambda before=before: len(ticks) > before + 5)
        gate.release()
        opened.wait(lambda number=number: number == 2 or (number + 1) / 3 in shares)
    opened.rest()
    assert (tmp_path / "out" / "volumes.csv").exists()


def test_a_stopped_export_ends_after_the_case_under_way_and_says_so(opened, slow_export, notes, tmp_path):
    gate, begun = slow_export
    label_all(opened)
    opened.session.exchange.export(tmp_path / "out")
    opened.wait(lambda: bool(begun))
    opened.session.tasks.stop()
    gate.release()
    opened.rest()
    assert begun == ["alpha.nii.gz"]
    written = f"1 mask (1 annotation) and volumes.csv are in {tmp_path / 'out'}."
    assert ("warning", f"The export was stopped. {written}") in notes
    rows = (tmp_path / "out" / "volumes.csv").read_text().splitlines()[1:]
    assert {row.split(",")[0] for row in rows} == {"alpha"}


def test_a_closed_window_leaves_no_thread_behind(opened, slow_export, tmp_path):
    gate, begun = slow_export
    label_all(opened)
    opened.session.exchange.export(tmp_path / "out")
    opened.wait(lambda: bool(begun))
    threading.Timer(0.2, gate.release).start()
    opened.session.close()
    assert begun == ["alpha.nii.gz"]
    assert not [one.name for one in threading.enumerate() if one.name == "dycon-worker"]


@pytest.mark.parametrize("make", [jobs.export_masks, jobs.import_scans], ids=["export", "import"])
def test_a_job_that_is_stopped_before_it_begins_touches_no_case(opened, make, tmp_path):
    label_all(opened)
    control = Control()
    control.stop()
    more = {
        "export_masks": (ExportRequest(tmp_path / "out"),),
        "import_scans": ([write_more(tmp_path)], None),
    }[make.__name__]
    list(make(opened.study, *more, lambda: True)(control))
    assert not list(tmp_path.glob("out/*"))
    assert [case.id for case in opened.study.cases] == ["alpha", "beta", "gamma"]


def test_many_events_at_once_are_few_changes_of_the_table(opened):
    session, told = opened.session, []
    session.cases.list.changed.connect(lambda: told.append(None))
    events = [
        ImportEvent(path=opened.study.path, case=None, problem=None, done=n, total=500) for n in range(500)
    ]
    took = session.exchange._on_imported
    session.tasks.run("importing", "Reading scans", lambda control: iter(events), took)
    opened.rest()
    opened.qtbot.wait(400)
    assert 1 <= len(told) < 10


def test_the_window_waits_for_nothing_while_a_study_is_rewritten(opened):
    """Whoever holds the study's mutex for long, the rows of the table and its notes can be had."""
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with opened.study.mutex:
            held.set()
            let_go.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(5)
        rows = threading.Thread(target=opened.session.cases.list.rows)
        rows.start()
        rows.join(5)
        assert not rows.is_alive()
    finally:
        let_go.set()
        holder.join()


def test_a_layer_is_saved_in_the_background_while_the_window_lives(
    opened, heavy, ticks, monkeypatch, tmp_path
):
    opened.paint([4, 8, 8])
    monkeypatch.setattr(writer, "write_mask", slowly(writer.write_mask, ticks))
    data, meta, _ = opened.layer("annotation").as_layer_data_tuple()
    assert writer.write_labels(str(tmp_path / "saved.nii.gz"), data, meta) == [str(tmp_path / "saved.nii.gz")]
    assert heavy == []
    labels = opened.session._desk.case.annotation.labels
    assert np.array_equal(nib.load(tmp_path / "saved.nii.gz").dataobj, labels)


def slowly(write, ticks):
    """Write only once the event loop has come round."""

    def wait_and_write(*args):
        before, patience = len(ticks), threading.Event()
        for _ in range(1000):
            if len(ticks) > before + 5:
                return write(*args)
            patience.wait(0.01)
        raise AssertionError("the window stood still")

    return wait_and_write


def test_what_is_wrong_with_a_save_is_raised_to_who_asked(opened, tmp_path):
    data, _, _ = opened.layer("annotation").as_layer_data_tuple()
    with pytest.raises(VolumeError, match="does not belong to a scan"):
        writer.write_labels(str(tmp_path / "saved.nii.gz"), data, {"name": "mine"})


def test_structures_stay_as_they_are_while_they_are_rewritten(opened, notes):
    gate = threading.Event()

    def source(control):
        gate.wait(20)
        yield from ()

    opened.session.tasks.run("restructuring", "Changing structures", source, print)
    before = opened.session.structures.all
    opened.session.structures.add("new")
    opened.session.structures.rename(1, "other")
    opened.session.structures.recolour(1, "#000000")
    gate.set()
    opened.rest()
    assert opened.session.structures.all == before
    assert [text.split(" is under way")[0] for _, text in notes[-3:]] == ["The change of all labels"] * 3


def test_clicks_during_a_merge_of_many_cases_wait_for_nothing(opened, notes, monkeypatch, tmp_path):
    """The merge is held in its middle, with cases before and behind it, while the person clicks on."""
    session, study = opened.session, opened.study
    for number in range(17):
        values = np.random.default_rng(number).normal(100, 20, (8, 8, 8)).astype(np.float32)
        scan, labels = tmp_path / f"more-{number}.nii", tmp_path / f"labels-{number}.nii"
        nib.save(nib.Nifti1Image(values, np.eye(4)), scan)
        nib.save(nib.Nifti1Image(np.ones((8, 8, 8), np.uint8), np.eye(4)), labels)
        importing.add_scan(study, scan, labels)
    label_all(opened)
    opened.open("alpha")
    opened.rest()
    begun, let_go, rewrite, count = threading.Event(), threading.Event(), StructureChanges._rewrite_case, []

    def held(*args):
        count.append(args)
        if len(count) == 10:
            begun.set()
            assert let_go.wait(30)
        rewrite(*args)

    monkeypatch.setattr(StructureChanges, "_rewrite_case", held)
    session.structures.merge(1, 3)
    opened.wait(lambda: session.dialogue.question is not None)
    opened.rest()
    session.dialogue.answer("change")
    opened.wait(begun.is_set)
    unheard = threading.Timer(20, let_go.set)  # a click that waits for the merge would wait for ever
    unheard.start()
    for case in study.cases:
        session.cases.open(case.id)
        session.cases.list.set_note(case.id, "looked at")
        session.cases.list.flag([case.id], True)
        session.cases.list.rows()
    for value in (1, 3):
        session.structures.select(value)
        session.structures.rename(value, "other")
        session.structures.recolour(value, "#112233")
    session.structures.add("third")
    session.labels.undo()
    session.training.train("dycon", 1.0)
    session.views.show_plane("coronal")
    ticks = []
    QTimer.singleShot(0, lambda: ticks.append(None))
    opened.wait(lambda: bool(ticks))
    assert not let_go.is_set(), "a click waited for the merge"
    unheard.cancel()
    let_go.set()
    opened.rest()
    opened.wait(lambda: session.cases.case_id == study.cases[-1].id)
    assert [structure.value for structure in study.structures] == [3]
    assert session.structures.active_value == 3
    for case in study.cases:
        assert set(np.unique(study.annotation(case.id).labels)) <= {0, 3}
        assert study.notebook.page(case.id).note == "looked at"
