import bz2
import gzip
import itertools

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


@pytest.mark.parametrize("write", ["nrrd", "meta"])
@pytest.mark.parametrize(
    "where", ["LIST", "LIST 2", "list", "slice%03d.raw 1 9 1", "s.%d", "../%03d.raw 1 7 1"]
)
def test_voxels_in_a_file_for_each_slice_are_refused_as_that(tmp_path, write, where):
    if write == "nrrd":
        path = write_nrrd(tmp_path / "scan.nhdr", b"", **{"data file": where})
    else:
        path = write_meta(tmp_path / "scan.mhd", b"slice001.raw\nslice002.raw\n", ElementDataFile=where)
    for reader in (read_volume, read_geometry):
        with pytest.raises(VolumeError, match=r"from many files .* save the scan as one file"):
            reader(path)


@pytest.mark.parametrize("write", ["nrrd", "meta"])
def test_one_file_that_is_only_called_like_a_pattern_is_read(tmp_path, write):
    (tmp_path / "100%dose.raw").write_bytes(DATA)
    if write == "nrrd":
        path = write_nrrd(tmp_path / "scan.nhdr", b"", **{"data file": "100%dose.raw"})
    else:
        path = write_meta(tmp_path / "scan.mhd", b"", ElementDataFile="100%dose.raw")
    assert np.array_equal(read_volume(path).array, VOXELS)


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


NRRD = {
    "type": "int16",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "9 8 7",
    "space directions": "(2,0,0) (0,3,0) (0,0,4)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(10,20,30)",
}
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "1 2 3",
    "ElementSpacing": "1 1.1 1.2",
    "DimSize": "9 8 7",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}
DATA = VOXELS.tobytes(order="F")


def write_nrrd(path, data=DATA, **changes):
    fields = {**NRRD, **{key.replace("_", " "): value for key, value in changes.items()}}
    lines = ["NRRD0005", *(f"{key}: {value}" for key, value in fields.items() if value is not None)]
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + data)
    return path


def write_meta(path, data=DATA, **changes):
    fields = {**META, **changes}
    fields["ElementDataFile"] = fields.pop("ElementDataFile")
    lines = [f"{key} = {value}" for key, value in fields.items() if value is not None]
    path.write_bytes("\n".join(lines).encode() + b"\n" + data)
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *itertools.product(["NDims"], ["-1", "0", "93", "1000", "99999999999", "3.5", "nan", "", "x"]),
        *itertools.product(
            ["DimSize"], ["0 8 9", "-9 8 7", "9 8", "9 8 7 1", "nan 8 7", "99999999 8 7", "", "9 8 7x"]
        ),
        *itertools.product(
            ["ElementSpacing"], ["nan 1 1", "inf 1 1", "0 1 1", "1 1", "1e110 1 1", "1e-30 1 1"]
        ),
        *itertools.product(["TransformMatrix"], ["0 0 0 0 1 0 0 0 1", "1 0 0", "inf 0 0 0 1 0 0 0 1"]),
        *itertools.product(["Offset"], ["nan 0 0", "1e300 0 0", "1 2"]),
        *itertools.product(["ElementType"], ["MET_STRING", "", "MET_OTHER", "MET_FLOAT_ARRAY"]),
        *itertools.product(["ElementNumberOfChannels"], ["3", "0", "-1", "1e9"]),
        ("ElementDataFile", ""),
    ],
)
def test_no_metaimage_header_gets_further_than_a_sentence(tmp_path, key, value):
    path = write_meta(tmp_path / "scan.mha", **{key: value})
    with pytest.raises(VolumeError, match=r"scan\.mha"):
        read_volume(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *itertools.product(["dimension"], ["-1", "0", "17", "99999999999", "2.5", "nan", ""]),
        *itertools.product(["sizes"], ["0 8 7", "-9 8 7", "9 8", "nan 8 7", "99999999 8 7", ""]),
        *itertools.product(
            ["space directions"],
            ["(nan,0,0) (0,1,0) (0,0,1)", "(0,0,0) (0,1,0) (0,0,1)", "(1,0,0) (0,1,0)", "(1,0) (0,1) (0,0)"],
        ),
        *itertools.product(["space directions"], ["(1e110,0,0) (0,1,0) (0,0,1)", "(x,0,0) (0,1,0) (0,0,1)"]),
        *itertools.product(["space origin"], ["(nan,0,0)", "(1e300,0,0)", "(1,2)"]),
        *itertools.product(["type"], ["block", "", "complex", "int128"]),
        *itertools.product(["encoding"], ["hex", "", "zstd"]),
        *itertools.product(["space units"], ['"parsec" "mm" "mm"', '"mm"']),
        ("endian", "middle"),
        ("byte skip", "99999999"),
        ("line skip", "2"),
    ],
)
def test_no_nrrd_header_gets_further_than_a_sentence(tmp_path, key, value):
    path = write_nrrd(tmp_path / "scan.nrrd", **{key: value})
    with pytest.raises(VolumeError, match=r"scan\.nrrd"):
        read_volume(path)


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (-1, -1, 1)),
        ("LPS", (-1, -1, 1)),
        ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
    ],
)
@pytest.mark.parametrize(("unit", "factor"), [(None, 1), ("mm", 1), ("um", 0.001), ("m", 1000), ("cm", 10)])
def test_spaces_and_units_of_nrrd_become_millimetres(tmp_path, space, signs, unit, factor):
    units = None if unit is None else f'"{unit}" "{unit}" "{unit}"'
    volume = read_volume(write_nrrd(tmp_path / "scan.nrrd", space=space, space_units=units))
    expected = np.diag([*signs, 1.0]) @ np.array(
        [[2, 0, 0, 10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1.0]]
    )
    expected[:3] *= factor
    np.testing.assert_allclose(volume.geometry.affine, expected)
    assert np.array_equal(volume.array, VOXELS)
    assert all("check the unit" in note for note in volume.notes), "the size alone, where no body has it"
    assert len(volume.notes) == (factor in (0.001, 1000))


