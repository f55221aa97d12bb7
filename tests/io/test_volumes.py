import gzip
import struct
import subprocess
import sys
import time
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io import headers, limits
from napari_dycon.io.volumes import find_volumes, is_volume, read_geometry, read_volume, stem

SHAPE = (9, 8, 7)


def voxels(dtype=np.int16, shape=SHAPE):
    return np.random.default_rng(0).integers(0, 120, shape).astype(dtype)


def save(path, array=None, affine=None, **fields):
    """Save an uncompressed NIfTI and then change header fields in place."""
    array = voxels() if array is None else array
    nib.save(
        nib.Nifti1Image(array, np.diag([1.5, 2, 3, 1]) if affine is None else affine, dtype=array.dtype), path
    )
    if fields:
        content = path.read_bytes()
        header = headers.fields_of(content[:348])
        for name, value in fields.items():
            header[name] = value
        path.write_bytes(header.tobytes() + content[348:])
    return path


@pytest.mark.parametrize(
    "dtype",
    [
        np.int8,
        np.uint8,
        np.int16,
        np.uint16,
        np.int32,
        np.uint32,
        np.int64,
        np.uint64,
        np.float32,
        np.float64,
    ],
)
def test_voxels_are_read_as_they_were_stored(tmp_path, dtype):
    path = save(tmp_path / "scan.nii", voxels(dtype))
    volume = read_volume(path)
    assert volume.array.dtype == dtype
    assert volume.array.flags.c_contiguous and volume.array.dtype.isnative
    assert np.array_equal(volume.array, voxels(dtype))
    assert volume.header == path.read_bytes()[:348]


def test_a_real_scan_reads_as_nibabel_reads_it(atria):
    for path in find_volumes(atria[0])[:3]:
        volume, expected = read_volume(path), nib.load(path)
        assert np.array_equal(volume.array, np.asanyarray(expected.dataobj))
        assert np.allclose(volume.geometry.affine, expected.affine)
        assert volume.geometry.spacing == pytest.approx((1.25, 1.25, 1.25))
        assert volume.geometry.orientation == "LPS"


def test_a_big_endian_scan_becomes_native(tmp_path):
    image = nib.Nifti1Image(voxels(), np.eye(4))
    path = tmp_path / "big.nii.gz"
    nib.save(nib.Nifti1Image(voxels(), None, image.header.as_byteswapped(">")), path)
    volume = read_volume(path)
    assert np.array_equal(volume.array, voxels())
    assert volume.array.dtype.isnative
    assert volume.header[:4] == struct.pack(">i", 348)


@pytest.mark.parametrize(
    ("slope", "intercept", "expected"),
    [
        (2, -1024, lambda v: v * 2.0 - 1024),
        (-1, 3, lambda v: 3.0 - v),
        (0, 5, lambda v: v),
        (np.nan, 0, lambda v: v),
    ],
)
def test_scaling_follows_the_nifti_rule(tmp_path, slope, intercept, expected):
    path = save(tmp_path / "scan.nii", scl_slope=slope, scl_inter=intercept)
    volume = read_volume(path)
    assert np.allclose(volume.array, expected(voxels()))
    assert np.allclose(volume.array, nib.load(path).get_fdata())


def test_units_are_turned_into_millimetres(tmp_path):
    for unit, factor in ((1, 1000), (2, 1), (3, 0.001)):
        geometry = read_geometry(save(tmp_path / f"{unit}.nii", xyzt_units=unit))
        assert geometry.spacing == pytest.approx((1.5 * factor, 2 * factor, 3 * factor))
    assert any(
        "millimetres are assumed" in note
        for note in read_volume(save(tmp_path / "none.nii", xyzt_units=5)).notes
    )


def test_what_is_odd_but_usable_is_noted(tmp_path):
    holes = voxels(np.float32)
    holes[0, 0, :3] = (np.nan, np.inf, -np.inf)
    volume = read_volume(save(tmp_path / "nan.nii", holes))
    assert any("3 voxels are invalid" in note for note in volume.notes)
    assert np.isnan(volume.array[0, 0, 0])

    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    expected = {
        "not perpendicular": save(tmp_path / "shear.nii", affine=sheared, qform_code=0),
        "no position": save(tmp_path / "none.nii", qform_code=0, sform_code=0),
        "two positions up to 40.00": save(tmp_path / "two.nii", qform_code=1, qoffset_x=40),
        "voxel size differs": save(tmp_path / "size.nii", pixdim=(1, 9, 9, 9, 0, 0, 0, 0)),
        "single volume": save(tmp_path / "4d.nii", voxels()[..., None]),
    }
    for words, path in expected.items():
        assert any(words in note for note in read_volume(path).notes), words


