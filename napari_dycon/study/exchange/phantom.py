"""A study of phantom patients with the troubles of real scans, for the demo and for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import atomic_path
from napari_dycon.io.geometry import plane_axis
from napari_dycon.io.masks import write_mask
from napari_dycon.study.exchange import importing
from napari_dycon.study.exchange.phantom_anatomy import NODULE, ORGAN, draw_patient
from napari_dycon.study.store.schema import DEFAULT_COLORS, Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, slice_of

PHANTOM_STRUCTURES = (
    Structure(value=ORGAN, name="organ", color=DEFAULT_COLORS[0]),
    Structure(value=NODULE, name="nodule", color=DEFAULT_COLORS[1]),
)
TRUTH_FOLDER = "truth"
SPARSE_SLICES = 6


@dataclass(frozen=True)
class Acquisition:
    """How one phantom was scanned: voxels and spacing in mm on RAS axes, axis codes of the file, tilt."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    codes: str = "RAS"
    tilt_degrees: float = 0.0


ACQUISITIONS = (
    Acquisition((88, 72, 44), (1.3, 1.3, 2.0)),
    Acquisition((80, 72, 40), (1.4, 1.3, 2.2), codes="LPS"),
    Acquisition((88, 76, 48), (1.25, 1.25, 1.8)),
    Acquisition((84, 72, 40), (1.3, 1.3, 2.2), tilt_degrees=12.0),
    Acquisition((80, 72, 56), (1.4, 1.35, 1.5), codes="PSR"),
    Acquisition((92, 78, 36), (1.2, 1.2, 2.5)),
    Acquisition((80, 72, 44), (1.4, 1.35, 2.0), codes="LPS"),
    Acquisition((96, 80, 52), (1.15, 1.15, 1.6)),
    Acquisition((86, 72, 44), (1.3, 1.3, 2.0)),
    Acquisition((90, 76, 36), (1.25, 1.25, 2.5)),
    Acquisition((80, 70, 48), (1.4, 1.4, 1.8), codes="LPS"),
    Acquisition((84, 72, 40), (1.35, 1.35, 2.2)),
)


def phantom_case(
    index: int, seed: int = 0, size: tuple[int, int, int] | None = None
) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.float64]]:
    """Make one phantom scan; the same arguments give the same voxels.

    Parameters
    ----------
    index
        Which patient, from 0; it also decides how the patient was scanned.
    seed
        Which cohort.
    size
        Voxels on RAS axes; the usual ones of about 84 x 74 x 44 by default. The field of view stays.

    Returns
    -------
    image : ndarray of int16, shape (x, y, z)
        Source order.
    labels : ndarray of uint8, shape (x, y, z)
        1 organ, 2 nodule.
    affine : ndarray of float64, shape (4, 4)
        Voxel to RAS mm.
    """
    rng = np.random.default_rng([seed, index])
    shape, affine = _grid(ACQUISITIONS[index % len(ACQUISITIONS)], size)
    middle = np.array([*((np.array(shape) - 1) / 2), 1.0])
    points = np.tensordot(affine[:3, :3], np.indices(shape, dtype=np.float32), axes=1)
    points += (affine[:3, 3] - (affine @ middle)[:3]).reshape(3, 1, 1, 1)
    brightness, labels = draw_patient(points.astype(np.float32), rng)
    return _acquire(brightness, rng), labels, affine


def make_phantom_study(
    path: Path | str,
    cases: int = 12,
    labelled: int = 3,
    seed: int = 0,
    size: tuple[int, int, int] | None = None,
) -> Study:
    """Make a study of phantom patients; the last of the labelled ones has only a few labelled slices.

    Scans lie in ``scans/``; the true labels of all of them in ``truth/``, out of reach of the training.

    Parameters
    ----------
    path
        New folder.
    cases, labelled
        How many patients, and how many of them with labels.
    seed
        Which cohort.
    size
        As in `phantom_case`.

    Returns
    -------
    Study
        Open for writing; the caller closes it.

    Raises
    ------
    StudyError
        If there is a study in the folder already, or it cannot be written.
    """
    if not 0 <= labelled <= cases:
        raise StudyError(
            f"{labelled} of {cases} phantoms cannot be labelled; choose a number from 0 to {cases}."
        )
    study = Study.create(path, PHANTOM_STRUCTURES, name="Phantom patients")
    try:
        for folder in ("scans", TRUTH_FOLDER):
            (study.path / folder).mkdir(exist_ok=True)
        for index in range(cases):
            _add_patient(study, index, seed, size, labelled)
    except BaseException:
        study.close()
        raise
    return study


