"""UC-Seg: every component can be turned off, and does what it says when on."""

import pytest
import torch
from pydantic import ValidationError

from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.losses.evidence import calibration_loss, evidential_uncertainty, fuse
from napari_dycon.learning.losses.prototypes import place_contrast
from napari_dycon.learning.losses.supervised import partial_loss
from napari_dycon.learning.losses.uncertainty import normalised_entropy
from napari_dycon.learning.methods.uc_seg import UCSeg, UCSegSettings
from napari_dycon.learning.networks import NetworkSpec

SPEC = NetworkSpec(widths=(8, 16, 16), strides=((2, 2, 2), (2, 2, 2)), projection=16)
LATE = 1.0
MIXED = {"mixing_start": 0.7}


def _batch(unlabelled=2, classes=2, size=16):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 1, size, size, size, generator=generator)
    weak = torch.randn(max(unlabelled, 1), 1, size, size, size, generator=generator)
    target = torch.zeros(2, size, size, size, dtype=torch.int64)
    for label in range(1, classes):
        target[:, 4 * label : 4 * label + 4, 4:12] = label
    image[:, 0] += 2 * target
    return Batch(image, target, None, weak, weak + 0.2) if unlabelled else Batch(image, target)


def _method(spec=SPEC, **settings):
    torch.manual_seed(0)
    return UCSeg(spec, UCSegSettings(**settings))


def _losses(batch=None, progress=LATE, **settings):
    """Of the second step, when there are prototypes to compare with."""
    method, batch = _method(**settings), _batch() if batch is None else batch
    method(batch, progress)
    method.after_step(progress)
    torch.manual_seed(1)
    return method(batch, progress)


def _logits(method, batch):
    images = torch.cat([batch.image, batch.strong])
    return [network(images).logits for network in (method.student, method.partner)]


def test_all_terms_are_there_late_and_their_weights_scale_them():
    losses = _losses()
    assert set(losses) == {"supervised", "pseudo", "calibration", "class", "place"}
    doubled = _losses(pseudo_weight=1.0, calibration_weight=0.2, prototype_weight=0.4, place_weight=0.2)
    for name in losses.keys() - {"supervised"}:
        assert losses[name] > 0
        assert doubled[name].item() == pytest.approx(2 * losses[name].item(), rel=1e-6)


@pytest.mark.parametrize(
    ("switch", "term"),
    [("pseudo", "pseudo"), ("calibration", "calibration"), ("prototype", "class"), ("place", "place")],
)
def test_a_term_of_weight_zero_is_left_out(switch, term):
    usual, changed = _losses(), _losses(**{f"{switch}_weight": 0.0})
    assert set(usual) - set(changed) == {term}
    for other in changed:
        assert usual[other].item() == pytest.approx(changed[other].item(), rel=1e-6)


def test_the_labels_teach_more_than_everything_else_together():
    """The released code's unsupervised weight grows to 15."""
    method, batch = _method(), _batch()
    losses = method(batch, LATE)
    weights = [network.head.convolution.weight for network in (method.student, method.partner)]
    supervised = losses.pop("supervised")
    for weight in weights:
        told, guessed = (
            torch.autograd.grad(loss, weight, retain_graph=True)[0].norm()
            for loss in (supervised, losses["pseudo"] + losses["calibration"])
        )
        assert 0 < guessed < told


def test_the_terms_grow_after_the_start():
    fixed = {"trust_first": 0.5, "trust_last": 0.5}
    early, late = (_losses(progress=p, **fixed) for p in (0.45, 0.65))
    for name in early.keys() - {"supervised"}:
        assert 0 < early[name] < 0.5 * late[name], name


@pytest.mark.parametrize("kind", ["entropy", "evidence"])
def test_both_subnets_learn_the_fused_labels_as_far_as_they_are_certain(kind):
    method, batch = _method(uncertainty=kind), _batch()
    measure = {"entropy": normalised_entropy, "evidence": evidential_uncertainty}[kind]
    averages = [average(batch.weak).logits for average in (method.teacher, method.partner_teacher)]
    guess = fuse(averages, [measure(logits) for logits in averages])
    expected = sum(
        partial_loss(logits[2:], guess.target, guess.certainty) for logits in _logits(method, batch)
    )
    assert method(batch, LATE)["pseudo"].item() == pytest.approx(0.5 * expected.item(), rel=1e-4)


def test_pseudo_labels_are_given_to_unknown_voxels_of_labelled_patches_and_never_to_known_ones():
    batch = _batch(unlabelled=0)
    assert _losses(batch)["pseudo"].item() == 0
    batch.target[:, :8] = UNKNOWN
    changed = batch.target.clone()
    changed[:, 8:] = 1 - changed[:, 8:]
    other = Batch(batch.image, changed)
    assert _losses(batch)["pseudo"].item() > 0
    assert torch.equal(_losses(batch)["pseudo"], _losses(other)["pseudo"])


