"""The supervised loss against float64 NumPy, and what it must never read."""

import numpy as np
import pytest
import torch

from napari_dycon.learning.batch import IGNORE, UNKNOWN
from napari_dycon.learning.losses.supervised import confident_cross_entropy, partial_loss


def _softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _reference(logits, target, weight):
    """0.5 (CE + Dice) voxel by voxel, in float64."""
    probabilities = _softmax(logits.astype(np.float64))
    classes = logits.shape[1]
    entropy = total = 0.0
    overlap, size, present = np.zeros(classes), np.zeros(classes), np.zeros(classes, bool)
    for index in np.ndindex(target.shape):
        label, w = target[index], weight[index]
        if label in (IGNORE, UNKNOWN) or w == 0:
            continue
        p = probabilities[(index[0], slice(None), *index[1:])]
        entropy -= w * np.log(p[label])
        total += w
        overlap[label] += 2 * w * p[label]
        size += w * p**2
        size[label] += w
        present[label] = True
    dice = 1 - (overlap + 1e-5) / (size + 1e-5)
    present[0] = False
    return 0.5 * (entropy / total + (dice[present].mean() if present.any() else 0.0))


def _case(classes, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (2, classes, 4, 3, 5)).astype(np.float32)
    target = rng.integers(0, classes, (2, 4, 3, 5))
    target[0, :2] = UNKNOWN
    target[1, :, 0] = IGNORE
    weight = rng.uniform(0.2, 2.0, target.shape).astype(np.float32)
    weight[1, 2] = 0
    return logits, target, weight


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_mean_of_cross_entropy_and_dice_over_known_voxels(classes, weighted):
    logits, target, weight = _case(classes)
    given = torch.from_numpy(weight) if weighted else None
    loss = partial_loss(torch.from_numpy(logits), torch.from_numpy(target), given)
    expected = _reference(logits, target, weight if weighted else np.ones_like(weight))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_a_structure_absent_from_the_batch_does_not_count_in_dice():
    logits, target, weight = _case(5)
    target[target == 3] = 0
    loss = partial_loss(torch.from_numpy(logits), torch.from_numpy(target))
    assert loss.item() == pytest.approx(_reference(logits, target, np.ones_like(weight)), abs=1e-6)


def test_its_gradient_is_that_of_the_equation():
    logits, target, weight = _case(3)
    tensor = torch.from_numpy(logits).requires_grad_()
    partial_loss(tensor, torch.from_numpy(target), torch.from_numpy(weight)).backward()
    rng = np.random.default_rng(1)
    for index in rng.integers(0, logits.shape, (20, 5)):
        step = np.zeros(logits.shape)
        step[tuple(index)] = 1e-4
        slope = (_reference(logits + step, target, weight) - _reference(logits - step, target, weight)) / 2e-4
        assert tensor.grad[tuple(index)].item() == pytest.approx(slope, abs=1e-5)


def test_no_gradient_reaches_unknown_ignored_or_weightless_voxels():
    logits, target, weight = _case(3)
    tensor = torch.from_numpy(logits).requires_grad_()
    partial_loss(tensor, torch.from_numpy(target), torch.from_numpy(weight)).backward()
    silent = torch.from_numpy((target >= IGNORE) | (weight == 0))
    gradient = tensor.grad.abs().sum(dim=1)
    assert gradient[silent].max() == 0
    assert gradient[~silent].min() > 0


def test_weights_of_unknown_voxels_are_never_read():
    logits, target, weight = (torch.from_numpy(a) for a in _case(3))
    garbage = torch.where(target >= IGNORE, torch.tensor(float("nan")), weight)
    assert torch.equal(partial_loss(logits, target, garbage), partial_loss(logits, target, weight))


def test_labels_of_weight_zero_are_never_read():
    logits, target, weight = (torch.from_numpy(a) for a in _case(3))
    garbage = torch.where(weight == 0, (target + 1) % 3, target)
    assert torch.equal(partial_loss(logits, garbage, weight), partial_loss(logits, target, weight))


