"""Earlier versions of annotations: what was kept, when, why and after which run."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import atomic_path, make_folder
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.masks import read_mask
from napari_dycon.io.numbered import numbered_files
from napari_dycon.study.store.files import clear_way, sha256_of
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.edits import AUTOSAVE

KEPT_VERSIONS = 20
KEPT_MINUTES = 10
"""After so long without a kept version, an autosave keeps the one before it, too."""

Part = Literal["labels", "known"]
PARTS: tuple[Part, Part] = ("labels", "known")
DIGITS = 6
SUFFIXES = (".nii.gz", ".known.nii.gz", ".json")


class Version(BaseModel):
    """What the record of an annotation says about it.

    Attributes
    ----------
    generation
        Number of the save, from 1; it names the version.
    reason
        Why it was saved: ``"autosave"``, ``"import"``, ``"accept"``, ``"complete"``, ``"interpolate"``,
        ``"carry"``, ``"clean up"``, ``"restore"``, ``"merge"``, ``"remove"``, ...
    names
        What was done since the version before, oldest first; strokes are not listed.
    run
        Run whose prediction was taken over since then, if any.
    reader
        Who saved it; empty where nobody said, and for labels that came as files.
    readers
        All who have changed the annotation so far, in the order in which they came to it.
    consensus
        Readers of whom it is the consensus, or was before it was changed further.
    saved
        ISO date and time, UTC.
    labels, known
        SHA-256 of both files.
    known_fraction
        Share of known voxels, 0 to 1.
    label_voxels
        Known voxels of each label value.
    known_voxels
        Voxels of each value of `Known`; empty in records of earlier programs.
    complete_slices
        Number of complete slices along each source axis.
    at_edge
        Label values in the outermost voxels of the scan.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    generation: int
    reason: str
    names: tuple[str, ...] = ()
    run: str | None = None
    reader: str = ""
    readers: tuple[str, ...] = ()
    consensus: tuple[str, ...] = ()
    saved: str
    labels: str
    known: str
    known_fraction: float
    label_voxels: dict[int, int]
    known_voxels: dict[int, int] = {}
    complete_slices: tuple[int, int, int] = (0, 0, 0)
    at_edge: tuple[int, ...] = ()


class Versions:
    """The ``history/CASE`` folder of one case."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Version]:
        """Records of the kept versions, newest first; damaged ones are left out."""
        found = (_record(path) for path in self._records().values())
        return sorted((v for v in found if v is not None), key=lambda v: v.generation, reverse=True)

    @property
    def newest(self) -> int:
        """Number of the newest kept version; 0 where there is none."""
        return max(self._records(), default=0)

    def read(self, generation: int, geometry: Geometry) -> Annotation:
        """Read a kept version.

        Raises
        ------
        StudyError
            If there is no such version, or its files are damaged.
        GridMismatchError
            If it is not on the grid of the scan.
        """
        labels, known, path = self._paths(generation)
        version = _record(path) if path.is_file() else None
        if version is None:
            raise StudyError(f"There is no version {generation} in {self._folder}.")
        for part, file in zip(PARTS, (labels, known), strict=True):
            if not _is_whole(file, getattr(version, part)):
                raise StudyError(
                    f"The version {generation} in {self._folder} is damaged: choose another one."
                )
        return Annotation(read_mask(labels, geometry), read_mask(known, geometry, allowed=list(Known)))

    def keep(self, version: Version, files: Sequence[Path]) -> None:
        """Copy the files of a version (labels, known map, record), and forget the oldest copies.

        The first version of all, usually what was imported, is kept as long as the newest ones.
        """
        for folder in (self._folder.parent, self._folder):
            clear_way(folder, folder=True)
        make_folder(self._folder)
        for source, target in zip(files, self._paths(version.generation), strict=True):
            clear_way(target)
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)
        generations = list(self._records())
        for generation in generations[1 : 1 + max(0, len(generations) - KEPT_VERSIONS)]:
            with contextlib.suppress(OSError):  # it is forgotten at another time; the save must go on
                for path in self._paths(generation):
                    path.unlink(missing_ok=True)

    def due(self, before: Version, reason: str) -> bool:
        """Tell whether a version is to be kept when another one, saved for a reason, replaces it.

        Always, unless both are autosaves: then only where none was kept for some minutes, by a clock that may
        have been set back since.
        """
        if reason != AUTOSAVE or before.reason != AUTOSAVE:
            return True
        records = list(self._records().values())
        if not records:
            return True
        with contextlib.suppress(OSError):
            return abs(time.time() - records[-1].stat().st_mtime) > 60 * KEPT_MINUTES
        return True

    def _records(self) -> dict[int, Path]:
        return numbered_files(self._folder, SUFFIXES[-1], DIGITS)

    def _paths(self, generation: int) -> tuple[Path, Path, Path]:
        labels, known, record = (self._folder / f"{generation:0{DIGITS}d}{suffix}" for suffix in SUFFIXES)
        return labels, known, record


def _record(path: Path) -> Version | None:
    try:
        return Version.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _is_whole(path: Path, digest: str) -> bool:
    try:
        return sha256_of(path) == digest
    except OSError:
        return False
