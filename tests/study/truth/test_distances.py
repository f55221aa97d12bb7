import numpy as np
import pytest

from napari_dycon.study.truth.distances import FAR, signed_distance


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.5, 2, 3)])
def test_the_border_runs_halfway_between_the_centres_on_both_sides(spacing):
    mask = np.zeros((8, 9, 10), bool)
    for axis in range(3):
        half = np.moveaxis(mask.copy(), axis, 0)
        half[:4] = True
        depth = np.moveaxis(signed_distance(np.moveaxis(half, 0, axis), spacing), axis, 0)[:, 3, 3]
        expected = (3.5 - np.arange(mask.shape[axis])) * spacing[axis]
        np.testing.assert_allclose(depth, expected, atol=1e-5)


def test_it_is_the_distance_to_the_nearest_voxel_of_the_other_side_in_between():
    rng = np.random.default_rng(0)
    mask, spacing = rng.random((7, 6, 5)) < 0.3, np.array([1.0, 1.5, 2.0])
    depth = signed_distance(mask, spacing)
    centres = np.indices(mask.shape).reshape(3, -1).T * spacing
    gaps = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    inside = mask.ravel()
    nearest = np.where(inside, gaps[:, ~inside].min(axis=1), gaps[:, inside].min(axis=1)).reshape(mask.shape)
    assert np.array_equal(depth > 0, mask)
    assert (np.abs(depth) <= nearest + 1e-5).all()


def test_all_or_nothing_is_far_from_any_border():
    assert (signed_distance(np.ones((3, 3), bool), (1, 1)) == FAR).all()
    assert (signed_distance(np.zeros((3, 3), bool), (1, 1)) == -FAR).all()
