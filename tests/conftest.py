"""Fixtures that several test folders share: real scans, and small scans with known trouble."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[1]
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small scans gain nothing from more, tests run side by side
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session", autouse=True)
def _disk_that_is_not_waited_for() -> Iterator[None]:
    """Power does not fail while tests run, and thousands of waits for the disk are minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(autouse=True)
def _warnings_are_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line silences them for a person, not for a test."""
    monkeypatch.setattr(sys, "warnoptions", ["error"])


@pytest.fixture(autouse=True)
def _memory_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test read or change what the window remembers for the person who runs the tests."""
    file = tmp_path_factory.mktemp("state") / "window.json"
    monkeypatch.setattr("napari_dycon.plugin.widgets.window_memory.state_file", lambda: file)


@pytest.fixture(autouse=True)
def _machines_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test read or change the machines that the person who runs the tests has named."""
    file = tmp_path_factory.mktemp("machines") / "settings" / "machines.json"
    monkeypatch.setattr("napari_dycon.engine.runners.elsewhere.machines.settings_path", lambda: file)


@pytest.fixture(autouse=True)
def _library_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test read or change the models that the person who runs the tests has kept."""
    folder = tmp_path_factory.mktemp("data") / "models"
    monkeypatch.setattr("napari_dycon.engine.models.library.library_folder", lambda: folder)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real scans: NAPARI_DYCON_DATA, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("NAPARI_DYCON_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real scans: set NAPARI_DYCON_DATA (looked in {folder})")
    return folder


@pytest.fixture(scope="session")
def atria(data_dir: Path) -> tuple[Path, Path]:
    """Images and labels folders of the 80 left atrium scans at 1.25 mm."""
    folder = data_dir / "left_atrium_1.25mm"
    return folder / "images", folder / "labels"


@pytest.fixture(scope="session")
def brain_dicom(data_dir: Path) -> Path:
    """Folder of oblique brain DICOM series, one folder each."""
    return data_dir / "brain_dicom"


def oblique_affine(
    degrees: float = 17.0, spacing: tuple[float, float, float] = (0.8, 1.1, 2.5)
) -> np.ndarray:
    """LPS-ordered voxel axes turned about x and then z, with an origin away from zero."""
    angle = np.radians(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    about_x = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    about_z = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([-1, -1, 1]) @ np.diag(spacing)
    affine[:3, 3] = (31.25, -12.5, 140.75)
    return affine


@pytest.fixture
def oblique_scan(tmp_path: Path) -> Path:
    """An int16 NIfTI scan of 20 x 24 x 10 voxels, tilted by 17 degrees, LPS, anisotropic."""
    voxels = np.random.default_rng(0).integers(-1000, 2000, (20, 24, 10)).astype(np.int16)
    image = nib.Nifti1Image(voxels, oblique_affine())
    image.header.set_xyzt_units("mm")
    image.set_sform(oblique_affine(), 1)
    image.set_qform(oblique_affine(), 1)
    path = tmp_path / "oblique.nii.gz"
    nib.save(image, path)
    return path
