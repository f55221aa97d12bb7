"""What a training needs, in one folder: it can be trained by whoever has that folder, without the study."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_dycon.engine.arrays import file_sha256, npy_bytes, sha256_of
from napari_dycon.engine.device import DeviceName
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.request import Request
from napari_dycon.engine.runs import RunFolder
from napari_dycon.errors import TrainingError
from napari_dycon.io.atomic import in_plain_words, make_folder_in, sweep_leftovers, write_bytes_atomic
from napari_dycon.io.json_files import write_model

FOLDER = "bundle"
FILE = "bundle.json"
START = "start"
CACHE = "../../../cache"
Kind = Literal["target", "image", "weight", "judged"]


class BundledArray(BaseModel):
    """A NumPy file, by its path from the bundle, and what it must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: str
    shape: tuple[int, int, int]
    dtype: str


class BundledCase(BaseModel):
    """The arrays of one case by their names in `PreparedCase`; memory is given to them in this order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    patient: str = ""
    arrays: dict[Kind, BundledArray]


class Contents(BaseModel):
    """``bundle.json``.

    Parameters
    ----------
    request
        What was asked for.
    device
        Processor that the plan was made for.
    minutes, iterations
        The budget, one of both.
    cases
        What is trained on, in this order.
    notes
        Sentences to show when the training starts.
    left_out
        By case that is not trained on, why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    request: Request
    device: DeviceName
    minutes: float | None
    iterations: int | None
    cases: tuple[BundledCase, ...]
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = {}


class Bundle:
    """A prepared run: ``bundle/`` in the run's folder, beside ``config.json`` and ``plan.json``.

    Prepared arrays are hard links into the study's cache, so that they take no room of their own and stay
    when the cache moves on; where the disk knows no such links, they are read from the cache. ``start/``
    holds the model that the run continues from. The arrays go when the training ends; ``bundle.json`` stays
    and says by its hashes what was learned from.

    Parameters
    ----------
    run
        Folder of the run.
    """

    def __init__(self, run: Path) -> None:
        self.run = RunFolder(run)
        self.path = run / FOLDER

    @property
    def start(self) -> RunFolder | None:
        """The model that a new run continues from."""
        folder = RunFolder(self.path / START)
        return folder if folder.checkpoints.iterations else None

    def contents(self) -> Contents:
        """Read ``bundle.json``.

        Raises
        ------
        TrainingError
            When it is missing, damaged or of another version.
        """
        try:
            return Contents.model_validate_json((self.path / FILE).read_bytes())
        except (OSError, ValidationError):
            raise TrainingError(
                f"What run {self.run.run} was prepared with is missing or damaged; start the training again."
            ) from None

    def write(self, contents: Contents) -> None:
        """Write ``bundle.json``; last, so that a bundle with one is whole."""
        write_model(self.path / FILE, contents)

    def clear(self) -> None:
        """Make the folder, without arrays and ``bundle.json`` of before."""
        make_folder_in(self.run.path, self.path)
        sweep_leftovers(self.run.path)
        (self.path / FILE).unlink(missing_ok=True)
        self.drop_arrays()

    def add(self, case: PreparedCase, files: Mapping[str, Path]) -> BundledCase:
        """Take in a case whose arrays lie in the study's cache.

        Raises
        ------
        VolumeError
            When an array cannot be linked, read or written.
        """
        arrays: dict[Kind, BundledArray] = {}
        kinds: tuple[Kind, ...] = ("target", "image", "weight", "judged")
        for kind in kinds:
            array: NDArray[Any] | None = getattr(case, kind)
            if array is not None:
                with in_plain_words(self.path / kind):
                    arrays[kind] = self._add(f"{case.case}.{kind}.npy", array, files[kind])
        return BundledCase(case=case.case, patient=case.patient, arrays=arrays)

    def begin_with(self, earlier: RunFolder) -> None:
        """Take in the newest checkpoint of an earlier run."""
        target = self.path / START
        if target.exists():
            shutil.rmtree(target)
        make_folder_in(self.run.path, target / "checkpoints")
        iteration = earlier.checkpoints.load().iteration
        with in_plain_words(target):
            for name in ("config.json", "plan.json"):
                shutil.copyfile(earlier.path / name, target / name)
            for path in earlier.checkpoints.files(iteration):
                _link_or_copy(path, target / "checkpoints" / path.name)

    def cases(self, memory: int) -> list[PreparedCase]:
        """Read the cases; up to so many bytes of arrays are held in memory, the others are mapped.

        Raises
        ------
        TrainingError
            When an array is missing or is not the one that was prepared.
        """
        found = []
        for case in self.contents().cases:
            arrays: dict[Kind, NDArray[Any]] = {}
            for kind, entry in case.arrays.items():
                arrays[kind], taken = self._read(case.case, entry, memory)
                memory -= taken
            found.append(
                PreparedCase(
                    case=case.case,
                    image=arrays["image"],
                    target=arrays.get("target"),
                    weight=arrays.get("weight"),
                    judged=arrays.get("judged"),
                    patient=case.patient,
                )
            )
        return found

    def drop_arrays(self) -> None:
        """Remove the arrays, and the start where the run has a model of its own."""
        for path in self.path.glob("*.npy"):
            with contextlib.suppress(OSError):  # somebody looks at it (Windows); it is replaced another time
                path.unlink()
        if self.run.checkpoints.iterations:
            shutil.rmtree(self.path / START, ignore_errors=True)

    def _add(self, name: str, array: NDArray[Any], source: Path) -> BundledArray:
        file = name
        try:
            os.link(source, self.path / name)
            digest = sha256_of(source)
        except FileNotFoundError:  # another training has renewed the cache; the array is mapped still
            write_bytes_atomic(self.path / name, npy_bytes(array))
            digest = file_sha256(self.path / name)
        except OSError:  # a disk without hard links
            file, digest = f"{CACHE}/{source.name}", sha256_of(source)
        x, y, z = array.shape
        return BundledArray(file=file, sha256=digest, shape=(x, y, z), dtype=str(array.dtype))

    def _read(self, case: str, entry: BundledArray, memory: int) -> tuple[NDArray[Any], int]:
        """An array, and how much memory it takes."""
        path = self._check_path(entry.file)
        try:
            mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
            same = (mapped.shape, str(mapped.dtype)) == (entry.shape, entry.dtype)
            fits = mapped.nbytes <= memory
            if same and (not fits or file_sha256(path) == entry.sha256):
                return (np.array(mapped), mapped.nbytes) if fits else (mapped, 0)
        except (OSError, ValueError, EOFError):
            pass
        raise TrainingError(
            f"The prepared scan {case} is missing or damaged; remove the folder cache of the study and start "
            "the training again."
        )

    def _check_path(self, file: str) -> Path:
        """Path of a file in the bundle or in the study's cache, and nowhere else."""
        name = file.removeprefix(f"{CACHE}/")
        folder = self.path if name == file else self.path / CACHE
        if not name.endswith(".npy") or Path(name).name != name or "\\" in name:
            raise TrainingError(f"The bundle of run {self.run.run} names a file outside of it: {file}.")
        return folder / name


def drop_abandoned(runs: Iterable[Path]) -> None:
    """Let go of arrays that were kept for trainings which were killed."""
    for run in runs:
        if not (run / "events.jsonl").exists() or not any((run / FOLDER).glob("*.npy")):
            continue
        folder = RunFolder(run)
        with contextlib.suppress(TrainingError), folder.lock():
            Bundle(run).drop_arrays()


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
