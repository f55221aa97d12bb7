import numpy as np
import pytest
import SimpleITK as sitk

from napari_dycon.errors import VolumeError
from napari_dycon.io.volumes import read_geometry, read_volume

SHAPE = (9, 8, 7)
VOXELS = np.random.default_rng(0).integers(-500, 500, SHAPE).astype(np.int16)


def oblique_image(array=VOXELS):
    image = sitk.GetImageFromArray(array.T)
    turn = sitk.Euler3DTransform((0, 0, 0), 0.2, -0.1, 0.3)
    image.SetDirection(turn.GetMatrix())
    image.SetSpacing((0.7, 1.3, 2.9))
    image.SetOrigin((12.5, -33.25, 71))
    return image


def write(path, image=None, compress=False):
    sitk.WriteImage(image or oblique_image(), str(path), compress)
    return path


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_voxels_and_position_are_those_of_itk_in_ras(tmp_path, suffix, compress):
    path = write(tmp_path / f"scan{suffix}", compress=compress)
    volume = read_volume(path)
    assert np.array_equal(volume.array, VOXELS)
    assert volume.array.flags.c_contiguous and volume.header is None and volume.notes == ()
    for index in ((0, 0, 0), (8, 7, 6), (3, 0, 5)):
        lps = oblique_image().TransformIndexToPhysicalPoint(index)
        ras = volume.geometry.affine @ (*index, 1)
        assert np.allclose(ras[:3], (-lps[0], -lps[1], lps[2]))
    assert read_geometry(path).matches(volume.geometry, 0)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_truncated_files_are_refused(tmp_path, suffix):
    path = write(tmp_path / f"scan{suffix}")
    content = path.read_bytes()
    for share in (0.3, 0.6, 0.95):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(VolumeError, match=path.name):
            read_volume(path)


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
@pytest.mark.parametrize(
    "where", ["../secret.raw", "/etc/hostname", "LIST", "sub/data.raw", "%02d.raw", "missing.raw"]
)
def test_voxels_are_taken_from_beside_the_header_only(tmp_path, suffix, where):
    folder = tmp_path / "study"
    (folder / "sub").mkdir(parents=True)
    for secret in (tmp_path / "secret.raw", folder / "sub" / "data.raw"):
        secret.write_bytes(VOXELS.tobytes())
    path = write(folder / f"scan{suffix}")
    lines = path.read_text().splitlines()
    keep = [line for line in lines if "data file" not in line.lower() and "ElementDataFile" not in line]
    key = "data file: " if suffix == ".nhdr" else "ElementDataFile = "
    path.write_text("\n".join([*keep, key + where]) + "\n")
    with pytest.raises(VolumeError, match=r"same folder|missing"):
        read_volume(path)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    path = write(folder / "scan.mhd")
    raw = folder / "scan.raw"
    raw.rename(tmp_path / "elsewhere.raw")
    raw.symlink_to(tmp_path / "elsewhere.raw")
    with pytest.raises(VolumeError, match="same folder"):
        read_volume(path)


def test_colour_and_flat_images_are_refused(tmp_path):
    colour = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    with pytest.raises(VolumeError, match="3 values per voxel"):
        read_volume(write(tmp_path / "colour.nrrd", colour))
    with pytest.raises(VolumeError, match="2D"):
        read_volume(write(tmp_path / "flat.mha", sitk.GetImageFromArray(np.zeros((4, 5), np.uint8))))


def test_a_series_over_time_is_refused_and_a_single_frame_accepted(tmp_path):
    for frames in (1, 3):
        image = sitk.GetImageFromArray(np.zeros((frames, 7, 8, 9), np.uint8), isVector=False)
        path = write(tmp_path / f"{frames}.nrrd", image)
        if frames > 1:
            with pytest.raises(VolumeError, match="3 volumes"):
                read_volume(path)
        else:
            assert read_volume(path).array.shape == SHAPE


def test_a_file_without_position_says_so(tmp_path):
    path = tmp_path / "plain.nrrd"
    header = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 9 8 7\nspacings: 1 2 3\nencoding: raw\n\n"
    path.write_bytes(header.encode() + bytes(9 * 8 * 7))
    volume = read_volume(path)
    assert volume.geometry.spacing == (1, 2, 3)
    assert any("no position" in note for note in volume.notes)