@pytest.mark.parametrize("space", [None, "scanner-xyz", "3D-right-handed"])
def test_a_space_that_is_not_the_patients_is_noted(tmp_path, space):
    volume = read_volume(write_nrrd(tmp_path / "scan.nrrd", space=space))
    assert any("no position" in note for note in volume.notes)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("bzip2", bz2.compress),
        ("ascii", lambda data: " ".join(map(str, np.frombuffer(data, "<i2"))).encode()),
    ],
)
def test_every_encoding_of_nrrd_gives_the_same_voxels(tmp_path, encoding, pack):
    volume = read_volume(write_nrrd(tmp_path / "scan.nrrd", pack(DATA), encoding=encoding))
    assert np.array_equal(volume.array, VOXELS)


def test_voxels_can_be_the_last_bytes_of_the_file_and_of_either_byte_order(tmp_path):
    swapped = VOXELS.astype(">i2").tobytes(order="F")
    nrrd = write_nrrd(tmp_path / "scan.nrrd", b"anything" + swapped, byte_skip="-1", endian="big")
    meta = write_meta(tmp_path / "scan.mha", swapped, BinaryDataByteOrderMSB="True")
    for path in (nrrd, meta):
        volume = read_volume(path)
        assert np.array_equal(volume.array, VOXELS) and volume.array.dtype.isnative


def test_a_few_bytes_too_many_are_noted_and_a_slice_too_many_is_refused(tmp_path):
    volume = read_volume(write_nrrd(tmp_path / "scan.nrrd", DATA + b"xyz"))
    assert np.array_equal(volume.array, VOXELS)
    assert volume.notes == ("3 bytes after the last voxel were ignored.",)
    with pytest.raises(VolumeError, match="more data than its header announces"):
        read_volume(write_meta(tmp_path / "scan.mha", DATA + DATA))


def test_a_file_that_unpacks_without_end_is_not_unpacked_to_it(tmp_path):
    bomb = gzip.compress(bytes(200 << 20))
    with pytest.raises(VolumeError, match="more data than its header announces"):
        read_volume(write_nrrd(tmp_path / "scan.nrrd", bomb, encoding="gzip"))


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_random_damage_is_a_sentence_or_no_damage(tmp_path, name):
    """No byte of a header, wherever it is changed, ends in anything but an error for the user."""
    path = tmp_path / name
    good = (write_nrrd if name.endswith("nrrd") else write_meta)(path).read_bytes()
    random = np.random.default_rng(0)
    for _ in range(2000):
        damaged = bytearray(good[: random.integers(1, len(good) + 1)] if random.random() < 0.1 else good)
        for place in random.integers(0, min(len(damaged), 400), random.integers(1, 4)):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            read_volume(path)
        except VolumeError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(("unit", "factor"), [(None, 1), ("mm", 1), ("um", 0.001), ("cm", 10)])
def test_units_of_metaimage_become_millimetres(tmp_path, unit, factor):
    geometry = read_geometry(write_meta(tmp_path / "scan.mha", DistanceUnits=unit))
    np.testing.assert_allclose(geometry.spacing, np.array([1, 1.1, 1.2]) * factor)
    with pytest.raises(VolumeError, match="unit of length"):
        read_geometry(write_meta(tmp_path / "odd.mha", DistanceUnits="parsec"))


def test_a_voxel_size_that_is_not_stated_is_noted(tmp_path):
    meta = read_volume(write_meta(tmp_path / "scan.mha", ElementSpacing=None))
    nrrd = read_volume(write_nrrd(tmp_path / "scan.nrrd", space=None, **{"space directions": None}))
    for volume in (meta, nrrd):
        assert any("no voxel size" in note for note in volume.notes)


