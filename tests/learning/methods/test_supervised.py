"""Supervised learning: labelled patches, late also pasted into each other, by themselves and in DyCON."""

import pytest
import torch

from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.losses.supervised import partial_loss
from napari_dycon.learning.methods.base import get_method
from napari_dycon.learning.networks import NetworkSpec

SPEC = NetworkSpec(widths=(8, 16), strides=((2, 2, 2),), projection=16)
MIXING = ["supervised", "dycon"]


def _method(name="supervised", **settings):
    torch.manual_seed(0)
    method = get_method(name)
    return method(SPEC, method.Settings(**settings))


def _batch(count=4, weighted=True):
    """Patches whose every voxel says in image, target and weight from which of them it is."""
    number = torch.arange(count).reshape(-1, 1, 1, 1)
    target = (number % 2).expand(count, 16, 16, 16).clone()
    target[:, 0] = UNKNOWN
    image = number.float()[:, None].expand(count, 1, 16, 16, 16).clone()
    weight = (0.25 + number / 8).expand(count, 16, 16, 16).clone() if weighted else None
    return Batch(image, target, weight)


def _seen(method, batch, progress=1.0, seed=1):
    """What the student was shown, and the losses."""
    shown = []
    hook = method.student.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    torch.manual_seed(seed)
    losses = method(batch, progress)
    hook.remove()
    return torch.cat(shown), losses


@pytest.mark.parametrize("name", MIXING)
def test_late_steps_take_as_many_labelled_patches_again(name):
    method = _method(name)
    assert method.patches(0.1, 2, 0) == (2, 0)
    assert method.patches(0.5, 2, 0) == (4, 0)
    assert method.patches(0.5, 8, 0) == (16, 0)
    assert method.patches(0.5, 1, 0) == (4, 0)


@pytest.mark.parametrize("name", MIXING)
def test_without_copy_paste_all_patches_are_whole(name):
    method = _method(name, copy_paste=False)
    assert method.patches(1.0, 2, 0) == (2, 0)
    shown, losses = _seen(method, _batch())
    assert torch.equal(shown, _batch().image)
    assert set(losses) == {"supervised"}


@pytest.mark.parametrize("name", MIXING)
def test_two_are_whole_and_two_are_pasted_into_each_other(name):
    for seed in range(6):
        shown, losses = _seen(_method(name), _batch(), seed=seed)
        assert torch.equal(shown[:2], _batch().image[:2])
        assert set(losses) == {"supervised", "mixed"}
        mixed = shown[2:]
        assert len(mixed) == 1 and set(mixed.unique().tolist()) == {2.0, 3.0}
        assert 0.1 < float((mixed == 2).float().mean()) < 0.9


@pytest.mark.parametrize("weighted", [True, False])
def test_every_voxel_of_a_mixture_keeps_its_own_label_and_weight(weighted):
    method, batch = _method(), _batch(weighted=weighted)
    shown, losses = _seen(method, batch)
    source = shown[2:, 0].long()
    target = torch.where(source == 2, batch.target[2], batch.target[3])
    weight = None if batch.weight is None else torch.where(source == 2, batch.weight[2], batch.weight[3])
    expected = partial_loss(method.student(shown).logits[2:], target, weight)
    assert losses["mixed"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_sometimes_a_box_is_pasted_and_sometimes_all_around_one():
    corners = {float(_seen(_method(), _batch(), seed=seed)[0][2, 0, -1, -1, -1]) for seed in range(12)}
    assert corners == {2.0, 3.0}


@pytest.mark.parametrize("name", MIXING)
def test_mixtures_gain_weight_after_their_start(name):
    method = _method(name)
    early, later, late = (_seen(method, _batch(), progress)[1] for progress in (0.1, 0.25, 1.0))
    assert set(early) == {"supervised"}
    assert 0 < later["mixed"] < 0.5 * late["mixed"]


@pytest.mark.parametrize("name", MIXING)
def test_too_few_patches_are_shown_whole(name):
    shown, losses = _seen(_method(name), _batch(count=3))
    assert torch.equal(shown, _batch(count=3).image)
    assert set(losses) == {"supervised"}


def test_dycon_pastes_unlabelled_patches_wherever_there_are_some():
    batch = _batch(count=3)
    weak = torch.full_like(batch.image[:1], 9.0)
    shown, losses = _seen(_method("dycon"), Batch(batch.image, batch.target, batch.weight, weak, weak))
    assert set(losses) == {"supervised", "pseudo"}
    assert set(shown[2:].unique().tolist()) == {2.0, 9.0}
    assert _method("dycon").patches(1.0, 2, 2) == (3, 1)


def test_what_a_teacher_is_compared_with_is_not_pasted():
    method = _method("dycon", fecl_weight=0.1)
    assert method.patches(1.0, 2, 0) == (2, 0)
    shown, _ = _seen(method, _batch())
    assert torch.equal(shown, _batch().image)