@pytest.mark.parametrize("loss", [partial_loss, confident_cross_entropy])
@pytest.mark.parametrize("code", [UNKNOWN, IGNORE])
def test_nothing_known_gives_zero_loss_and_zero_gradient(loss, code):
    logits = torch.randn(1, 3, 4, 4, 4, requires_grad=True)
    value = loss(logits, torch.full((1, 4, 4, 4), code))
    value.backward()
    assert value.item() == 0
    assert logits.grad.abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_computed_in_single(dtype):
    logits = (30 * torch.randn(2, 5, 4, 4, 4)).to(dtype).requires_grad_()
    target = torch.randint(0, 5, (2, 4, 4, 4))
    with torch.autocast("cpu", torch.bfloat16):
        loss = partial_loss(logits, target)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite() and logits.grad.isfinite().all()


def test_pseudo_labels_teach_only_where_they_are():
    logits, target, _ = _case(4)
    probabilities = _softmax(logits.astype(np.float64))
    known = target < IGNORE
    chosen = np.take_along_axis(probabilities, np.where(known, target, 0)[:, None], axis=1)[:, 0]
    loss = confident_cross_entropy(torch.from_numpy(logits), torch.from_numpy(target))
    assert loss.item() == pytest.approx(-np.log(chosen[known]).mean(), abs=1e-6)


def test_the_gradient_of_pseudo_labels_is_softmax_minus_label():
    logits, target, _ = _case(4)
    tensor = torch.from_numpy(logits).requires_grad_()
    confident_cross_entropy(tensor, torch.from_numpy(target)).backward()
    known = target < IGNORE
    truth = np.arange(4)[:, None] == np.where(known, target, 0).reshape(1, -1)
    truth = truth.reshape(4, *target.shape).swapaxes(0, 1)
    expected = (_softmax(logits.astype(np.float64)) - truth) * known[:, None] / known.sum()
    np.testing.assert_allclose(tensor.grad.numpy(), expected, atol=1e-8)


def test_no_wholes_leave_every_bit_of_the_loss_as_it_was():
    logits, target, weight = (torch.from_numpy(a) for a in _case(4))
    assert torch.equal(partial_loss(logits, target, weight, ()), partial_loss(logits, target, weight))


def test_a_whole_is_one_more_term_of_the_dice_loss():
    logits, target, weight = (torch.from_numpy(a) for a in _case(4))
    known = target < IGNORE
    importance = torch.where(known, weight, 0.0)
    probabilities = logits.softmax(1)

    def term(predicted, there):
        truth = there.float() * importance
        total = (predicted**2 * importance).sum() + truth.sum()
        return 1 - (2 * (predicted * truth).sum() + 1e-5) / (total + 1e-5)

    terms = [term(probabilities[:, index], target == index) for index in (1, 2, 3)]
    whole = term(probabilities[:, 1] + probabilities[:, 3], (target == 1) | (target == 3))
    plain = partial_loss(logits, target, weight)
    expected = plain + 0.5 * (torch.stack([*terms, whole]).mean() - torch.stack(terms).mean())
    assert partial_loss(logits, target, weight, [(1, 3)]) == pytest.approx(expected.item(), rel=1e-5)


def test_what_is_unknown_is_not_read_through_a_whole():
    logits, target, weight = (torch.from_numpy(a) for a in _case(4))
    logits.requires_grad_()
    partial_loss(logits, target, weight, [(1, 3)]).backward()
    assert logits.grad.abs().sum(1)[(target >= IGNORE) | (weight == 0)].max() == 0
    changed = torch.where(target == UNKNOWN, torch.tensor(1e3), logits.detach()[:, 0])
    scores = torch.cat([changed[:, None], logits.detach()[:, 1:]], 1)
    assert torch.equal(
        partial_loss(scores, target, weight, [(1, 3)]),
        partial_loss(logits.detach(), target, weight, [(1, 3)]),
    )


def test_a_whole_does_not_mind_which_of_its_parts_a_voxel_is():
    logits = torch.zeros(1, 4, 2, 2, 2)
    logits[:, 1] = 20.0
    target = torch.full((1, 2, 2, 2), 3)
    wrong, right = partial_loss(logits, target), partial_loss(logits, target, None, [(1, 3)])
    assert right < wrong - 0.1
