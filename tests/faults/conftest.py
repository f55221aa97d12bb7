"""Faults injected for real, and a small study to inject them into."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

SHAPE = (12, 10, 8)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class IoFaults:
    """Counts the file operations that change a folder, and lets any of them fail.

    Opening for writing, renaming, removing, making folders and flushing to the disk. The error comes from
    the operation itself, as the system would raise it, wherever in the program or its libraries it is called.
    """

    def __init__(self) -> None:
        self.folder, self.error = "", 0
        self.at, self.count = -1, 0
        self.reading = False
        self._flush = os.fsync

    def arm(self, folder: Path, error: int, at: int = 0, *, reading: bool = False) -> None:
        """Let operations fail, counted from 0: one of them, all from the first on (-1), or none (-2)."""
        self.folder, self.error, self.at, self.count, self.reading = str(folder), error, at, 0, reading

    def disarm(self) -> None:
        """Let everything succeed again."""
        self.folder = ""

    def hear(self, event: str, details: tuple[object, ...]) -> None:
        """Take part in an operation of this process."""
        if not self.folder:
            return
        if event == "open" and isinstance(details[2], int):
            if bool(details[2] & WRITING) != self.reading:
                self._strike(details[0])
        elif event in ("os.rename", "os.remove", "os.mkdir") and not self.reading:
            self._strike(details[0])

    def fsync(self, handle: int) -> None:
        """Stand in for the system's flush."""
        if self.folder and not self.reading:
            self._strike(os.readlink(f"/proc/self/fd/{handle}") if sys.platform == "linux" else self.folder)
        self._flush(handle)

    def _strike(self, path: object) -> None:
        name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
        if not str(name).startswith(self.folder):
            return
        index, self.count = self.count, self.count + 1
        if self.at in (-1, index):
            raise OSError(self.error, os.strerror(self.error), str(name))


_faults = IoFaults()
_hooked = threading.Event()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[IoFaults]:
    """File operations that fail on command; nothing waits for a virus scanner meanwhile."""
    if not _hooked.is_set():
        _hooked.set()
        sys.addaudithook(_faults.hear)
    monkeypatch.setattr(os, "fsync", _faults.fsync)
    monkeypatch.setattr("napari_dycon.io.atomic._RENAME_PAUSE_SECONDS", 0)
    monkeypatch.setattr("napari_dycon.study.store.annotation_store.RENAME_PAUSE_SECONDS", 0)
    yield _faults
    _faults.disarm()


FULL, BROKEN, FORBIDDEN, READ_ONLY = errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS


