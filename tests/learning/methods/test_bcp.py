"""BCP: the equation against NumPy, and every voxel keeps the label of the patch it comes from."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch
from napari_dycon.learning.methods.bcp import BCP, BCPSettings, pairs
from napari_dycon.learning.networks import NetworkSpec, Output

SPEC = NetworkSpec(classes=4, widths=(8, 16), strides=((2, 2, 2),), projection=8)
SIZE = (8, 12, 6)
EARLY, LATE = 0.0, 1.0


def _batch(labelled=2, unlabelled=2, weighted=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(labelled, 1, *SIZE, generator=generator)
    target = torch.randint(0, 4, (labelled, *SIZE), generator=generator)
    weight = torch.rand(labelled, *SIZE, generator=generator) + 0.5 if weighted else None
    if not unlabelled:
        return Batch(image, target, weight)
    weak = torch.randn(unlabelled, 1, *SIZE, generator=generator)
    return Batch(image, target, weight, weak, weak + 0.2)


def _method(**settings):
    torch.manual_seed(0)
    return BCP(SPEC, BCPSettings(**settings))


class _Named(torch.nn.Module):
    """Says with certainty that a voxel is of the class its image is named after, from 0 to 3."""

    def forward(self, x, *, project=False):
        classes = x[:, 0].round().long().clamp(0, 3)
        return Output(20 * torch.nn.functional.one_hot(classes, 4).movedim(-1, 1).float(), None)


def _named_batch(labelled, unlabelled):
    """Images whose voxels are 0 or 1 if labelled, 2 or 3 if not, and labels that say so."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 2, (labelled, *SIZE), generator=generator)
    weak = torch.randint(2, 4, (unlabelled, 1, *SIZE), generator=generator).float()
    return Batch(target[:, None].float(), target, None, weak, weak + 0.25)


def _method_that_reads_names():
    method = _method()
    method.teacher.network = _Named()
    return method


@pytest.mark.parametrize(("labelled", "unlabelled"), [(2, 2), (1, 1), (1, 3), (3, 1), (3, 2), (5, 4)])
def test_every_voxel_keeps_the_label_of_the_patch_it_comes_from(labelled, unlabelled):
    batch, method = _named_batch(labelled, unlabelled), _method_that_reads_names()
    mixed = method.mix(batch, batch.weak, batch.strong)
    assert len(mixed.image) == 2 * max(labelled, unlabelled)
    ours = mixed.image[:, 0] < 1.5
    assert torch.equal(mixed.truth[ours], mixed.image[:, 0][ours].long())
    assert (mixed.guess[ours] == UNKNOWN).all()
    assert (mixed.truth[~ours] == UNKNOWN).all()
    assert torch.equal(mixed.guess[~ours], (mixed.image[:, 0][~ours] - 0.25).long())


def test_of_each_pair_one_is_pasted_into_the_other_both_ways():
    batch, method = _named_batch(3, 3), _method_that_reads_names()
    ours = method.mix(batch, batch.weak, batch.strong).truth != UNKNOWN
    share = (5 * 8 * 4) / (8 * 12 * 6)  # two thirds of each side, rounded down
    assert ours[:3].flatten(1).float().mean(dim=1).tolist() == pytest.approx([share] * 3)
    assert torch.equal(ours[:3], ~ours[3:])


@pytest.mark.parametrize(("labelled", "unlabelled"), [(1, 1), (2, 3), (5, 2)])
def test_every_patch_of_both_streams_is_in_a_pair(labelled, unlabelled):
    ours, theirs = pairs(labelled, unlabelled)
    assert len(ours) == len(theirs) == max(labelled, unlabelled)
    assert set(ours) == set(range(labelled)) and set(theirs) == set(range(unlabelled))


def test_unknown_voxels_of_labelled_patches_are_filled_in_and_ignored_ones_are_not():
    batch, method = _named_batch(2, 2), _method_that_reads_names()
    batch.target[:, :4] = UNKNOWN
    batch.target[:, 4] = IGNORE
    mixed = method.mix(batch, batch.weak, batch.strong)
    ours = mixed.image[:, 0] < 1.5
    hidden, ignored = ours.clone(), ours.clone()
    hidden[:, 4:] = False
    ignored[:, :4] = ignored[:, 5:] = False
    assert torch.equal(mixed.guess[hidden], mixed.image[:, 0][hidden].long())
    assert (mixed.truth[hidden] == UNKNOWN).all()
    assert (mixed.truth[ignored] == IGNORE).all() and (mixed.guess[ignored] >= IGNORE).all()