@pytest.mark.parametrize(
    ("unit", "said"), [(1, "27000 x 24000 x 21000 mm"), (2, ""), (3, "0.027 x 0.024 x 0.021 mm")]
)
def test_a_scan_larger_than_any_body_or_smaller_than_a_millimetre_is_noted(tmp_path, unit, said):
    path = tmp_path / "scan.nii"
    image = nib.Nifti1Image(voxels(), np.diag([3.0, 3, 3, 1]))
    image.header["xyzt_units"] = unit
    nib.save(image, path)
    notes = [note for note in read_volume(path).notes if "check the unit" in note]
    assert len(notes) == bool(said) and all(said in note for note in notes)


def test_a_scan_without_a_single_number_is_refused(tmp_path):
    with pytest.raises(VolumeError, match="no valid voxel"):
        read_volume(save(tmp_path / "scan.nii", np.full_like(voxels(np.float32), np.nan)))


def test_a_clean_scan_has_no_notes(tmp_path):
    for unit in (0, 2):  # not stated, as most programs write it, and mm
        assert read_volume(save(tmp_path / "scan.nii", xyzt_units=unit)).notes == ()


REFUSED_HEADERS = {
    "sizeof_hdr": ({"sizeof_hdr": 340}, "not a NIfTI"),
    "magic": ({"magic": b"abc"}, "Analyze"),
    "pair": ({"magic": b"ni1"}, "two-file"),
    "dimension count": ({"dim": (9, 9, 8, 7, 1, 1, 1, 1)}, "impossible image size"),
    "no dimension": ({"dim": (0, 9, 8, 7, 1, 1, 1, 1)}, "impossible image size"),
    "zero axis": ({"dim": (3, 9, 0, 7, 1, 1, 1, 1)}, "impossible image size"),
    "negative axis": ({"dim": (3, 9, -8, 7, 1, 1, 1, 1)}, "impossible image size"),
    "two axes": ({"dim": (2, 9, 8, 1, 1, 1, 1, 1)}, "2D"),
    "frames": ({"dim": (4, 9, 8, 1, 7, 1, 1, 1)}, "holds 7 volumes"),
    "vector": ({"dim": (5, 9, 8, 1, 1, 7, 1, 1)}, "holds 7 volumes"),
    "more voxels": ({"dim": (3, 90, 8, 7, 1, 1, 1, 1)}, "truncated"),
    "fewer voxels": ({"dim": (3, 9, 8, 3, 1, 1, 1, 1)}, "more data than its header"),
    "huge": ({"dim": (3, 32767, 32767, 32767, 1, 1, 1, 1)}, "truncated or has a damaged header"),
    "rgb": ({"datatype": 128, "bitpix": 24}, "colour"),
    "rgba": ({"datatype": 2304, "bitpix": 32}, "colour"),
    "complex": ({"datatype": 32, "bitpix": 64}, "complex"),
    "no type": ({"datatype": 0}, "type 0"),
    "unknown type": ({"datatype": 9999}, "type 9999"),
    "offset zero": ({"vox_offset": 0}, "cannot start at byte 0"),
    "offset huge": ({"vox_offset": 1e9}, "truncated"),
    "offset nan": ({"vox_offset": np.nan}, "cannot start"),
    "slope inf": ({"scl_slope": np.inf}, "damaged intensity scaling"),
    "nan affine": ({"srow_x": (np.nan, 0, 0, 0)}, "no usable position"),
    "singular affine": ({"srow_y": (0, 0, 0, 0)}, "no usable position"),
    "quaternion": ({"quatern_b": 3, "qform_code": 1, "sform_code": 0}, "damaged header"),
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("fields", "sentence"), REFUSED_HEADERS.values(), ids=REFUSED_HEADERS)
def test_a_damaged_or_unsuitable_header_is_refused_with_a_sentence(tmp_path, fields, sentence, suffix):
    plain = save(tmp_path / "plain.nii", **fields)
    path = tmp_path / f"scan{suffix}"
    path.write_bytes(plain.read_bytes() if suffix == ".nii" else gzip.compress(plain.read_bytes()))
    with pytest.raises(VolumeError, match=sentence) as caught:
        read_volume(path)
    assert str(caught.value).startswith(path.name)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_every_cut_of_a_file_is_refused(tmp_path):
    whole = save(tmp_path / "whole.nii").read_bytes()
    packed = gzip.compress(whole)
    path, packed_path = tmp_path / "cut.nii", tmp_path / "cut.nii.gz"
    for content, target in ((whole, path), (packed, packed_path)):
        cuts = [len(content) * percent // 100 for percent in range(0, 100, 10)]
        for length in [*cuts, *(len(content) - lost for lost in range(1, 9))]:
            target.write_bytes(content[:length])
            with pytest.raises(VolumeError):
                read_volume(target)


def test_no_flipped_bit_of_a_compressed_scan_goes_unnoticed(tmp_path):
    content = gzip.compress(save(tmp_path / "whole.nii").read_bytes(), mtime=0)
    expected = voxels()
    path = tmp_path / "flipped.nii.gz"
    random = np.random.default_rng(3)
    for position in random.integers(10, len(content), 300):  # the first ten bytes are gzip's own header
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            found = read_volume(path).array
        except VolumeError:
            continue
        assert np.array_equal(found, expected), f"byte {position} changed voxels without a word"


def test_a_few_bytes_of_padding_are_noted_not_refused(tmp_path):
    path = save(tmp_path / "padded.nii", xyzt_units=2)
    path.write_bytes(path.read_bytes() + bytes(16))
    volume = read_volume(path)
    assert np.array_equal(volume.array, voxels())
    assert volume.notes == ("16 bytes after the last voxel were ignored.",)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.nii", b"", "empty"),
        ("empty.nii.gz", b"", "empty"),
        ("text.nii", b"this is a text file\n" * 50, "not a NIfTI"),
        ("text.nii.gz", b"this is a text file\n" * 50, "not gzip-compressed"),
        ("packed.nii", gzip.compress(bytes(1000), mtime=0), "gzip-compressed but not named so"),
        ("junk.nii.gz", gzip.compress(bytes(1000), mtime=0), "not a NIfTI"),
        ("scan.png", b"x", "type that cannot be read"),
        ("empty.nrrd", b"", "empty"),
        ("text.nrrd", b"this is a text file\n", "damaged"),
        ("text.mha", b"this is a text file\n", "damaged"),
    ],
)
def test_files_that_are_no_scans_are_refused(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VolumeError, match=sentence):
        read_volume(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    (tmp_path / "folder.nii").mkdir()
    for name in ("folder.nii", "missing.nii.gz"):
        with pytest.raises(VolumeError, match="is not a file"):
            read_volume(tmp_path / name)


def test_a_small_file_that_announces_a_huge_scan_is_refused_before_memory_is_taken(tmp_path):
    plain = save(tmp_path / "plain.nii", dim=(3, 2048, 2048, 2048, 1, 1, 1, 1)).read_bytes()
    path = tmp_path / "bomb.nii.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(plain[:352])
        for _ in range(40):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    start = time.monotonic()
    with pytest.raises(VolumeError):
        read_volume(path)
    assert time.monotonic() - start < 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_a_bomb_behind_an_honest_looking_header_is_read_no_further_than_announced(tmp_path):
    path = tmp_path / "bomb.nii.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(save(tmp_path / "plain.nii").read_bytes())
        for _ in range(200):
            file.write(bytes(1 << 20))
    start = time.monotonic()
    with pytest.raises(VolumeError, match="more data than its header announces"):
        read_volume(path)
    assert time.monotonic() - start < 0.5


def test_a_scan_that_does_not_fit_into_memory_is_refused_with_both_numbers(tmp_path, monkeypatch):
    path = save(tmp_path / "scan.nii", voxels(np.float64, (80, 80, 80)))
    monkeypatch.setattr(limits, "available_memory", lambda: 1_000_000)
    with pytest.raises(VolumeError, match=r"scan.nii needs about .* GB"):
        read_volume(path)
    assert read_geometry(path).shape == (80, 80, 80)


def test_geometry_is_read_without_the_voxels(tmp_path):
    path = save(tmp_path / "scan.nii")
    whole = read_volume(path).geometry
    assert whole.matches(read_geometry(path), tolerance_mm=0)


def test_cifti_in_a_nifti_is_refused_politely(tmp_path):
    path = tmp_path / "dense.dconn.nii"
    save(tmp_path / "plain.nii", np.zeros((1, 1, 1, 1, 6, 6), np.float32)).rename(path)
    with pytest.raises(VolumeError, match="36 volumes"):
        read_volume(path)


def test_names_with_odd_characters_are_read(tmp_path):
    for name in ("Müller 左心房.nii", "trailing .nii", "a" * 240 + ".nii"):
        assert read_volume(save(tmp_path / name)).array.shape == SHAPE
        assert is_volume(tmp_path / name)


def test_volumes_are_found_in_subfolders_but_not_hidden_ones(tmp_path):
    for name in ("b.nii.gz", "a.NII", "sub/c.nrrd", ".hidden/d.nii", "sub/._c.nii", "notes.txt", "x.mhd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.nii").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_volumes(tmp_path)]
    assert found == ["a.NII", "b.nii.gz", "sub/c.nrrd", "x.mhd"]


def test_stem_drops_the_whole_suffix_only():
    names = ("scan.nii.gz", "scan.1.NII.GZ", "a.b.nrrd", "c.mha")
    assert [stem(name) for name in names] == ["scan", "scan.1", "a.b", "c"]


def test_reading_needs_neither_torch_nor_a_window():
    code = (
        "import sys; from napari_dycon.io import masks, nrrd, metaimage, exports, dicom;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'monai', 'napari', 'qtpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
