import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_dycon.errors import GridMismatchError, StudyError, VolumeError
from napari_dycon.io.volumes import read_geometry
from napari_dycon.study.exchange import importing
from napari_dycon.study.store import annotation_store
from napari_dycon.study.store.annotation_store import AnnotationStore
from napari_dycon.study.store.versions import KEPT_VERSIONS
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known

CASE = "scan"


class PowerCut(BaseException):
    """The instant at which the program stops."""


def numbered(number: int, shape: tuple[int, int, int]) -> Annotation:
    """An annotation in which labels and known map both tell its number, with much to write."""
    rng = np.random.default_rng(number)
    known = rng.integers(1, 5, shape).astype(np.uint8)
    labels = (rng.random(shape) < 0.5) * np.uint8(number % 250 + 1)
    return Annotation(labels.astype(np.uint8), known)


def same(first: Annotation, second: Annotation) -> bool:
    return np.array_equal(first.labels, second.labels) and np.array_equal(first.known, second.known)


@pytest.fixture
def scan(make_scan) -> Path:
    return make_scan(CASE)


@pytest.fixture
def store(tmp_path) -> AnnotationStore:
    return AnnotationStore(tmp_path)


def test_what_was_written_is_read_back(store, scan):
    geometry = read_geometry(scan)
    assert store.read(CASE, geometry).known_fraction == 0
    annotation = numbered(3, geometry.shape)
    version = store.write(CASE, annotation, scan, "autosave")
    assert same(store.read(CASE, geometry), annotation)
    assert version.label_voxels == {4: int((annotation.labels == 4).sum())}


def cut_at(monkeypatch, step):
    """Stop the program at the `step`-th rename, write of a record or removal of the store."""
    left = [step]

    def count_down():
        left[0] -= 1
        if left[0] < 0:
            raise PowerCut

    for owner, name in [
        (os, "replace"),
        (annotation_store, "_rename"),
        (annotation_store, "write_pieces"),
        (annotation_store, "write_model"),
        (annotation_store.shutil, "copyfile"),
    ]:
        original = getattr(owner, name)

        def stepped(*args, _original=original, **kwargs):
            count_down()
            result = _original(*args, **kwargs)
            count_down()
            return result

        monkeypatch.setattr(owner, name, stepped)
    return left


@pytest.mark.parametrize("reason", ["autosave", "accept"])
def test_a_stop_at_any_step_of_a_save_leaves_the_old_annotation_or_the_new_one(tmp_path, scan, reason):
    geometry = read_geometry(scan)
    old, new, later = (numbered(number, geometry.shape) for number in (1, 2, 3))
    outcomes = []
    for step in range(200):
        (tmp_path / str(step)).mkdir()
        store = AnnotationStore(tmp_path / str(step))
        store.write(CASE, old, scan, "import")
        with pytest.MonkeyPatch.context() as patch:
            left = cut_at(patch, step)
            with contextlib.suppress(PowerCut):
                store.write(CASE, new, scan, reason)
        for reader in (AnnotationStore(tmp_path / str(step)), store):  # as another program finds it; mended
            found = reader.read(CASE, geometry)
            assert same(found, old) or same(found, new), f"mixed after step {step}"
            store.recover([CASE])
        assert same(store.read(CASE, geometry), found)
        assert not list((tmp_path / str(step) / "annotations").glob("*.next.nii.gz"))
        store.write(CASE, later, scan, reason)
        assert same(store.read(CASE, geometry), later)
        outcomes.append(same(found, new))
        if left[0] >= 0:
            break
    assert step > 15
    assert outcomes == sorted(outcomes)
    assert outcomes[0] is False
    assert outcomes[-1] is True


