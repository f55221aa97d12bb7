"""Masks that lie on the voxels of their scan, however these are stored, and masks that do not."""

import itertools

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.errors import GridMismatchError, VolumeError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.masks import read_labels, read_mask

SHAPE = (7, 8, 9)
CODES = [
    "".join(codes)
    for order in itertools.permutations(("LR", "PA", "IS"))
    for codes in itertools.product(*order)
]


def tilted(spacing=(0.8, 1.1, 2.5), degrees=17.0):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing)
    affine[:3, 3] = (31.25, -12.5, 140.75)
    return affine


def mask(shape=SHAPE):
    return np.random.default_rng(0).integers(0, 3, shape).astype(np.uint8)


def save(path, voxels, affine):
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


@pytest.mark.parametrize("shape", [SHAPE, (8, 8, 8)])
@pytest.mark.parametrize("codes", CODES)
def test_every_order_and_direction_of_the_axes_is_taken_over_exactly(tmp_path, codes, shape):
    """Also where all sides are equal, so that the affine alone tells the axes apart."""
    voxels, affine = mask(shape), tilted((1.0, 1.0, 1.0) if shape == (8, 8, 8) else (0.8, 1.1, 2.5))
    image = nib.Nifti1Image(voxels, affine)
    change = nib.orientations.ornt_transform(
        nib.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(codes))
    )
    path = tmp_path / "mask.nii.gz"
    nib.save(image.as_reoriented(change), path)
    found = read_mask(path, Geometry(shape, affine))
    assert np.array_equal(found, voxels) and found.flags.c_contiguous


@pytest.mark.parametrize("decimals", [3, 4])
@pytest.mark.parametrize("spacing", [(0.48828125, 0.48828125, 3.0), (0.7031, 0.7031, 1.25)])
def test_an_affine_that_was_rounded_is_the_same(tmp_path, decimals, spacing):
    affine, shape = tilted(spacing), (512, 4, 4)
    path = save(tmp_path / "mask.nii.gz", mask(shape), np.round(affine, decimals))
    assert np.array_equal(read_mask(path, Geometry(shape, affine)), mask(shape))


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("voxels", [-1, -0.5, 0.25, 0.5, 1, 3])
def test_a_mask_between_or_beside_the_voxels_is_refused(tmp_path, axis, voxels):
    affine = tilted()
    moved = affine.copy()
    moved[:3, 3] += voxels * affine[:3, axis]
    path = save(tmp_path / "mask.nii.gz", mask(), moved)
    with pytest.raises(GridMismatchError, match=r"mm from its scan"):
        read_mask(path, Geometry(SHAPE, affine))


@pytest.mark.parametrize("shape", [(7, 8, 10), (7, 8, 8), (8, 7, 9)])
def test_a_mask_of_another_size_is_refused(tmp_path, shape):
    path = save(tmp_path / "mask.nii.gz", mask(shape), tilted())
    with pytest.raises(GridMismatchError, match="made for another scan"):
        read_mask(path, Geometry(SHAPE, tilted()))


@pytest.mark.parametrize("change", [{"spacing": (0.8, 1.1, 2.6)}, {"degrees": 20.0}])
def test_a_mask_of_another_spacing_or_tilt_is_refused(tmp_path, change):
    path = save(tmp_path / "mask.nii.gz", mask(), tilted(**change))
    with pytest.raises(GridMismatchError):
        read_mask(path, Geometry(SHAPE, tilted()))


def segmentation(path, voxels, origin, segments):
    lines = [
        "NRRD0004",
        "type: unsigned char",
        "dimension: 3",
        "space: right-anterior-superior",
        "sizes: {} {} {}".format(*voxels.shape),
        "space directions: (1,0,0) (0,1,0) (0,0,2)",
        "kinds: domain domain domain",
        "encoding: raw",
        "space origin: ({},{},{})".format(*origin),
        *segments,
    ]
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + voxels.tobytes(order="F"))
    return path


def test_a_segmentation_that_was_cropped_lies_where_it_was(tmp_path):
    """3D Slicer stores the part of the scan in which there is something."""
    scan = Geometry((12, 10, 8), np.diag([1.0, 1, 2, 1]))
    part = np.ones((3, 4, 2), np.uint8)
    names = ["Segment0_Name:=liver", "Segment0_LabelValue:=1", "Segment0_Layer:=0"]
    found = read_labels(segmentation(tmp_path / "p.seg.nrrd", part, (2, 5, 6), names), scan)
    expected = np.zeros(scan.shape, np.uint8)
    expected[2:5, 5:9, 3:5] = 1
    assert np.array_equal(found.array, expected) and found.names == {1: "liver"}
    with pytest.raises(GridMismatchError):
        read_labels(segmentation(tmp_path / "q.seg.nrrd", part, (10, 5, 6), names), scan)
    plain = segmentation(tmp_path / "p.nrrd", part, (2, 5, 6), [])
    with pytest.raises(GridMismatchError):
        read_labels(plain, scan)


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        (["Segment0_Layer:=0", "Segment1_Layer:=1"], "segments that overlap"),
        (
            ["Segment0_Name:=a", "Segment0_LabelValue:=1", "Segment1_Name:=b", "Segment1_LabelValue:=1"],
            "value 1 to two segments",
        ),
    ],
)
def test_segments_that_one_label_map_cannot_hold_are_refused(tmp_path, segments, reason):
    scan = Geometry((12, 10, 8), np.diag([1.0, 1, 2, 1]))
    path = segmentation(tmp_path / "p.seg.nrrd", np.ones(scan.shape, np.uint8), (0, 0, 0), segments)
    with pytest.raises(VolumeError, match=reason):
        read_labels(path, scan)


def test_the_distance_of_a_mask_with_other_axes_is_measured_in_place(tmp_path):
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    turned = np.array([[0, -1.0, 0, 7.0 + 1], [1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1]])
    path = save(tmp_path / "mask.nii.gz", mask((8, 8, 9)), turned)
    with pytest.raises(GridMismatchError, match=r"1\.00 mm from its scan"):
        read_mask(path, Geometry((8, 8, 9), affine))


def test_a_segment_with_a_name_and_no_value_is_not_guessed(tmp_path):
    scan = Geometry((12, 10, 8), np.diag([1.0, 1, 2, 1]))
    path = segmentation(
        tmp_path / "p.nrrd", np.ones(scan.shape, np.uint8), (0, 0, 0), ["Segment0_Name:=liver"]
    )
    with pytest.raises(VolumeError, match="not its value"):
        read_labels(path, scan)
