"""FeCL against float64 NumPy, its degenerate cases, and the choice of patches."""

import numpy as np
import pytest
import torch

from napari_dycon.learning.batch import IGNORE, UNKNOWN
from napari_dycon.learning.losses.fecl import UNCLEAR, cell_mean, fecl, patch_labels, sample_anchors


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _reference(
    z, labels, entropy=None, teacher=None, *, tau=0.6, gamma=2.0, k=32, n_ref=64.0, bracket=False, frozen=None
):
    """FeCL anchor by anchor in float64; focal weights, which carry no gradient, come from `frozen`."""
    z = _unit(z.astype(np.float64))
    fixed = z if frozen is None else _unit(frozen.astype(np.float64))
    other = None if teacher is None else _unit(teacher.astype(np.float64))
    terms = []
    for i in range(len(z)):
        positives = [j for j in range(len(z)) if labels[j] == labels[i] and j != i]
        negatives = [j for j in range(len(z)) if labels[j] != labels[i]]
        if not positives or not negatives:
            continue

        def denominator(anchors, i=i, negatives=negatives):
            focus = [(((fixed[i] @ fixed[j]) + 1) / 2) ** gamma for j in negatives]
            hardest = [0.0]
            if other is not None:
                hardest = sorted((np.exp(anchors[i] @ other[j] / tau) for j in negatives), reverse=True)[:k]
            beside = np.mean(hardest) if bracket else 0.0
            total = sum(
                f * (np.exp(anchors[i] @ anchors[j] / tau) + beside)
                for f, j in zip(focus, negatives, strict=True)
            )
            total *= 1 if n_ref is None else n_ref / len(negatives)
            if not bracket:
                total += sum(hardest) * (1 if n_ref is None else n_ref / len(hardest))
            return total

        rest, fixed_rest = denominator(z), denominator(fixed)
        losses = []
        for j in positives:
            pull, fixed_pull = np.exp(z[i] @ z[j] / tau), np.exp(fixed[i] @ fixed[j] / tau)
            focus = (1 - fixed_pull / (fixed_pull + fixed_rest)) ** gamma
            weight = focus * (1 if entropy is None else np.exp(entropy[j]))
            losses.append(-weight * np.log(pull / (pull + rest)))
        terms.append(np.mean(losses))
    return np.mean(terms)


def _case(classes=3, patches=24, seed=0):
    rng = np.random.default_rng(seed)
    z, teacher = (rng.normal(size=(patches, 8)).astype(np.float32) for _ in range(2))
    return z, rng.integers(0, classes, patches), rng.random(patches).astype(np.float32), teacher


def _tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("bracket", [False, True])
@pytest.mark.parametrize("options", [{}, {"k": 3}, {"gamma": 0.0}, {"tau": 0.3}, {"n_ref": None}])
def test_it_equals_the_equation(classes, bracket, options):
    z, labels, entropy, teacher = _case(classes)
    names = {"k": "hard_negatives", "gamma": "gamma", "tau": "temperature", "n_ref": "reference_negatives"}
    chosen = {names[key]: value for key, value in options.items()}
    loss = fecl(*_tensors(z, labels, entropy, teacher), bracket=bracket, **chosen)
    expected = _reference(z, labels, entropy, teacher, bracket=bracket, **options)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_each_component_can_be_left_out():
    z, labels, entropy, teacher = _case()
    tensors = _tensors(z, labels, entropy, teacher)
    assert fecl(*tensors[:2]).item() == pytest.approx(_reference(z, labels), rel=1e-5)
    assert fecl(*tensors[:3]).item() == pytest.approx(_reference(z, labels, entropy), rel=1e-5)
    without_negatives = fecl(*tensors, hard_negatives=0)
    assert without_negatives.item() == pytest.approx(_reference(z, labels, entropy), rel=1e-5)


def test_without_focus_and_scaling_it_is_plain_contrast():
    z, labels, *_ = _case()
    loss = fecl(*_tensors(z, labels), gamma=0.0, reference_negatives=None)
    unit = _unit(z.astype(np.float64))
    similarity = np.exp(unit @ unit.T / 0.6)
    rows = []
    for i in range(len(z)):
        negative = similarity[i, labels != labels[i]].sum()
        positives = [j for j in np.flatnonzero(labels == labels[i]) if j != i]
        rows.append(np.mean([-np.log(similarity[i, j] / (similarity[i, j] + negative)) for j in positives]))
    assert loss.item() == pytest.approx(np.mean(rows), rel=1e-5)


