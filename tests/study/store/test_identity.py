import gzip

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.io.volumes import read_volume
from napari_dycon.study.store.identity import content_of

AFFINE = np.array([[-0.625, 0, 0, 31.25], [0, -0.78125, 0, 12.5], [0, 0, 2.5, -40.0], [0, 0, 0, 1.0]])


def voxels(seed=0):
    return np.random.default_rng(seed).integers(-900, 900, (9, 8, 7)).astype(np.int16)


def saved(path, array, affine=AFFINE, text=""):
    image = nib.Nifti1Image(array, affine)
    image.header["descrip"] = text
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def content(path):
    return content_of(read_volume(path))


def recompressed(path, folder):
    other = folder / "again.nii.gz"
    other.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1))
    return other


def by_itk(path, target):
    import SimpleITK as sitk

    sitk.WriteImage(sitk.ReadImage(str(path)), str(target))
    return target


SAME = {
    "compressed otherwise": lambda path, folder: recompressed(path, folder),
    "not compressed": lambda path, folder: saved(folder / "x.nii", voxels()),
    "other text in the header": lambda path, folder: saved(folder / "x.nii.gz", voxels(), text="Anna"),
    "stored as float32": lambda path, folder: saved(folder / "x.nii.gz", voxels().astype(np.float32)),
    "stored as float64": lambda path, folder: saved(folder / "x.nii.gz", voxels().astype(np.float64)),
    "stored as int32": lambda path, folder: saved(folder / "x.nii.gz", voxels().astype(np.int32)),
    "big-endian": lambda path, folder: saved(folder / "x.nii.gz", voxels().astype(">i2")),
    "other axes": lambda path, folder: _canonical(path, folder / "x.nii.gz"),
    "nrrd": lambda path, folder: by_itk(path, folder / "x.nrrd"),
    "mha": lambda path, folder: by_itk(path, folder / "x.mha"),
}


def _canonical(path, target):
    nib.save(nib.as_closest_canonical(nib.load(path)), target)
    return target


@pytest.mark.parametrize("how", SAME)
def test_the_same_image_saved_otherwise_is_the_same(tmp_path, how):
    path = saved(tmp_path / "scan.nii.gz", voxels())
    assert content(SAME[how](path, tmp_path)) == content(path)


def _one_voxel():
    array = voxels()
    array[3, 3, 3] += 1
    return array


@pytest.mark.parametrize(
    ("array", "affine"),
    [
        (_one_voxel(), AFFINE),
        (voxels(1), AFFINE),
        (voxels()[::-1], AFFINE),
        (voxels(), AFFINE + np.array([[0, 0, 0, 0.02], [0] * 4, [0] * 4, [0] * 4])),
        (voxels(), AFFINE @ np.diag([1, 1, 1.1, 1])),
    ],
)
def test_another_image_or_another_place_is_another(tmp_path, array, affine):
    path = saved(tmp_path / "scan.nii.gz", voxels())
    assert content(saved(tmp_path / "other.nii.gz", array, affine)) != content(path)


def test_fractions_nan_and_signed_zeros_are_compared_as_values(tmp_path):
    array = voxels() / np.float32(7)
    array[0, 0, :3] = [np.nan, 0.0, np.inf]
    single = saved(tmp_path / "single.nii.gz", array)
    double = array.astype(np.float64)
    double[0, 0, 1] = -0.0
    assert content(saved(tmp_path / "double.nii.gz", double)) == content(single)
    double[1, 1, 1] = np.nextafter(double[1, 1, 1], 2)
    assert content(saved(tmp_path / "next.nii.gz", double)) != content(single)
