"""UA-MT: the equations against NumPy, and a teacher that is random only while it is asked."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.autograd import gradcheck

from napari_dycon.errors import TrainingError
from napari_dycon.learning.batch import Batch
from napari_dycon.learning.methods.ua_mt import UAMT, UAMTSettings, certain_consistency, entropy
from napari_dycon.learning.networks import NetworkSpec

SPEC = NetworkSpec(classes=3, widths=(8, 16), strides=((2, 2, 2),), projection=8)
LATE = 1.0


def _batch(unlabelled=2):
    generator = torch.Generator().manual_seed(0)
    image, weak = (torch.randn(2, 1, 8, 8, 8, generator=generator) for _ in range(2))
    target = torch.randint(0, 3, (2, 8, 8, 8), generator=generator)
    return Batch(image, target, None, weak, weak + 0.2) if unlabelled else Batch(image, target)


def _method(**settings):
    torch.manual_seed(0)
    return UAMT(SPEC, UAMTSettings(**settings))


def _softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _case(classes=3, seed=0):
    rng = np.random.default_rng(seed)
    student, teacher = (rng.normal(0, 2, (2, classes, 4, 3, 5)).astype(np.float32) for _ in range(2))
    return student, teacher, rng.random((2, 4, 3, 5)) < 0.4


@pytest.mark.parametrize("classes", [2, 5])
def test_consistency_equals_the_published_equation(classes):
    student, teacher, certain = _case(classes)
    distance = ((_softmax(student.astype(np.float64)) - _softmax(teacher.astype(np.float64))) ** 2).sum(1)
    expected = (certain * distance).sum() / (classes * certain.sum())
    loss = certain_consistency(*(torch.from_numpy(a) for a in (student, teacher, certain)))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_its_gradient_is_that_of_the_equation_and_never_reaches_the_teacher():
    student, teacher, certain = (torch.from_numpy(a) for a in _case())
    student, teacher = student.double().requires_grad_(), teacher.double().requires_grad_()
    certain_consistency(student, teacher, certain).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum(dim=1)[~certain].max() == 0
    assert gradcheck(
        lambda logits: certain_consistency(logits, teacher, certain),
        (student,),
        eps=1e-2,
        atol=1e-4,
        rtol=1e-3,
    )


def test_where_nothing_is_certain_nothing_is_learned():
    student, teacher, certain = (torch.from_numpy(a) for a in _case())
    student.requires_grad_()
    loss = certain_consistency(student, teacher, torch.zeros_like(certain))
    loss.backward()
    assert loss.item() == 0 and student.grad.abs().max() == 0


def test_entropy_is_exact_also_for_certain_and_for_undecided_voxels():
    probabilities = torch.zeros(1, 5, 1, 1, 3)
    probabilities[0, 2, 0, 0, 0] = 1.0
    probabilities[0, :, 0, 0, 1] = 0.2
    probabilities[0, :2, 0, 0, 2] = 0.5
    assert entropy(probabilities).flatten().tolist() == pytest.approx([0.0, math.log(5), math.log(2)])


def test_the_networks_drop_features_although_the_plan_drops_none():
    method = _method(dropout=0.4)
    assert method.student.dropout.p == method.teacher.network.dropout.p == 0.4
    image = _batch().image
    assert not torch.equal(method.student(image).logits, method.student(image).logits)
    assert not torch.equal(method.ask(image), method.ask(image))


@pytest.mark.parametrize("fails", [False, True])
def test_after_being_asked_the_teacher_is_as_steady_as_before(fails):
    method, image = _method(dropout=0.5), _batch().image
    before = method.teacher(image).logits
    if fails:
        with pytest.raises(TrainingError):
            method.ask(image[..., :7])
    else:
        method.ask(image)
    assert not any(module.training for module in method.teacher.modules())
    assert torch.equal(method.teacher(image).logits, before)


def test_without_noise_and_dropout_each_pass_says_the_same():
    method, image = _method(dropout=0.0, noise=0.0, passes=3), _batch().image
    expected = method.teacher(image).logits.softmax(dim=1)
    assert torch.allclose(method.ask(image), expected, atol=1e-6)


def test_a_step_asks_the_teacher_as_often_as_set_and_once_more_in_peace():
    method, batch, seen = _method(passes=3, noise=0.1), _batch(), []
    method.teacher.network.register_forward_pre_hook(
        lambda module, args: seen.append((args[0], module.dropout.training))
    )
    method(batch, LATE)
    assert [dropping for _, dropping in seen].count(True) == 3
    assert len(seen) == 4
    for image, dropping in seen:
        difference = (image - batch.weak).abs().max()
        assert 0 < difference <= 0.2 + 1e-6 if dropping else difference == 0


def test_the_mean_is_taken_over_the_passes():
    method, image = _method(passes=2), _batch().image
    logits = []
    method.teacher.network.register_forward_hook(lambda _, __, output: logits.append(output.logits))
    mean = method.ask(image).numpy()
    expected = np.mean([_softmax(entry.double().numpy()) for entry in logits], axis=0)
    assert mean == pytest.approx(expected, abs=1e-6)


def test_the_teacher_is_believed_more_and_more():
    method, batch = _method(start=0.2, threshold=0.0), _batch()
    losses = method(batch, 0.2)
    assert method.monitors["certain_share"] < 0.05 and losses["consistency"] < 1e-4
    method(batch, LATE)
    assert method.monitors["certain_share"] == 1.0


def test_at_the_start_the_limit_is_a_share_of_ln_c():
    method, batch = _method(start=0.2, threshold=0.75), _batch()
    torch.manual_seed(1)
    method(batch, 0.2)
    torch.manual_seed(1)
    method.student(torch.cat([batch.image, batch.strong]))  # draws its dropout first
    uncertainty = entropy(method.ask(batch.weak))
    risen = 0.75 + 0.25 * math.exp(-5)
    expected = (uncertainty < risen * math.log(3)).float().mean().item()
    assert method.monitors["certain_share"] == pytest.approx(expected)


def test_without_unlabelled_patches_it_is_supervised():
    method = _method()
    assert set(method(_batch(unlabelled=0), LATE)) == {"supervised"}
    assert method.monitors == {}


@pytest.mark.parametrize("fault", [{"passes": 0}, {"dropout": 1.0}, {"threshold": 1.1}, {"noise": -0.1}])
def test_settings_that_make_no_sense_are_refused(fault):
    with pytest.raises(ValidationError):
        UAMTSettings(**fault)
