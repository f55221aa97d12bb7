import errno
import os
import signal
import subprocess
import sys
import time

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io import atomic
from napari_dycon.io.atomic import atomic_path, sweep_leftovers, write_bytes_atomic, write_text_atomic
from napari_dycon.io.masks import write_mask


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "a.json"
    write_text_atomic(path, "old")
    write_text_atomic(path, "neu: äöü")
    assert path.read_text(encoding="utf-8") == "neu: äöü"
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("name", ["scan.nii.gz", "weights.safetensors", "x" * 240 + ".nii.gz", "a.b.json"])
def test_the_temporary_file_lies_beside_and_keeps_the_suffix(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.suffix == (tmp_path / name).suffix
        temporary.write_bytes(b"1")
    assert (tmp_path / name).read_bytes() == b"1"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.bin"]


def failing(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(
    ("where", "code", "sentence"),
    [
        ("fsync", errno.ENOSPC, "The disk is full: mask.nii.gz could not be written"),
        ("replace", errno.EDQUOT, "The disk is full"),
        ("replace", errno.EACCES, "write-protected"),
        ("fsync", errno.EROFS, "write-protected"),
        ("fsync", errno.EIO, "nothing was overwritten"),
    ],
)
def test_a_failing_disk_becomes_one_sentence_and_leaves_the_old_mask(
    tmp_path, oblique_scan, monkeypatch, where, code, sentence
):
    path = tmp_path / "mask.nii.gz"
    write_mask(path, np.zeros((20, 24, 10), np.uint8), oblique_scan)
    before = path.read_bytes()
    monkeypatch.setattr(atomic, "_RENAME_PAUSE_SECONDS", 0)
    monkeypatch.setattr(os, where, failing(code))
    with pytest.raises(VolumeError, match=sentence) as caught:
        write_mask(path, np.ones((20, 24, 10), np.uint8), oblique_scan)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["mask.nii.gz", "oblique.nii.gz"]


def test_a_disk_without_room_is_not_written_to(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    usage = atomic.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(VolumeError, match="disk is full"):
        write_bytes_atomic(path, bytes(1000))
    assert path.read_bytes() == b"old"


def test_a_missing_folder_is_a_sentence(tmp_path):
    with pytest.raises(VolumeError, match="cannot be reached; nothing was overwritten"):
        write_bytes_atomic(tmp_path / "none" / "a.bin", b"1")


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may write anywhere")
def test_a_write_protected_folder_is_a_sentence(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(VolumeError, match="write-protected"):
        write_bytes_atomic(tmp_path / "a.bin", b"1")
    tmp_path.chmod(0o700)


def test_a_target_that_is_held_open_for_a_moment_is_waited_for(tmp_path, monkeypatch):
    attempts = []
    replace = os.replace

    def busy(source, target):
        attempts.append(target)
        if len(attempts) < 4:
            raise PermissionError(errno.EACCES, "in use")
        replace(source, target)

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(atomic, "_RENAME_PAUSE_SECONDS", 0)
    write_bytes_atomic(tmp_path / "a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"


def test_only_our_own_leftovers_are_swept(tmp_path):
    (tmp_path / "annotations").mkdir()
    leftovers = [tmp_path / ".dycon-tmp-1a.nii.gz", tmp_path / "annotations" / ".dycon-tmp-2b.json"]
    for path in [*leftovers, tmp_path / ".hidden", tmp_path / "study.json"]:
        path.touch()
    assert sorted(sweep_leftovers(tmp_path)) == sorted(leftovers)
    assert sorted(item.name for item in tmp_path.iterdir()) == [".hidden", "annotations", "study.json"]


WRITER = """
import sys, numpy as np
from pathlib import Path
from napari_dycon.io.masks import write_mask
from napari_dycon.io.volumes import read_volume
path, scan = Path(sys.argv[1]), read_volume(sys.argv[2])
value = 1
while True:
    write_mask(path, np.full(scan.array.shape, value, np.uint8), scan)
    print(value, flush=True)
    value = value % 250 + 1
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_writer_leaves_a_whole_mask(tmp_path):
    scan, path = tmp_path / "scan.nii", tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((60, 60, 60), np.uint8), np.eye(4)), scan)
    random = np.random.default_rng(0)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(scan)], stdout=subprocess.PIPE, env={**os.environ}
        )
        process.stdout.readline()
        time.sleep(random.uniform(0, 0.1))
        process.kill()
        process.communicate()
        found = np.asanyarray(nib.load(path).dataobj)
        assert found.shape == (60, 60, 60) and found.min() == found.max() > 0
    sweep_leftovers(tmp_path)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["mask.nii.gz", "scan.nii"]


def test_what_another_process_may_be_writing_is_not_swept(tmp_path):
    for folder in ("runs/1", "annotations"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("new", "old"):
            (tmp_path / folder / f".dycon-tmp-{name}").touch()
        os.utime(tmp_path / folder / ".dycon-tmp-old", (0, 0))
    sweep_leftovers(tmp_path, spare=("runs",))
    assert [path.name for path in tmp_path.rglob(".dycon-tmp-*")] == [".dycon-tmp-new"]
    assert (tmp_path / "runs" / "1" / ".dycon-tmp-new").exists()