@pytest.mark.parametrize("negatives", [1, 20, 300])
def test_perfect_clusters_leave_the_floor_of_the_negatives(negatives):
    """Two opposite clusters: an anchor with n negatives keeps log(1 + n e^(-2 / tau))."""
    labels = torch.cat([torch.ones(negatives), torch.zeros(negatives)]).long()
    if negatives == 1:
        labels = torch.tensor([1, 0, 0])  # the lone one has no positive
    z = torch.outer(2.0 * labels - 1, torch.ones(4))
    loss = fecl(z, labels, gamma=0.0, reference_negatives=None)
    assert loss.item() == pytest.approx(np.log1p(negatives * np.exp(-2 / 0.6)), rel=1e-5)


@pytest.mark.parametrize("copies", [2, 7])
def test_more_negatives_of_the_same_kind_change_only_the_plain_sum(copies):
    z, labels, *_ = _case(2)
    foreground = labels == 1
    more = np.concatenate([z] + (copies - 1) * [z[~foreground]])
    more_labels = np.concatenate([labels, np.zeros((copies - 1) * int((~foreground).sum()), labels.dtype)])

    def of_foreground(z, labels, reference):  # background cells become lone classes: negatives, never anchors
        apart = np.where(labels == 1, 1, 2 + np.arange(len(labels)))
        return fecl(*_tensors(z, apart), reference_negatives=reference).item()

    scaled = [of_foreground(*case, 64.0) for case in ((z, labels), (more, more_labels))]
    plain = [of_foreground(*case, None) for case in ((z, labels), (more, more_labels))]
    assert scaled[1] == pytest.approx(scaled[0], rel=1e-5)
    assert plain[1] > plain[0] + 0.1


@pytest.mark.parametrize("bracket", [False, True])
def test_its_gradient_is_that_of_the_equation_and_never_reaches_the_teacher(bracket):
    z, labels, entropy, teacher = _case()
    tensors = _tensors(z, labels, entropy, teacher)
    for index in (0, 2, 3):
        tensors[index].requires_grad_()
    fecl(*tensors, bracket=bracket).backward()
    assert tensors[2].grad is None and tensors[3].grad is None
    for index in np.random.default_rng(1).integers(0, z.shape, (20, 2)):
        step = np.zeros(z.shape)
        step[tuple(index)] = 1e-5
        ahead, behind = (
            _reference(z + s, labels, entropy, teacher, bracket=bracket, frozen=z) for s in (step, -step)
        )
        assert tensors[0].grad[tuple(index)].item() == pytest.approx(
            (ahead - behind) / 2e-5, rel=1e-3, abs=1e-5
        )


DEGENERATE = {
    "one class": (torch.randn(6, 4), torch.zeros(6, dtype=torch.int64)),
    "a lone foreground patch": (torch.randn(6, 4), torch.tensor([0, 0, 0, 0, 0, 1])),
    "only lone patches": (torch.randn(3, 4), torch.tensor([0, 1, 2])),
    "identical embeddings": (torch.ones(6, 4), torch.tensor([0, 0, 0, 1, 1, 1])),
    "zero embeddings": (torch.zeros(6, 4), torch.tensor([0, 0, 0, 1, 1, 1])),
    "one patch": (torch.randn(1, 4), torch.tensor([1])),
    "no patch": (torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)),
    "half precision": (100 * torch.randn(6, 4).half(), torch.tensor([0, 0, 0, 1, 1, 1])),
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize(
    "options", [{}, {"bracket": True, "reference_negatives": None}, {"temperature": 0.01}]
)
def test_degenerate_patches_give_finite_loss_and_gradient(name, options):
    embeddings, labels = DEGENERATE[name]
    embeddings = embeddings.clone().requires_grad_()
    teacher = embeddings.detach()  # the same as the student: similarities of exactly 1
    with torch.autocast("cpu", torch.bfloat16):
        loss = fecl(embeddings, labels, torch.ones(len(labels)), teacher, **options)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite() and embeddings.grad.isfinite().all()


