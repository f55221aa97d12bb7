from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.io.geometry import (
    PLANES,
    Geometry,
    Reorientation,
    affine_fault,
    is_invertible,
    plane_axis,
    plane_of_axis,
    slice_number,
)

ALL_CODES = ["".join(codes) for order in permutations(("LR", "PA", "IS")) for codes in product(*order)]
SPACING = {"L": 0.8, "R": 0.8, "P": 1.1, "A": 1.1, "I": 2.5, "S": 2.5}


def grid(codes, degrees=0.0, shape=(4, 5, 6)):
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    axes = np.eye(4)
    axes[:3, :3] = 0
    for axis, code in enumerate(codes):
        row = next(i for i, pair in enumerate(("LR", "PA", "IS")) if code in pair)
        axes[row, axis] = (-1 if code in "LPI" else 1) * SPACING[code]
    axes[:3, 3] = (10, -20, 30)
    return Geometry(shape, turn @ axes)


def test_there_are_48_orientations():
    assert len(set(ALL_CODES)) == 48


@pytest.mark.parametrize("degrees", [0, 17])
@pytest.mark.parametrize("codes", ALL_CODES)
def test_every_orientation_is_turned_to_ras_and_back_without_loss(codes, degrees):
    geometry = grid(codes, degrees)
    voxels = np.arange(120).reshape(geometry.shape)
    turn = Reorientation.to(geometry)
    canonical = turn.apply(voxels)
    expected = nib.as_closest_canonical(nib.Nifti1Image(voxels.astype(np.int16), geometry.affine))

    assert geometry.orientation == codes
    assert np.array_equal(canonical, np.asanyarray(expected.dataobj))
    assert np.allclose(turn.affine, expected.affine)
    assert np.allclose(turn.spacing, (0.8, 1.1, 2.5))
    assert turn.geometry.orientation == "RAS"
    assert np.array_equal(turn.invert(canonical), voxels)


@pytest.mark.parametrize("codes", ["LPS", "PIR", "SAL"])
def test_painting_in_the_reoriented_view_paints_the_source(codes):
    geometry = grid(codes)
    labels = np.zeros(geometry.shape, np.uint8)
    turn = Reorientation.to(geometry)
    turn.apply(labels)[0, 0, 0] = 7
    assert labels.max() == 7
    assert np.shares_memory(turn.invert(turn.apply(labels)), labels)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL", "IPR"])
def test_slices_keep_their_content_when_their_index_is_translated(codes):
    geometry = grid(codes)
    voxels = np.arange(120).reshape(geometry.shape)
    turn = Reorientation.to(geometry, "LPS")
    for axis in range(3):
        for index in range(geometry.shape[axis]):
            target_axis, target_index = turn.index_to_target(axis, index)
            here = np.sort(voxels.take(index, axis), axis=None)
            there = np.sort(turn.apply(voxels).take(target_index, target_axis), axis=None)
            assert np.array_equal(here, there)
            assert turn.index_to_source(target_axis, target_index) == (axis, index)
        assert turn.axis_of_target(turn.axis_of_source(axis)) == axis


def test_channels_in_front_stay_in_front():
    geometry = grid("PIR")
    stack = np.random.default_rng(0).random((2, *geometry.shape))
    turn = Reorientation.to(geometry)
    assert np.array_equal(turn.apply(stack)[1], turn.apply(stack[1]))
    assert np.array_equal(turn.invert(turn.apply(stack)), stack)


def test_planes_are_those_of_the_body_not_of_the_array():
    geometry = grid("PIR", 17)  # a sagittal acquisition: the third axis runs from left to right
    assert plane_axis(geometry, "sagittal") == 2
    assert plane_axis(geometry, "coronal") == 0
    assert plane_axis(geometry, "axial") == 1
    assert [plane_of_axis(geometry, plane_axis(geometry, plane)) for plane in PLANES] == list(PLANES)
    with pytest.raises(ValueError):
        plane_axis(geometry, "transversal")


def test_size_tilt_and_volume_of_an_oblique_grid():
    geometry = grid("LPS", 17)
    assert geometry.spacing == pytest.approx((0.8, 1.1, 2.5))
    assert geometry.tilt_degrees == pytest.approx(17)
    assert geometry.voxel_volume_mm3 == pytest.approx(0.8 * 1.1 * 2.5)
    assert grid("LPS").tilt_degrees == 0


def test_a_grid_matches_itself_and_not_one_that_is_moved_turned_or_resized():
    geometry = grid("LPS", 17)
    moved = geometry.affine.copy()
    moved[0, 3] += 0.5
    assert geometry.matches(Geometry(geometry.shape, geometry.affine.astype(np.float32)))
    assert not geometry.matches(Geometry(geometry.shape, moved))
    assert geometry.distance_mm(Geometry(geometry.shape, moved)) == pytest.approx(0.5)
    assert not geometry.matches(Geometry((4, 5, 7), geometry.affine))
    assert not geometry.matches(grid("LPS", 18))


@pytest.mark.parametrize("damage", [np.nan, 0.0])
def test_an_affine_without_a_direction_is_no_geometry(damage):
    affine = np.eye(4)
    affine[1, 1] = damage
    with pytest.raises(ValueError):
        Geometry((2, 2, 2), affine)


def test_the_affine_of_a_grid_cannot_be_changed_behind_its_back():
    affine = np.eye(4)
    geometry = Geometry((2, 2, 2), affine)
    affine[0, 3] = 5
    assert geometry.affine[0, 3] == 0
    with pytest.raises(ValueError):
        geometry.affine[0, 3] = 5


def test_slices_count_from_one_in_the_order_of_the_screen_however_they_are_stored():
    upwards, downwards = np.diag([1.0, 1, 1, 1]), np.diag([1.0, 1, -1, 1])
    assert slice_number(Geometry((4, 5, 6), upwards), 2, 0) == 6
    assert slice_number(Geometry((4, 5, 6), downwards), 2, 0) == 1


@pytest.mark.parametrize(
    ("columns", "origin", "said"),
    [
        (
            [(1, 0, 0), (0, np.nan, 0), (0, 0, 1)],
            (0, 0, 0),
            "the step along its second axis is (0, nan, 0) mm",
        ),
        ([(1, 0, 0), (0, 1, 0), (0, 0, 0)], (0, 0, 0), "the step along its third axis is (0, 0, 0) mm"),
        (
            [(1e300, 0, 0), (0, 1, 0), (0, 0, 1)],
            (0, 0, 0),
            "the step along its first axis is (1e+300, 0, 0) mm",
        ),
        (
            [(2, 0, 0), (0, 1, 0), (-3, 0, 0)],
            (0, 0, 0),
            "its first and third axes are parallel, along (1, 0, 0)",
        ),
        ([(1, 0, 0), (0, 1, 0), (1, 1, 0)], (0, 0, 0), "its three axes lie in one plane"),
        (
            [(1, 0, 0), (0, 1, 0), (0, 0, 1)],
            (0, np.inf, 0),
            "the position of its first voxel is (0, inf, 0) mm",
        ),
        ([(1, 0, 0), (0, 1, 0), (0.2, 0, 1)], (0, 0, 0), None),
    ],
)
def test_an_impossible_affine_is_told_by_its_axis_and_value(columns, origin, said):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.transpose(columns), origin
    assert affine_fault(affine) == said
    assert is_invertible(affine) == (said is None)
