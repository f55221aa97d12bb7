"""Storage, items 69 to 72, 74, 75 and 82 of docs/explanation/faults.md: what fails while it is written."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch

from napari_dycon.engine.checkpoints import Checkpoint, CheckpointFolder
from napari_dycon.errors import DyconError
from napari_dycon.study.store.autosave import Autosaver
from napari_dycon.study.store.lock import RunLock, StudyLock
from napari_dycon.study.study import Study
from napari_dycon.study.truth.editing import AnnotationEditor

KILLED = """
import sys, time, numpy as np, torch
from napari_dycon.engine.checkpoints import Checkpoint, CheckpointFolder
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.store.lock import RunLock
from napari_dycon.study.study import Study
study = Study.open(sys.argv[1], read_only=False)
case, run = study.cases[0].id, study.path / "runs" / "one"
run.mkdir(parents=True, exist_ok=True)
kept = CheckpointFolder(run / "checkpoints")
assert RunLock(run).acquire() is None
print("begun", flush=True)
for step in range(int(sys.argv[2]), 100000):
    made = Annotation.empty(study.cases[0].shape)
    made.labels[:], made.known[:] = step % 250 + 1, 1
    study.save_annotation(case, made, "accept" if step % 3 else "autosave")
    kept.save(Checkpoint(step, {"w": torch.full((2000,), float(step))}, {}))
    study.change_structure(1, name=f"name {step}")
    print(step, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no kill -9")
def test_69_kill_9_leaves_every_kind_of_file_whole(study):
    """Labels, their versions, checkpoints and the study file; benchmarks/kill.py does it 250 times."""
    study.close()
    done = 0
    for pause in (0.02, 0.055, 0.1):
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(study.path), str(done + 1)], stdout=subprocess.PIPE, text=True
        )
        lines = [writer.stdout.readline() for _ in range(3)]
        assert lines[0] == "begun\n"
        time.sleep(pause)
        writer.send_signal(signal.SIGKILL)
        done = int((lines + writer.communicate()[0].splitlines())[-1])
        with Study.open(study.path, read_only=False) as after:
            case = after.cases[0].id
            found = after.annotation(case)
            assert found.labels.min() == found.labels.max() in (done % 250 + 1, (done + 1) % 250 + 1)
            for version in after.versions(case)[1:]:
                kept = after.annotation_version(case, version.generation)
                assert kept.labels.min() == kept.labels.max() or version.generation == 1
            assert after.structures[0].name in (f"name {done}", f"name {done + 1}")
            assert after.notes == ()
            weights = CheckpointFolder(after.path / "runs" / "one" / "checkpoints").load()
            assert weights.iteration in (done, done + 1)
            assert set(weights.tensors["w"].tolist()) == {float(weights.iteration)}
        assert not [*after.path.rglob(".dycon-tmp-*"), *after.path.rglob("*.next.nii.gz")]


def test_what_a_killed_training_left_is_swept_and_a_living_one_keeps_its_files(study):
    home = study.path
    stopped, living, other = (home / "runs" / name for name in ("stopped", "living", "other"))
    for run in (stopped, living, other):
        (run / "checkpoints").mkdir(parents=True)
        (run / "checkpoints" / ".dycon-tmp-1.json").write_text("{")
    shutil.copy(home / StudyLock.holder_file, stopped / RunLock.holder_file)
    lock = RunLock(living)
    assert lock.acquire() is None
    study._lock.release(clean=False)  # as after a kill
    with Study.open(home, read_only=False):
        left = {path.parent.parent.name for path in home.rglob(".dycon-tmp-*")}
    lock.release()
    assert left == {"living", "other"}


class PowerLoss:
    """What a disk holds that forgets everything that was not flushed."""

    def __init__(self, root):
        self.root, self.flushed, self.durable = root, {}, {}
        self.real = os.fsync
        for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
            self.durable[folder] = {
                path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()
            }
        for path in root.rglob("*"):
            self.flushed[path.stat().st_ino] = self.state(path)

    @staticmethod
    def state(path):
        facts = path.stat()
        return facts.st_size, facts.st_mtime_ns

    def fsync(self, handle):
        self.real(handle)
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if not path.is_relative_to(self.root):
            return
        if path.is_dir():
            self.durable[path] = {one.name: self.content(one) for one in path.iterdir() if one.is_file()}
        else:
            self.flushed[path.stat().st_ino] = self.state(path)

    def content(self, path):
        return path.read_bytes() if self.flushed.get(path.stat().st_ino) == self.state(path) else b""

    def lose(self, target, everything):
        """Make the folder as a power cut now would leave it; with or without names not flushed."""
        if everything:
            found = {path: self.content(path) for path in self.root.rglob("*") if path.is_file()}
        else:
            found = {
                folder / name: data for folder, names in self.durable.items() for name, data in names.items()
            }
        for path, data in found.items():
            place = target / path.relative_to(self.root)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return target


