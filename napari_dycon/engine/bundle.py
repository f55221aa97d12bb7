"""What a training needs, in one folder: it can be trained by whoever has that folder, without the study."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
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
UPDATE = "update.json"
START = "start"
CACHE = "../../../cache"
Kind = Literal["target", "image", "weight", "judged"]
KINDS: tuple[Kind, ...] = ("target", "image", "weight", "judged")
LABELS: dict[Kind, str] = {"target": "uint8", "weight": "float16", "judged": "uint8"}
"""The arrays that change with the labels of a case, and what they hold."""


class BundledArray(BaseModel):
    """A NumPy file, by its path from the bundle, and what it must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: str
    shape: tuple[int, ...]
    dtype: str


class BundledCase(BaseModel):
    """The arrays of one case by their names in `PreparedCase`; memory is given to them in this order.

    So many ``slices`` were complete in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    patient: str = ""
    arrays: dict[Kind, BundledArray]
    slices: int = 0

    def same_labels(self, other: "BundledCase") -> bool:
        """Whether the same can be learned from both."""
        mine, others = ({k: e.sha256 for k, e in c.arrays.items() if k in LABELS} for c in (self, other))
        return mine == others


class Until(BaseModel):
    """What was learned from up to a step: cases whose labels are others since then, as they were before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iteration: int
    cases: tuple[BundledCase, ...]


class Contents(BaseModel):
    """``bundle.json``.

    Parameters
    ----------
    request
        What was asked for.
    device
        Processor that the plan was made for.
    minutes, iterations, open_ended
        The budget.
    cases
        What is trained on, in this order; the newest labels of each.
    before
        Earlier labels, oldest first.
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
    open_ended: bool = False
    cases: tuple[BundledCase, ...]
    before: tuple[Until, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = {}

    @property
    def slices(self) -> int:
        """How many slices are complete."""
        return sum(case.slices for case in self.cases)

    def replace(self, cases: Iterable[BundledCase], iteration: int) -> "Contents":
        """The contents after some cases were labelled further; what they were before stays known."""
        new = {case.case: case for case in cases}
        until = Until(iteration=iteration, cases=tuple(case for case in self.cases if case.case in new))
        return self.model_copy(
            update={
                "cases": tuple(new.get(case.case, case) for case in self.cases),
                "before": (*self.before, until),
            }
        )


class Update(BaseModel):
    """``update.json``: labels that were made since the run began, by whoever has the study.

    Parameters
    ----------
    generation
        Grows with every update.
    cases
        The newest labels of every case whose labels have changed; without scans.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    generation: int = 0
    cases: tuple[BundledCase, ...] = ()


