import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import GridMismatchError, VolumeError
from napari_dycon.io.masks import label_counts, read_mask, write_map, write_mask
from napari_dycon.io.volumes import read_geometry


def moved(path, geometry, millimetres, array):
    affine = geometry.affine.copy()
    affine[2, 3] += millimetres
    nib.save(nib.Nifti1Image(array, affine), path)


def test_a_mask_that_lies_elsewhere_is_refused_with_the_distance(tmp_path, oblique_scan):
    geometry = read_geometry(oblique_scan)
    path = tmp_path / "elsewhere.nii.gz"
    moved(path, geometry, 4.25, np.zeros(geometry.shape, np.uint8))
    with pytest.raises(GridMismatchError, match=r"elsewhere.nii.gz lies up to 4\.25 mm"):
        read_mask(path, geometry)


def test_a_mask_of_another_size_is_refused_with_both_sizes(tmp_path, oblique_scan):
    geometry = read_geometry(oblique_scan)
    path = tmp_path / "small.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((24, 20, 10), np.uint8), geometry.affine), path)
    with pytest.raises(GridMismatchError, match="24 x 20 x 10 voxels and its scan 20 x 24 x 10"):
        read_mask(path, geometry)
    with pytest.raises(GridMismatchError, match="24 x 20 x 10"):
        write_mask(tmp_path / "out.nii.gz", np.zeros((24, 20, 10), np.uint8), oblique_scan)


def fill(path, geometry, dtype, values):
    array = np.zeros(geometry.shape, dtype)
    array.ravel()[: len(values)] = values
    nib.save(nib.Nifti1Image(array, geometry.affine), path)


@pytest.mark.parametrize(
    ("dtype", "values", "sentence"),
    [
        (np.uint8, [255, 255, 255], r"unexpected label values: 255 \(3 voxels\); expected 0, 1, 2"),
        (np.uint8, [1, 2, 3, 7, 7], r"3 \(1 voxels\), 7 \(2 voxels\)"),
        (np.int16, [-1, 300, 300], r"outside 0 to 255: -1 \(1 voxels\), 300 \(2 voxels\)"),
        (np.float32, [0.5, 0.999], r"fractional values in 2 voxels \(0 to 0.999\)"),
        (np.float32, [np.nan, 1], r"contains 1 invalid"),
        (np.float64, [np.inf, 1e30], r"contains 1 invalid"),
    ],
)
def test_what_is_no_label_map_is_named(tmp_path, oblique_scan, dtype, values, sentence):
    geometry = read_geometry(oblique_scan)
    path = tmp_path / "label.nii.gz"
    fill(path, geometry, dtype, values)
    with pytest.raises(VolumeError, match=sentence):
        read_mask(path, geometry, allowed={1, 2})


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.float32, np.float64, np.int64, np.uint64])
def test_labels_of_any_number_type_are_read_as_uint8(tmp_path, oblique_scan, dtype):
    geometry = read_geometry(oblique_scan)
    path = tmp_path / "label.nii"
    image = nib.Nifti1Image(np.ones(geometry.shape, dtype), geometry.affine, dtype=dtype)
    nib.save(image, path)
    mask = read_mask(path, geometry, allowed=[1])
    assert mask.dtype == np.uint8 and mask.all()


def test_a_probability_map_given_as_labels_is_refused(tmp_path, oblique_scan):
    path = tmp_path / "label.nii.gz"
    write_map(path, np.random.default_rng(0).random((20, 24, 10)), oblique_scan)
    with pytest.raises(VolumeError, match="fractional"):
        read_mask(path, read_geometry(oblique_scan))


@pytest.mark.parametrize(
    "values", [np.full((20, 24, 10), 0.5), np.full((20, 24, 10), 256), np.full((20, 24, 10), -1)]
)
def test_values_that_are_no_labels_are_not_written(tmp_path, oblique_scan, values):
    with pytest.raises(VolumeError):
        write_mask(tmp_path / "mask.nii.gz", values, oblique_scan)
    assert not (tmp_path / "mask.nii.gz").exists()


def test_voxels_are_counted_for_every_label_value():
    mask = np.random.default_rng(1).integers(0, 4, (7, 6, 5)).astype(np.uint8)
    counts = label_counts(mask)
    assert counts.shape == (256,) and counts.sum() == mask.size
    assert counts[3] == np.count_nonzero(mask == 3)
