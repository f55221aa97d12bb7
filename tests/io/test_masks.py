import gzip
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from napari_dycon.errors import VolumeError
from napari_dycon.io import headers
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.masks import read_map, read_mask, values_at_edge, write_map, write_mask
from napari_dycon.io.volumes import read_geometry, read_volume

ALL_CODES = ["".join(codes) for order in permutations(("LR", "PA", "IS")) for codes in product(*order)]
SHAPE = (7, 6, 5)
SECRET = b"DOE^JOHN"


def random_mask(shape=SHAPE):
    return np.random.default_rng(1).integers(0, 4, shape).astype(np.uint8)


def affine_of(codes, degrees):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    axes = np.zeros((3, 3))
    for axis, code in enumerate(codes):
        row = next(i for i, pair in enumerate(("LR", "PA", "IS")) if code in pair)
        axes[row, axis] = (-1 if code in "LPI" else 1) * (0.7, 1.3, 2.9)[axis]
    affine = np.eye(4)
    affine[:3, :3] = turn @ turn.T[[2, 0, 1]][:, [2, 0, 1]] @ axes if degrees else axes
    affine[:3, 3] = (12.5, -33.25, 71)
    return affine


def voxels(shape=SHAPE, dtype=np.int16):
    return np.random.default_rng(2).integers(0, 200, shape).astype(dtype)


def save(path, affine, kind=nib.Nifti1Image, qform=1, sform=1, array=None, big=False):
    image = kind(voxels() if array is None else array, affine)
    image.header["descrip"] = SECRET
    image.header["aux_file"] = SECRET
    image.header["intent_name"] = SECRET
    image.header.set_xyzt_units("mm")
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", SECRET))
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    if big:
        swapped = kind(image.dataobj, None, image.header.as_byteswapped(">"))
        swapped.header.extensions.extend(image.header.extensions)
        image = swapped
    nib.save(image, path)


def patch(path, **fields):
    """Change header fields of an uncompressed NIfTI in place, as odd software would have written them."""
    content = path.read_bytes()
    length = 348 if 348 in (int.from_bytes(content[:4], order) for order in ("little", "big")) else 540
    header = headers.fields_of(content[:length])
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.tobytes() + content[length:])


def physical(path):
    image = sitk.ReadImage(str(path))
    return image.GetSize()[:3], image.GetOrigin()[:3], image.GetSpacing()[:3], image.GetDirection()


def check_round_trip(source, mask_path, itk=True):
    """Write a mask for `source` and compare it with the scan through three independent readers."""
    mask = random_mask()
    write_mask(mask_path, mask, source)
    scan, written = nib.load(source), nib.load(mask_path)
    assert np.array_equal(np.asanyarray(written.dataobj), mask)
    assert written.get_data_dtype() == np.uint8
    assert np.array_equal(written.affine, scan.affine)
    assert written.header.endianness == scan.header.endianness
    assert type(written) is type(scan)
    opener = gzip.open if mask_path.suffix == ".gz" else open
    with opener(mask_path, "rb") as file:
        content = file.read()
    length = 540 if isinstance(scan, nib.Nifti2Image) else 348
    raw = read_volume(source).header
    assert headers.geometry_bytes(content[:length]) == headers.geometry_bytes(raw)
    assert SECRET not in content
    assert np.array_equal(read_mask(mask_path, read_geometry(source)), mask)
    if itk:
        assert physical(mask_path) == physical(source)
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(mask_path))).T, mask)


@pytest.mark.parametrize("degrees", [0, 17])
@pytest.mark.parametrize("codes", ALL_CODES)
def test_a_mask_lies_exactly_on_its_scan_in_every_orientation(tmp_path, codes, degrees):
    source = tmp_path / "scan.nii"
    save(source, affine_of(codes, degrees))
    assert (read_geometry(source).tilt_degrees > 10) == bool(degrees)
    check_round_trip(source, tmp_path / "mask.nii.gz")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("qform", "sform"), [(1, 0), (0, 1), (0, 0), (1, 2), (2, 1), (4, 4)])
def test_a_mask_follows_whichever_position_the_header_states(tmp_path, qform, sform, suffix):
    source = tmp_path / f"scan{suffix}"
    save(source, affine_of("LPS", 17), qform=qform, sform=sform)
    check_round_trip(source, tmp_path / f"mask{suffix}")


def shear(path):
    affine = affine_of("LPS", 0)
    affine[0, 1] = 0.3
    save(path, affine, qform=0)


def differing_forms(path):
    save(path, affine_of("LPS", 17), sform=2)
    patch(path, srow_x=(-0.7, 0, 0, 90), srow_y=(0, -1.3, 0, 91), srow_z=(0, 0, 2.9, 92))


