"""Pancreas in CT: the NIH's 80 scans, as CoraNet (Shi et al., TMI 2022) and BCP prepare them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydicom import FileDataset, dcmread
from pydicom.errors import InvalidDicomError

from napari_dycon.benchmark.preparation import box_of, crop, cube, isotropic, widen
from napari_dycon.benchmark.recipe import (
    OF_THE_SCRIPTS,
    Read,
    Recipe,
    Scan,
    Split,
    figures,
    lists_of,
    recipes,
    sentences,
)
from napari_dycon.benchmark.sources import files_by, read_h5, read_pair
from napari_dycon.errors import VolumeError
from napari_dycon.io.volumes import stem, walk

LOW, HIGH = -125.0, 275.0
MARGIN = (25, 25, 25)
PATCH = (96, 96, 96)
SIDE_MM = 1.0
TISSUE = (-100.0, 250.0)
MOST_ELSEWHERE = 0.25
"""Where more of what is labelled is no tissue than this share, the labels lie elsewhere."""


def find(data: Path) -> Mapping[str, Read]:
    """Prepared ``0001.h5``, or PANCREAS_0001 (DICOM or NIfTI) with ``label0001.nii.gz``."""
    found: dict[str, Read] = {}
    for name, path in files_by(data, ".h5").items():
        found[_number(name)] = partial(of_prepared, path)
    scans = _scans(data)
    for name, label in files_by(data, ".nii.gz").items():
        number = _number(name)
        if name.startswith("label") and number in scans:
            found.setdefault(number, partial(read, scans[number], label))
    return found


def _number(name: str) -> str:
    return "".join(letter for letter in name.removesuffix("_norm") if letter.isdigit())[-4:]


def _scans(data: Path) -> dict[str, Path]:
    """A folder of slices, or a volume, below a folder by number."""
    found: dict[str, Path] = {}
    for path in walk(data):
        inside = next((part for part in path.parts[::-1] if part.upper().startswith("PANCREAS_0")), None)
        if inside is not None:
            found.setdefault(_number(stem(inside)), path if path.name == inside else path.parent)
    return found


def read(image: Path, label: Path) -> Scan:
    """Resample to 1 mm, cut values, and cut out the truth and what lies around it."""
    scan = read_pair(image, label) if image.is_file() else read_slices(image, label)
    _require_tissue(scan, label)
    spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)
    scan = replace(isotropic(scan, spacing, SIDE_MM), affine=cube(SIDE_MM))
    scan = replace(scan, image=np.clip(scan.image, LOW, HIGH))
    return crop(scan, widen(box_of(scan.label > 0), scan.label.shape, MARGIN, PATCH))


def read_slices(folder: Path, label: Path) -> Scan:
    """Read a folder of slices by number, and the label map voxel by voxel, as it was drawn on them.

    Raises
    ------
    VolumeError
        When a slice cannot be read, or scan and label map differ in size.
    """
    slices = _slices(folder)
    image = np.stack([_hounsfield(one) for one in slices], axis=2)
    mask = np.asarray(nib.load(label).dataobj)
    if mask.shape != image.shape:
        raise VolumeError(f"{label} has {mask.shape} voxels, but the scan in {folder} {image.shape}.")
    return Scan(image, (mask > 0).astype(np.uint8), np.diag([*_spacing(slices), 1.0]))


def _slices(folder: Path) -> list[FileDataset]:
    try:
        slices = [dcmread(path) for path in sorted(folder.iterdir()) if path.suffix.lower() == ".dcm"]
        return sorted(slices, key=lambda one: int(one.InstanceNumber))
    except (InvalidDicomError, AttributeError, OSError) as error:
        raise VolumeError(f"The slices in {folder} cannot be read: {error}") from error


def _hounsfield(one: FileDataset) -> NDArray[np.float32]:
    """Values of a slice, (x, y)."""
    stored = one.pixel_array.astype(np.float32)
    scaled = stored * float(one.get("RescaleSlope", 1)) + float(one.get("RescaleIntercept", 0))
    return np.asarray(scaled.T, np.float32)


def _spacing(slices: Sequence[FileDataset]) -> tuple[float, float, float]:
    """Distances of voxels in x, y and z; mm."""
    first, last = (np.array(one.ImagePositionPatient, float) for one in (slices[0], slices[-1]))
    across = float(np.linalg.norm(last - first)) / max(1, len(slices) - 1)
    row, column = (float(side) for side in slices[0].PixelSpacing)
    return column, row, across


def _require_tissue(scan: Scan, label: Path) -> None:
    inside = scan.image[scan.label > 0]
    elsewhere = (inside < TISSUE[0]) | (inside > TISSUE[1])
    if not inside.size or elsewhere.mean() > MOST_ELSEWHERE:
        raise VolumeError(
            f"{label.name} does not lie on tissue of its scan: the slices of one may run the other way. "
            "Give NIfTI files of the scans that lie as the labels do."
        )


def of_prepared(path: Path) -> Scan:
    """Take a file of theirs, whose values from 0 to 1 are put back into HU."""
    scan = read_h5(path, SIDE_MM)
    return replace(scan, image=scan.image * (HIGH - LOW) + LOW)


def _names(first: int, last: int, without: int) -> tuple[str, ...]:
    return tuple(f"{number:04d}" for number in range(first, last + 1) if number != without)


DIFFERENCES = """
* Two lists are in use, and rows of one are compared with rows of the other: CoraNet and BCP label the
  first scans by number (ordered, 62 and 18 scans), DTC and others those of a shuffled list (62 and 20
  of the 82 scans of then, two of which are withdrawn: 61 and 19 today).
