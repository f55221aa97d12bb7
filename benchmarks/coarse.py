"""Make a small data set out of the atrium scans, averaged to 2.5 mm: quick to train on, for ablations.

By default the atrium is cut in two structures at its centre of mass along y. The first 40 scans go to
`images` and `labels`, the next 20 to `test-images` and `test-labels`; the last 20 are left out, so that
nothing is chosen on the test scans of the main benchmark.

    python benchmarks/coarse.py halves
    python benchmarks/coarse.py whole --whole --training 64 --test 16

With `--alone` there are no training scans but the first four and a copy of each, in which one voxel differs:
a method then learns from unlabelled scans that show nothing new, which tells what the others are worth.

    python benchmarks/coarse.py alone --alone
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
from common import ATRIA
from numpy.typing import NDArray
from scipy import ndimage

ALONE = 4


def main() -> None:
    wish = _arguments()
    for index, path in enumerate(sorted((ATRIA / "images").glob("*.nii.gz"))[: wish.training + wish.test]):
        if index >= wish.training or not wish.alone or index < ALONE:
            _make(path, wish.folder, "" if index < wish.training else "test-", wish.whole)
    if wish.alone:
        _copy(wish.folder)


def _copy(folder: Path) -> None:
    """Put a copy beside each training scan, named to come after all of them."""
    for path in sorted((folder / "images").glob("*.nii.gz")):
        image = nib.load(path)
        voxels = np.asarray(image.dataobj)
        voxels[0, 0, 0] = (voxels[0, 0, 0].astype(int) + 1) % 250
        nib.save(nib.Nifti1Image(voxels, image.affine, image.header), path.with_name(f"Z_{path.name}"))
        labels = folder / "labels" / path.name
        shutil.copy(labels, labels.with_name(f"Z_{path.name}"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="new folder for the four folders of scans and labels")
    parser.add_argument("--training", type=int, default=40, help="how many scans to train on")
    parser.add_argument("--test", type=int, default=20, help="how many of those that follow to test on")
    parser.add_argument("--alone", action="store_true", help="no scans but four, and copies of them")
    parser.add_argument("--whole", action="store_true", help="keep the atrium one structure")
    return parser.parse_args()


def _make(path: Path, folder: Path, prefix: str, whole: bool) -> None:
    image, label = nib.load(path), nib.load(ATRIA / "labels" / path.name)
    coarse = _halved(np.asarray(image.dataobj, dtype=np.float32))
    inside = _halved((np.asarray(label.dataobj) > 0).astype(np.float32)) >= 0.5
    behind = np.arange(inside.shape[1])[None, :, None] >= ndimage.center_of_mass(inside)[1]
    labels = inside if whole else inside * (1 + behind)
    affine = image.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    for kind, array in (("images", coarse.round()), ("labels", labels)):
        target = folder / f"{prefix}{kind}"
        target.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array.astype(np.uint8), affine), target / path.name)


def _halved(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average blocks of 2 x 2 x 2 voxels."""
    x, y, z = (side // 2 for side in array.shape)
    blocks = array[: 2 * x, : 2 * y, : 2 * z].reshape(x, 2, y, 2, z, 2)
    return np.asarray(blocks.mean(axis=(1, 3, 5)), dtype=np.float32)


if __name__ == "__main__":
    main()