@pytest.mark.parametrize("kind", ["entropy", "evidence"])
@pytest.mark.parametrize(("progress", "trust"), [(0.7, 0.01**0.3), (1.0, 1.0)])
def test_calibration_is_taken_on_labelled_voxels_with_growing_trust(kind, progress, trust):
    method, batch = _method(uncertainty=kind), _batch()
    measure = {"entropy": normalised_entropy, "evidence": evidential_uncertainty}[kind]
    expected = sum(
        calibration_loss(logits[:2], measure(logits[:2]), batch.target, trust)
        for logits in _logits(method, batch)
    )
    found = method(batch, progress)["calibration"].item()
    assert found == pytest.approx(0.1 * expected.item(), rel=1e-4)


def test_places_are_contrasted_between_the_subnets():
    method, batch = _method(), _batch()
    images = torch.cat([batch.image, batch.strong])
    one, other = (network(images, project=True).embedding for network in (method.student, method.partner))
    assert method(batch, LATE)["place"].item() == pytest.approx(
        0.1 * place_contrast(one, other).item(), rel=1e-4
    )


def test_class_prototypes_are_remembered_after_the_step_and_only_then_compared_with():
    method, batch = _method(), _batch()
    assert method(batch, LATE)["class"].item() == 0
    assert not method.memory.known.present.any()
    method.after_step(LATE)
    assert method.memory.known.present.any()
    assert method(batch, LATE)["class"].item() > 0
    assert "memory.vectors" in method.state_dict()


def _remembered(batch, spec=SPEC, learned=True):
    method = _method(spec)
    if learned:
        optimiser = torch.optim.Adam(method.trainable_parameters(), lr=1e-2)
        for _ in range(25):
            optimiser.zero_grad()
            method(batch, 0.0)["supervised"].backward()
            optimiser.step()
    method(batch, LATE)
    method.after_step(LATE)
    return method.memory


def test_the_memory_is_fed_by_labelled_patches_alone():
    batch = _batch()
    other = Batch(batch.image, batch.target, None, batch.weak * 3 + 1, batch.strong * 3 + 1)
    assert torch.equal(_remembered(batch).vectors, _remembered(other).vectors)


def test_the_memory_is_fed_only_by_voxels_that_a_subnet_gets_right():
    spec, batch = SPEC.model_copy(update={"classes": 3}), _batch(classes=3)
    assert _remembered(batch, spec).known.present.all()
    method = _method(spec)
    for network in (method.student, method.partner):
        torch.nn.init.zeros_(network.head.convolution.weight)
        torch.nn.init.constant_(network.head.convolution.bias, 0.0)
        network.head.convolution.bias.data[: len(network.head.convolution.bias) // 3] = 9.0  # class 0 alone
    method(batch, LATE)
    method.after_step(LATE)
    assert method.memory.known.present.tolist() == [True, False, False]


def _seen(progress, batch, seed=1, **settings):
    method, seen = _method(**settings), []
    method.student.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    torch.manual_seed(seed)
    losses = method(batch, progress)
    return seen[0], losses


def test_late_patches_exchange_a_box_with_labelled_ones():
    batch = _batch(unlabelled=3)
    assert torch.equal(_seen(0.69, batch, **MIXED)[0], torch.cat([batch.image, batch.strong]))
    assert torch.equal(_seen(LATE, batch)[0], torch.cat([batch.image, batch.strong]))
    shares = set()
    for seed in range(8):
        images = _seen(0.71, batch, seed, **MIXED)[0]
        assert torch.equal(images[:2], batch.image)
        copied = images[2:] == batch.image[[0, 1, 0]]
        assert torch.equal(copied, images[2:] != batch.strong)
        shares.add(round(copied.float().mean().item(), 3))
    box = (10 / 16) ** 3
    assert shares == {round(box, 3), round(1 - box, 3)}


def test_what_was_copied_from_a_labelled_patch_keeps_its_true_labels():
    batch = _batch()
    other = Batch(batch.image, 1 - batch.target, None, batch.weak, batch.strong)
    before, after = (
        [_seen(progress, b, **MIXED)[1]["pseudo"] for b in (batch, other)] for progress in (0.69, 0.71)
    )
    assert torch.equal(*before)
    assert not torch.equal(*after)


@pytest.mark.parametrize(
    "fault",
    [
        {"trust_first": 0.0},
        {"temperature": 0.0},
        {"mixing_box": 0.0},
        {"uncertainty": "variance"},
        {"beta": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(fault):
    with pytest.raises(ValidationError):
        UCSegSettings(**fault)