@pytest.mark.skipif(sys.platform != "linux", reason="follows flushes through /proc")
def test_70_a_power_cut_at_any_flush_leaves_the_old_or_the_new_annotation(
    study, paint, columns, tmp_path, monkeypatch
):
    disk, case, seen = PowerLoss(study.path), study.cases[0].id, []

    def cut():
        for everything in (False, True):
            home = tmp_path / f"cut-{len(seen)}"
            seen.append(columns(disk.lose(home, everything)))

    def fsync(handle):
        cut()
        disk.fsync(handle)
        cut()

    monkeypatch.setattr(os, "fsync", fsync)
    study.save_annotation(case, paint(0, 1), "accept")
    assert len(seen) > 20
    assert all(found in ([0], [0, 1]) for found in seen)
    assert columns(disk.lose(tmp_path / "after", everything=False)) == [0, 1], (
        "saved means: survives a power cut"
    )


def operations(study, paint):
    """Everything that a session writes."""
    case = study.cases[0].id
    kept = CheckpointFolder(study.path / "runs" / "one" / "checkpoints")
    yield "labels", lambda: study.save_annotation(case, paint(0, 1), "accept")
    yield "structures", lambda: study.add_structure("ventricle")
    yield "notes", lambda: (study.notebook.write(case, note="look again"), study.notebook.save())
    yield "checkpoint", lambda: kept.save(Checkpoint(2, {"w": torch.ones(10)}, {}))
    yield "run", lambda: study.new_run("dycon")


ERRORS = {
    "labels": "ENOSPC EIO EACCES EROFS",
    "structures": "ENOSPC",
    "notes": "EIO",
    "checkpoint": "ENOSPC EIO",
    "run": "EACCES",
}


@pytest.mark.parametrize(
    ("what", "error"), [(what, error) for what, errors in ERRORS.items() for error in errors.split()]
)
def test_71_74_any_file_operation_may_fail_and_nothing_is_lost_or_falsely_saved(
    study, paint, columns, faults, tmp_path, what, error
):
    """At each single operation: opening a file, flushing, renaming, removing it, making a folder."""
    run = study.path / "runs" / "one"
    run.mkdir(parents=True)
    CheckpointFolder(run / "checkpoints").save(Checkpoint(1, {"w": torch.zeros(10)}, {}))
    study.close()
    at, struck = 0, True
    while struck:
        home = shutil.copytree(study.path, tmp_path / f"copy-{at}", ignore=shutil.ignore_patterns(".study*"))
        with Study.open(home, read_only=False) as copy:
            act, case = dict(operations(copy, paint))[what], copy.cases[0].id
            faults.arm(home, getattr(errno, error), at)
            saved, sentence = True, ""
            try:
                act()
            except DyconError as problem:  # anything else is a traceback to the user, and fails here
                saved, sentence = False, str(problem)
            struck = faults.count > at
            faults.disarm()
            assert saved or (len(sentence) > 20 and "Errno" not in sentence), sentence
            after = columns(home)
            assert after == [0, 1] if saved and what == "labels" else after in ([0], [0, 1])
            for name in ("study.json", "study.json.bak"):
                json.loads((home / name).read_bytes())
            assert CheckpointFolder(home / "runs" / "one" / "checkpoints").load().iteration in (1, 2)
            if what == "labels" and not saved:
                copy.save_annotation(case, paint(0, 1, 2), "autosave")
                assert columns(home) == [0, 1, 2], "when the disk is well again, saving goes on"
        at += 1
    assert at >= 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("what", ["labels", "structures", "notes", "checkpoint"])
def test_71_a_disk_that_fills_up_in_mid_write_is_told_and_leaves_the_old_file(
    study, paint, columns, monkeypatch, what
):
    """The system itself says that the disk is full, while bytes are written."""
    for folder in (study.path, study.path / "annotations", study.path / "runs" / "one" / "checkpoints"):
        folder.mkdir(parents=True, exist_ok=True)
        for suffix in (".nii.gz", ".json", ".bak", ".safetensors"):
            (folder / f".dycon-tmp-full{suffix}").symlink_to("/dev/full")
    monkeypatch.setattr("secrets.token_hex", lambda size: "full")
    with pytest.raises(DyconError, match=r"disk is full.*nothing was overwritten"):
        dict(operations(study, paint))[what]()
    assert columns() == [0]
    assert [structure.name for structure in study.structures] == ["left atrium"]


LIMITED = """
import resource, sys
from napari_dycon.errors import DyconError
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.study import Study
import numpy as np
study = Study.open(sys.argv[1], read_only=False)
resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
noise = np.random.default_rng(0).integers(0, 200, study.cases[0].shape).astype(np.uint8)
try:
    study.save_annotation(study.cases[0].id, Annotation.full(noise), "accept")
except DyconError as error:
    print(error)
"""


