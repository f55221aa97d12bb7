import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.autosave import LOOK_SECONDS, Autosaver, Pending
from napari_dycon.study.truth.editing import AnnotationEditor


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Heard:
    """What the autosaver told, and a way to wait for it."""

    def __init__(self):
        self.saved, self.errors, self._news = [], [], threading.Semaphore(0)

    def on_saved(self, case_id):
        self.saved.append(case_id)
        self._news.release()

    def on_error(self, case_id, sentence):
        self.errors.append((case_id, sentence))
        self._news.release()

    def wait(self):
        assert self._news.acquire(timeout=60), "the autosaver did nothing"


@pytest.fixture
def case(study, make_scan):
    return importing.add_scan(study, make_scan())


@pytest.fixture
def editor(study, case):
    return AnnotationEditor(study.annotation(case.id), study.geometry(case.id))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def saver(study, heard, clock):
    saver = Autosaver(study, heard.on_saved, heard.on_error, clock)
    yield saver
    saver.close()


def paint(editor, x):
    editor.labels[x, 1, 1] = 1
    editor.stroke(([x], [1], [1]))


def painted(study, case):
    return [int(x) for x in np.flatnonzero(study.annotation(case.id).labels[:, 1, 1])]


@pytest.mark.parametrize("interval", [0.1, 0.5, 1.0, 2.0, 3.0])
def test_no_stroke_waits_longer_than_three_seconds_whatever_the_pace_of_painting(editor, interval):
    pending, waits = None, []
    for moment in np.arange(0, 20, interval):
        if pending is not None and pending.due() <= moment:
            waits.append(pending.due() - pending.first)
            pending = None
        pending = pending or Pending(editor, moment, moment)
        pending.last = moment
    waits.append(pending.due() - pending.first)
    assert max(waits) <= 3.0
    assert pending.due() - pending.last <= 2.0


def test_a_stroke_is_saved_when_the_time_has_come_and_not_before(study, case, editor, saver, heard, clock):
    paint(editor, 3)
    saver.touch(case.id, editor)
    time.sleep(0.6)
    assert heard.saved == []
    clock.now += 4
    heard.wait()
    assert painted(study, case) == [3]


def test_flush_puts_everything_on_disk_at_once(study, case, editor, saver, heard):
    for x in range(5):
        paint(editor, x)
        saver.touch(case.id, editor)
    assert saver.flush()
    assert painted(study, case) == [0, 1, 2, 3, 4]
    assert heard.saved == [case.id]
    assert saver.flush()
    assert heard.saved == [case.id]  # nothing new, nothing written


def test_a_case_that_was_only_looked_at_is_not_written(study, case, editor, saver, heard):
    saver.touch(case.id, editor)
    assert saver.flush()
    assert heard.saved == []
    assert not (study.path / "annotations").exists()


def test_undo_and_direct_edits_are_found_without_being_told(study, case, editor, saver, heard, clock):
    saver.touch(case.id, editor)
    assert saver.flush()
    editor.labels[7, 1, 1] = 1
    clock.now += LOOK_SECONDS + 1
    heard.wait()
    assert painted(study, case) == [7]


def test_closing_saves(study, case, editor, saver):
    paint(editor, 3)
    saver.touch(case.id, editor)
    assert saver.close()
    assert painted(study, case) == [3]
    with pytest.raises(RuntimeError, match="closed"):
        saver.touch(case.id, editor)


def test_two_cases_are_both_saved(study, case, editor, saver, make_scan):
    other = importing.add_scan(study, make_scan("other"))
    second = AnnotationEditor(study.annotation(other.id), study.geometry(other.id))
    for one, target in ((case, editor), (other, second)):
        paint(target, 2)
        saver.touch(one.id, target)
    assert saver.flush()
    assert painted(study, case) == painted(study, other) == [2]


def test_an_accepted_prediction_keeps_the_version_before(study, case, editor, saver):
    paint(editor, 3)
    saver.touch(case.id, editor)
    saver.flush()
    editor.accept(np.ones(case.shape, np.uint8))
    saver.touch(case.id, editor)
    saver.flush()
    assert len(list((study.path / "history" / case.id).glob("*.known.nii.gz"))) == 1
    assert study.case(case.id).status == "complete"


