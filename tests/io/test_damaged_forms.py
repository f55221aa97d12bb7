"""NIfTI with a form that is damaged beside one that is sound, and sizes that cannot be."""

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io.volumes import read_geometry, read_volume

QFORM = [76, 256, 260, 264, 268, 272, 276]
SFORM = list(range(280, 328, 4))
AFFINE = np.array([[0, -1.5, 0, 3], [2.0, 0, 0, -7], [0, 0, 2.5, 11], [0, 0, 0, 1]])


def both_forms(path, qform=1, sform=1):
    image = nib.Nifti1Image(np.zeros((5, 6, 7), np.int16), AFFINE)
    image.set_qform(AFFINE, qform)
    image.set_sform(AFFINE, sform)
    nib.save(image, path)
    return path


def damage(path, offset, value):
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = np.float32(value).tobytes()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("offset", [*QFORM, *SFORM])
def test_a_damaged_form_beside_a_sound_one_is_done_without(tmp_path, offset, value):
    volume = read_volume(damage(both_forms(tmp_path / "scan.nii"), offset, value))
    np.testing.assert_allclose(volume.geometry.affine, AFFINE, atol=1e-5)
    if offset in SFORM:
        assert any("sform of the file is damaged" in note for note in volume.notes)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("offset", [80, 84, 88, *QFORM])
def test_a_number_that_signals_disturbs_nothing(tmp_path, offset):
    """A signalling NaN is a NaN that makes a processor complain of each calculation with it."""
    path = both_forms(tmp_path / "scan.nii")
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = (0x7FA00000).to_bytes(4, "little")
    path.write_bytes(content)
    np.testing.assert_allclose(read_volume(path).geometry.affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize(
    ("offset", "value", "forms", "where"),
    [
        (QFORM[1], np.nan, (1, 0), r"in its qform, the (step along|rotation \(nan)"),
        (QFORM[1], 3.0, (1, 0), r"in its qform, the rotation \(3, 0, 0.7071\)"),
        (QFORM[5], np.nan, (1, 0), r"in its qform, the position of its first voxel is \(3, nan, 11\)"),
        (SFORM[0], np.nan, (0, 1), r"in its sform, the step along its first axis is \(nan, 2, 0\) mm"),
        (SFORM[10], 0.0, (0, 1), r"in its sform, the step along its third axis is \(0, 0, 0\) mm"),
    ],
)
def test_the_only_form_being_damaged_is_a_sentence_with_the_place(tmp_path, offset, value, forms, where):
    path = damage(both_forms(tmp_path / "scan.nii", *forms), offset, value)
    with pytest.raises(VolumeError, match=rf"scan\.nii has a damaged header.*{where}"):
        read_geometry(path)


def test_a_quaternion_that_rounding_made_too_long_is_no_damage(tmp_path):
    path = both_forms(tmp_path / "scan.nii", 1, 0)
    for offset, value in zip((256, 260, 264), np.array([0.6, 0.64, 0.48]) * 1.0005, strict=True):
        damage(path, offset, value)
    assert np.isfinite(read_volume(path).geometry.affine).all()


@pytest.mark.parametrize("spacing", [1e-30, 1e30, 1e5, 1e-6])
def test_voxels_of_an_impossible_size_are_refused(tmp_path, spacing):
    path = tmp_path / "scan.nii"
    nib.save(nib.Nifti1Image(np.zeros((5, 6, 7), np.int16), np.diag([spacing, 1, 1, 1])), path)
    with pytest.raises(VolumeError, match=r"cannot be right|damaged header|no usable position"):
        read_geometry(path)


def test_a_place_kilometres_away_is_refused(tmp_path):
    affine = np.eye(4)
    affine[0, 3] = 1e12
    path = tmp_path / "scan.nii"
    nib.save(nib.Nifti1Image(np.zeros((5, 6, 7), np.int16), affine), path)
    with pytest.raises(VolumeError, match=r"kilometres from its origin \(x = 1e\+12 mm\)"):
        read_geometry(path)


def test_a_scaling_that_makes_values_infinite_is_refused(tmp_path):
    image = nib.Nifti1Image(np.full((5, 6, 7), 1e30, np.float32), AFFINE)
    path = tmp_path / "scan.nii"
    nib.save(image, path)
    read_volume(damage(path, 112, 2.0))
    with pytest.raises(VolumeError, match="become infinite"):
        read_volume(damage(path, 112, 1e20))
