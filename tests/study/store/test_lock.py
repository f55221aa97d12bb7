import os
import signal
import subprocess
import sys

import pytest

from napari_dycon.errors import StudyError, VolumeError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store import lock
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

HOLD = """
import sys, time
from napari_dycon.study.study import Study

study = Study.open(sys.argv[1], read_only=False)
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_opener_can_read_and_is_told_who_holds_the_study(study, make_scan):
    case = importing.add_scan(study, make_scan())
    with Study.open(study.path) as second:
        assert second.read_only
        assert f"process {os.getpid()}" in second.notes[-1]
        assert second.annotation(case.id).known_fraction == 0
        assert second.volume(case.id).geometry.shape == case.shape
        for change in (
            lambda: second.add_structure("ventricle"),
            lambda: second.save_annotation(case.id, Annotation.empty(case.shape), "autosave"),
            lambda: second.set_active_run(None),
            lambda: list(importing.add_scans(second, [make_scan("b")])),
        ):
            with pytest.raises(StudyError, match=r"Nothing was changed.*in use by"):
                change()
    assert not study.read_only
    study.add_structure("ventricle")


def test_writing_can_be_demanded(study):
    with pytest.raises(StudyError, match="in use by"):
        Study.open(study.path, read_only=False)


def test_reading_only_does_not_take_the_lock(study):
    study.close()
    with Study.open(study.path, read_only=True) as reader, Study.open(study.path) as writer:
        assert reader.read_only
        assert not writer.read_only


def test_a_closed_study_is_free_and_says_so(study):
    study.close()
    study.close()
    with pytest.raises(StudyError, match="was closed"):
        study.add_structure("ventricle")
    with Study.open(study.path) as again:
        assert not again.read_only


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_the_lock_of_a_killed_program_is_free(study):
    study.close()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(study.path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with Study.open(study.path) as second:
        assert f"process {holder.pid}" in second.notes[-1]
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with Study.open(study.path, read_only=False) as third:
        third.add_structure("ventricle")


def test_a_write_protected_study_opens_to_read(study, monkeypatch):
    study.close()

    def refuse(path, text):
        raise VolumeError(f"{path.name} could not be written: the folder is write-protected.")

    monkeypatch.setattr(lock, "write_json", refuse)
    with Study.open(study.path) as opened:
        assert opened.read_only
        assert "write-protected" in opened.notes[-1]


def test_a_study_is_not_made_over_another(study):
    study.close()
    with pytest.raises(StudyError, match="holds a study already"):
        Study.create(study.path, [Structure(value=1, name="x")])


def test_whether_a_folder_is_held_is_seen_without_disturbing_the_holder(tmp_path):
    mine = lock.RunLock(tmp_path)
    assert not lock.RunLock.is_held(tmp_path)
    assert mine.acquire() is None
    assert lock.RunLock.is_held(tmp_path)
    assert f"process {os.getpid()}" in lock.RunLock(tmp_path).acquire()
    mine.release(clean=False)  # as after a crash: the note of the holder stays
    assert not lock.RunLock.is_held(tmp_path)
    assert mine.acquire() is None
    mine.release()
