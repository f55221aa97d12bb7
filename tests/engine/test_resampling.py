"""Resampling keeps places, values and what is known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dycon.engine.resampling import resample, resample_target, resample_weight, resampled_shape


def test_the_field_of_view_stays():
    assert resampled_shape((100, 90, 20), (0.5, 0.5, 5.0), (1.0, 1.0, 2.5)) == (50, 45, 40)
    assert resampled_shape((1, 3, 3), (1, 1, 1), (9, 9, 9)) == (1, 1, 1)


def test_the_same_shape_changes_nothing():
    array = np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32)
    assert np.array_equal(resample(array, (5, 6, 7)), array)


@pytest.mark.parametrize("shape", [(40, 12, 9), (7, 30, 5), (13, 13, 13)])
def test_a_linear_ramp_stays_linear_inside(shape):
    x = (np.arange(20) + 0.5) / 20
    result = resample(np.broadcast_to(x[:, None, None], (20, 15, 10)), shape)
    expected = (np.arange(shape[0]) + 0.5) / shape[0]
    inner = slice(2, -2)
    np.testing.assert_allclose(result[inner, 0, 0], expected[inner], atol=0.004)


def test_halving_averages_pairs_without_aliasing():
    stripes = np.tile(np.array([0.0, 1.0], np.float32), 16)
    result = resample(np.broadcast_to(stripes[:, None, None], (32, 4, 4)), (16, 4, 4))
    np.testing.assert_allclose(result[2:-2], 0.5, atol=0.01)


def test_a_box_keeps_its_place_and_volume_in_both_directions():
    target = np.zeros((20, 20, 20), np.uint8)
    target[4:12, 6:14, 8:16] = 2
    fine = resample_target(target, (40, 40, 40))
    assert (fine[8:24, 12:28, 16:32] == 2).mean() > 0.97
    assert abs(int((fine == 2).sum()) / 8 - 512) < 30
    coarse = resample_target(target, (10, 10, 10))
    assert np.array_equal(np.argwhere(coarse == 2).min(0), [2, 3, 4])
    assert int((coarse == 2).sum()) == 64


def test_what_is_unknown_stays_unknown_and_does_not_vote():
    target = np.full((12, 12, 12), 255, np.uint8)
    target[:, :, 6] = 1
    fine = resample_target(target, (12, 12, 24))
    assert set(np.unique(fine)) == {1, 255}
    assert np.flatnonzero((fine == 1).any((0, 1))).tolist() == [12, 13]


@pytest.mark.parametrize("new", [6, 8, 5, 7])
@pytest.mark.parametrize("index", range(12))
def test_a_single_labelled_slice_survives_coarsening(index, new):
    target = np.full((6, 6, 12), 255, np.uint8)
    target[:, :, index] = 0
    target[2:4, 2:4, index] = 1
    coarse = resample_target(target, (6, 6, new))
    known = np.flatnonzero((coarse != 255).any((0, 1)))
    assert 1 <= len(known) <= 2
    assert int((index + 0.5) * new / 12) in known or abs(known - (index + 0.5) * new / 12).min() <= 0.51
    assert (coarse[2:4, 2:4, known] == 1).all()


def test_do_not_care_never_wins_a_tie():
    target = np.zeros((2, 1, 1), np.uint8)
    target[1] = 254
    assert resample_target(target, (1, 1, 1))[0, 0, 0] == 0


def test_coarser_voxels_are_known_only_where_a_known_voxel_lies_in_them():
    target = np.full((48, 4, 4), 255, np.uint8)
    target[16:32] = 1
    coarse = resample_target(target, (12, 4, 4))
    assert np.flatnonzero((coarse != 255).all(axis=(1, 2))).tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("shape", [(5, 6, 7), (10, 12, 14), (3, 6, 4), (5, 3, 20)])
def test_weights_are_means_of_those_that_vote(shape):
    random = np.random.default_rng(0)
    voting = random.random((5, 6, 7)) < 0.3
    weight = random.choice(np.array([0.5, 1.0], np.float32), voting.shape)
    found = resample_weight(np.where(voting, weight, np.float32(1e9)), voting, shape)
    assert found.shape == shape and found.min() >= 0.5 - 1e-6 and found.max() <= 1 + 1e-6
    everywhere = resample_weight(np.full_like(weight, 0.5), np.ones_like(voting), shape)
    np.testing.assert_allclose(everywhere, 0.5, rtol=1e-5)
    target = np.where(voting, 1, 255).astype(np.uint8)
    learned = resample_target(target, shape) < 254
    halves = resample_weight(np.where(voting, np.float32(0.5), np.float32(1)), voting, shape)
    np.testing.assert_allclose(halves[learned], 0.5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 1), (2, 2, 2), (3, 3, 1)])
@pytest.mark.parametrize("at", [0, 7, 12, 30])
def test_a_structure_never_vanishes_on_a_coarser_grid(shape, at):
    target = np.zeros((33, 32, 40), np.uint8)
    target[tuple(slice(at, min(at + n, side)) for n, side in zip(shape, target.shape, strict=True))] = 2
    coarse = resample_target(target, (9, 11, 10))
    (place,) = np.argwhere(coarse == 2)[:1]
    centre = (np.argwhere(target == 2).mean(axis=0) + 0.5) / target.shape * coarse.shape
    assert np.abs(place + 0.5 - centre).max() <= 1


def test_small_lesions_are_kept_one_by_one_but_specks_beside_a_structure_are_not():
    target = np.zeros((40, 40, 40), np.uint8)
    target[2:14, 2:14, 2:14] = 1
    target[20:23, 20:23, 20:22] = target[30:33, 5:8, 30:33] = 1
    target[38, 38, 2] = 1
    coarse = resample_target(target, (10, 10, 10))
    assert (coarse[4:7, 4:7, 4:7] == 1).any() and (coarse[7:9, 1:3, 7:9] == 1).any()
    assert not (coarse[9, 9] == 1).any()


def test_unknown_voxels_stay_unknown_where_a_small_structure_is_kept():
    target = np.full((24, 24, 24), 255, np.uint8)
    target[:, :, 10] = 0
    target[5, 6, 10] = 3
    coarse = resample_target(target, (8, 8, 8))
    assert (coarse == 3).sum() == 1 and (coarse[:, :, :3] == 255).all()
