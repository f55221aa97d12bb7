import numpy as np
import pytest

from napari_dycon.study.truth.regions import (
    bounding_box,
    connected_piece,
    contains,
    cuboid,
    everything,
    one_slice,
    polygon,
    relative,
    select,
    shift,
)

SHAPE = (6, 5, 4)


@pytest.mark.parametrize("axis", range(3))
def test_a_slice_is_one_voxel_thick_along_its_axis(axis):
    mask = one_slice(SHAPE, axis, 2).full_mask(SHAPE)
    assert mask.sum() == np.prod(SHAPE) / SHAPE[axis]
    assert mask.take(2, axis).all()


@pytest.mark.parametrize(("axis", "index"), [(0, 6), (2, -1), (3, 0)])
def test_a_slice_that_is_not_there_is_refused(axis, index):
    with pytest.raises(ValueError, match="no slice"):
        one_slice(SHAPE, axis, index)


def test_a_box_holds_the_voxels_whose_centres_lie_between_its_corners():
    mask = cuboid(SHAPE, (4.4, 0.5, -3), (1.6, 2.0, 99)).full_mask(SHAPE)
    assert np.argwhere(mask).min(axis=0).tolist() == [2, 1, 0]
    assert np.argwhere(mask).max(axis=0).tolist() == [4, 2, 3]
    assert cuboid(SHAPE, (20, 20, 20), (30, 30, 30)).voxels == 0


def test_a_polygon_holds_the_centres_inside_it():
    picked = polygon((20, 20, 3), 2, 1, [(2.5, 2.5), (2.5, 10.5), (8.5, 10.5), (8.5, 2.5)])
    mask = picked.full_mask((20, 20, 3))
    assert mask.sum() == picked.voxels == 6 * 8
    assert mask[3:9, 3:11, 1].all()
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = np.stack([50 + 30 * np.cos(angles), 60 + 30 * np.sin(angles)], axis=1)
    y, z = np.indices((100, 120))
    disc = (y - 50) ** 2 + (z - 60) ** 2 < 30**2
    found = polygon((4, 100, 120), 0, 3, circle).full_mask((4, 100, 120))[3]
    assert np.count_nonzero(found != disc) < 0.01 * disc.sum()


def test_polygons_that_share_an_edge_cover_the_plane_once():
    shape, middle = (30, 30, 1), (13.0, 17.0)
    corners = [(-1.0, -1.0), (-1.0, 30.0), (30.0, 30.0), (30.0, -1.0)]
    parts = [
        polygon(shape, 2, 0, [a, b, middle]) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    assert (sum(part.full_mask(shape).astype(int) for part in parts) == 1).all()


def test_a_polygon_that_crosses_itself_follows_the_even_odd_rule_and_one_outside_is_empty():
    bow = polygon((21, 21, 1), 2, 0, [(-0.5, -0.5), (20.5, 20.5), (20.5, -0.5), (-0.5, 20.5)]).full_mask(
        (21, 21, 1)
    )
    assert bow[2, 10, 0]
    assert bow[18, 10, 0]
    assert not bow[10, 2, 0]
    assert polygon(SHAPE, 2, 0, [(50, 50), (60, 50), (60, 60)]).voxels == 0
    with pytest.raises(ValueError, match="three vertices"):
        polygon(SHAPE, 2, 0, [(1, 1), (2, 2)])


def test_a_piece_is_what_hangs_together_by_faces_with_the_voxel():
    values = np.zeros(SHAPE, np.uint8)
    values[0:2, 0, 0] = values[2, 1, 0] = values[4, 4, 3] = 3
    piece = connected_piece(values, (0, 0, 0))
    assert np.argwhere(piece.full_mask(SHAPE)).tolist() == [[0, 0, 0], [1, 0, 0]]
    assert connected_piece(values, (5, 0, 0)).voxels == (values == 0).sum()


def test_slabs_cover_a_selection_once():
    mask = np.random.default_rng(0).random(SHAPE) < 0.3
    total = np.zeros(SHAPE, int)
    for part in select(SHAPE, mask).slabs(7):
        total += part.full_mask(SHAPE)
    assert np.array_equal(total, mask)
    assert sum(part.voxels for part in everything(SHAPE).slabs(30)) == np.prod(SHAPE)


def test_all_ways_to_name_a_part_mean_the_same():
    mask = np.zeros(SHAPE, bool)
    mask[:, 1:3, -1] = True
    for region in (mask, (slice(None), slice(1, 3), 3), (slice(None), slice(1, 3), -1)):
        assert np.array_equal(select(SHAPE, region).full_mask(SHAPE), mask)
    assert select(SHAPE, None).voxels == mask.size
    assert select(SHAPE, np.zeros(SHAPE, bool)).voxels == 0
    with pytest.raises(ValueError, match="differ in size"):
        select(SHAPE, np.zeros((1, 2, 3), bool))
    with pytest.raises(ValueError, match="no step"):
        select(SHAPE, (slice(None, None, 2),))


def test_boxes_within_boxes():
    mask = np.zeros(SHAPE, bool)
    mask[2:4, 1, 1:3] = True
    box = bounding_box(mask)
    assert box == (slice(2, 4), slice(1, 2), slice(1, 3))
    assert bounding_box(mask, (9, 1, 0)) == (slice(0, 6), slice(0, 3), slice(1, 3))
    assert bounding_box(~mask & mask) is None
    outer = bounding_box(mask, 1)
    assert contains(outer, box)
    assert not contains(box, outer)
    assert shift(relative(box, outer), outer) == box
