"""CPS: each network learns what the other's average is sure of, and nothing from itself."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.autograd import gradcheck

from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.methods.cps import CPS, CPSSettings, cross_loss
from napari_dycon.learning.networks import NetworkSpec, Output

SPEC = NetworkSpec(classes=3, widths=(8, 16), strides=((2, 2, 2),), projection=8)
LATE = 1.0


def _batch(unlabelled=2):
    generator = torch.Generator().manual_seed(0)
    image, weak = (torch.randn(2, 1, 8, 8, 8, generator=generator) for _ in range(2))
    target = torch.randint(0, 3, (2, 8, 8, 8), generator=generator)
    return Batch(image, target, None, weak, weak + 0.2) if unlabelled else Batch(image, target)


def _method(**settings):
    torch.manual_seed(0)
    return CPS(SPEC, CPSSettings(**settings))


class _Says(torch.nn.Module):
    """Is of one opinion on every voxel, as far apart from the other classes as told."""

    spec = SPEC

    def __init__(self, label, margin=9.0):
        super().__init__()
        logits = torch.zeros(3)
        logits[label] = margin
        self.logits = torch.nn.Parameter(logits)

    def forward(self, x, *, project=False):
        return Output(self.logits.reshape(1, 3, 1, 1, 1).expand(len(x), 3, *x.shape[2:]).clone(), None)


def _cross_entropy(logits, target):
    """Mean over the voxels that have a class, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    sure = target != UNKNOWN
    return -np.take_along_axis(log_p, np.where(sure, target, 0)[:, None], axis=1)[:, 0][sure].mean()


def _case(seed=0):
    rng = np.random.default_rng(seed)
    logits = [rng.normal(0, 2, (2, 4, 4, 3, 5)).astype(np.float32) for _ in range(2)]
    labels = [rng.choice([0, 1, 2, 3, UNKNOWN], (2, 4, 3, 5)) for _ in range(2)]
    return logits, labels


def test_the_cross_loss_equals_the_published_equation():
    (student, partner), (own, other) = _case()
    expected = _cross_entropy(student, other) + _cross_entropy(partner, own)
    loss = cross_loss(*(torch.from_numpy(entry) for entry in (student, partner, own, other)))
    assert loss.item() == pytest.approx(expected, abs=1e-5)


def test_its_gradient_is_that_of_the_equation():
    (student, partner), (own, other) = _case()
    labels = torch.from_numpy(own), torch.from_numpy(other)
    logits = tuple(torch.from_numpy(entry).double().requires_grad_() for entry in (student, partner))
    assert gradcheck(lambda a, b: cross_loss(a, b, *labels), logits, eps=1e-2, atol=1e-4, rtol=1e-3)


def test_without_pseudo_labels_there_is_neither_loss_nor_gradient():
    logits = [torch.randn(1, 3, 2, 2, 2, requires_grad=True) for _ in range(2)]
    nothing = torch.full((1, 2, 2, 2), UNKNOWN)
    loss = cross_loss(*logits, nothing, nothing)
    loss.backward()
    assert loss.item() == 0 and all(entry.grad.abs().max() == 0 for entry in logits)


def _taught(student, partner, **settings):
    """Gradient of the cross loss for each network's logits, their averages saying what they say."""
    method, batch = _method(**settings), _batch()
    method.student, method.teacher.network = _Says(*student), _Says(*student).requires_grad_(False)
    method.partner, method.partner_teacher.network = _Says(*partner), _Says(*partner).requires_grad_(False)
    method(batch, LATE)["cross"].backward()
    return method.student.logits.grad, method.partner.logits.grad


def test_each_learns_from_the_other_and_not_from_itself():
    first, second = _taught((1,), (2,))
    assert first.argmin() == 2 and first.argmax() == 1, "the student is drawn to what the partner says"
    assert second.argmin() == 1 and second.argmax() == 2


def test_only_the_one_that_is_sure_teaches():
    first, second = _taught((1, 0.5), (2, 9.0))
    assert first.abs().max() > 0
    assert second.abs().max() == 0


def test_with_no_threshold_every_voxel_teaches():
    _, second = _taught((1, 0.5), (2, 9.0), confidence=0.0)
    assert second.abs().max() > 0


def test_averages_see_weak_views_and_networks_strong_ones():
    method, batch, seen = _method(), _batch(), {}
    for name in ("student", "partner", "teacher", "partner_teacher"):
        getattr(method, name).register_forward_hook(
            lambda _, args, __, name=name: seen.__setitem__(name, args[0])
        )
    method(batch, LATE)
    for name in ("student", "partner"):
        assert torch.equal(seen[name], torch.cat([batch.image, batch.strong]))
    for name in ("teacher", "partner_teacher"):
        assert torch.equal(seen[name], batch.weak)


def test_no_gradient_reaches_the_averages_and_both_networks_learn():
    method = _method(confidence=0.0)
    sum(method(_batch(), LATE).values()).backward()
    for network in (method.student, method.partner):
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())
    for average in (method.teacher, method.partner_teacher):
        assert all(p.grad is None for p in average.parameters())


def test_unknown_voxels_of_labelled_patches_are_taught_too_and_known_ones_are_not():
    method, batch = _method(confidence=0.0), _batch()
    assert set(method(_batch(unlabelled=0), LATE)) == {"supervised"}
    batch.target[:, :4] = UNKNOWN
    images = []
    method.student.register_forward_hook(lambda _, __, output: images.append(output.logits))
    losses = method(Batch(batch.image, batch.target), LATE)
    gradient = torch.autograd.grad(losses["cross"], images[0])[0].abs().sum(dim=1)
    assert gradient[:, :4].min() > 0
    assert gradient[:, 4:].max() == 0


def test_known_labels_do_not_reach_the_cross_loss():
    method, batch = _method(confidence=0.0), _batch()
    batch.target[:, :4] = UNKNOWN
    other = Batch(batch.image, batch.target.clone(), None, batch.weak, batch.strong)
    other.target[:, 4:] = (other.target[:, 4:] + 1) % 3
    losses, changed = method(batch, LATE), method(other, LATE)
    assert torch.equal(losses["cross"], changed["cross"])
    assert not torch.equal(losses["supervised"], changed["supervised"])


def test_its_terms_grow_after_the_start():
    method, batch = _method(start=0.4, ramp_length=0.4, confidence=0.0), _batch()
    early, late = (method(batch, progress)["cross"].item() for progress in (0.45, 0.8))
    assert 0 < early < 0.2 * late
    assert set(method(batch, 0.39)) == {"supervised"} and not method.needs_unlabelled(0.39)


def test_it_watches_where_the_networks_contradict_each_other():
    method, batch = _method(), _batch()
    method.teacher.network, method.partner_teacher.network = _Says(1), _Says(2)
    method(batch, LATE)
    assert method.monitors == {"pseudo_share": 1.0, "contradiction": 1.0}
    method.partner_teacher.network = _Says(2, 0.1)
    method(batch, LATE)
    assert method.monitors == {"pseudo_share": 1.0, "contradiction": 0.0}
    method(batch, 0.0)
    assert method.monitors == {}


def test_both_averages_decide_and_are_all_of_the_committee():
    method = _method()
    assert method.deciders() == [method.teacher.network, method.partner_teacher.network]
    assert method.committee() == method.deciders()


@pytest.mark.parametrize("fault", [{"confidence": 2.0}, {"cross_weight": -1.0}, {"partner": "resnet"}])
def test_settings_that_make_no_sense_are_refused(fault):
    with pytest.raises(ValidationError):
        CPSSettings(**fault)