class Bundle:
    """A prepared run: ``bundle/`` in the run's folder, beside ``config.json`` and ``plan.json``.

    Prepared arrays are hard links into the study's cache, so that they take no room of their own and stay
    when the cache moves on; where the disk knows no such links, they are read from the cache. ``start/``
    holds the model that the run continues from. The arrays go when the training ends; ``bundle.json`` stays
    and says by its hashes what was learned from.

    Two write into it while a run is trained. Whoever has the study puts arrays of new labels there, under
    names of their own, and then ``update.json``; the training, which alone writes ``bundle.json``, takes them
    over.

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

    def add(
        self, case: PreparedCase, files: Mapping[str, Path], slices: int, generation: int = 0
    ) -> BundledCase:
        """Take in a case whose arrays lie in the study's cache.

        Parameters
        ----------
        case, files
            Its arrays, and where they lie.
        slices
            How many of its slices are complete.
        generation
            0 for the whole case; that of an update for its labels alone.

        Raises
        ------
        VolumeError
            When an array cannot be linked, read or written.
        """
        arrays: dict[Kind, BundledArray] = {}
        for kind in LABELS if generation else KINDS:
            array: NDArray[Any] | None = getattr(case, kind)
            if array is not None:
                name = f"{case.case}.{kind}.{generation}.npy" if generation else f"{case.case}.{kind}.npy"
                with in_plain_words(self.path / kind):
                    arrays[kind] = self._add(name, array, files[kind])
        return BundledCase(case=case.case, patient=case.patient, arrays=arrays, slices=slices)

    def update_stamp(self) -> tuple[int, int, int]:
        """What is another one after each update; a single look at the disk."""
        try:
            found = (self.path / UPDATE).stat()
        except OSError:
            return 0, 0, 0
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read_update(self) -> Update:
        """Read ``update.json``; empty where there is none.

        Raises
        ------
        TrainingError
            When it is damaged.
        """
        try:
            return Update.model_validate_json((self.path / UPDATE).read_bytes())
        except FileNotFoundError:
            return Update()
        except (OSError, ValidationError):
            raise TrainingError("what was written about them is damaged.") from None

    def write_update(self, update: Update) -> None:
        """Write ``update.json``, after the arrays that it names."""
        write_model(self.path / UPDATE, update)

    def labels(self, case: BundledCase, of: PreparedCase) -> PreparedCase:
        """Read new labels of a case that is trained on; in memory where the scan is, otherwise mapped.

        Raises
        ------
        TrainingError
            When an array is missing, damaged, or of another scan.
        """
        held = not isinstance(of.image, np.memmap)
        arrays: dict[Kind, NDArray[Any]] = {}
        for kind, entry in case.arrays.items():
            path = self._check_path(entry.file)
            fits = (entry.shape, entry.dtype) == (of.grid, LABELS.get(kind))
            array = self._map(entry) if fits and _has_hash(path, entry.sha256) else None
            if array is None:
                raise TrainingError(f"the labels of {case.case} are missing or damaged.")
            arrays[kind] = np.array(array) if held else array
        return replace(
            of, target=arrays.get("target"), weight=arrays.get("weight"), judged=arrays.get("judged")
        )

    def drop_labels(self, case: BundledCase) -> None:
        """Remove arrays of labels that are older than these."""
        files = [entry.file for entry in case.arrays.values()]
        newest = max((_generation(case.case, file) or 0 for file in files), default=0)
        for path in self.path.glob("*.npy"):
            generation = _generation(case.case, path.name)
            if generation is not None and generation < newest:
                _remove(path)

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
                    image=_with_channels(arrays["image"]),
                    target=arrays.get("target"),
                    weight=arrays.get("weight"),
                    judged=arrays.get("judged"),
                    patient=case.patient,
                )
            )
        return found

    def array_path(self, entry: BundledArray) -> Path:
        """Where an array lies."""
        return self._check_path(entry.file)

    def drop_arrays(self) -> None:
        """Remove the arrays, and the start where the run has a model of its own."""
        for path in (self.path / UPDATE, *self.path.glob("*.npy")):
            _remove(path)
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
        return BundledArray(file=file, sha256=digest, shape=array.shape, dtype=str(array.dtype))

    def _read(self, case: str, entry: BundledArray, memory: int) -> tuple[NDArray[Any], int]:
        """An array, and how much memory it takes."""
        mapped = self._map(entry)
        fits = mapped is not None and mapped.nbytes <= memory
        if mapped is not None and (not fits or _has_hash(self._check_path(entry.file), entry.sha256)):
            return (np.array(mapped), mapped.nbytes) if fits else (mapped, 0)
        raise TrainingError(
            f"The prepared scan {case} is missing or damaged; remove the folder cache of the study and start "
            "the training again."
        )

    def _map(self, entry: BundledArray) -> NDArray[Any] | None:
        """Map an array into memory; None where it is not there, or of another shape or type."""
        try:
            mapped: NDArray[Any] = np.load(self._check_path(entry.file), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return mapped if (mapped.shape, str(mapped.dtype)) == (entry.shape, entry.dtype) else None

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


def _has_hash(path: Path, sha256: str) -> bool:
    try:
        return file_sha256(path) == sha256
    except OSError:
        return False


def _generation(case: str, file: str) -> int | None:
    """With which update the labels of a case came, 0 for the beginning; None for any other file."""
    found = re.fullmatch(rf"{re.escape(case)}\.(?:{'|'.join(LABELS)})(?:\.(\d+))?\.npy", file)
    return None if found is None else int(found[1] or 0)


def _with_channels(image: NDArray[Any]) -> NDArray[Any]:
    """An image ``(channel, x, y, z)``; a run of an earlier version was prepared without the first axis."""
    return image.reshape((-1, *image.shape[-3:]))


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # somebody looks at it (Windows); it is replaced another time
        path.unlink()


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