def test_voxels_the_teacher_is_not_sure_of_are_left_out():
    batch, method = _batch(), _method(confidence=1.0)
    losses = method(batch, LATE)
    assert losses["copy_paste"].item() == 0
    assert method.monitors["pseudo_share"] == 0
    method = _method(confidence=0.0)
    mixed = method.mix(batch, batch.weak, batch.strong)
    assert torch.equal(mixed.guess < IGNORE, mixed.truth == UNKNOWN)


def _reference(logits, target, weight):
    """0.5 (CE + Dice) over the known voxels in float64, Dice of foreground classes that are present."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    weight = np.where(target < IGNORE, weight, 0.0)
    chosen = np.take_along_axis(probabilities, np.where(target < IGNORE, target, 0)[:, None], axis=1)[:, 0]
    dice = []
    for label in range(1, logits.shape[1]):
        p, g = probabilities[:, label], (target == label).astype(float)
        if g.any():
            both, each = 2 * (weight * p * g).sum(), (weight * (p**2 + g)).sum()
            dice.append(1 - (both + 1e-5) / (each + 1e-5))
    return 0.5 * ((weight * -np.log(chosen)).sum() / weight.sum() + np.mean(dice))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_losses_equal_the_published_equation_on_each_side_of_the_box(weighted):
    method, batch = _method(confidence=0.0, unlabelled_weight=0.3), _batch(weighted=weighted)
    torch.manual_seed(1)
    losses = method(batch, LATE)
    torch.manual_seed(1)
    mixed = method.mix(batch, batch.weak, batch.strong)
    logits = method.student(mixed.image).logits.double().detach().numpy()
    truth, guess = mixed.truth.numpy(), mixed.guess.numpy()
    weight = np.ones_like(truth) if mixed.weight is None else mixed.weight.double().numpy()
    assert losses["supervised"].item() == pytest.approx(_reference(logits, truth, weight), abs=1e-5)
    expected = 0.3 * _reference(logits, guess, np.ones_like(weight))
    assert losses["copy_paste"].item() == pytest.approx(expected, abs=1e-5)


def test_weights_follow_their_voxels():
    """A weight of zero hides a label wherever its voxel is pasted to."""
    batch = _batch(weighted=True)
    batch.weight[:, :, :6] = 0
    garbage = batch.target.clone()
    garbage[:, :, :6] = 3 - garbage[:, :, :6]
    other = Batch(batch.image, garbage, batch.weight, batch.weak, batch.strong)
    for progress in (EARLY, LATE):
        found = []
        for entry in (batch, other):
            method = _method()
            torch.manual_seed(1)
            found.append(method(entry, progress)["supervised"])
        assert torch.equal(*found)


def test_at_first_labelled_patches_are_pasted_into_each_other():
    method, seen = _method(), []
    method.student.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    image = torch.stack([torch.full((1, *SIZE), float(patch)) for patch in range(3)])
    method(Batch(image, torch.zeros(3, *SIZE, dtype=torch.int64)), EARLY)
    values = [set(patch.unique().tolist()) for patch in seen[0]]
    assert values == [{0.0, 2.0}, {1.0, 0.0}, {2.0, 1.0}]


def test_a_single_labelled_patch_stays_whole_at_first():
    method, batch, seen = _method(), _batch(labelled=1), []
    method.student.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    assert set(method(batch, EARLY)) == {"supervised"}
    assert torch.equal(seen[0], batch.image)


def test_labels_are_pasted_with_their_images_at_first():
    """Where each image names its own class, a network that reads names makes no mistake."""
    method, batch = _method(), _named_batch(3, 1)
    method.student = _Named()
    assert method(Batch(batch.image, batch.target), EARLY)["supervised"] < 1e-4


def test_without_unlabelled_patches_the_first_phase_goes_on():
    method = _method()
    assert set(method(_batch(unlabelled=0), LATE)) == {"supervised"}
    assert method.monitors == {}


@pytest.mark.parametrize("start", [0.0, 0.3])
def test_the_second_phase_begins_where_it_is_set(start):
    method, batch = _method(start=start), _batch()
    assert method.needs_unlabelled(start)
    assert set(method(batch, start)) == {"supervised", "copy_paste"}
    assert not method.needs_unlabelled(start - 0.01)
    assert set(method(batch, start - 0.01)) == {"supervised"}


@pytest.mark.parametrize("fault", [{"box_share": 1.5}, {"confidence": -0.1}, {"unlabelled_weight": -1.0}])
def test_settings_that_make_no_sense_are_refused(fault):
    with pytest.raises(ValidationError):
        BCPSettings(**fault)
