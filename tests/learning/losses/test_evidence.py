"""Evidence, fused and filtered labels, and the losses on them, against float64 NumPy."""

import math

import numpy as np
import pytest
import torch

from napari_dycon.learning.batch import IGNORE, UNKNOWN
from napari_dycon.learning.losses.evidence import (
    calibration_loss,
    certain_voxels,
    correction_losses,
    evidential_uncertainty,
    fuse,
    rectified_cross_entropy,
)
from napari_dycon.learning.losses.uncertainty import normalised_entropy

SIDES = (4, 3, 5)


def _logits(classes=3, seed=0, spread=2.0):
    return np.random.default_rng(seed).normal(0, spread, (2, classes, *SIDES)).astype(np.float32)


def _labels(classes=3, seed=5):
    """Classes with some voxels unknown and some not to care for."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (2, *SIDES))
    labels[rng.random(labels.shape) < 0.2] = UNKNOWN
    labels[rng.random(labels.shape) < 0.1] = IGNORE
    return labels


def _softmax(logits):
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _entropy(p):
    return -(p * np.log(np.maximum(p, 1e-300))).sum(1) / math.log(p.shape[1])


def _tensors(*arrays):
    return [torch.from_numpy(np.asarray(array)) for array in arrays]


def _check_gradient(loss, reference, logits, tolerance=2e-6):
    """Compare autograd in single precision with finite differences of the reference in double."""
    tensor = torch.from_numpy(logits).requires_grad_()
    loss(tensor).backward()
    for index in np.random.default_rng(1).integers(0, logits.shape, (25, logits.ndim)):
        step = np.zeros(logits.shape)
        step[tuple(index)] = 1e-4
        ahead, behind = (reference(logits.astype(np.float64) + s) for s in (step, -step))
        assert tensor.grad[tuple(index)].item() == pytest.approx((ahead - behind) / 2e-4, abs=tolerance)
    assert tensor.grad.abs().max() > 10 * tolerance


# Evidential uncertainty


def _evidential(logits):
    return logits.shape[1] / (np.log1p(np.exp(logits.astype(np.float64))) + 1).sum(1)


@pytest.mark.parametrize("classes", [2, 5])
def test_evidential_uncertainty_is_classes_over_dirichlet_strength(classes):
    logits = _logits(classes)
    assert np.allclose(evidential_uncertainty(torch.from_numpy(logits)), _evidential(logits), atol=1e-6)


def test_no_evidence_is_full_uncertainty_and_much_evidence_none():
    logits = torch.full((1, 4, 1, 1, 2), -200.0)
    logits[0, 1, 0, 0, 1] = 1e4
    assert evidential_uncertainty(logits).flatten().tolist() == pytest.approx([1.0, 0.0], abs=1e-3)


def test_evidence_can_be_learned_without_changing_the_class():
    logits = torch.from_numpy(_logits())
    assert torch.allclose((logits + 3).softmax(1), logits.softmax(1), atol=1e-6)
    assert (evidential_uncertainty(logits + 3) < evidential_uncertainty(logits)).all()


# Fusion


def test_fusion_weighs_each_network_by_its_certainty():
    first, second = _logits(seed=1), _logits(seed=2)
    u, v = _evidential(first), _evidential(second)
    guess = fuse(_tensors(first, second), _tensors(u.astype(np.float32), v.astype(np.float32)))
    fused = ((1 - u)[:, None] * _softmax(first) + (1 - v)[:, None] * _softmax(second)) / (2 - u - v)[:, None]
    assert np.array_equal(guess.target, fused.argmax(1))
    assert np.allclose(guess.certainty, 1 - _entropy(fused), atol=1e-5)


def _one_voxel(*probabilities):
    return torch.tensor(probabilities).log().reshape(1, -1, 1, 1, 1)


def test_the_surer_network_decides_and_contradiction_leaves_doubt():
    sure, unsure, contrary = _one_voxel(0.98, 0.02), _one_voxel(0.35, 0.65), _one_voxel(0.02, 0.98)

    def agree(*logits):
        guess = fuse(logits, [normalised_entropy(entry) for entry in logits])
        return guess.target.item(), guess.certainty.item()

    assert agree(sure, unsure)[0] == 0
    assert agree(sure, sure)[1] > 0.8
    assert agree(sure, contrary)[1] < 0.01


def test_fusion_of_clueless_or_overflowing_networks_is_finite():
    for logits in (torch.zeros(1, 3, *SIDES), 1e6 * torch.from_numpy(_logits()), torch.zeros(0, 3, *SIDES)):
        guess = fuse([logits, -logits], [normalised_entropy(logits)] * 2)
        assert guess.certainty.isfinite().all()
        assert ((guess.certainty >= 0) & (guess.certainty <= 1)).all()
    assert fuse([torch.zeros(1, 3, *SIDES)], [torch.ones(1, *SIDES)]).certainty.max() < 1e-6


# Entropy filter


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_most_certain_of_each_class_are_kept(share):
    rng = np.random.default_rng(0)
    entropy = rng.random((2, 8, 8, 8)).astype(np.float32)
    found = rng.choice(3, entropy.shape, p=[0.9, 0.09, 0.01])
    valid = rng.random(entropy.shape) < 0.7
    kept = certain_voxels(*_tensors(entropy, found, valid), 4, share).numpy()
    assert not kept[~valid].any()
    for label in range(3):
        own = valid & (found == label)
        limit = np.sort(entropy[own])[max(1, round(share * own.sum())) - 1]
        assert np.array_equal(kept[own], entropy[own] <= limit)
        assert kept[own].mean() == pytest.approx(share, abs=1 / own.sum())


def test_a_rare_class_survives_the_filter_though_all_of_it_is_less_certain_than_background():
    entropy, found = torch.full((1, 10, 10, 10), 0.01), torch.zeros(1, 10, 10, 10, dtype=torch.int64)
    found[0, 0, 0, :4] = 1
    entropy[0, 0, 0, :4] = torch.tensor([0.5, 0.6, 0.7, 0.8])
    kept = certain_voxels(entropy, found, torch.ones_like(found, dtype=torch.bool), 2, 0.5)
    assert kept[0, 0, 0, :4].tolist() == [True, True, False, False]


def test_what_is_certain_anyway_is_kept_whatever_the_percentile():
    entropy = torch.linspace(0.0, 0.2, 100).reshape(1, 100, 1, 1)
    found, valid = torch.zeros(1, 100, 1, 1, dtype=torch.int64), torch.ones(1, 100, 1, 1, dtype=torch.bool)
    assert certain_voxels(entropy, found, valid, 2, 0.1).sum() == 10
    assert certain_voxels(entropy, found, valid, 2, 0.1, floor=0.1).sum() == 50
    assert certain_voxels(entropy, found, valid, 2, 0.0).sum() == 1  # entropy 0 is not above the floor 0
    assert certain_voxels(entropy, found, ~valid, 2, 1.0, floor=1.0).sum() == 0


def test_very_many_voxels_are_filtered_by_evenly_spread_ones():
    entropy = torch.rand(1, 80, 80, 60, generator=torch.Generator().manual_seed(0))
    found = torch.zeros_like(entropy, dtype=torch.int64)
    kept = certain_voxels(entropy, found, torch.ones_like(found, dtype=torch.bool), 2, 0.3)
    assert kept.float().mean().item() == pytest.approx(0.3, abs=0.01)


# L_AU


def _calibration(logits, target, trust, uncertainty, weight=None, frozen=None):
    """L_AU voxel by voxel; its factor, the confidence, comes from `frozen`."""
    fixed = _softmax(logits if frozen is None else frozen)
    confidence, found, u = fixed.max(1), fixed.argmax(1), 0.01 + 0.98 * uncertainty(logits)
    total, count = 0.0, 0.0
    for voxel in np.ndindex(target.shape):
        if target[voxel] >= IGNORE:
            continue
        importance = 1.0 if weight is None else weight[voxel]
        if found[voxel] == target[voxel]:
            total += importance * trust * -confidence[voxel] * np.log(1 - u[voxel])
        else:
            total += importance * (1 - trust) * -(1 - confidence[voxel]) * np.log(u[voxel])
        count += importance
    return total / count


KINDS = {
    "entropy": (normalised_entropy, lambda z: _entropy(_softmax(z))),
    "evidence": (evidential_uncertainty, _evidential),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trust", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_calibration_equals_the_equation(kind, trust, weighted):
    ours, reference = KINDS[kind]
    logits, target = _logits(), _labels()
    weight = np.random.default_rng(3).random(target.shape).astype(np.float32) if weighted else None
    tensor = torch.from_numpy(logits)
    weights = torch.from_numpy(weight) if weighted else None
    loss = calibration_loss(tensor, ours(tensor), torch.from_numpy(target), trust, weights)
    assert loss.item() == pytest.approx(_calibration(logits, target, trust, reference, weight), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_calibration_has_the_gradient_of_the_equation_with_fixed_confidence(kind):
    ours, reference = KINDS[kind]
    logits, target = _logits(spread=1.0), _labels()
    _check_gradient(
        lambda z: calibration_loss(z, ours(z), torch.from_numpy(target), 0.4),
        lambda z: _calibration(z, target, 0.4, reference, frozen=logits),
        logits,
    )


def test_calibration_makes_wrong_voxels_uncertain_and_right_ones_certain():
    logits = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).reshape(2, 2, 1, 1, 1).requires_grad_()
    target = torch.zeros(2, 1, 1, 1, dtype=torch.int64)  # the first is right, the second wrong
    before = evidential_uncertainty(logits).flatten().tolist()
    calibration_loss(logits, evidential_uncertainty(logits), target, 0.5).backward()
    after = evidential_uncertainty(logits - logits.grad).flatten().tolist()
    assert after[0] < before[0] and after[1] > before[1]


@pytest.mark.parametrize("gap", [0.0, 1e-6, 1e-3, 0.1, 1.0])
def test_the_pull_of_calibration_is_bounded_where_classes_are_alike(gap):
    logits = torch.tensor([gap, 0.0]).reshape(1, 2, 1, 1, 1).requires_grad_()
    calibration_loss(logits, normalised_entropy(logits), torch.zeros(1, 1, 1, 1).long(), 1.0).backward()
    assert logits.grad.abs().max() < 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e5])
@pytest.mark.parametrize("code", [0, IGNORE, UNKNOWN])
def test_calibration_is_finite_for_any_certainty(kind, scale, code):
    logits = (scale * torch.from_numpy(_logits())).bfloat16().requires_grad_()
    target = torch.full((2, *SIDES), code)
    with torch.autocast("cpu", torch.bfloat16):
        loss = calibration_loss(logits, KINDS[kind][0](logits), target, 0.5)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite() and logits.grad.isfinite().all()
    assert code == 0 or loss.item() == 0


# Rectified pseudo-labels


def _rectified(learner, teacher, valid, frozen=None):
    p, q = _softmax(learner), _softmax(teacher)
    fixed = p if frozen is None else _softmax(frozen)
    terms = []
    for b, *voxel in np.argwhere(valid):
        own, other, weight = (array[(b, slice(None), *voxel)] for array in (p, q, fixed))
        divergence = (other * np.log(other / own)).sum()
        factor = np.exp(-(other * np.log(other / weight)).sum())
        terms.append(factor * -np.log(own[other.argmax()]) + divergence)
    return np.mean(terms)


@pytest.mark.parametrize("classes", [2, 5])
def test_rectified_cross_entropy_equals_the_equation(classes):
    learner, teacher = _logits(classes, 1), _logits(classes, 2)
    valid = np.random.default_rng(0).random((2, *SIDES)) < 0.5
    loss = rectified_cross_entropy(*_tensors(learner, teacher, valid))
    assert loss.item() == pytest.approx(_rectified(learner, teacher, valid), rel=1e-5)


def test_rectified_cross_entropy_teaches_the_learner_alone():
    learner, teacher = _logits(seed=1), _logits(seed=2)
    valid = np.random.default_rng(0).random((2, *SIDES)) < 0.5
    other, mask = _tensors(teacher, valid)
    other.requires_grad_()
    _check_gradient(
        lambda z: rectified_cross_entropy(z, other, mask),
        lambda z: _rectified(z, teacher, valid, frozen=learner),
        learner,
        tolerance=1e-5,
    )
    assert other.grad is None


@pytest.mark.parametrize("classes", [2, 6])
def test_a_learner_never_gains_by_leaving_its_teacher(classes):
    """With a gradient through the weight it would where the teacher is unsure among many classes."""
    learner = torch.zeros(1, classes, 1, 1, 1)
    learner[0, 0] = 0.1
    teacher = torch.zeros_like(learner)
    learner.requires_grad_()
    mask = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    optimiser = torch.optim.SGD([learner], lr=0.5)
    for _ in range(200):
        optimiser.zero_grad()
        rectified_cross_entropy(learner, teacher, mask).backward()
        optimiser.step()
    p = learner.detach().softmax(1).flatten()
    assert p[0] < 0.95 and p[1:].min() > 0.01


def test_what_contradicting_networks_claim_counts_less():
    valid = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    teacher = _one_voxel(0.999, 0.001)
    for learner in (_one_voxel(0.7, 0.3), _one_voxel(0.001, 0.999)):
        divergence = (teacher.exp() * (teacher - learner)).sum().item()
        label = rectified_cross_entropy(learner, teacher, valid).item() - divergence
        assert label == pytest.approx(-math.exp(-divergence) * learner[0, 0].item(), rel=1e-3)


@pytest.mark.parametrize("scale", [0.0, 1e5])
def test_rectified_cross_entropy_stays_finite(scale):
    learner = (scale * torch.from_numpy(_logits(seed=1))).requires_grad_()
    for mask in (torch.ones(2, *SIDES, dtype=torch.bool), torch.zeros(2, *SIDES, dtype=torch.bool)):
        learner.grad = None
        loss = rectified_cross_entropy(learner, scale * torch.from_numpy(_logits(seed=2)), mask)
        loss.backward()
        assert loss.isfinite() and learner.grad.isfinite().all()
        assert mask.any() or (loss.item() == 0 and learner.grad.abs().max() == 0)


# L_cr


def _correction(own, other, target, confidence, frozen=None):
    p, q = _softmax(own), _softmax(other)
    fixed = p if frozen is None else _softmax(frozen)
    terms = [0.0]
    chosen = 0
    for b, *voxel in np.argwhere(target < IGNORE):
        place = (b, slice(None), *voxel)
        a, c = fixed[place], q[place]
        if a.argmax() != c.argmax() and a.max() >= confidence and c.max() >= confidence:
            truth = np.eye(p.shape[1])[target[(b, *voxel)]]
            terms.append(0.5 * ((p[place] - truth) ** 2).sum())
            chosen += 1
    return sum(terms) / max(chosen, 1)


@pytest.mark.parametrize("classes", [2, 4])
def test_correction_equals_the_equation_for_both_networks(classes):
    first, second, target = _logits(classes, 1), _logits(classes, 2), _labels(classes)
    losses = correction_losses(*_tensors(first, second, target), 0.6)
    assert losses[0].item() == pytest.approx(_correction(first, second, target, 0.6), rel=1e-5)
    assert losses[1].item() == pytest.approx(_correction(second, first, target, 0.6), rel=1e-5)
    assert losses[0].item() > 0


def test_correction_weighs_voxels_and_reads_no_weight_where_nothing_is_known():
    first, second, target = _tensors(_logits(2, 1), _logits(2, 2), _labels(2))
    plain = correction_losses(first, second, target, 0.6)
    upper = torch.zeros(target.shape, dtype=torch.bool)
    upper[:, : target.shape[1] // 2] = True
    halves = [correction_losses(first, second, torch.where(m, target, UNKNOWN), 0.6) for m in (upper, ~upper)]
    weight = torch.where(upper, 1e-9, 1.0).masked_fill(target >= IGNORE, float("nan"))
    weighed = correction_losses(first, second, target, 0.6, weight)
    for all_alike, upper_half, lower_half, found in zip(plain, *halves, weighed, strict=True):
        assert upper_half != lower_half
        assert all_alike != lower_half
        assert found.item() == pytest.approx(lower_half.item(), rel=1e-4)


def test_correction_has_the_gradient_of_the_equation():
    first, second, target = _logits(seed=1), _logits(seed=2), _labels()
    other, labels = _tensors(second, target)
    _check_gradient(
        lambda z: correction_losses(z, other, labels, 0.5)[0],
        lambda z: _correction(z, second, target, 0.5, frozen=first),
        first,
    )


def test_for_two_classes_it_is_the_squared_error_of_the_foreground():
    first, second = _one_voxel(0.3, 0.7), _one_voxel(0.9, 0.1)
    losses = correction_losses(first, second, torch.ones(1, 1, 1, 1, dtype=torch.int64), 0.6)
    assert [loss.item() for loss in losses] == pytest.approx([0.3**2, 0.9**2])


@pytest.mark.parametrize(
    ("first", "second"), [((0.9, 0.1), (0.8, 0.2)), ((0.55, 0.45), (0.1, 0.9)), ((0.5, 0.5), (0.5, 0.5))]
)
def test_only_confident_contradiction_is_corrected(first, second):
    target = torch.ones(1, 1, 1, 1, dtype=torch.int64)
    assert [
        loss.item() for loss in correction_losses(_one_voxel(*first), _one_voxel(*second), target, 0.6)
    ] == [
        0,
        0,
    ]


def test_nothing_is_corrected_where_nothing_is_known():
    first = torch.from_numpy(_logits(seed=1)).requires_grad_()
    for code in (IGNORE, UNKNOWN):
        loss, _ = correction_losses(first, -first.detach(), torch.full((2, *SIDES), code), 0.5)
        loss.backward()
        assert loss.item() == 0 and first.grad.abs().max() == 0
