"""Prepared scans of a run: in memory while they fit, on disk under the study's cache folder."""

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dycon.engine.arrays import note_of, npy_bytes
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.preprocessing import (
    UNSEEN,
    further_images,
    prepare_image,
    prepare_target,
    prepare_weight,
)
from napari_dycon.io.atomic import make_folder_in, write_bytes_atomic, write_text_atomic
from napari_dycon.learning.batch import UNKNOWN
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

RECIPE = 4
"""Raised whenever preparing a scan gives other values than before, so that old caches are not used."""

MOST_FILES = 65536


class CaseStore:
    """Prepares cases once and keeps them.

    Files are named by what they depend on: the scan's SHA-256, the plan's preprocessing and, for targets,
    the annotation. Nothing in them is executable (plain NumPy arrays). Beside each lies its SHA-256.

    Parameters
    ----------
    in_memory
        Hold arrays in memory as far as the plan allows; otherwise all are read from disk where needed.
    """

    def __init__(self, study: Study, plan: Plan, *, in_memory: bool = True) -> None:
        _allow_many_files()
        self._study = study
        self._plan = plan
        self._folder = Path(study.path) / "cache"
        self._scans = {record.id: record.sha256 for record in study.cases}
        self._patients = {record.id: record.patient for record in study.cases}
        self._left = plan.cache_bytes if in_memory else 0
        self._files: dict[str, dict[str, Path]] = {}

    def files(self, case: str) -> dict[str, Path]:
        """Where the arrays of a case that was prepared lie, by the name they have in `PreparedCase`."""
        return self._files[case]

    def prepare(self, case: str) -> PreparedCase:
        """Load or make one case."""
        self._files[case] = {}
        annotation = self._study.annotation(case)
        if annotation.known_fraction > 0:
            key = self._target_key(case, annotation)
            target = self._array(case, "target", key, lambda c: self._make_target(c, annotation))
        else:
            target = None
        notes: list[str] = []
        image = self._array(case, "image", self._image_key(case), lambda c: self._make_image(c, notes))
        if target is not None and bool((target == UNKNOWN).all()):
            target = None
        if target is None:
            return PreparedCase(case, image, None, tuple(notes), patient=self._patients[case])
        weight, judged = self._weight(case, annotation), self._judged_target(case, annotation)
        return PreparedCase(case, image, target, tuple(notes), weight, judged, self._patients[case])

    def _weight(self, case: str, annotation: Annotation) -> NDArray[np.float16] | None:
        weight = annotation.training_weight()
        if weight is None:
            return None

        def make(case: str) -> NDArray[Any]:
            return prepare_weight(annotation, weight, self._study.geometry(case), self._plan)

        return self._array(case, "weight", self._target_key(case, annotation), make)

    def _judged_target(self, case: str, annotation: Annotation) -> NDArray[np.uint8] | None:
        if not any(np.any(annotation.known == known) for known in UNSEEN):
            return None

        def make(case: str) -> NDArray[Any]:
            return prepare_target(annotation, self._study.geometry(case), self._plan, UNSEEN)

        return self._array(case, "judged", self._target_key(case, annotation), make)

    def _make_image(self, case: str, notes: list[str]) -> NDArray[Any]:
        further = further_images(self._study, case, self._plan)
        prepared = prepare_image(self._study.unchanged_volume(case), self._plan, further)
        notes.extend(f"{case}: {note}" for note in prepared.notes)
        return prepared.array

    def _make_target(self, case: str, annotation: Annotation) -> NDArray[Any]:
        return prepare_target(annotation, self._study.geometry(case), self._plan)

    def _array(self, case: str, kind: str, key: str, make: Callable[[str], NDArray[Any]]) -> NDArray[Any]:
        path = self._files[case][kind] = self._folder / f"{case}.{kind}.{key}.npy"
        array = _load(path)
        if array is None:
            array = np.ascontiguousarray(make(case))
            self._write(path, array, f"{case}.{kind}.")
        if array.nbytes <= self._left:
            self._left -= array.nbytes
            return np.array(array)
        mapped = _load(path)
        return array if mapped is None else mapped

    def _write(self, path: Path, array: NDArray[Any], prefix: str) -> None:
        make_folder_in(self._folder.parent, self._folder)
        for old in self._folder.glob(f"{prefix}*.npy*"):
            with contextlib.suppress(OSError):  # another training has it open (Windows)
                old.unlink(missing_ok=True)
        content = npy_bytes(array)
        write_bytes_atomic(path, content)
        write_text_atomic(note_of(path), hashlib.sha256(content).hexdigest())

    def _image_key(self, case: str) -> str:
        plan, record = self._plan, self._study.case(case)
        scales = [intensity.model_dump() for intensity in plan.intensities]
        further = [record.images[c.name].sha256 if c.name in record.images else "" for c in plan.further]
        return _digest([RECIPE, self._scans[case], plan.spacing, scales, further])

    def _target_key(self, case: str, annotation: Annotation) -> str:
        content = hashlib.sha256(np.ascontiguousarray(annotation.labels).tobytes())
        content.update(np.ascontiguousarray(annotation.known).tobytes())
        structures = list(self._plan.structure_values)
        return _digest([RECIPE, self._scans[case], self._plan.spacing, structures, content.hexdigest()])


def slices_complete(study: Study, case: str) -> int:
    """How many slices of a case are complete; where all are, those along its shortest axis."""
    known = study.annotation_summary(case)
    if known.complete_slices == known.slices:
        return min(known.slices)
    return sum(known.complete_slices)


def _allow_many_files() -> None:
    """Every scan that does not fit into memory keeps a file open; the usual limit is a few hundred."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS has a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _load(path: Path) -> NDArray[Any] | None:
    """Map a cached array into memory; None when it is missing or damaged, so that it is made again."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array


def _digest(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]
