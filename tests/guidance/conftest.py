"""A study of six small scans that were predicted, for all strategies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

SHAPE = (40, 36, 24)
SPACING = (1.0, 1.0, 3.0)
ORGAN = (slice(12, 28), slice(10, 26), slice(6, 18))
NODULE = (slice(30, 34), slice(28, 32), slice(10, 14))


@pytest.fixture
def study(tmp_path: Path):
    """Six scans, none labelled, each predicted by run 001-dycon as sure everywhere."""
    with scene(tmp_path) as study:
        yield study


@contextmanager
def scene(folder: Path) -> Iterator[Study]:
    rng = np.random.default_rng(0)
    affine = np.diag([*SPACING, 1.0])
    structures = (Structure(value=3, name="organ"), Structure(value=7, name="nodule"))
    with Study.create(folder / "study", structures) as study:
        for number in range(6):
            scan = folder / f"scan_{number}.nii.gz"
            nib.save(nib.Nifti1Image(rng.normal(size=SHAPE).astype(np.float32), affine), scan)
            importing.add_scan(study, scan)
        run = study.new_run("dycon")
        study.set_active_run(run)
        for case in study.cases:
            save(study, case.id, np.zeros(SHAPE))
        yield study


def prediction() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[ORGAN] = 3
    mask[NODULE] = 7
    return mask


def save(study: Study, case: str, entropy: np.ndarray, mask: np.ndarray | None = None) -> None:
    mask = prediction() if mask is None else mask
    study.predictions.save(study.active_run, case, mask, entropy.astype(np.float32))
    summary = {"volumes_ml": {}, "mean_entropy": float(entropy.mean()), "empty": not mask.any()}
    study.predictions.save_summary(study.active_run, {case: summary})


def everywhere(level: float) -> np.ndarray:
    """Entropy along the edges of organ and nodule."""
    entropy = np.zeros(SHAPE)
    entropy[11:29, 9:27, 5:19] = level
    entropy[14:26, 12:24, 8:16] = 0
    entropy[29:35, 27:33, 9:15] = level / 2
    return entropy
