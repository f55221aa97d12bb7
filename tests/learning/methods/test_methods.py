"""What every registered method must do, whatever it learns from."""

import copy
import inspect
from dataclasses import replace

import pytest
import torch

from napari_dycon.errors import TrainingError
from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch
from napari_dycon.learning.methods.base import Method, get_method, method_names
from napari_dycon.learning.networks import NetworkSpec

METHODS = method_names()
FROM_THE_FIRST_STEP = {"dycon_paper"}  # as published: its consistency has no late start
SPEC = NetworkSpec(widths=(8, 16), strides=((2, 2, 2),), projection=16)
PROGRESS = [0.0, 0.55, 1.0]


def _patches(count, classes=2, size=(16, 16, 16), seed=0):
    """Balls, one structure each, brighter the higher their class, in noise."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*(torch.arange(side, dtype=torch.float32) for side in size), indexing="ij")
    labels = torch.zeros(count, *size, dtype=torch.int64)
    for patch in range(count):
        for label in range(1, classes):
            centre = (0.2 + 0.6 * torch.rand(3, generator=generator)) * torch.tensor(size)
            inside = sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) < (0.28 * min(size)) ** 2
            labels[patch, inside] = label
    noise = torch.randn(count, 1, *size, generator=generator)
    return 1.5 * labels[:, None].float() + 0.7 * noise, labels


def _batch(classes=2, size=(16, 16, 16), unlabelled=2, seed=0, partial=True):
    image, target = _patches(2, classes, size, seed)
    weight = torch.rand(target.shape, generator=torch.Generator().manual_seed(seed)) + 0.5
    if partial:
        target[0, : size[0] // 4] = UNKNOWN
        target[1, :, :2] = IGNORE
        weight[1, -3:] = 0
    if not unlabelled:
        return Batch(image, target, weight)
    weak, _ = _patches(unlabelled, classes, size, seed + 100)
    return Batch(image, target, weight, weak, 1.1 * weak + 0.1)


def _build(name, spec=SPEC, seed=0, **settings):
    torch.manual_seed(seed)
    method = get_method(name)
    return method(spec, method.Settings(**settings))


def _losses(method, batch, progress, seed=1):
    torch.manual_seed(seed)
    return method(batch, progress)


def _check_finite(method, losses):
    total = sum(losses.values())
    total.backward()
    for name, loss in losses.items():
        assert loss.ndim == 0 and loss.dtype == torch.float32 and loss.isfinite(), name
    for name, parameter in method.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_the_three_methods_are_there_and_say_what_they_are():
    assert {"dycon", "mean_teacher", "supervised"} <= set(METHODS)
    for name in METHODS:
        method = get_method(name)
        assert issubclass(method, Method) and method.name == name
        assert method.title and "\n" not in method.title


def test_an_unknown_method_is_named_with_those_there_are():
    with pytest.raises(TrainingError, match=r"'dycom'.*dycon"):
        get_method("dycom")


def test_settings_of_another_method_are_refused():
    with pytest.raises(TypeError):
        get_method("dycon")(SPEC, get_method("mean_teacher").Settings())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("progress", PROGRESS)
@pytest.mark.parametrize("kind", ["hidden labels", "weights"])
def test_garbage_in_what_is_not_known_leaves_losses_bit_identical(name, progress, kind):
    batch, method = _batch(classes=3), _build(name, SPEC.model_copy(update={"classes": 3}))
    rng = torch.Generator().manual_seed(7)
    target, weight = batch.target.clone(), batch.weight.clone()
    if kind == "hidden labels":
        hidden = (weight == 0) & (target != IGNORE)
        assert hidden.any()
        target[hidden] = torch.randint(0, 3, (int(hidden.sum()),), generator=rng)
    else:
        unread = target >= IGNORE
        weight[unread] = 1e9 * torch.rand(int(unread.sum()), generator=rng)
    garbage = Batch(batch.image, target, weight, batch.weak, batch.strong)
    honest, corrupt = (_losses(method, b, progress) for b in (batch, garbage))
    assert honest.keys() == corrupt.keys()
    for key in honest:
        assert torch.equal(honest[key], corrupt[key]), key


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("progress", PROGRESS)
def test_weights_of_one_are_as_good_as_none(name, progress):
    batch, method = _batch(classes=3), _build(name, SPEC.model_copy(update={"classes": 3}))
    target = batch.supervision
    plain, weighted = (
        _losses(method, Batch(batch.image, target, weight, batch.weak, batch.strong), progress)
        for weight in (None, torch.ones(target.shape))
    )
    assert plain.keys() == weighted.keys()
    for key in plain:
        assert torch.equal(plain[key], weighted[key]), key


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("progress", PROGRESS)
def test_voxels_of_less_weight_pull_less(name, progress):
    """Half of the voxels say the other class: the loss is lower where they weigh less."""
    batch = _batch(partial=False)
    method = _build(name)
    _train(method, 12, total=40, optimiser=torch.optim.Adam(method.trainable_parameters(), lr=5e-3))
    wrong = torch.rand(batch.target.shape, generator=torch.Generator().manual_seed(3)) < 0.5
    target = torch.where(wrong, 1 - batch.target, batch.target)
    found = [
        _losses(method, Batch(batch.image, target, weight, batch.weak, batch.strong), progress)["supervised"]
        for weight in (torch.where(wrong, share, 1.0) for share in (0.1, 0.5, 1.0))
    ]
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("progress", PROGRESS)
def test_images_of_do_not_care_voxels_still_count_but_their_code_is_never_a_class(name, progress):
    """A class index as large as the codes would fail loudly if a loss read them as classes."""
    batch, method = _batch(), _build(name)
    target = torch.full_like(batch.target, IGNORE)
    losses = _losses(method, Batch(batch.image, target, None, batch.weak, batch.strong), progress)
    assert losses["supervised"].item() == 0
    _check_finite(method, losses)


def test_no_method_can_see_labels_of_unlabelled_patches():
    fields = {"image", "target", "weight", "weak", "strong", "inside"}
    assert set(inspect.signature(Batch).parameters) == fields
    assert set(_batch().blank.unique().tolist()) == {UNKNOWN}
    with pytest.raises(TypeError):
        replace(_batch(), inside=torch.ones(2, 16, 16, 16, dtype=torch.int64))


@pytest.mark.parametrize("name", [n for n in METHODS if get_method(n).learns_from_unlabelled])
@pytest.mark.parametrize("masked", [True, False])
def test_nothing_is_learned_from_what_an_unlabelled_patch_shows_outside_its_scan(name, masked):
    """Beyond the border a patch repeats it; pseudo-labels of that were a fifth of the voxels."""
    batch = _batch(partial=False, size=(16, 16, 16))
    target = batch.target.clone()
    target[:, 8:] = IGNORE
    inside = torch.zeros(batch.unlabelled, 16, 16, 16, dtype=torch.bool)
    inside[:, :8] = True
    fields = get_method(name).Settings.model_fields
    trusting = {"pseudo_threshold": 0.0} if "pseudo_threshold" in fields else {}
    method = _build(name, **trusting)
    seen = []

    def keep(head, features, logits):
        if logits.requires_grad:
            logits.retain_grad()
            seen.append(logits)

    for network in (method.student, getattr(method, "partner", None)):
        if network is not None:
            network.head.register_forward_hook(keep)
    for progress in (0.7, 1.0):
        batch = replace(batch, target=target, inside=inside if masked else None)
        sum(_losses(method, batch, progress).values()).backward()
    beyond = max(float(logits.grad[:, :, 8:].abs().max()) for logits in seen if logits.grad is not None)
    assert (beyond == 0) == masked


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("progress", PROGRESS)
@pytest.mark.parametrize(
    "case",
    [
        "five classes",
        "no unlabelled",
        "nothing known",
        "one class only",
        "anisotropic",
        "vnet",
        "constant",
        "huge",
    ],
)
def test_losses_and_gradients_stay_finite(name, progress, case):
    spec, batch = SPEC, _batch()
    if case == "five classes":
        spec, batch = SPEC.model_copy(update={"classes": 5}), _batch(classes=5)
    elif case == "no unlabelled":
        batch = _batch(unlabelled=0)
    elif case == "nothing known":
        batch = Batch(batch.image, torch.full_like(batch.target, UNKNOWN), None, batch.weak, batch.strong)
    elif case == "one class only":
        batch = Batch(batch.image, torch.zeros_like(batch.target), None, batch.weak, batch.strong)
    elif case == "anisotropic":
        spec = NetworkSpec(widths=(8, 16, 16), strides=((2, 2, 1), (2, 2, 2)), projection=16)
        batch = _batch(size=(24, 16, 6))
    elif case == "vnet":
        spec = SPEC.model_copy(update={"kind": "vnet"})
    elif case == "constant":
        batch = Batch(torch.zeros_like(batch.image), batch.target, None, batch.weak * 0, batch.strong * 0)
    elif case == "huge":
        batch = Batch(batch.image * 1e4, batch.target, None, batch.weak * 1e4, batch.strong * 1e4)
    method = _build(name, spec)
    _check_finite(method, _losses(method, batch, progress))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("progress", PROGRESS)
def test_mixed_precision_keeps_losses_in_single(name, progress):
    method = _build(name)
    with torch.autocast("cpu", torch.bfloat16):
        losses = _losses(method, _batch(), progress)
    _check_finite(method, losses)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in FROM_THE_FIRST_STEP])
def test_before_consistency_starts_nothing_but_the_labelled_patches_is_computed(name):
    method, seen = _build(name), []
    method.student.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    method.teacher.register_forward_hook(lambda *_: seen.append("teacher"))
    assert set(method(_batch(), 0.0)) == {"supervised"}
    assert seen == [2]


@pytest.mark.parametrize("name", [name for name in METHODS if get_method(name).learns_from_unlabelled])
def test_unlabelled_patches_teach_the_student_but_not_the_teacher(name):
    method = _build(name)
    losses = _losses(method, _batch(partial=False), 1.0)
    assert len(losses) > 1
    sum(loss for key, loss in losses.items() if key != "supervised").backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in method.student.parameters())
    assert all(p.grad is None for p in method.teacher.parameters())


def _train(method, steps, start=0, total=60, optimiser=None):
    optimiser = optimiser or torch.optim.SGD(method.trainable_parameters(), lr=0.05)
    for step in range(start, start + steps):
        losses = method(_batch(seed=step), step / total)
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
        method.after_step(step / total)


@pytest.mark.parametrize("name", METHODS)
def test_training_goes_on_bit_exactly_from_its_state(name):
    whole = _build(name)
    _train(whole, 3, start=40)
    saved, random_state = copy.deepcopy(whole.state_dict()), torch.get_rng_state()
    _train(whole, 3, start=43)
    resumed = _build(name, seed=9)
    resumed.load_state_dict(saved)
    torch.set_rng_state(random_state)
    _train(resumed, 3, start=43)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def _dice(network, seed=1000):
    image, truth = _patches(4, seed=seed)
    with torch.no_grad():
        found = network(image).logits.argmax(dim=1)
    return (
        2
        * ((found == 1) & (truth == 1)).sum().item()
        / max(((found == 1).sum() + (truth == 1).sum()).item(), 1)
    )


@pytest.mark.parametrize("name", METHODS)
def test_it_learns_to_find_balls(name):
    method = _build(name, momentum=0.8)
    before = _dice(method.deciders()[0])
    _train(method, 60, optimiser=torch.optim.Adam(method.trainable_parameters(), lr=5e-3))
    after = _dice(method.deciders()[0])
    assert not method.deciders()[0].training
    assert after > 0.85 and after > before + 0.1


@pytest.mark.parametrize("name", METHODS)
def test_the_committee_holds_different_networks_once_trained(name):
    method = _build(name)
    _train(method, 3)
    members = [member.eval() for member in method.committee()]
    assert members[0] is method.deciders()[0]
    image, _ = _patches(1)
    logits = [member(image).logits for member in members]
    assert all(not torch.equal(logits[0], other) for other in logits[1:])


@pytest.mark.parametrize("name", METHODS)
def test_a_whole_is_a_part_of_what_labels_teach(name):
    spec = SPEC.model_copy(update={"classes": 4})
    method, batch = _build(name, spec), _batch(classes=4)
    plain = _losses(copy.deepcopy(method), batch, 0.0)
    method.wholes = ((1, 3),)
    assert _losses(method, batch, 0.0)["supervised"] != plain["supervised"]