def negative_pixdim(path):
    save(path, affine_of("RAS", 17))
    patch(path, pixdim=(1, -0.7, 1.3, -2.9, 1, 1, 1, 1))


def other_pixdim(path):
    save(path, affine_of("RAS", 17))
    patch(path, pixdim=(1, 1, 1, 1, 0, 0, 0, 0))


def zero_pixdim(path):
    save(path, affine_of("RAS", 17))
    patch(path, pixdim=np.zeros(8))


def scaled(path):
    save(path, affine_of("LPS", 17))
    patch(path, scl_slope=2, scl_inter=-1024)


def nan_slope(path):
    save(path, affine_of("LPS", 17))
    patch(path, scl_slope=np.nan, scl_inter=np.nan)


def metres(path):
    save(path, affine_of("LPS", 17) @ np.diag([0.001, 0.001, 0.001, 1]))
    patch(path, xyzt_units=1)


def microns(path):
    save(path, affine_of("LPS", 17) @ np.diag([1000, 1000, 1000, 1]))
    patch(path, xyzt_units=3)


def no_unit(path):
    save(path, affine_of("LPS", 17))
    patch(path, xyzt_units=0)


def big_endian(path):
    save(path, affine_of("PIR", 17), big=True)


def nifti2(path):
    save(path, affine_of("PIR", 17), kind=nib.Nifti2Image)


def nifti2_big_endian(path):
    save(path, affine_of("PIR", 17), kind=nib.Nifti2Image, big=True)


def float64(path):
    save(path, affine_of("LPS", 17), array=voxels(dtype=np.float64))


def intent(path):
    save(path, affine_of("LPS", 17))
    patch(path, intent_code=1001, intent_p1=3, cal_max=900, cal_min=-5, slice_code=1, slice_end=4)


def one_frame(path):
    save(path, affine_of("LPS", 17), array=voxels((*SHAPE, 1)))


ITK_REFUSES = {shear, nifti2, nifti2_big_endian}
VARIANTS = [
    shear,
    differing_forms,
    negative_pixdim,
    other_pixdim,
    zero_pixdim,
    scaled,
    nan_slope,
    metres,
    microns,
    no_unit,
    big_endian,
    nifti2,
    nifti2_big_endian,
    float64,
    intent,
]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_a_mask_lies_exactly_on_its_scan_for_odd_headers(tmp_path, variant):
    source = tmp_path / "scan.nii"
    variant(source)
    check_round_trip(source, tmp_path / "mask.nii.gz", itk=variant not in ITK_REFUSES)


def test_a_scan_with_a_fourth_axis_of_one_gets_a_3d_mask(tmp_path):
    source, path = tmp_path / "scan.nii", tmp_path / "mask.nii"
    one_frame(source)
    write_mask(path, random_mask(), source)
    written = nib.load(path)
    assert written.shape == SHAPE
    assert np.array_equal(written.affine, nib.load(source).affine)
    ours, theirs = physical(path), physical(source)
    assert ours[:3] == theirs[:3]


@pytest.mark.parametrize(
    "name", ["anatomical.nii", "example_nifti2.nii.gz", "reoriented_anat_moved.nii", "standard.nii.gz"]
)
def test_masks_for_the_sample_files_of_nibabel(tmp_path, name):
    source = Path(nib.__file__).parent / "tests" / "data" / name
    if not source.exists():
        pytest.skip("this nibabel came without its sample files")
    scan = nib.load(source)
    if len(scan.shape) > 3:
        with pytest.raises(VolumeError, match="volumes"):
            read_volume(source)
        return
    mask = random_mask(scan.shape)
    write_mask(tmp_path / "mask.nii.gz", mask, source)
    written = nib.load(tmp_path / "mask.nii.gz")
    assert np.array_equal(np.asanyarray(written.dataobj), mask)
    assert np.array_equal(written.affine, scan.affine)


def test_the_labels_of_the_real_atrium_scans_survive_a_round_trip(tmp_path, atria):
    images, labels = atria
    for name in ("LA_001.nii.gz", "LA_042.nii.gz"):
        source = read_volume(images / name)
        mask = read_mask(labels / name, source.geometry, allowed={1})
        assert set(np.unique(mask)) == {0, 1}
        write_mask(tmp_path / name, mask, source)
        assert np.array_equal(np.asanyarray(nib.load(tmp_path / name).dataobj), mask)
        assert physical(tmp_path / name) == physical(images / name)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_mask_for_a_scan_that_is_no_nifti_lies_on_it(tmp_path, suffix):
    nii, source, path = tmp_path / "a.nii", tmp_path / f"scan{suffix}", tmp_path / "mask.nii.gz"
    save(nii, affine_of("PIR", 17))
    sitk.WriteImage(sitk.ReadImage(str(nii)), str(source))
    write_mask(path, random_mask(), source)
    assert np.array_equal(read_mask(path, read_geometry(source)), random_mask())
    for ours, theirs in zip(physical(path)[1:], physical(source)[1:], strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)