SAVER = """
import os, sys
sys.path.insert(0, sys.argv[3])
from test_annotation_store import CASE, numbered
from napari_dycon.study.study import Study

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        study = Study.open(sys.argv[1], read_only=False)
        number, shape = int(line), study.case(CASE).shape
        log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        while True:
            number += 1
            study.save_annotation(CASE, numbered(number, shape), "accept" if number % 3 == 0 else "autosave")
            os.write(log, f"{number}\\n".encode())
    print(child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and kill -9")
def test_kill_9_at_random_instants_loses_no_finished_save_and_mixes_nothing(study, make_scan, tmp_path):
    shape = (64, 64, 32)
    importing.add_scan(study, make_scan(CASE, shape=shape))
    study.close()
    log = tmp_path / "saved.txt"
    zygote = subprocess.Popen(
        [sys.executable, "-c", SAVER, str(study.path), str(log), str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert zygote.stdin is not None
    assert zygote.stdout is not None
    rng, number = random.Random(0), 0
    try:
        for _ in range(20):
            before = log.read_text() if log.exists() else ""
            zygote.stdin.write(f"{number}\n")
            zygote.stdin.flush()
            child = int(zygote.stdout.readline())
            end = time.monotonic() + 30
            while (not log.exists() or log.read_text() == before) and time.monotonic() < end:
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.15))
            os.kill(child, signal.SIGKILL)
            assert zygote.stdout.readline() == "dead\n"
            finished = int(log.read_text().split()[-1])
            with Study.open(study.path, read_only=False) as opened:
                found = opened.annotation(CASE)
                number = next((n for n in (finished, finished + 1) if same(found, numbered(n, shape))), -1)
                assert number != -1, "labels and known map do not belong together"
                assert opened.case(CASE).status == "complete"
                assert opened.case(CASE).label_voxels == found.label_voxels()
            assert not list(study.path.rglob("*.next.nii.gz"))
            assert not list(study.path.rglob(".dycon-tmp-*"))
    finally:
        zygote.communicate(timeout=30)


def test_a_reader_sees_whole_annotations_while_another_program_writes(study, make_scan, monkeypatch):
    importing.add_scan(study, make_scan(CASE))
    shape = study.case(CASE).shape
    reader = Study.open(study.path)
    for number in range(1, 4):
        study.save_annotation(CASE, numbered(number, shape), "autosave")
        assert same(reader.annotation(CASE), numbered(number, shape))
    with monkeypatch.context() as patch:
        patch.setattr(
            annotation_store, "_rename", lambda waiting, final: (_ for _ in ()).throw(PermissionError)
        )
        study.save_annotation(CASE, numbered(4, shape), "autosave")
    assert same(reader.annotation(CASE), numbered(4, shape))
    study.save_annotation(CASE, numbered(5, shape), "autosave")
    assert same(reader.annotation(CASE), numbered(5, shape))


def test_the_version_before_is_kept_for_what_a_person_decided_but_not_for_autosaves(store, scan, tmp_path):
    geometry = read_geometry(scan)
    annotations = [numbered(number, geometry.shape) for number in range(4)]
    for annotation, reason in zip(annotations, ["import", "autosave", "autosave", "accept"], strict=True):
        store.write(CASE, annotation, scan, reason)
    kept = sorted(path.name for path in (tmp_path / "history" / CASE).iterdir())
    suffixes = (".json", ".known.nii.gz", ".nii.gz")
    assert kept == [number + suffix for number in ("000001", "000003") for suffix in suffixes]
    for _ in range(KEPT_VERSIONS + 3):
        store.write(CASE, annotations[0], scan, "complete")
    assert len(list((tmp_path / "history" / CASE).glob("*.known.nii.gz"))) == KEPT_VERSIONS


def test_labels_painted_with_another_program_are_taken_as_drawn(store, scan, make_labels, tmp_path):
    geometry = read_geometry(scan)
    store.write(CASE, Annotation.empty(geometry.shape), scan, "autosave")
    make_labels(values=(1,)).replace(tmp_path / "annotations" / f"{CASE}.nii.gz")
    found = store.read(CASE, geometry)
    assert found.label_voxels() == {1: 16}
    assert np.count_nonzero(found.known == Known.DRAWN) == 16


def test_label_files_without_a_record_are_read(store, scan, make_labels, tmp_path):
    (tmp_path / "annotations").mkdir()
    make_labels().replace(tmp_path / "annotations" / f"{CASE}.nii.gz")
    assert np.count_nonzero(store.read(CASE, read_geometry(scan)).known) == 16


@pytest.mark.parametrize("name", [f"{CASE}.known.nii.gz", f"{CASE}.json"])
def test_damage_is_told_with_the_place_of_earlier_versions(store, scan, tmp_path, name):
    geometry = read_geometry(scan)
    store.write(CASE, numbered(1, geometry.shape), scan, "autosave")
    path = tmp_path / "annotations" / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StudyError, match=rf"{CASE}.* damaged.*history"):
        store.read(CASE, geometry)


def test_an_annotation_of_another_grid_is_refused(store, scan, make_scan):
    store.write(CASE, numbered(1, read_geometry(scan).shape), scan, "autosave")
    with pytest.raises(GridMismatchError):
        store.read(CASE, read_geometry(make_scan("other", shape=(12, 10, 9))))


def test_a_full_disk_leaves_the_old_annotation(store, scan, monkeypatch):
    geometry = read_geometry(scan)
    store.write(CASE, numbered(1, geometry.shape), scan, "autosave")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VolumeError, match="disk is full"):
        store.write(CASE, numbered(2, geometry.shape), scan, "accept")
    assert same(store.read(CASE, geometry), numbered(1, geometry.shape))


def test_an_autosave_does_not_bury_an_imported_annotation(store, scan, tmp_path):
    geometry = read_geometry(scan)
    store.write(CASE, numbered(1, geometry.shape), scan, "import")
    store.write(CASE, numbered(2, geometry.shape), scan, "autosave")
    store.write(CASE, numbered(3, geometry.shape), scan, "autosave")
    kept = sorted((tmp_path / "history" / CASE).glob("*.json"))
    assert [path.stem for path in kept] == ["000001"]