def test_patches_without_a_counterpart_teach_nothing():
    for name in ("one class", "only lone patches", "no patch"):
        assert fecl(*DEGENERATE[name]).item() == 0


@pytest.mark.parametrize("spread", [1.0, 0.01])
@pytest.mark.parametrize("bracket", [False, True])
def test_clusters_come_apart_from_random_and_from_collapsed_embeddings(spread, bracket):
    torch.manual_seed(0)
    z = (torch.ones(1, 16) + spread * torch.randn(120, 16)).requires_grad_()
    labels = torch.arange(120) % 2
    optimiser = torch.optim.Adam([z], lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        fecl(z, labels, teacher=z.detach(), bracket=bracket).backward()
        optimiser.step()
    unit = torch.nn.functional.normalize(z.detach(), dim=1)
    cosine = unit @ unit.T
    same = labels[:, None] == labels[None, :]
    assert cosine[same].mean() > 0.95
    assert cosine[~same].mean() < (-0.7 if bracket else -0.9)


def test_cells_of_anisotropic_grids_are_averaged_exactly():
    values = torch.randn(2, 3, 8, 6, 4, dtype=torch.float64)
    mean = cell_mean(values, (2, 3, 4))
    assert mean.shape == (2, 3, 2, 3, 4)
    assert mean[1, 2, 1, 2, 3].item() == pytest.approx(values[1, 2, 4:8, 4:6, 3].mean().item())


def _one_cell(*voxels):
    return torch.tensor(voxels).reshape(1, len(voxels), 1, 1)


@pytest.mark.parametrize(
    ("voxels", "options", "expected"),
    [
        ([1, 1, 1, 0], {}, 1),
        ([1, 1, 0, 2], {"purity": 0.6}, UNCLEAR),
        ([0, 0, 0, 1], {}, 0),
        ([0, 0, 0, 1], {"background_purity": 0.95}, UNCLEAR),
        ([2, 2, UNKNOWN, IGNORE], {}, 2),
        ([2, UNKNOWN, UNKNOWN, IGNORE], {}, UNCLEAR),
        ([UNKNOWN] * 4, {}, UNCLEAR),
        ([UNKNOWN] * 4, {"min_known": 0.0}, UNCLEAR),
    ],
)
def test_a_patch_has_the_class_of_most_of_its_known_voxels(voxels, options, expected):
    assert patch_labels(_one_cell(*voxels), (1, 1, 1), 3, **options).item() == expected


@pytest.mark.parametrize(
    ("voxels", "weights", "expected"),
    [
        ([1, 1, 1, 2, 2, 2, 2], [1, 1, 1, 0.5, 0.5, 0.5, 0.5], 1),
        ([1, 1, 1, UNKNOWN], [0.5, 0.5, 0.5, 1], UNCLEAR),
        ([1, 1, 1, 1], [0.5, 0.5, 0.5, 0.5], 1),
    ],
)
def test_a_voxel_of_weight_a_half_is_half_a_vote_and_half_known(voxels, weights, expected):
    weight = torch.tensor(weights).reshape(1, -1, 1, 1)
    assert patch_labels(_one_cell(*voxels), (1, 1, 1), 3, weight, purity=0.6).item() == expected


def test_anchors_are_balanced_bounded_and_never_unclear():
    labels = torch.cat([torch.zeros(500), torch.ones(40), torch.full((100,), -1), torch.full((3,), 2)]).long()
    labels = labels[torch.randperm(len(labels))]
    chosen = sample_anchors(labels, 64, 4)
    assert len(chosen.unique()) == len(chosen)
    assert torch.bincount(labels[chosen], minlength=4).tolist() == [64, 40, 3, 0]


def test_anchors_follow_the_random_seed():
    labels = torch.zeros(500, dtype=torch.int64)
    torch.manual_seed(3)
    first, second = sample_anchors(labels, 10, 1), sample_anchors(labels, 10, 1)
    torch.manual_seed(3)
    assert torch.equal(sample_anchors(labels, 10, 1), first)
    assert not torch.equal(first, second)
    own = [sample_anchors(labels, 10, 1, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*own)