def test_the_gzip_wrapper_carries_no_name_and_no_time(tmp_path, oblique_scan):
    for name in ("DOE_JOHN.nii.gz", "other.nii.gz"):
        write_mask(tmp_path / name, np.ones((20, 24, 10), bool), oblique_scan)
    content = (tmp_path / "DOE_JOHN.nii.gz").read_bytes()
    assert b"DOE_JOHN" not in content
    assert content[3] == 0 and content[4:8] == bytes(4)
    assert content == (tmp_path / "other.nii.gz").read_bytes()


def test_a_map_keeps_its_values_to_half_a_step(tmp_path, oblique_scan):
    values = np.random.default_rng(0).random((20, 24, 10)) * 0.7
    path = tmp_path / "entropy.nii.gz"
    write_map(path, values, oblique_scan, maximum=0.7)
    for found in (read_map(path), nib.load(path).get_fdata()):
        assert np.abs(found - values).max() <= 0.7 / 510 * 1.001
    assert read_map(path).dtype == np.float32
    assert np.array_equal(nib.load(path).affine, nib.load(oblique_scan).affine)
    with pytest.raises(VolumeError, match="NaN"):
        write_map(path, np.full((20, 24, 10), np.nan), oblique_scan)


def test_the_scan_is_never_overwritten_by_its_mask(oblique_scan):
    before = oblique_scan.read_bytes()
    with pytest.raises(VolumeError, match="scan itself"):
        write_mask(oblique_scan, np.zeros((20, 24, 10), np.uint8), oblique_scan)
    assert oblique_scan.read_bytes() == before


def test_masks_are_written_as_nifti_only(tmp_path, oblique_scan):
    with pytest.raises(VolumeError, match=r"\.nii\.gz"):
        write_mask(tmp_path / "mask.tif", np.zeros((20, 24, 10), np.uint8), oblique_scan)


def test_a_scan_that_vanished_can_still_be_saved_from_memory(tmp_path, oblique_scan):
    volume = read_volume(oblique_scan)
    affine = nib.load(oblique_scan).affine
    oblique_scan.unlink()
    write_mask(tmp_path / "mask.nii.gz", np.ones(volume.array.shape, np.uint8), volume)
    assert np.array_equal(nib.load(tmp_path / "mask.nii.gz").affine, affine)


@pytest.mark.parametrize("damage", ["flip", "geometry", "cut"])
def test_what_does_not_read_back_is_not_kept(tmp_path, oblique_scan, monkeypatch, damage):
    path = tmp_path / "mask.nii.gz"
    mask = random_mask((20, 24, 10))
    write_mask(path, mask, oblique_scan)
    before = path.read_bytes()
    encode = headers.encode

    def broken(header, stored, *, compress):
        header, stored = bytearray(header), stored.copy()
        if damage == "flip":
            stored[3, 4, 5] ^= 1
        if damage == "geometry":
            header[280] ^= 1
        content = encode(bytes(header), stored, compress=compress)
        return content[:-9] if damage == "cut" else content

    monkeypatch.setattr(headers, "encode", broken)
    with pytest.raises(VolumeError, match="did not read back"):
        write_mask(path, 3 - mask, oblique_scan)
    assert path.read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["mask.nii.gz", "oblique.nii.gz"]


def test_header_of_a_sheared_grid_says_so_in_the_sform_alone():
    affine = affine_of("LPS", 0)
    affine[0, 1] = 0.3
    raw = headers.header_for(Geometry(SHAPE, affine))
    header = nib.Nifti1Header(raw)
    assert np.allclose(header.get_best_affine(), affine)
    assert header["qform_code"] == 0


def test_labels_in_the_outermost_voxels_are_at_the_edge():
    mask = np.zeros((5, 6, 4), np.uint8)
    mask[2, 3, 1], mask[0, 2, 2], mask[3, 5, 1], mask[1, 1, 3] = 1, 2, 3, 4
    assert values_at_edge(mask) == {2, 3, 4} and values_at_edge(mask, (0, 1)) == {2, 3}
    assert values_at_edge(mask[2:3, 1:5, 1:3]) == {1}
    assert values_at_edge(np.ones((1, 1, 1), np.uint8)) == set()
