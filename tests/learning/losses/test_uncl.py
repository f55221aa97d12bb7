"""UnCL, consistency and entropy against float64 NumPy."""

import math

import numpy as np
import pytest
import torch

from napari_dycon.learning.batch import UNKNOWN
from napari_dycon.learning.losses.uncertainty import normalised_entropy, pseudo_labels, softmax_entropy
from napari_dycon.learning.losses.uncl import mean_squared_consistency, uncl
from napari_dycon.learning.schedules import decay


def _softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _published(student, teacher, beta, entropy_weight=None):
    """Eq. 1 of the paper by voxel, entropies in nats, float64; what the released code computes."""
    p, q = _softmax(student.astype(np.float64)), _softmax(teacher.astype(np.float64))
    student_entropy, teacher_entropy = -(p * np.log(p)).sum(1), -(q * np.log(q)).sum(1)
    pull = ((p - q) ** 2).sum(1) / (np.exp(beta * student_entropy) + np.exp(beta * teacher_entropy))
    return pull + (beta if entropy_weight is None else entropy_weight) * (student_entropy + teacher_entropy)


def _logits(classes, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 2, (2, classes, 4, 3, 5)).astype(np.float32) for _ in range(2))


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("beta", [0.0, 0.1, 1.0, 5.0])
def test_it_equals_the_published_equation(classes, beta):
    student, teacher = _logits(classes)
    normalised = beta * math.log(classes)  # ours divides entropy by ln C
    loss = uncl(torch.from_numpy(student), torch.from_numpy(teacher), normalised)
    assert loss.item() == pytest.approx(_published(student, teacher, beta).mean(), abs=1e-5)


def test_the_entropy_term_can_be_capped_or_left_out():
    student, teacher = _logits(3)
    tensors = torch.from_numpy(student), torch.from_numpy(teacher)
    for entropy_weight in (0.0, 0.02):
        loss = uncl(*tensors, 0.7, entropy_weight)
        expected = _published(student, teacher, 0.7 / math.log(3), entropy_weight / math.log(3)).mean()
        assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("first", "last"), [(5.0, 0.5), (1.0, 0.1)])
@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_beta_follows_the_published_schedule(first, last, progress):
    """Eq. 2, max(beta_min, beta_max e^(-lambda t)), whose exponent makes it end at beta_min."""
    student, teacher = _logits(3)
    beta = max(last, first * math.exp(-math.log(first / last) * progress))
    tensors = torch.from_numpy(student), torch.from_numpy(teacher)
    loss = uncl(*tensors, decay(progress, first, last) * math.log(3))
    assert loss.item() == pytest.approx(_published(student, teacher, beta).mean(), rel=1e-5)
    assert [decay(end, first, last) for end in (0.0, 1.0)] == pytest.approx([first, last], rel=1e-12)


@pytest.mark.parametrize("beta", [0.5, 5.0])
def test_with_the_published_weight_deciding_always_pays(beta):
    """At a fixed distance the derivative by the student's entropy lies between beta / 2 and beta."""
    distance = np.linspace(0, 2, 21)[:, None, None]
    student, teacher = np.linspace(0, math.log(2), 30)[:, None], np.linspace(0, math.log(2), 30)
    weights = np.exp(beta * student), np.exp(beta * teacher)
    slope = beta - beta * weights[0] * distance / (weights[0] + weights[1]) ** 2
    assert slope.min() >= beta / 2 - 1e-12 and slope.max() <= beta
    undecided = torch.tensor([0.2, -0.2]).reshape(1, 2, 1, 1, 1).requires_grad_()
    uncl(undecided, torch.zeros(1, 2, 1, 1, 1), beta).backward()
    assert undecided.grad[0, 0].item() < 0 < undecided.grad[0, 1].item()


def test_only_valid_voxels_count():
    student, teacher = _logits(3)
    valid = np.random.default_rng(2).random((2, 4, 3, 5)) < 0.3
    loss = uncl(
        torch.from_numpy(student), torch.from_numpy(teacher), math.log(3), valid=torch.from_numpy(valid)
    )
    assert loss.item() == pytest.approx(_published(student, teacher, 1.0)[valid].mean(), abs=1e-5)


def test_no_valid_voxel_gives_zero():
    student, teacher = (torch.from_numpy(a).requires_grad_() for a in _logits(2))
    loss = uncl(student, teacher, 0.5, valid=torch.zeros(2, 4, 3, 5, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and student.grad.abs().max() == 0


def test_its_gradient_is_that_of_the_equation_and_never_reaches_the_teacher():
    student, teacher = _logits(3)
    tensor, other = torch.from_numpy(student).requires_grad_(), torch.from_numpy(teacher).requires_grad_()
    uncl(tensor, other, math.log(3)).backward()
    assert other.grad is None
    for index in np.random.default_rng(1).integers(0, student.shape, (20, 5)):
        step = np.zeros(student.shape)
        step[tuple(index)] = 1e-4
        ahead, behind = (_published(student + s, teacher, 1.0).mean() for s in (step, -step))
        assert tensor.grad[tuple(index)].item() == pytest.approx((ahead - behind) / 2e-4, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_extreme_beta_and_half_precision_stay_finite(dtype):
    student = (30 * torch.randn(2, 5, 4, 4, 4)).to(dtype).requires_grad_()
    teacher = (30 * torch.randn(2, 5, 4, 4, 4)).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        loss = uncl(student, teacher, 100.0)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite() and student.grad.isfinite().all()


def test_consistency_is_the_mean_squared_difference_of_probabilities():
    student, teacher = _logits(4)
    expected = ((_softmax(student.astype(np.float64)) - _softmax(teacher.astype(np.float64))) ** 2).mean()
    tensor = torch.from_numpy(student).requires_grad_()
    loss = mean_squared_consistency(tensor, torch.from_numpy(teacher))
    loss.backward()
    assert loss.item() == pytest.approx(expected, abs=1e-7)
    assert tensor.grad.abs().max() > 0


def test_entropy_runs_from_certain_to_all_classes_alike():
    logits = torch.zeros(1, 5, 1, 1, 2)
    logits[0, 3, 0, 0, 1] = 200.0
    _, nats = softmax_entropy(logits)
    assert nats.flatten().tolist() == pytest.approx([math.log(5), 0.0])
    assert normalised_entropy(logits).flatten().tolist() == pytest.approx([1.0, 0.0])


def test_pseudo_labels_are_given_only_where_the_teacher_is_sure():
    probabilities = torch.tensor([[0.95, 0.6, 0.05], [0.05, 0.4, 0.95]])
    logits = probabilities.log().reshape(1, 2, 3, 1, 1)
    assert pseudo_labels(logits, 0.9).flatten().tolist() == [0, UNKNOWN, 1]
