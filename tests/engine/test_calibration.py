"""Temperature, entropy and expected Dice against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dycon.engine.calibration import (
    HIGHEST,
    ExpectedDice,
    Tempering,
    entropy,
    expected_dice,
    fit_temperature,
    mutual_information,
    near_structures,
    negative_log_likelihood,
    temper,
)


def softmax(scores):
    power = np.exp(scores - scores.max(axis=0))
    return power / power.sum(axis=0)


def draw(probabilities, random):
    """One class a voxel, each with its probability."""
    return (random.random(probabilities.shape[1]) > probabilities.cumsum(axis=0)).sum(axis=0)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("excess", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoiled_the_probabilities_is_found_again(classes, excess):
    random = np.random.default_rng(0)
    scores = 1.5 * random.normal(size=(classes, 60_000))
    labels = draw(softmax(scores), random)
    assert fit_temperature(softmax(scores * excess), labels) == pytest.approx(excess, rel=0.05)


def test_no_other_temperature_makes_the_labels_likelier():
    random = np.random.default_rng(1)
    scores = random.normal(size=(3, 5000))
    probabilities, labels = softmax(2.2 * scores + 0.3), draw(softmax(scores), random)
    best = fit_temperature(probabilities, labels)
    least = negative_log_likelihood(probabilities, labels, best)
    for other in (0.8 * best, 0.97 * best, 1.03 * best, 1.25 * best):
        assert least < negative_log_likelihood(probabilities, labels, other)
    at_labels = temper(probabilities, best)[labels, np.arange(5000)].astype(float)
    assert least == pytest.approx(-np.log(at_labels).mean(), rel=1e-5)


def test_a_model_that_knows_nothing_is_made_as_unsure_as_allowed():
    random = np.random.default_rng(2)
    probabilities = softmax(20 * random.normal(size=(2, 4000)))
    assert fit_temperature(probabilities, random.integers(0, 2, 4000)) == pytest.approx(HIGHEST, rel=0.01)


def test_labels_that_cannot_tell_give_no_temperature():
    probabilities = softmax(np.random.default_rng(3).normal(size=(3, 100)))
    assert fit_temperature(probabilities, probabilities.argmax(axis=0)) is None
    assert fit_temperature(probabilities[:, :0], np.zeros(0, int)) is None


def test_a_certain_and_wrong_model_still_has_a_finite_temperature():
    probabilities = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)
    assert np.isfinite(fit_temperature(probabilities, np.array([1, 0, 1])))


@pytest.mark.parametrize("temperature", [0.25, 1.0, 2.3, 8.0])
def test_tempering_is_a_softmax_of_divided_scores(temperature):
    scores = 4 * np.random.default_rng(4).normal(size=(4, 500))
    tempered = temper(softmax(scores), temperature)
    np.testing.assert_allclose(tempered, softmax(scores / temperature), atol=1e-6)
    np.testing.assert_array_equal(tempered.argmax(axis=0), scores.argmax(axis=0))


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_class_by_class_gives_the_same_entropy_as_all_at_once(temperature):
    probabilities = softmax(6 * np.random.default_rng(5).normal(size=(4, 3, 5, 7))).astype(np.float32)
    probabilities[:, 0, 0, 0] = [1, 0, 0, 0]
    stream = Tempering((3, 5, 7), temperature)
    parts = [stream.add(one) for one in probabilities]
    np.testing.assert_allclose(np.stack(parts) / stream.total, temper(probabilities, temperature), atol=1e-6)
    np.testing.assert_allclose(stream.entropy(), entropy(temper(probabilities, temperature)), atol=2e-6)


def test_entropy_goes_from_sure_to_undecided():
    probabilities = np.array([[1.0, 1 / 3], [0.0, 1 / 3], [0.0, 1 / 3]])
    np.testing.assert_allclose(entropy(probabilities), [0, 1], atol=1e-6)


def test_networks_disagree_where_each_is_sure_of_another_class():
    sure, torn, unsure = [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]
    members = np.array([[sure, sure, unsure], [sure, torn, unsure]]).transpose(0, 2, 1)
    np.testing.assert_allclose(mutual_information(members), [0, 1, 0], atol=1e-6)


def test_expected_dice_is_the_mean_over_truths_that_the_probabilities_allow():
    random = np.random.default_rng(6)
    probabilities = softmax(2 * random.normal(size=(3, 20, 20, 10)))
    mask, flat = probabilities.argmax(axis=0), probabilities.reshape(3, -1)
    truths = [draw(flat, random).reshape(mask.shape) for _ in range(200)]
    for index, expected in enumerate(expected_dice(probabilities, mask, (1, 1, 1)), start=1):
        scores = [
            2 * ((mask == index) & (t == index)).sum() / ((mask == index).sum() + (t == index).sum())
            for t in truths
        ]
        assert expected == pytest.approx(np.mean(scores), abs=0.005)


def test_nothing_is_expected_of_a_structure_that_was_not_found():
    low = np.stack([np.full((2, 3, 4), 0.9), np.full((2, 3, 4), 0.1)])
    assert expected_dice(low, np.zeros((2, 3, 4), int), (1, 1, 1)) == [None]
    sure = np.zeros((2, 2, 3, 4))
    sure[1, 0], sure[0, 1] = 1, 1
    assert expected_dice(sure, sure.argmax(axis=0), (1, 1, 1)) == [pytest.approx(1)]


def island(doubt):
    """A structure of 8 voxels a side that is found with 0.9, with an island of 0.6 or some doubt far away."""
    probability = np.zeros((60, 12, 12))
    probability[2:10, 2:10, 2:10] = 0.9
    probability[40:50] = doubt
    probabilities = np.stack([1 - probability, probability])
    return probabilities, probabilities.argmax(axis=0)


@pytest.mark.parametrize("doubt", [0.3, 0.6])
def test_what_is_far_from_the_piece_that_is_kept_does_not_count(doubt):
    probabilities, found = island(doubt)
    kept = found.copy()
    kept[40:] = 0
    sums = ExpectedDice(2, found.shape, (1, 1, 1))
    for first in range(0, 60, 7):
        sums.add(probabilities[:, first : first + 7], found[first : first + 7], first)
    assert sums.near(kept, [1]) == [pytest.approx(2 * 0.9 / 1.9)]
    finer = np.repeat(np.repeat(7 * kept, 2, axis=0), 3, axis=2)
    assert sums.near(finer, [7]) == [pytest.approx(2 * 0.9 / 1.9)]


def test_doubt_beside_the_structure_lowers_what_is_expected():
    probabilities, found = island(0.0)
    probabilities[1, 10:13, 2:10, 2:10] = 0.3
    probabilities[0] = 1 - probabilities[1]
    beside = 0.3 * 3 * 64
    assert expected_dice(probabilities, found, (1, 1, 1)) == [
        pytest.approx(2 * 0.9 * 512 / (1.9 * 512 + beside))
    ]


def test_near_is_a_distance_in_millimetres():
    inside = np.zeros((20, 20, 20), bool)
    inside[10, 10, 10] = inside[2, 3, 19] = True
    spacing = np.array([1.0, 2.0, 0.5])
    places = np.argwhere(np.ones_like(inside))
    away = [np.sqrt((((places - place) * spacing) ** 2).sum(axis=1)) for place in np.argwhere(inside)]
    expected = (np.min(away, axis=0) <= 4.0).reshape(inside.shape)
    np.testing.assert_array_equal(near_structures(inside, spacing, 4.0), expected)
    assert not near_structures(np.zeros((3, 4, 5), bool), spacing).any()