def test_71_a_file_cut_short_by_the_system_never_takes_its_final_name(study, columns):
    study.close()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(study.path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "could not be written" in done.stdout, done.stderr
    assert columns() == [0]
    assert not list(study.path.rglob("*.next.nii.gz"))


NOBODY = """
import os, sys
from napari_dycon.errors import DyconError
from napari_dycon.study.study import Study
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
with Study.open(sys.argv[1]) as study:
    print(study.read_only, *study.notes)
    print(study.annotation(study.cases[0].id).labels.sum())
    try:
        study.add_structure("x")
    except DyconError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="rights are other things there")
def test_72_a_write_protected_study_can_be_looked_at_and_says_why_not_changed(study):
    """With the rights of somebody who may not write there."""
    study.close()
    home = Path(tempfile.mkdtemp(prefix="dycon-faults-"))
    try:
        record = json.loads((study.path / "study.json").read_text())
        shutil.copytree(study.path, home / "study")
        shutil.copy(record["cases"][0]["scan"], home / "heart.nii.gz")
        record["cases"][0]["scan"] = str(home / "heart.nii.gz")
        (home / "study" / "study.json").write_text(json.dumps(record))
        for path in (*home.rglob("*"), home):
            path.chmod(0o555 if path.is_dir() else 0o444)
        done = subprocess.run(
            [sys.executable, "-c", NOBODY, str(home / "study")],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        for path in (home, *home.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(home)
    assert done.returncode == 0, done.stderr
    shown, labels, refused = done.stdout.splitlines()
    assert shown.startswith("True"), done.stderr
    assert "cannot be written" in shown
    assert labels == "5"
    assert "Nothing was changed" in refused


@pytest.fixture
def clock():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


def editing(study, columns):
    case = study.cases[0].id
    editor = AnnotationEditor(study.annotation(case), study.geometry(case))

    def stroke(x):
        editor.labels[x, 2:7, 3] = 1
        editor.stroke(([x] * 5, range(2, 7), [3] * 5))

    return case, editor, stroke


def test_75_a_share_that_drops_out_is_told_and_saved_to_when_it_is_back(study, columns, clock):
    case, editor, stroke = editing(study, columns)
    errors = []
    saver = Autosaver(study, lambda case: None, lambda case, text: errors.append(text), clock)
    away = study.path.with_name("away")
    stroke(1)
    saver.touch(case, editor)
    study.path.rename(away)
    assert not saver.flush()
    assert not study.path.exists(), "nothing may be written into the place where the share was"
    stroke(2)
    saver.touch(case, editor)
    assert not saver.flush()
    assert "not saved yet" in errors[0]
    assert "saving is tried again" in errors[0]
    away.rename(study.path)
    clock.now += 60
    assert saver.flush()
    assert columns() == [0, 1, 2]
    assert saver.close()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_74_a_flush_or_rename_that_fails_is_no_save(study, columns, clock, monkeypatch, call):
    case, editor, stroke = editing(study, columns)
    saved, errors = [], []
    saver = Autosaver(study, saved.append, lambda case, text: errors.append(text), clock)

    def refuse(*args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    stroke(1)
    saver.touch(case, editor)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        assert not saver.flush()
    assert saved == []
    assert len(errors) == 1
    assert columns() == [0]
    assert saver.close()
    assert columns() == [0, 1]


def test_74_a_file_held_open_by_another_program_is_told_and_saved_later(study, paint, columns, monkeypatch):
    """As Windows does it: the final file cannot be replaced while a viewer shows it."""
    monkeypatch.setattr("napari_dycon.study.store.annotation_store.RENAME_PAUSE_SECONDS", 0)
    real, case = Path.replace, study.cases[0].id

    def held(self, target):
        if Path(target).name.startswith(f"{case}."):
            raise PermissionError(errno.EACCES, "is being used by another process")
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", held)
        study.save_annotation(case, paint(0, 1), "autosave")
        assert columns() == [0, 1], "what was told to be saved can be read"
        with pytest.raises(DyconError, match="open in another program"):
            study.save_annotation(case, paint(0, 1, 2), "autosave")
        assert columns() == [0, 1]
    study.save_annotation(case, paint(0, 1, 2), "autosave")
    assert columns() == [0, 1, 2]


def test_82_a_byte_that_flips_between_writing_and_checking_is_caught(study, paint, columns, monkeypatch):
    """At every tenth place of the file; the few bytes of gzip's own header that mean nothing may flip."""
    case, place, real, caught = study.cases[0].id, 0, Path.write_bytes, 0
    sizes = [1]

    def flipping(self, content):
        if self.name.startswith(".dycon-tmp-") and self.name.endswith(".nii.gz"):
            sizes.append(len(content))
            damaged = bytearray(content)
            damaged[place % len(content)] ^= 1 << place % 8
            content = bytes(damaged)
        return real(self, content)

    for place in range(0, 150, 3):  # noqa: B007 - read by the function above
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", flipping)
            try:
                study.save_annotation(case, paint(0, 1), "autosave")
                assert columns() == [0, 1]
                study.save_annotation(case, paint(0), "autosave")
            except DyconError as error:
                caught += 1
                assert "nothing was overwritten" in str(error) or "not" in str(error)
        assert columns() in ([0], [0, 1])
        study.save_annotation(case, paint(0), "autosave")
    assert caught >= 45
