"""Scans of a study: found again, read, and compared with what was imported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import StudyError
from napari_dycon.io.volumes import Volume, read_volume
from napari_dycon.study.store.files import sha256_of
from napari_dycon.study.store.identity import content_of
from napari_dycon.study.store.schema import CaseRecord, IntensityFacts

CT_AIR, CT_BONE = -500, 200
"""Hounsfield units: a CT has values below the one and above the other, MR and PET have none so low."""
LARGE = 1e150
NO_AIR = -5000
"""What lies below this is padding: nothing in a body does, in Hounsfield units."""

_SAMPLE = 4096
_MOST_LABELS = 32


class ScanReader:
    """Reads scans and notices changed files; what was found out about a file is kept while it stays so."""

    def __init__(self) -> None:
        self._same: dict[tuple[str, Path, int, int, int], bool] = {}

    def require(self, case: CaseRecord, path: Path) -> Path:
        """Return the path of a scan that is there.

        Raises
        ------
        StudyError
            If it is not.
        """
        if not path.is_file():
            raise StudyError(
                f"The scan of {case.id} is not at {path} any more; put it back, or import it again from "
                "where it is now."
            )
        return path

    def has_changed(self, case: CaseRecord, path: Path, *, thorough: bool = False) -> bool:
        """Tell whether a file holds another image than when it was imported.

        The same voxels on the same grid are the same image, however they are compressed.

        Parameters
        ----------
        case, path
            The record, and the file that is there now.
        thorough
            Look into the file even where its size and time are as they were.

        Raises
        ------
        VolumeError
            If the file is another one, and damaged.
        """
        stat = path.stat()
        if not thorough and (stat.st_size, stat.st_mtime_ns) == (case.file_size, case.file_mtime_ns):
            return False
        key = (case.sha256, path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if key not in self._same:
            self._same[key] = sha256_of(path) == case.sha256 or _same_content(case, path)
        return not self._same[key]

    def read(self, case: CaseRecord, path: Path) -> Volume:
        """Read a scan; a note says where its file has changed.

        Raises
        ------
        StudyError
            If it is gone, or has changed to another size.
        VolumeError
            If it is damaged.
        """
        changed = self.has_changed(case, self.require(case, path))
        volume = read_volume(path)
        if volume.geometry.shape != case.shape:
            raise StudyError(
                f"The file {path} of {case.id} now holds another scan: {_by(volume.geometry.shape)} voxels, "
                f"{_by(case.shape)} when it was imported; put the first one back, or import this one "
                "under another name."
            )
        return replace(volume, notes=(*volume.notes, change_note(case, path))) if changed else volume


def _same_content(case: CaseRecord, path: Path) -> bool:
    """Compare voxels and grid; stored along other axes the image is the same, but not for its annotation."""
    volume = read_volume(path)
    return bool(case.content) and lies_as(case, volume) and content_of(volume) == case.content


def lies_as(case: CaseRecord, volume: Volume) -> bool:
    """Tell whether the voxels of a volume are stored along the axes that a case was imported with."""
    return (volume.geometry.shape, volume.geometry.orientation) == (case.shape, case.orientation)


def looks_like_labels(array: NDArray[np.generic]) -> bool:
    """Tell whether voxels can hardly be a scan: few whole numbers from 0 to 255, most of them 0."""
    values = np.asarray(array)
    if values.dtype.kind not in "uifb" or values.size == 0:
        return False
    sample = values.ravel()[:: max(1, values.size // _SAMPLE)]
    if sample.dtype.kind == "f" and not np.array_equal(sample, np.rint(sample)):
        return False
    if not (values.min() >= 0 and values.max() <= 255):
        return False
    if values.dtype.kind == "f" and bool((values % 1).any()):
        return False
    counts = np.bincount(values.ravel().astype(np.uint8), minlength=256)
    return 2 <= int(np.count_nonzero(counts)) <= _MOST_LABELS and 2 * int(counts[0]) >= values.size


def change_note(case: CaseRecord, path: Path) -> str:
    """Say that the file of a scan has changed."""
    return (
        f"The scan of {case.id} has changed on disk since it was imported ({path}); check that its "
        "annotation still fits."
    )


def replaced_note(case: CaseRecord, path: Path) -> str:
    """Say that a scan is another one now, and is not used therefore."""
    return (
        f"The scan of {case.id} has changed on disk since it was imported ({path}), so it is not used: put "
        "the first one back, or import this one under another name."
    )


def intensity_facts(array: NDArray[np.generic]) -> IntensityFacts:
    """Summarise the voxel values of a scan; invalid ones are counted and left out.

    Values so large that their squares are infinite are scaled down for mean and standard deviation.
    """
    values = np.asarray(array)
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if finite.size == 0:
        return IntensityFacts(minimum=0, maximum=0, mean=0, std=0, invalid=values.size)
    minimum, maximum = float(finite.min()), float(finite.max())
    scale = max(abs(minimum), abs(maximum))
    scale = scale if scale > LARGE else 1.0
    scaled = finite if scale == 1.0 else finite / scale
    return IntensityFacts(
        minimum=minimum,
        maximum=maximum,
        mean=min(max(float(scaled.mean(dtype=np.float64)) * scale, minimum), maximum),
        std=float(scaled.std(dtype=np.float64)) * scale,
        invalid=int(values.size - finite.size),
    )


def looks_like_ct(facts: IntensityFacts) -> bool:
    """Whether a scan has air and bone as a CT in Hounsfield units has."""
    return facts.minimum <= CT_AIR and facts.maximum > CT_BONE


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
