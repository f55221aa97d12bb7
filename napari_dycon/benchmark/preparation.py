"""Puts the scans of a recipe where a benchmark looks for them, prepared as the papers say."""

import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_dycon.benchmark.protocol import Places
from napari_dycon.benchmark.recipe import LARGEST, THOUSANDTHS, Read, Recipe, Scan, Split
from napari_dycon.engine.control import Control
from napari_dycon.engine.resampling import resample, resampled_shape
from napari_dycon.errors import VolumeError
from napari_dycon.io.atomic import atomic_path, make_folder

Box = tuple[slice, slice, slice]
Margins = tuple[int, int, int]

MOST_MISSING = 3
"""So many names are listed of scans that are not there."""


@dataclass(frozen=True, slots=True)
class ScanPrepared:
    """A scan of a recipe lies where the benchmark looks for it."""

    case: str
    done: int
    total: int


@dataclass(frozen=True)
class Prepared:
    """Where the scans of a recipe lie, and those to train on in the order in which they are labelled."""

    places: Places
    train: tuple[str, ...]
    notes: tuple[str, ...]


def prepare(
    name: str, recipe: Recipe, split: Split, data: Path, work: Path, control: Control
) -> Generator[ScanPrepared, None, Prepared | None]:
    """Read the scans of a split as they were downloaded, and write them prepared; those there are kept.

    Returns
    -------
    Where they lie; None when it was stopped before.

    Raises
    ------
    VolumeError
        When scans of the split are not there, or cannot be read.
    """
    found = recipe.find(data)
    train, test = split.of(found)
    notes = _missing(recipe, split, data, found)
    places = _places(work / f"recipe-{name}-{_digest(str(data.resolve()), train, test)}")
    rows = [*((scan, "") for scan in train), *((scan, "test_") for scan in test)]
    for done, (scan, part) in enumerate(rows, start=1):
        if control.stopped:
            return None
        images, labels = _folders(places, part)
        _write(found[scan], recipe.parts, images / f"{scan}.nii.gz", labels / f"{scan}.nii.gz")
        yield ScanPrepared(scan, done, len(rows))
    return Prepared(places, train, notes)


def _places(home: Path) -> Places:
    parts = {part: home / part for part in ("images", "labels", "test_images", "test_labels")}
    for folder in parts.values():
        make_folder(folder)
    return Places(**parts)


def _folders(places: Places, part: str) -> tuple[Path, Path]:
    if not part:
        return places.images, places.labels
    assert places.test_images is not None and places.test_labels is not None
    return places.test_images, places.test_labels


def _missing(recipe: Recipe, split: Split, data: Path, found: Mapping[str, Read]) -> tuple[str, ...]:
    """Sentences about scans that may be missing; an error about others."""
    missing = [name for name in (*split.train, *split.test) if name not in found]
    if not found:
        raise VolumeError(f"There is no scan of {recipe.title} in {data}; it should hold {recipe.layout}.")
    lost = [name for name in missing if name not in recipe.withdrawn]
    if lost:
        listed = ", ".join(lost[:MOST_MISSING]) + (" and others" if len(lost) > MOST_MISSING else "")
        raise VolumeError(
            f"{len(lost)} scans of the split are not in {data}: {listed}; it should hold {recipe.layout}."
        )
    gone = f"{', '.join(missing)} of the published split are not there; they were withdrawn since."
    return (gone,) if missing else ()


def _write(read: Read, parts: int, image: Path, label: Path) -> None:
    """Write the label map last: where it is, the scan is whole."""
    if label.exists() and image.exists():
        return
    scan = read()
    values = np.clip(scan.image * parts, -LARGEST * THOUSANDTHS, LARGEST * THOUSANDTHS)
    _save(np.rint(values).astype(np.int16), scan.affine, image)
    _save(scan.label, scan.affine, label)


def _save(array: NDArray[np.int16] | NDArray[np.uint8], affine: NDArray[np.float64], path: Path) -> None:
    with atomic_path(path) as temporary:
        written = nib.Nifti1Image(array, affine)
        written.header.set_xyzt_units("mm")
        nib.save(written, temporary)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


def cube(side: float) -> NDArray[np.float64]:
    """Affine of cubic voxels, in the order of most scanners (left, posterior, superior)."""
    return np.diag([-side, -side, side, 1.0])


def box_of(mask: NDArray[np.bool_]) -> Box:
    """Smallest box around what is set; everything where nothing is."""
    if not mask.any():
        return slice(0, mask.shape[0]), slice(0, mask.shape[1]), slice(0, mask.shape[2])
    ends = []
    for axis in range(3):
        present = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        ends.append(slice(int(present[0]), int(present[-1]) + 1))
    return ends[0], ends[1], ends[2]


def widen(box: Box, shape: Sequence[int], margin: Margins, least: Margins = (0, 0, 0)) -> Box:
    """Widen a box by a margin, then to a least size, on both sides, as far as the scan goes (voxels)."""
    x, y, z = (
        _wider(side, size, around, smallest)
        for side, size, around, smallest in zip(box, shape, margin, least, strict=True)
    )
    return x, y, z


def _wider(side: slice, size: int, margin: int, least: int) -> slice:
    start, stop = side.start - margin, side.stop + margin
    lacking = max(0, least - (stop - start))
    return slice(max(0, start - lacking // 2), min(size, stop + lacking - lacking // 2))


def crop(scan: Scan, box: Box) -> Scan:
    """Cut a box out of a scan; the affine follows."""
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [side.start for side in box]
    return replace(scan, image=scan.image[box], label=scan.label[box], affine=affine)


def z_score(image: NDArray[np.float32], inside: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Mean 0 and deviation 1, of all values or of those inside; all voxels are changed alike."""
    values = image if inside is None or not inside.any() else image[inside]
    mean, deviation = values.mean(dtype=np.float64), values.std(dtype=np.float64)
    return np.asarray((image - mean) / max(deviation, 1e-8), dtype=np.float32)


def isotropic(scan: Scan, spacing: Sequence[float], side: float) -> Scan:
    """Resample a scan of voxels of some spacing to cubes (mm), the label map by majority."""
    shape = resampled_shape(scan.image.shape, spacing, (side, side, side))
    scale = np.diag([*(old / new for old, new in zip(scan.image.shape, shape, strict=True)), 1.0])
    label = resample(scan.label.astype(np.float32), shape) > 0.5
    return Scan(resample(scan.image, shape), label.astype(np.uint8), scan.affine @ scale)
