import numpy as np
import pytest

from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.consensus import consensus, disagreement

SHAPE = (24, 24, 12)


def ball(radius, centre=(12, 12, 6)):
    grid = np.indices(SHAPE).T
    distance = np.linalg.norm(grid - centre, axis=-1).T
    return (distance <= radius).astype(np.uint8)


def noisy(truth, share, seed):
    """Labels of a reader who is wrong in a share of the voxels."""
    wrong = np.random.default_rng(seed).random(truth.shape) < share
    return Annotation.full(np.where(wrong, 1 - truth, truth).astype(np.uint8))


def test_what_readers_agree_on_is_known_and_the_rest_left_to_a_person():
    small, large = ball(3), ball(5)
    made = consensus([Annotation.full(small), Annotation.full(large)], "agreed")
    differing = small != large
    assert (made.known[differing] == Known.UNKNOWN).all()
    assert (made.labels[~differing] == small[~differing]).all()
    assert (made.known[~differing] == Known.DRAWN).all()
    assert (disagreement([Annotation.full(small), Annotation.full(large)]) == differing).all()


def test_the_majority_decides_and_a_tie_stays_open():
    values = [ball(3), ball(5), ball(5)]
    made = consensus([Annotation.full(each) for each in values], "majority")
    assert (made.labels == ball(5)).all()
    assert set(np.unique(made.known[values[0] != values[1]])) == {Known.INTERPOLATED}
    tied = consensus([Annotation.full(each) for each in values[:2]], "majority")
    assert (tied.known[values[0] != values[1]] == Known.UNKNOWN).all()


def test_staple_trusts_the_readers_who_bear_each_other_out_more_than_a_majority_can():
    truth = ball(5)
    good = [noisy(truth, 0.03, seed) for seed in (1, 2, 3)]
    poor = [noisy(truth, 0.4, seed) for seed in (4, 5, 6, 7)]
    wrong = {
        rule: np.count_nonzero(consensus([*good, *poor], rule).labels != truth)
        for rule in ("majority", "staple")
    }
    assert wrong["staple"] < 0.5 * wrong["majority"]


def test_structures_are_decided_together_whatever_their_values():
    labels = ball(5)
    labels[:12][labels[:12] == 1] = 255
    other = labels.copy()
    other[12, 12, 6] = 255
    made = consensus([Annotation.full(each) for each in (labels, labels, other)], "staple")
    assert (made.labels == labels).all()


def test_a_voxel_counts_for_those_who_know_it():
    one, two = Annotation.full(ball(5)), Annotation.full(ball(3))
    one.known[:, :, 8:] = Known.UNKNOWN
    one.known[:, :, :2] = Known.IGNORE
    made = consensus([one, two], "agreed")
    alone = np.zeros(SHAPE, bool)
    alone[:, :, 8:] = alone[:, :, :2] = True
    assert (made.labels[alone] == ball(3)[alone]).all()
    assert (made.known[alone] == Known.DRAWN).all()


def test_background_that_nobody_painted_is_completed_so_that_a_tick_can_be_taken_back():
    one, two = Annotation.full(ball(3)), Annotation.full(ball(3))
    for each in (one, two):
        each.known[each.labels == 0] = Known.COMPLETED
    made = consensus([one, two], "agreed")
    assert (made.known == np.where(ball(3) > 0, Known.DRAWN, Known.COMPLETED)).all()


def test_it_takes_two_readers_of_one_scan():
    with pytest.raises(ValueError, match="two"):
        consensus([Annotation.full(ball(3))], "agreed")
    with pytest.raises(ValueError, match="one shape"):
        consensus([Annotation.full(ball(3)), Annotation.full(ball(3)[:5])], "agreed")