* DyCON's script validates and tests on scans 1 to 20, which are in its list to train on, 12 of them
  labelled; that split is not offered.
* The scans are cropped around the truth with 25 voxels, those of the test set and unlabelled ones
  too.
* The text says voxels of 1 mm, as it is done here; CoraNet's script takes the spacing in the plane
  for the one across.
* BCP trains with Adam on crops of 96 voxels and tests on the middle of each scan; others with SGD,
  6,000 (DyCON's answer to a question) to 20,000 (its script) steps, and test on all of it.
* AD-MT's best checkpoint on the test set is 4.8 points above its last one. Here it is the last.
* Distances are in voxels of 1 mm in the papers, a miss counts as 0; here misses are counted apart.
"""

recipes.add(
    "pancreas",
    Recipe(
        title="Pancreas-CT of the NIH",
        layout="folders like PANCREAS_0001 and files like label0001.nii.gz, or prepared files like 0001.h5",
        find=find,
        splits={
            "ordered": Split(_names(1, 63, without=25), _names(64, 82, without=70)),
            "shuffled": Split(lists_of("pancreas")["train"], lists_of("pancreas")["test"]),
        },
        labelled=12,
        iterations=6000,
        overrides={
            **OF_THE_SCRIPTS,
            "intensity": {"kind": "ct", "low": LOW, "high": HIGH, "mean": LOW, "std": HIGH - LOW},
            "spacing": (SIDE_MM,) * 3,
            "patch_size": PATCH,
            "overlap": 0.83,
            "single": (1,),
        },
        voxel_mm=SIDE_MM,
        parts=1,
        withdrawn=frozenset(("0025", "0070")),
        published=(
            *figures(
                "DyCON paper",
                12,
                {
                    "supervised": "69.95/55.56/14.23/1.64",
                    "mean_teacher": "71.43/60.21/15.44/4.11",
                    "ua_mt": "77.26/63.82/11.90/3.06",
                    "DTC": "78.27/64.75/8.36/2.25",
                    "MCF": "75.00/61.27/11.59/3.27",
                    "CML": "77.26/56.21/25.82/1.52",
                    "bcp": "82.91/70.97/6.43/2.25",
                    "DyCON": "84.81/73.86/5.41/1.44",
                },
            ),
            *figures("AD-MT's logs, best checkpoint", 12, {"ad_mt": "82.61/70.70/4.94/1.38"}),
            *figures("AD-MT's logs, last checkpoint", 12, {"ad_mt": "77.84/-/-/-"}),
            *figures("AD-MT's logs, best checkpoint", 6, {"ad_mt": "80.23/67.51/7.18/1.66"}),
            *figures("AD-MT's logs, last checkpoint", 6, {"ad_mt": "79.76/-/-/-"}),
            *figures(
                "MPCL's runs of official code", 6, {"supervised": "53.76/-/-/-", "ua_mt": "67.66/-/-/-"}
            ),
            *figures(
                "MPCL's runs of official code", 3, {"supervised": "24.64/-/-/-", "ua_mt": "35.71/-/-/-"}
            ),
        ),
        differences=sentences(DIFFERENCES),
    ),
)