def _add_patient(
    study: Study, index: int, seed: int, size: tuple[int, int, int] | None, labelled: int
) -> None:
    image, labels, affine = phantom_case(index, seed, size)
    name = f"patient-{index + 1:02d}.nii.gz"
    scan, truth = study.path / "scans" / name, study.path / TRUTH_FOLDER / name
    _write_scan(scan, image, affine)
    write_mask(truth, labels, scan)
    sparse = index == labelled - 1
    case = importing.add_scan(study, scan, truth if index < labelled and not sparse else None)
    if sparse:
        axis = plane_axis(study.geometry(case.id), "axial")
        study.save_annotation(case.id, _few_slices(labels, axis), "import")


def _grid(
    acquisition: Acquisition, size: tuple[int, int, int] | None
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Shape and affine in source order."""
    shape = np.array(acquisition.shape if size is None else size)
    spacing = np.array(acquisition.spacing) * np.array(acquisition.shape) / shape
    ras = np.diag([*spacing, 1.0])
    ras[:3, 3] = -spacing * (shape - 1) / 2
    order, flips = _axes(acquisition.codes)
    affine = np.eye(4)
    for axis, (ras_axis, flip) in enumerate(zip(order, flips, strict=True)):
        affine[:3, axis] = ras[:3, ras_axis] * (-1 if flip else 1)
        affine[:3, 3] += ras[:3, 3] * (np.arange(3) == ras_axis) * (-1 if flip else 1)
    angle = np.radians(acquisition.tilt_degrees)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    placed = tilt @ affine
    placed[:3, 3] += (12.5, -31.0, 140.0)
    x, y, z = (int(shape[axis]) for axis in order)
    return (x, y, z), placed


def _axes(codes: str) -> tuple[list[int], list[bool]]:
    """RAS axis of each source axis, and whether it runs the other way."""
    pairs = ["LR", "PA", "IS"]
    order = [next(axis for axis, pair in enumerate(pairs) if code in pair) for code in codes]
    return order, [code in "LPI" for code in codes]


def _acquire(brightness: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int16]:
    """Scan a patient: blur, coil sensitivity, Rician noise, and a scale of the scanner's own."""
    blurred = gaussian_filter(brightness, 0.45)
    lit = blurred * _sensitivity(brightness.shape, rng)
    sigma = rng.uniform(0.035, 0.06)
    real, imaginary = (sigma * rng.standard_normal(lit.shape, dtype=np.float32) for _ in range(2))
    noisy = np.hypot(lit + real, imaginary)
    return np.asarray(np.rint(noisy * rng.uniform(350, 1100)), dtype=np.int16)


def _sensitivity(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth field between about 0.7 and 1.4: the bias field of surface coils."""
    axes = [np.linspace(-1, 1, length, dtype=np.float32) for length in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    terms = (x, y, z, x * y, y * z, x * z, x * x - 0.33, y * y - 0.33, z * z - 0.33)
    field = sum(np.float32(rng.normal(0, 0.1)) * term for term in terms)
    return np.asarray(np.exp(np.clip(field, -0.4, 0.4)), dtype=np.float32)


def _few_slices(labels: NDArray[np.uint8], axis: int) -> Annotation:
    """Label complete slices spread over the structures, the first and last just beyond them."""
    annotation = Annotation.empty((labels.shape[0], labels.shape[1], labels.shape[2]))
    others = tuple(other for other in range(3) if other != axis)
    present = np.flatnonzero(labels.any(axis=others))
    first, last = max(0, present[0] - 1), min(labels.shape[axis] - 1, present[-1] + 1)
    for index in np.unique(np.linspace(first, last, SPARSE_SLICES).round().astype(int)):
        part = slice_of(axis, int(index))
        annotation.labels[part] = labels[part]
        annotation.complete_slice(axis, int(index))
    return annotation


def _write_scan(path: Path, image: NDArray[np.int16], affine: NDArray[np.float64]) -> None:
    """Write a scan as a scanner's converter does: both transforms set, millimetres, no scaling."""
    nifti = nib.Nifti1Image(image, affine)
    nifti.header.set_xyzt_units("mm", "sec")
    nifti.set_qform(affine, code=1)
    nifti.set_sform(affine, code=1)
    with atomic_path(path) as temporary:
        nib.save(nifti, temporary)
