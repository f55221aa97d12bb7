"""Two networks: both learn everything, both averages decide, and equals are parted."""

import pytest
import torch

from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch
from napari_dycon.learning.losses.supervised import partial_loss
from napari_dycon.learning.methods.base import get_method
from napari_dycon.learning.methods.pair import PARTING, NetworkPair
from napari_dycon.learning.networks import NetworkSpec

SPEC = NetworkSpec(widths=(8, 16, 16), strides=((2, 2, 2), (2, 2, 2)), projection=16)
TERMS = {
    "uc_seg": {"pseudo", "calibration", "class", "place"},
    "dual_network": {"correction", "filtered", "rectified", "contrast"},
}


def _batch(unlabelled=2, unknown=0):
    generator = torch.Generator().manual_seed(0)
    image, weak = (torch.randn(2, 1, 16, 16, 16, generator=generator) for _ in range(2))
    target = torch.zeros(2, 16, 16, 16, dtype=torch.int64)
    target[:, 4:12, 4:12] = 1
    image[:, 0] += 2 * target
    weak[:, :, :8, :8] += 2
    target[:, :unknown] = UNKNOWN
    return Batch(image, target, None, weak, weak + 0.2) if unlabelled else Batch(image, target)


def _build(name, spec=SPEC, **settings):
    torch.manual_seed(0)
    method = get_method(name)
    return method(spec, method.Settings(**settings))


def _networks(method):
    return method.student, method.partner


def _moved(network):
    return any(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


@pytest.fixture(params=TERMS)
def name(request):
    return request.param


def _first_steps(method, batch):
    """One step without optimiser, so that memories are filled."""
    method(batch, 1.0)
    method.after_step(1.0)
    method.zero_grad()


def test_every_term_from_unlabelled_patches_has_a_gradient_and_together_they_reach_both_networks(name):
    """In the released code some of these terms are numbers or of detached predictions: they teach nothing."""
    method, batch = _build(name), _batch()
    reached = {}
    for term in TERMS[name] - {"calibration", "correction"}:
        _first_steps(method, batch)
        method(batch, 1.0)[term].backward()
        reached[term] = [_moved(network) for network in _networks(method)]
        assert not any(_moved(average) for average in (method.teacher, method.partner_teacher))
    one_sided = {"rectified"}  # the better network does not learn from the worse
    for term, who in reached.items():
        assert any(who) if term in one_sided else all(who), term


def test_without_labels_both_networks_still_learn_from_the_unlabelled_patches(name):
    batch = _batch()
    nothing = Batch(batch.image, torch.full_like(batch.target, IGNORE), None, batch.weak, batch.strong)
    method = _build(name)
    sum(method(nothing, 1.0).values()).backward()
    assert all(_moved(network) for network in _networks(method))


def test_the_supervised_loss_is_that_of_both_networks_early_and_late(name):
    method, batch = _build(name), _batch()
    expected = sum(partial_loss(network(batch.image).logits, batch.target) for network in _networks(method))
    for progress in (0.0, 1.0):
        assert method(batch, progress)["supervised"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_before_the_start_neither_network_sees_an_unlabelled_patch(name):
    method, seen = _build(name, start=0.5), []
    for network in (*_networks(method), method.teacher, method.partner_teacher):
        network.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    assert set(method(_batch(), 0.49)) == {"supervised"}
    assert seen == [2, 2]
    assert not method.needs_unlabelled(0.49) and method.needs_unlabelled(0.5)


def test_the_averages_of_both_networks_decide(name):
    method = _build(name, momentum=0.5)
    assert isinstance(method, NetworkPair)
    deciders = method.deciders()
    assert method.committee() == deciders and len({id(network) for network in deciders}) == 2
    _first_steps(method, _batch())
    with torch.no_grad():
        for network in _networks(method):
            next(network.parameters()).add_(1.0)
    method.after_step(1.0)
    for decider, network in zip(deciders, _networks(method), strict=True):
        gap = next(network.parameters()) - next(decider.parameters())
        assert 0 < gap.mean() < 1
        assert not decider.training


@pytest.mark.parametrize("kind", ["unet", "vnet"])
@pytest.mark.parametrize("partner", ["unet", "vnet"])
def test_the_partner_may_be_of_the_other_kind(name, kind, partner):
    method = _build(name, SPEC.model_copy(update={"kind": kind}), partner=partner)
    assert (method.student.spec.kind, method.partner.spec.kind) == (kind, partner)
    losses = method(_batch(), 1.0)
    assert set(losses) == {"supervised"} | TERMS[name]
    sum(losses.values()).backward()
    assert all(_moved(network) for network in _networks(method))


def test_networks_of_one_kind_begin_differently(name):
    method = _build(name)
    image = _batch().image
    assert not torch.equal(method.student(image).logits, method.partner(image).logits)


@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_networks_that_continue_from_the_same_model_are_parted_once(name, progress):
    method = _build(name)
    for network in (method.partner, method.teacher.network, method.partner_teacher.network):
        network.load_state_dict(method.student.state_dict())
    before = {key: value.clone() for key, value in method.student.state_dict().items()}
    method(_batch(), progress)
    for key, value in method.student.state_dict().items():
        assert torch.equal(value, before[key])
    key = next(k for k in before if k.endswith("weight"))
    moved = (method.partner.state_dict()[key] - before[key]).norm() / before[key].norm()
    assert 0.5 * PARTING < moved < 2 * PARTING
    parted = {key: value.clone() for key, value in method.partner.state_dict().items()}
    method(_batch(), progress)
    for key, value in method.partner.state_dict().items():
        assert torch.equal(value, parted[key])


def test_equals_met_later_are_left_alone(name):
    """Otherwise a resumed run could differ from one that was never interrupted."""
    method = _build(name)
    method.after_step(0.0)
    method.partner.load_state_dict(method.student.state_dict())
    method(_batch(), 0.0)
    for key, value in method.student.state_dict().items():
        assert torch.equal(value, method.partner.state_dict()[key])


@pytest.mark.parametrize(("unknown", "patches"), [(0, 2), (1, 2), (8, 4)])
def test_unknown_voxels_of_labelled_patches_are_open_too_where_there_are_enough(name, unknown, patches):
    method, batch = _build(name), _batch(unknown=unknown)
    around = method.survey(batch)
    assert [len(prediction) for prediction in around.predictions] == [patches, patches]
    assert around.first == 4 - patches
    assert around.open[-2:].all()
    if patches == 4:
        assert torch.equal(around.open[:2], batch.target == UNKNOWN)


def test_with_everything_known_and_nothing_unlabelled_only_labels_teach(name):
    losses = _build(name)(_batch(unlabelled=0), 1.0)
    pseudo = {"pseudo", "filtered", "rectified", "contrast"} & set(losses)
    assert all(losses[term].item() == 0 for term in pseudo)
    assert losses["supervised"].item() > 0


def test_it_watches_whether_its_networks_agree(name):
    method = _build(name)
    method(_batch(), 1.0)
    assert {"agreement", "teacher_foreground"} < set(method.monitors)
    assert all(0 <= value <= 1 for value in method.monitors.values())
    method(_batch(), 0.0)
    assert method.monitors == {}
