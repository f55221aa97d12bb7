"""Figures of truthfulness against plain definitions and against simulated models."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dycon.benchmark.reliability import Agreement, Calibration, CheckedQuality, auroc, reliability
from napari_dycon.guidance.quality import Check


def simulated(excess, voxels=60_000, seed=0):
    """Probabilities of a model whose scores are `excess` times too large, and labels."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=voxels)
    labels = (random.random(voxels) < 1 / (1 + np.exp(-2 * scores))).astype(int)
    foreground = 1 / (1 + np.exp(-2 * excess * scores))
    return np.stack([1 - foreground, foreground]), labels


def test_auroc_is_the_chance_that_a_wrong_voxel_is_less_sure_than_a_right_one():
    random = np.random.default_rng(0)
    uncertainty = random.integers(0, 6, 120) / 5
    wrong = random.random(120) < 0.2 + 0.4 * uncertainty
    pairs = [(w, r) for w in uncertainty[wrong] for r in uncertainty[~wrong]]
    expected = np.mean([1.0 if w > r else 0.5 if w == r else 0.0 for w, r in pairs])
    assert auroc(uncertainty, wrong) == pytest.approx(expected)


def test_auroc_of_perfect_useless_and_misleading_maps():
    wrong = np.array([True, True, False, False, False])
    assert auroc(wrong.astype(float), wrong) == 1.0
    assert auroc(np.ones(5), wrong) == 0.5
    assert auroc(-wrong.astype(float), wrong) == 0.0
    assert auroc(np.ones(5), np.zeros(5, bool)) is None


def test_a_calibrated_model_has_next_to_no_calibration_error():
    found = reliability(*simulated(1.0))
    assert found.expected_calibration_error < 0.01
    assert abs(found.overconfidence) < 0.01
    assert np.nansum(found.share) == pytest.approx(1)


@pytest.mark.parametrize(("excess", "sign"), [(3.0, 1), (0.3, -1)])
def test_a_model_too_sure_or_not_sure_enough_is_told_apart(excess, sign):
    probabilities, labels = simulated(excess)
    found = Calibration.measure(probabilities, labels, 1.0)
    assert found.ece > 0.05
    assert sign * found.overconfidence == pytest.approx(found.ece, rel=0.05)
    assert found.nll > Calibration.measure(*simulated(1.0), 1.0).nll


def test_calibration_error_of_a_case_worked_by_hand():
    probabilities = np.array([[0.9, 0.9, 0.4, 0.45], [0.1, 0.1, 0.6, 0.55]])
    found = reliability(probabilities, np.array([0, 1, 1, 1]), bins=10)
    assert found.expected_calibration_error == pytest.approx(0.5 * 0.4 + 0.25 * 0.4 + 0.25 * 0.45)


def test_agreement_with_the_true_dice():
    found = Agreement.measure([0.9, 0.8, 0.6], [0.8, 0.75, 0.1])
    assert found.spearman == pytest.approx(1)
    assert found.pearson == pytest.approx(np.corrcoef([0.9, 0.8, 0.6], [0.8, 0.75, 0.1])[0, 1])
    assert found.mean_absolute_error == found.bias == pytest.approx(0.65 / 3)


@pytest.mark.parametrize("true", [[], [0.5], [0.5, 0.5, 0.5]])
def test_no_correlation_is_claimed_without_a_spread(true):
    found = Agreement.measure([0.1, 0.2, 0.3][: len(true)], true)
    assert found.spearman is None and found.pearson is None
    assert found.count == len(true)


def test_completed_cases_correct_what_a_model_expects_and_the_range_holds():
    random = np.random.default_rng(8)
    true = random.uniform(0.6, 0.95, 60)
    rows = [
        Check(f"c{i}", f"c{i}", "organ", float(dice + 0.1 + random.normal(0, 0.02)), float(dice), 1.0, 1.0)
        for i, dice in enumerate(true)
    ]
    found = CheckedQuality.measure(rows, 9, draws=60)
    assert found.uncorrected == pytest.approx(0.1, abs=0.01)
    assert found.error < 0.5 * found.uncorrected and found.error < found.constant
    assert 0.75 <= found.coverage <= 0.92 and 0 < found.width < 0.2
    assert CheckedQuality.measure(rows[:9], 9) is None