def test_a_failed_save_is_told_once_kept_and_tried_again(
    study, case, editor, saver, heard, clock, monkeypatch
):
    def full(*args):
        raise VolumeError("The disk is full: nothing was overwritten.")

    paint(editor, 3)
    with monkeypatch.context() as patch:
        patch.setattr(study, "save_annotation", full)
        saver.touch(case.id, editor)
        assert not saver.flush()
        heard.wait()
        clock.now += 6
        time.sleep(0.6)
        ((case_id, sentence),) = heard.errors
        assert case_id == case.id
        assert "disk is full" in sentence
        assert "not saved yet" in sentence
    paint(editor, 4)
    saver.touch(case.id, editor)
    clock.now += 60
    heard.wait()
    assert painted(study, case) == [3, 4]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_saving_goes_on_after_a_fault_nobody_thought_of(study, case, editor, heard, monkeypatch):
    def broken(case_id):
        raise KeyError("a listener's fault")

    reported = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    saver = Autosaver(study, broken, heard.on_error)
    for x in (1, 2):
        paint(editor, x)
        saver.touch(case.id, editor)
        assert saver.flush()
    assert painted(study, case) == [1, 2]
    assert [entry.exc_type for entry in reported] == [KeyError, KeyError]
    monkeypatch.setattr(study, "save_annotation", lambda *args: 1 / 0)
    paint(editor, 3)
    saver.touch(case.id, editor)
    assert not saver.flush()
    assert "ZeroDivisionError" in heard.errors[0][1]
    monkeypatch.undo()
    assert saver.close()
    assert painted(study, case) == [1, 2, 3]


def test_painting_on_while_saving_never_mixes_label_and_known_value(study, case, editor, saver):
    stop = threading.Event()

    def look():
        while not stop.is_set():
            saver.flush()
            found = study.annotation(case.id)
            mixed.append(int(np.count_nonzero((found.labels > 0) & (found.known == 0))))

    mixed: list[int] = []
    looker = threading.Thread(target=look)
    looker.start()
    rng = np.random.default_rng(0)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        where = tuple(rng.integers(0, size, 40) for size in case.shape)
        editor.labels[where] = 1
        editor.stroke(where)
        saver.touch(case.id, editor)
    stop.set()
    looker.join()
    assert mixed
    assert max(mixed) == 0
    saver.flush()
    np.testing.assert_array_equal(study.annotation(case.id).labels, editor.labels)


def test_a_program_that_ends_without_closing_saves_first(study, case):
    study.close()
    code = """
import sys
from napari_dycon.study.store.autosave import Autosaver
from napari_dycon.study.truth.editing import AnnotationEditor
from napari_dycon.study.study import Study

study = Study.open(sys.argv[1])
case = study.cases[0]
editor = AnnotationEditor(study.annotation(case.id), study.geometry(case.id))
editor.labels[3, 1, 1] = 1
editor.stroke(([3], [1], [1]))
Autosaver(study, print, print).touch(case.id, editor)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(study.path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"{case.id}\n"
    assert done.stderr == ""


def test_two_flushes_at_once_never_call_on_disk_what_is_not(study, case, editor, heard, monkeypatch):
    saver, wrong = Autosaver(study, heard.on_saved, heard.on_error), []
    writable = threading.Event()
    save = study.save_annotation

    def failing(*args, **kwargs):
        time.sleep(0.0005)
        if not writable.is_set():
            raise VolumeError("The disk is full.")
        return save(*args, **kwargs)

    monkeypatch.setattr(study, "save_annotation", failing)
    editor.labels[1, 1, 1] = 1
    editor.stroke(([1], [1], [1]))
    saver.touch(case.id, editor)

    def hurry():
        wrong.extend(_ for _ in range(60) if saver.flush())

    hands = [threading.Thread(target=hurry) for _ in range(3)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert wrong == []
    assert saver.unsaved == {case.id: "The disk is full."}
    writable.set()
    assert saver.flush()
    assert saver.unsaved == {}
    assert study.annotation(case.id).labels[1, 1, 1] == 1
    assert saver.close() and saver.flush()


def test_a_failed_flush_is_told_again_and_one_that_closes_in_vain_says_so(
    study, case, editor, heard, monkeypatch
):
    saver = Autosaver(study, heard.on_saved, heard.on_error)

    def full(*args, **kwargs):
        raise VolumeError("The disk is full.")

    monkeypatch.setattr(study, "save_annotation", full)
    editor.labels[1, 1, 1] = 1
    editor.stroke(([1], [1], [1]))
    saver.touch(case.id, editor)
    assert not saver.flush() and not saver.flush()
    assert len(heard.errors) == 2
    assert not saver.close() and not saver.flush()
