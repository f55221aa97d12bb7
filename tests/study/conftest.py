"""Small scans and studies for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

SHAPE = (12, 10, 8)
AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])


def save_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


@pytest.fixture
def write_nifti() -> Callable[..., Path]:
    """Write voxels to a path as NIfTI, 1 x 1 x 2 mm unless an affine is given."""
    return save_nifti


@pytest.fixture
def make_scan(tmp_path: Path) -> Callable[..., Path]:
    """Write a scan of noise; each name gives other voxels."""

    def make(name: str = "scan", folder: str = "images", shape: tuple[int, int, int] = SHAPE) -> Path:
        rng = np.random.default_rng(list(name.encode()))
        return save_nifti(tmp_path / folder / f"{name}.nii.gz", rng.integers(0, 900, shape).astype(np.int16))

    return make


@pytest.fixture
def make_labels(tmp_path: Path) -> Callable[..., Path]:
    """Write a label map with a block of each value, one slice thick."""

    def make(name: str = "scan", folder: str = "labels", values: tuple[int, ...] = (1,)) -> Path:
        labels = np.zeros(SHAPE, np.uint8)
        for place, value in enumerate(values):
            labels[2:6, 2:6, place] = value
        return save_nifti(tmp_path / folder / f"{name}.nii.gz", labels)

    return make


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    """An empty study of one structure, open for writing."""
    with Study.create(tmp_path / "study", [Structure(value=1, name="left atrium")]) as made:
        yield made
