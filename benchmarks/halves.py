"""Make a small two-structure data set out of the atrium scans: quick to train on, for ablations.

Scans are averaged to 2.5 mm, and the atrium is cut in two at its centre of mass along y. The first 40 scans
go to `images` and `labels`, the next 20 to `test-images` and `test-labels`; the last 20 are left out, so that
what is chosen here is not chosen on the test scans of the main benchmark.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from common import ATRIA
from numpy.typing import NDArray
from scipy import ndimage

TRAINING, TEST = 40, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="new folder for the four folders of scans and labels")
    folder = parser.parse_args().folder
    for index, path in enumerate(sorted((ATRIA / "images").glob("*.nii.gz"))[: TRAINING + TEST]):
        _make(path, folder, "" if index < TRAINING else "test-")


def _make(path: Path, folder: Path, prefix: str) -> None:
    image, label = nib.load(path), nib.load(ATRIA / "labels" / path.name)
    coarse = _halved(np.asarray(image.dataobj, dtype=np.float32))
    inside = _halved((np.asarray(label.dataobj) > 0).astype(np.float32)) >= 0.5
    behind = np.arange(inside.shape[1])[None, :, None] >= ndimage.center_of_mass(inside)[1]
    affine = image.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    for name, array in (("images", coarse.round()), ("labels", inside * (1 + behind))):
        target = folder / f"{prefix}{name}"
        target.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array.astype(np.uint8), affine), target / path.name)


def _halved(array: NDArray[np.float32]) -> NDArray[np.float32]:
    x, y, z = (side // 2 for side in array.shape)
    blocks = array[: 2 * x, : 2 * y, : 2 * z].reshape(x, 2, y, 2, z, 2)
    return np.asarray(blocks.mean(axis=(1, 3, 5)), dtype=np.float32)


if __name__ == "__main__":
    main()