def save_scan(path: Path, seed: int = 0) -> Path:
    """Write a scan of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 900, SHAPE).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([-1.0, -1.0, 2.0, 1.0])), path)
    return path


@pytest.fixture
def add_scan(tmp_path: Path) -> Callable[[str], Path]:
    """Write another scan of that name."""
    return lambda name: save_scan(tmp_path / "images" / f"{name}.nii.gz", sum(name.encode()))


def painted(*columns: int) -> Annotation:
    """Return an annotation in which these columns are drawn."""
    made = Annotation.empty(SHAPE)
    for x in columns:
        made.labels[x, 2:7, 3], made.known[x, 2:7, 3] = 1, 1
    return made


@pytest.fixture
def paint() -> Callable[..., Annotation]:
    """Make an annotation in which some columns are drawn."""
    return painted


@pytest.fixture
def study(tmp_path: Path, add_scan: Callable[[str], Path]) -> Iterator[Study]:
    """A study with one scan, open for writing, whose first column is painted and saved."""
    with Study.create(tmp_path / "study", [Structure(value=1, name="left atrium")]) as made:
        case = importing.add_scan(made, add_scan("heart")).id
        made.save_annotation(case, painted(0), "import")
        yield made


@pytest.fixture
def columns(study: Study) -> Callable[..., list[int]]:
    """Tell which columns are painted on disk, as a program that opens the study now would see it."""

    def look(folder: Path = study.path) -> list[int]:
        with Study.open(folder, read_only=True) as seen:
            found = seen.annotation(seen.cases[0].id)
        known, labels = found.known[:, 2:7, 3], found.labels[:, 2:7, 3]
        assert np.array_equal(known > 0, labels > 0), "label and known value do not belong together"
        whole = labels.all(axis=1)
        assert np.array_equal(whole, labels.any(axis=1)), "a column is there in part"
        assert found.labels.sum() == labels.sum()
        return [int(x) for x in np.flatnonzero(whole)]

    return look


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every notification, as ``(level, text)``; none pops up."""
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(
        "napari_dycon.plugin.controllers.dialogue.notify", lambda level, text: seen.append((level, text))
    )
    return seen


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a closed phantom study of three small patients, two of them labelled."""
    from napari_dycon.study.exchange.phantom import make_phantom_study

    folder = tmp_path_factory.mktemp("phantom") / "study"
    make_phantom_study(folder, cases=3, labelled=2, size=(32, 32, 20)).close()
    return folder


@pytest.fixture
def phantom(phantom_folder: Path, tmp_path: Path) -> Path:
    """A copy of the phantom study that may be changed."""
    return shutil.copytree(phantom_folder, tmp_path / "phantom", ignore=shutil.ignore_patterns(".study*"))


class Learner:
    """Stands in for the training: takes steps until it is stopped, and does what a test wants in one."""

    def __init__(self) -> None:
        self.steps, self.begun = 0, 0
        self.deed: Callable[[], None] = lambda: None

    def training(
        self, study: Study, method: str, *details: object, **options: object
    ) -> Callable[..., Iterator[object]]:
        from napari_dycon.engine.events import RunFinished, RunStarted, StepFinished

        save_first = details[2]

        def source(control):  # type: ignore[no-untyped-def]
            save_first()
            self.begun += 1
            run = study.new_run(method)
            yield RunStarted(run, method, "cpu", {})
            for step in range(1, 100_000):
                if control.stopped:
                    break
                control.wait_while_paused()
                self.steps = step
                if step == 5:
                    self.deed()
                time.sleep(0.02)
                yield StepFinished(step, step / 100_000, {"supervised": 1 / step}, 1.0, 2.0, 3.0)
            (study.run_dir(run) / "checkpoints").mkdir()
            (study.run_dir(run) / "checkpoints" / "saved").touch()
            yield RunFinished(run, step, "stopped", 1.0, 0.8, 0.8, "Training stopped.")

        return source


@pytest.fixture
def learner(monkeypatch: pytest.MonkeyPatch) -> Learner:
    """A training that costs nothing."""
    from napari_dycon.plugin.background import jobs

    made = Learner()
    monkeypatch.setattr(jobs, "training", made.training)
    return made


class Desk:
    """A viewer with its session, and the waiting that tests need."""

    def __init__(self, qtbot, viewer) -> None:  # type: ignore[no-untyped-def]
        from napari_dycon.plugin.session import get_session

        self.qtbot, self.viewer, self.session = qtbot, viewer, get_session(viewer)

    def wait(self, condition: Callable[[], bool], seconds: int = 30) -> None:
        self.qtbot.waitUntil(condition, timeout=seconds * 1000)

    def open(self, case: str) -> Desk:
        self.session.cases.open(case)
        self.wait(lambda: self.session.cases.case_id == case)
        return self

    def paint(self, *place: int) -> None:
        self.viewer.layers["annotation"].paint(place, 1)

    def train(self, learner: Learner) -> None:
        before = learner.begun
        self.session.training.train("dycon", 1.0)
        self.wait(lambda: learner.begun > before and learner.steps > 6)


@pytest.fixture
def desk(qtbot, make_napari_viewer, phantom, notes):  # type: ignore[no-untyped-def]
    """The real viewer with a phantom study, its unlabelled case open."""
    viewer = make_napari_viewer()
    one = Desk(qtbot, viewer)
    one.session.open_study(phantom)
    yield one.open("patient-03")
    one.session.close()


@pytest.fixture
def painted_on_disk(phantom: Path) -> Callable[[], int]:
    """Count the painted voxels of the case that was open, as another program would read them."""

    def count() -> int:
        with Study.open(phantom, read_only=True) as study:
            return int(np.count_nonzero(study.annotation("patient-03").labels))

    return count
