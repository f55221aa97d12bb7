"""Volumes opened in napari: turned the way radiologists look at them, in millimetres, as numbers on disk."""

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io.geometry import Geometry
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.plugin.manifest.reader import get_reader, read_layers
from napari_dycon.plugin.manifest.writer import write_labels


@pytest.mark.parametrize("name", ["a.nii", "a.NII.GZ", "b.nrrd", "c.mha", "c.mhd", "with space.nii.gz"])
def test_every_volume_format_has_the_reader(name):
    assert get_reader(name) is not None
    assert get_reader([name, "other.nii"]) is not None


@pytest.mark.parametrize("name", ["a.png", "nii", "a.nii.txt", "", []])
def test_other_files_are_left_to_others(name):
    assert get_reader(name) is None
    assert get_reader(["a.nii", "a.png"]) is None


def test_a_missing_file_is_only_missed_when_it_is_read(tmp_path):
    reader = get_reader(str(tmp_path / "gone.nii.gz"))
    with pytest.raises(VolumeError, match=r"gone\.nii\.gz"):
        reader(str(tmp_path / "gone.nii.gz"))


ORIENTATIONS = ["RAS", "LPS", "LPI", "PIR", "SAR", "IRA", "ASL"]


def anatomical_phantom(codes, shape=(9, 8, 7)):
    """A RAS volume whose values tell where right, anterior and superior are, stored in order ``codes``."""
    ras = np.zeros(shape, np.int16)
    x, y, z = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    ras[...] = 100 * x + 10 * y + z
    image = nib.Nifti1Image(ras, np.diag([1.0, 2.0, 3.0, 1.0]))
    wanted = nib.orientations.axcodes2ornt(tuple(codes))
    return image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), wanted)), ras


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_any_storage_order_shows_the_same_picture(tmp_path, codes):
    image, ras = anatomical_phantom(codes)
    nib.save(image, tmp_path / "scan.nii.gz")
    data, settings, kind = read_layers(str(tmp_path / "scan.nii.gz"))[0]
    assert kind == "image"
    assert settings["scale"] == pytest.approx((3.0, 2.0, 1.0))
    assert settings["units"] == ("mm", "mm", "mm")
    assert settings["axis_labels"] == ("z", "y", "x")
    assert "affine" not in settings
    x, y, z = data // 100, data // 10 % 10, data % 10  # grow to the right, to anterior, to superior
    axial, coronal, sagittal = data[4], data[:, 4], data[:, :, 4]
    assert data.shape == ras.shape[::-1]
    assert axial[0, 0] == data[4].max(), "anterior is up and the patient's right on the left of the screen"
    assert (np.diff(y[4], axis=0) == -1).all() and (np.diff(x[4], axis=1) == -1).all()
    assert coronal[0, 0] == coronal.max(), "superior is up and the patient's right on the left of the screen"
    assert sagittal[0, 0] == sagittal.max(), "superior is up and anterior on the left of the screen"
    assert (np.diff(z, axis=0) == -1).all(), "the first axial slice is the most superior one"


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_slices_and_voxels_find_their_way_back(codes):
    image, _ = anatomical_phantom(codes)
    source = np.asarray(image.dataobj)
    display = DisplayView(Geometry(source.shape, image.affine))
    shown = display.apply(source)
    assert display.shape == shown.shape
    assert np.shares_memory(shown, source)
    for axis in range(3):
        for index in (0, 3):
            source_axis, source_index = display.to_source(axis, index)
            assert np.array_equal(
                np.sort(shown.take(index, axis), None), np.sort(source.take(source_index, source_axis), None)
            )
            assert display.to_display(source_axis, source_index) == (axis, index)
    voxels = (np.array([0, 2, 5]), np.array([1, 4, 7]), np.array([2, 0, 8]))
    assert np.array_equal(shown[voxels], source[display.indices_to_source(voxels)])
    assert [display.plane_of(axis) for axis in range(3)] == ["axial", "coronal", "sagittal"]


def test_real_scan_has_the_spine_at_the_bottom_and_the_heart_on_the_patients_left(atria):
    images, labels = atria
    scan = sorted(images.iterdir())[0]
    data, settings, _ = read_layers(str(scan))[0]
    source = nib.load(scan)
    assert settings["scale"] == pytest.approx((1.25, 1.25, 1.25))
    mask = np.asarray(nib.load(sorted(labels.iterdir())[0]).dataobj)
    geometry = Geometry(mask.shape, source.affine)
    centre = np.argwhere(mask).mean(axis=0)
    world = (source.affine @ [*centre, 1])[:3]
    shown_centre = np.argwhere(DisplayView(geometry).apply(mask)).mean(axis=0)
    middle = (np.array(data.shape) - 1) / 2
    scan_middle = (source.affine @ [*(np.array(mask.shape) - 1) / 2, 1])[:3]
    for shown_axis, world_axis, sign in ((0, 2, -1), (1, 1, -1), (2, 0, -1)):
        shown_side = shown_centre[shown_axis] - middle[shown_axis]
        world_side = world[world_axis] - scan_middle[world_axis]
        assert np.sign(shown_side) == np.sign(sign * world_side)


def test_a_tilted_scan_is_shown_without_rotation(oblique_scan):
    data, settings, _ = read_layers(str(oblique_scan))[0]
    assert settings["scale"] == pytest.approx((2.5, 1.1, 0.8))
    assert data.shape == (10, 24, 20)


def test_a_mask_file_becomes_a_labels_layer(tmp_path, atria):
    label = sorted(atria[1].iterdir())[0]
    data, _, kind = read_layers(str(label))[0]
    assert kind == "labels"
    assert data.dtype == np.uint8


def test_a_labels_layer_goes_back_on_the_grid_of_its_scan(tmp_path, oblique_scan):
    data, settings, _ = read_layers(str(oblique_scan))[0]
    labels = np.zeros(data.shape, np.uint8)
    labels[2:5, 3:9, 4:7] = 2
    out = tmp_path / "labels.nii.gz"
    assert write_labels(str(out), labels, settings) == [str(out)]
    scan, mask = nib.load(oblique_scan), nib.load(out)
    assert np.array_equal(scan.affine, mask.affine)
    assert scan.header["srow_x"].tobytes() == mask.header["srow_x"].tobytes()
    assert np.array_equal(
        DisplayView(Geometry(scan.shape, scan.affine)).apply(np.asarray(mask.dataobj)), labels
    )


def test_a_layer_without_a_scan_is_refused_in_words(tmp_path):
    with pytest.raises(VolumeError, match="does not belong to a scan"):
        write_labels(
            str(tmp_path / "x.nii.gz"), np.zeros((2, 3, 4), np.uint8), {"name": "blob", "metadata": {}}
        )
    assert not list(tmp_path.iterdir())


def test_a_layer_of_another_size_is_refused_in_words(tmp_path, oblique_scan):
    _, settings, _ = read_layers(str(oblique_scan))[0]
    with pytest.raises(VolumeError, match="voxels"):
        write_labels(str(tmp_path / "x.nii.gz"), np.zeros((9, 24, 20), np.uint8), settings)
    assert not (tmp_path / "x.nii.gz").exists()
