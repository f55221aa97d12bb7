"""Earlier versions of annotations: what was kept, when, why and after which run."""

from __future__ import annotations

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
from napari_dycon.study.annotations import Annotation, Known
from napari_dycon.study.files import sha256_of

KEPT_VERSIONS = 20
KEPT_MINUTES = 10
"""After so long without a kept version, an autosave keeps the one before it, too."""

AUTOSAVE = "autosave"
Part = Literal["labels", "known"]
PARTS: tuple[Part, Part] = ("labels", "known")
SUFFIXES = (".nii.gz", ".known.nii.gz", ".json")


class Version(BaseModel):
    """What the record of an annotation says about it.

    Attributes
    ----------
    generation
        Number of the save, from 1; it names the version.
    reason
        Why it was saved: ``"autosave"``, ``"import"``, ``"accept"``, ``"complete"``, ``"interpolate"``,
        ``"clean up"``, ``"restore"``, ``"merge"``, ``"remove"``, ...
    names
        What was done since the version before, oldest first; strokes are not listed.
    run
        Run whose prediction was taken over since then, if any.
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
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    generation: int
    reason: str
    names: tuple[str, ...] = ()
    run: str | None = None
    saved: str
    labels: str
    known: str
    known_fraction: float
    label_voxels: dict[int, int]
    known_voxels: dict[int, int] = {}
    complete_slices: tuple[int, int, int] = (0, 0, 0)


class Versions:
    """The ``history/CASE`` folder of one case."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Version]:
        """Records of the kept versions, newest first; damaged ones are left out."""
        found = (_record(path) for path in self._folder.glob("*.json"))
        return sorted((v for v in found if v is not None), key=lambda v: v.generation, reverse=True)

    @property
    def newest(self) -> int:
        """Number of the newest kept version; 0 where there is none."""
        return max((int(path.stem) for path in self._folder.glob("[0-9]*.json")), default=0)

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
            if not file.is_file() or sha256_of(file) != getattr(version, part):
                raise StudyError(
                    f"The version {generation} in {self._folder} is damaged: choose another one."
                )
        return Annotation(read_mask(labels, geometry), read_mask(known, geometry, allowed=list(Known)))

    def keep(self, version: Version, files: Sequence[Path]) -> None:
        """Copy the files of a version (labels, known map, record), and forget the oldest copies.

        The first version of all, usually what was imported, is kept as long as the newest ones.
        """
        make_folder(self._folder)
        for source, target in zip(files, self._paths(version.generation), strict=True):
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)
        records = sorted(self._folder.glob("*.json"))
        for record in records[1 : 1 + max(0, len(records) - KEPT_VERSIONS)]:
            for path in self._paths(int(record.stem)):
                path.unlink(missing_ok=True)

    def due(self, before: Version, reason: str) -> bool:
        """Tell whether a version is to be kept when another one, saved for a reason, replaces it.

        Always, unless both are autosaves: then only where none was kept for some minutes.
        """
        if reason != AUTOSAVE or before.reason != AUTOSAVE:
            return True
        newest = max((path.stat().st_mtime for path in self._folder.glob("*.json")), default=0.0)
        return time.time() - newest > 60 * KEPT_MINUTES

    def _paths(self, generation: int) -> tuple[Path, Path, Path]:
        labels, known, record = (self._folder / f"{generation:06d}{suffix}" for suffix in SUFFIXES)
        return labels, known, record


def _record(path: Path) -> Version | None:
    try:
        return Version.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