@pytest.mark.parametrize("write", [write_nrrd, write_meta])
def test_a_header_is_not_its_own_voxels(tmp_path, write):
    name = "scan.nhdr" if write is write_nrrd else "scan.mhd"
    key = "data file" if write is write_nrrd else "ElementDataFile"
    with pytest.raises(VolumeError, match="names itself"):
        read_volume(write(tmp_path / name, b"", **{key: name}))


@pytest.mark.parametrize("write", [write_nrrd, write_meta])
def test_a_data_file_of_an_impossible_name_is_a_sentence(tmp_path, write):
    name = "scan.nhdr" if write is write_nrrd else "scan.mhd"
    key = "data file" if write is write_nrrd else "ElementDataFile"
    with pytest.raises(VolumeError, match=r"scan\."):
        read_volume(write(tmp_path / name, b"", **{key: "x" * 300}))


@pytest.mark.parametrize(
    ("kind", "word"), [("uchar", "999"), ("int16", "nan"), ("int16", "1.5"), ("float", "1e300")]
)
def test_text_that_does_not_fit_its_type_is_refused(tmp_path, kind, word):
    words = " ".join([word, *["1"] * (VOXELS.size - 1)]).encode()
    with pytest.raises(VolumeError, match="does not fit its type"):
        read_volume(write_nrrd(tmp_path / "scan.nrrd", words, encoding="text", type=kind))


@pytest.mark.parametrize("write", ["nrrd", "meta"])
def test_axes_that_are_not_perpendicular_are_noted_with_the_angle(tmp_path, write):
    if write == "nrrd":
        path = write_nrrd(tmp_path / "scan.nrrd", space_directions="(1,0,0) (0.1,1,0) (0,0,1)")
    else:
        path = write_meta(tmp_path / "scan.mha", TransformMatrix="1 0 0 0.1 1 0 0 0 1")
    assert any("not perpendicular (5.7 degrees off)" in note for note in read_volume(path).notes)


@pytest.mark.parametrize(
    "line", ["sizes: 7 8 9", "space directions: (1,0,0) (0,1,0) (0,0,1)", "type: uint16"]
)
def test_an_nrrd_header_that_says_two_things_is_refused(tmp_path, line):
    path = write_nrrd(tmp_path / "scan.nrrd")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\n\n", b"\n" + line.encode() + b"\n\n", 1))
    with pytest.raises(VolumeError, match="twice"):
        read_volume(path)
    path.write_bytes(content.replace(b"\n\n", b"\nsizes: 9 8 7\n\n", 1))
    assert np.array_equal(read_volume(path).array, VOXELS), "the same thing twice is no contradiction"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Position", "5 5 5"),
        ("Origin", "5 5 5"),
        ("Orientation", "0 1 0 1 0 0 0 0 1"),
        ("dimsize", "7 8 9"),
        ("ELEMENTTYPE", "MET_USHORT"),
    ],
)
def test_a_metaimage_header_that_says_two_things_is_refused(tmp_path, key, value):
    with pytest.raises(VolumeError, match="twice"):
        read_volume(write_meta(tmp_path / "scan.mha", **{key: value}))
    assert read_volume(write_meta(tmp_path / "text.mha", Comment="one", comment="two")).notes == ()
    assert read_volume(write_meta(tmp_path / "same.mha", Position="1  2 3")).notes == ()


def test_spacings_that_contradict_the_directions_and_a_missing_origin_are_noted(tmp_path):
    volume = read_volume(write_nrrd(tmp_path / "scan.nrrd", spacings="9 3 4", space_origin=None))
    assert volume.geometry.spacing == pytest.approx((2, 3, 4))
    assert [word for word in ("differ from", "no origin") if any(word in note for note in volume.notes)] == [
        "differ from",
        "no origin",
    ]
    sound = write_nrrd(tmp_path / "sound.nrrd", spacings="2 nan 4", space_units='"cm" "cm" "cm"')
    assert read_volume(sound).notes == ()


def test_a_voxel_size_by_mins_and_maxs_is_refused_as_that(tmp_path):
    plain = {"space": None, "space directions": None, "space origin": None, "axis maxs": "9 16 21"}
    with pytest.raises(VolumeError, match="axis mins and maxs"):
        read_volume(write_nrrd(tmp_path / "scan.nrrd", **plain))


@pytest.mark.parametrize(("unit", "factor"), [("millimeters", 1), ("Microns", 0.001), ("\u03bcm", 0.001)])
def test_units_have_several_names(tmp_path, unit, factor):
    path = write_nrrd(tmp_path / "scan.nrrd", space_units=" ".join([f'"{unit}"'] * 3))
    np.testing.assert_allclose(read_geometry(path).spacing, np.array([2, 3, 4]) * factor)
