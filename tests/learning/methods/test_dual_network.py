"""Dual network: every component can be turned off, and does what it says when on."""

import pytest
import torch
from pydantic import ValidationError

from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.losses.evidence import correction_losses, rectified_cross_entropy
from napari_dycon.learning.losses.supervised import confident_cross_entropy
from napari_dycon.learning.losses.uncertainty import normalised_entropy
from napari_dycon.learning.methods.dual_network import DualNetwork, DualNetworkSettings
from napari_dycon.learning.networks import NetworkSpec

SPEC = NetworkSpec(widths=(8, 16, 16), strides=((2, 2, 2), (2, 2, 2)), projection=16)
LATE = 1.0
TERMS = ["correction", "filtered", "rectified", "contrast"]


def _batch(unlabelled=2):
    generator = torch.Generator().manual_seed(0)
    image, weak = (torch.randn(2, 1, 16, 16, 16, generator=generator) for _ in range(2))
    target = torch.zeros(2, 16, 16, 16, dtype=torch.int64)
    target[:, 4:12, 4:12] = 1
    image[:, 0] += 2 * target
    weak[:, :, :8, :8] += 2
    return Batch(image, target, None, weak, weak + 0.2) if unlabelled else Batch(image, target)


def _method(**settings):
    torch.manual_seed(0)
    method = DualNetwork(SPEC, DualNetworkSettings(**settings))
    with torch.no_grad():  # at first no network is confident of anything
        for network in (method.student, method.partner):
            network.head.convolution.weight.mul_(20)
    for average, network in ((method.teacher, method.student), (method.partner_teacher, method.partner)):
        average.network.load_state_dict(network.state_dict())
    return method


def _losses(batch=None, progress=LATE, **settings):
    method = _method(**settings)
    torch.manual_seed(1)
    return method(_batch() if batch is None else batch, progress)


def _look(method, batch):
    images = torch.cat([batch.image, batch.strong])
    students = [network(images).logits for network in (method.student, method.partner)]
    return students, [average(batch.weak).logits for average in (method.teacher, method.partner_teacher)]


def test_all_terms_are_there_late_and_their_weights_scale_them():
    losses = _losses()
    assert set(losses) == {"supervised", *TERMS}
    doubled = _losses(correction_weight=1.0, filtered_weight=1.0, rectified_weight=0.5, contrast_weight=0.1)
    for name in TERMS:
        assert losses[name] > 0
        assert doubled[name].item() == pytest.approx(2 * losses[name].item(), rel=1e-6)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_of_weight_zero_is_left_out(term):
    usual, changed = _losses(), _losses(**{f"{term}_weight": 0.0})
    assert set(usual) - set(changed) == {term}
    for other in changed:
        assert usual[other].item() == pytest.approx(changed[other].item(), rel=1e-6)


def test_the_terms_grow_after_the_start():
    early, late = (_losses(progress=p, keep_first=0.7, keep_last=0.7) for p in (0.45, 0.65))
    for name in TERMS:
        assert 0 < early[name] < 0.5 * late[name], name


@pytest.mark.parametrize(
    ("switch", "terms"),
    [
        ({"keep_last": 0.8}, {"filtered", "contrast"}),
        ({"entropy_floor": 0.5}, {"filtered", "contrast"}),
        ({"confidence": 0.9}, {"correction"}),
        ({"margin": 2.0}, {"contrast"}),
        ({"repulsion": 2.0}, {"contrast"}),
        ({"candidates": 1}, {"contrast"}),
    ],
)
def test_every_switch_changes_its_own_terms_and_no_other(switch, terms):
    usual, changed = _losses(keep_last=0.3), _losses(**{"keep_last": 0.3, **switch})
    assert {name for name in usual if not torch.equal(usual[name], changed[name])} == terms


def test_both_networks_learn_what_either_is_certain_of_class_by_class():
    method, batch = _method(keep_last=0.4, entropy_floor=0.05), _batch()
    students, averages = _look(method, batch)
    kept = torch.zeros_like(averages[0][:, 0], dtype=torch.bool)
    for logits in averages:
        entropy, found = normalised_entropy(logits), logits.argmax(1)
        for label in range(2):
            own = entropy[found == label].sort().values
            limit = max(own[round(0.4 * len(own)) - 1].item(), 0.05)
            kept |= (found == label) & (entropy <= limit)
    mean = sum(logits.softmax(1) for logits in averages)
    target = torch.where(kept, mean.argmax(1), UNKNOWN)
    assert 0.4 <= kept.float().mean() < 0.9
    expected = sum(confident_cross_entropy(logits[2:], target) for logits in students)
    assert method(batch, LATE)["filtered"].item() == pytest.approx(0.5 * expected.item(), rel=1e-4)


def test_the_filter_opens_with_the_ramp():
    method, shares = _method(keep_first=0.1, keep_last=0.9, entropy_floor=0.0), []
    for progress in (0.4, 0.5, 0.6):
        method(_batch(), progress)
        shares.append(method.monitors["pseudo_share"])
    assert shares == sorted(shares) and shares[0] < 0.3 and shares[-1] > 0.9


@pytest.mark.parametrize("worse", ["student", "partner"])
def test_the_worse_network_learns_from_the_better(worse):
    method, batch = _method(), _batch()
    with torch.no_grad():
        network = getattr(method, worse)
        network.head.convolution.weight.mul_(50)  # sure of nonsense
    students, averages = _look(method, batch)
    learner, teacher = (0, 1) if worse == "student" else (1, 0)
    everywhere = torch.ones_like(batch.target, dtype=torch.bool)
    expected = rectified_cross_entropy(students[learner][2:], averages[teacher], everywhere)
    loss = method(batch, LATE)["rectified"]
    assert loss.item() == pytest.approx(0.25 * expected.item(), rel=1e-4)
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())
    better = method.partner if worse == "student" else method.student
    assert all(p.grad is None or p.grad.abs().max() == 0 for p in better.parameters())


def test_confident_contradictions_are_corrected_on_labelled_voxels():
    method, batch = _method(), _batch()
    students, _ = _look(method, batch)
    expected = sum(correction_losses(students[0][:2], students[1][:2], batch.target, 0.6))
    assert expected > 0
    assert method(batch, LATE)["correction"].item() == pytest.approx(0.5 * expected.item(), rel=1e-4)
    nothing = Batch(batch.image, torch.full_like(batch.target, UNKNOWN), None, batch.weak, batch.strong)
    assert _losses(nothing)["correction"].item() == 0


def test_unknown_voxels_of_labelled_patches_are_taught_and_known_ones_never():
    batch = _batch(unlabelled=0)
    assert set(_losses(batch)) == {"supervised", "correction"}
    batch.target[:, :8] = UNKNOWN
    changed = batch.target.clone()
    changed[:, 8:] = 1 - changed[:, 8:]
    usual, other = _losses(batch), _losses(Batch(batch.image, changed))
    assert usual["filtered"].item() > 0
    assert torch.equal(usual["filtered"], other["filtered"])


def test_known_labels_are_reliable_and_shape_the_prototypes():
    batch = _batch()
    other = Batch(batch.image, 1 - batch.target, None, batch.weak, batch.strong)
    assert not torch.equal(_losses(batch)["contrast"], _losses(other)["contrast"])


@pytest.mark.parametrize("fault", [{"keep_last": 1.5}, {"candidates": 0}, {"confidence": -0.1}, {"tau": 0.5}])
def test_settings_that_make_no_sense_are_refused(fault):
    with pytest.raises(ValidationError):
        DualNetworkSettings(**fault)
