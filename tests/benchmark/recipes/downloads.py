"""Tiny stand-ins for data sets, in the folders and under the names in which they are downloaded."""

from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from tests.dicom_series import COLUMNS, ROWS, SLICES, make_image

SHAPE = (24, 20, 16)


def ball(shape=SHAPE, radius=4.0, shift=0):
    """A ball beside the middle, bool."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))
    centre = np.array(shape) // 2 + (shift, 0, 0)
    return ((grid - centre[:, None, None, None]) ** 2).sum(axis=0) < radius**2


def grey(mask, seed=0):
    """Noise around 100, brighter where a mask is."""
    noise = np.random.default_rng(seed).normal(100, 10, mask.shape)
    return np.rint(noise + 60 * mask).astype(np.int16)


def nifti(path: Path, array, spacing=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([-spacing, -spacing, spacing, 1.0])), path)


def nrrd(path: Path, array):
    """As the challenge stores them: (x, y, z), any spacing in the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0))), str(path))


def atrium(data: Path, name: str, seed=0, shape=SHAPE):
    mask = ball(shape)
    nrrd(data / "TRAINING" / "Training Set" / name / "lgemri.nrrd", grey(mask, seed).astype(np.uint8))
    nrrd(data / "TRAINING" / "Training Set" / name / "laendo.nrrd", mask.astype(np.uint8) * 255)


def h5(path: Path, image, label):
    """As the scripts write it; h5py is there in the environment of the tests."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=image.astype(np.float32), compression="gzip")
        file.create_dataset("label", data=label.astype(np.uint8), compression="gzip")


def pancreas(data: Path, number: int, *, upside_down=False):
    """Slices whose numbers run against their places, and labels drawn on them by number."""
    folder = data / "Pancreas-CT" / f"PANCREAS_{number:04d}" / "11-24-2015" / "Pancreas-18957"
    folder.mkdir(parents=True)
    mask = np.zeros((COLUMNS, ROWS, SLICES), np.uint8)
    mask[4:8, 5:9, 1:3] = 1
    values = np.where(mask, 1060, 24)  # 36 HU among air
    for index in range(SLICES):
        image = make_image(index, RescaleSlope=1, RescaleIntercept=-1024)
        number_of_it = int(image.InstanceNumber)
        image.PixelData = values[:, :, number_of_it - 1].T.astype(np.uint16).tobytes()
        image.save_as(folder / f"1-{number_of_it:03d}.dcm", enforce_file_format=True)
    label = mask[:, :, ::-1] if upside_down else mask
    nifti(data / "TCIA_pancreas_labels-02-05-2017" / f"label{number:04d}.nii.gz", label)
    return mask


def brain(data: Path, grade: str, name: str):
    """A brain in an empty field of view, its tumour with the values of several parts."""
    inside, tumour = ball(radius=8.0), ball(radius=3.0)
    flair = np.where(inside, grey(tumour), 0).astype(np.int16)
    labels = np.where(tumour, 2, 0).astype(np.uint8)
    labels[ball(radius=1.5)] = 4
    folder = data / "MICCAI_BraTS_2019_Data_Training" / grade / name
    for ending, array in (("flair", flair), ("t1", flair), ("seg", labels)):
        nifti(folder / f"{name}_{ending}.nii.gz", array)
    return inside, tumour, flair


def stroke(data: Path, number: int):
    name = f"sub-strokecase{number:04d}"
    lesion = ball(radius=2.5)
    scan = np.where(ball(radius=8.0), grey(lesion), 0).astype(np.int16)
    session = Path(name, "ses-0001")
    for kind in ("dwi", "adc"):
        nifti(data / session / "dwi" / f"{name}_ses-0001_{kind}.nii.gz", scan, 2.0)
    nifti(data / session / "anat" / f"{name}_ses-0001_FLAIR.nii.gz", scan[::2], 1.0)
    nifti(data / "derivatives" / session / f"{name}_ses-0001_msk.nii.gz", lesion.astype(np.uint8), 2.0)
    return scan, lesion
