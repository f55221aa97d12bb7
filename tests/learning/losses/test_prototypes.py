"""Contrast of places and of class prototypes against float64 NumPy, and what each teaches."""

import numpy as np
import pytest
import torch

from napari_dycon.learning.batch import IGNORE, UNKNOWN
from napari_dycon.learning.losses.fecl import UNCLEAR, class_shares
from napari_dycon.learning.losses.prototypes import (
    PrototypeMemory,
    Prototypes,
    class_prototypes,
    place_contrast,
    prototype_contrast,
    uncertain_cells,
    uncertain_contrast,
)


def _unit(vectors, axis=-1):
    return vectors / np.linalg.norm(vectors, axis=axis, keepdims=True)


def _embedding(seed=0, shape=(2, 6, 3, 2, 4)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _shares(classes=3, seed=1):
    shares = np.random.default_rng(seed).random((2, classes, 3, 2, 4)).astype(np.float32)
    return shares * (shares > 0.6)


def _check_gradient(loss, reference, values, tolerance=2e-5):
    tensor = torch.from_numpy(values).requires_grad_()
    loss(tensor).backward()
    for index in np.random.default_rng(1).integers(0, values.shape, (20, values.ndim)):
        step = np.zeros(values.shape)
        step[tuple(index)] = 1e-5
        ahead, behind = (reference(values.astype(np.float64) + s) for s in (step, -step))
        assert tensor.grad[tuple(index)].item() == pytest.approx((ahead - behind) / 2e-5, abs=tolerance)
    assert tensor.grad.abs().max() > 10 * tolerance


# Shares of classes, and prototypes


def test_shares_count_each_class_in_each_cell_and_nothing_unlabelled():
    rng = np.random.default_rng(0)
    target = rng.choice([0, 1, 2, IGNORE, UNKNOWN], (2, 6, 4, 8))
    weight = rng.random(target.shape).astype(np.float32)
    shares = class_shares(torch.from_numpy(target), (3, 2, 4), 3, torch.from_numpy(weight))
    assert shares.shape == (2, 3, 3, 2, 4)
    cell = (1, slice(2, 4), slice(2, 4), slice(6, 8))
    for label in range(3):
        expected = (weight[cell] * (target[cell] == label)).mean()
        assert shares[1, label, 1, 1, 3].item() == pytest.approx(expected, abs=1e-6)
    assert class_shares(torch.full((1, 2, 2, 2), UNKNOWN), (1, 1, 1), 2).abs().max() == 0


def _prototypes(embedding, shares):
    z = _unit(embedding.astype(np.float64), axis=1)
    found = []
    for label in range(shares.shape[1]):
        total = sum(
            shares[(b, label, *cell)] * z[(b, slice(None), *cell)]
            for b in range(len(z))
            for cell in np.ndindex(z.shape[2:])
        )
        found.append(total / max(np.linalg.norm(total), 1e-300))
    return np.stack(found)


def test_prototypes_are_the_directions_of_masked_means():
    embedding, shares = _embedding(), _shares()
    shares[:, 1] = 0
    found = class_prototypes(torch.from_numpy(embedding), torch.from_numpy(shares))
    assert found.present.tolist() == [True, False, True]
    assert np.allclose(found.vectors, _prototypes(embedding, shares), atol=1e-5)
    assert found.vectors.norm(dim=1).tolist() == pytest.approx([1, 0, 1], abs=1e-5)


def test_the_length_of_an_embedding_does_not_matter():
    embedding, shares = torch.from_numpy(_embedding()), torch.from_numpy(_shares())
    scale = 1 + 9 * torch.rand(2, 1, 3, 2, 4)
    found, scaled = (class_prototypes(z, shares).vectors for z in (embedding, scale * embedding))
    assert torch.allclose(found, scaled, atol=1e-5)


# Contrast of prototypes


def _contrast(own, present, others, known, temperature):
    terms = []
    for k in np.flatnonzero(present & known):
        scores = {j: np.exp(own[k] @ others[j] / temperature) for j in np.flatnonzero(known)}
        terms.append(-np.log(scores[k] / sum(scores.values())))
    return np.mean(terms)


def _memory(classes=4, seed=3):
    return _unit(np.random.default_rng(seed).normal(size=(classes, 6))).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.1, 0.3])
def test_prototype_contrast_equals_the_equation(temperature):
    own, others = _memory(seed=1), _memory(seed=2)
    present, known = np.array([True, True, False, True]), np.array([True, False, True, True])
    loss = prototype_contrast(
        Prototypes(*map(torch.from_numpy, (own, present))),
        Prototypes(*map(torch.from_numpy, (others, known))),
        temperature,
    )
    assert loss.item() == pytest.approx(_contrast(own, present, others, known, temperature), rel=1e-5)


def test_prototype_contrast_teaches_the_embedding():
    embedding, shares, others = _embedding(), _shares(4), _memory()
    known = np.ones(4, dtype=bool)
    _check_gradient(
        lambda z: prototype_contrast(
            class_prototypes(z, torch.from_numpy(shares)),
            Prototypes(*map(torch.from_numpy, (others, known))),
        ),
        lambda z: _contrast(_prototypes(z, shares), known, others, known, 0.3),
        embedding,
    )


@pytest.mark.parametrize(
    ("present", "known"),
    [([0, 0, 0], [1, 1, 1]), ([1, 1, 1], [0, 0, 0]), ([1, 1, 1], [0, 1, 0]), ([1, 0, 0], [0, 1, 1])],
)
def test_without_a_class_in_common_and_another_there_is_nothing_to_contrast(present, known):
    vectors = torch.ones(3, 6, requires_grad=True)
    own = Prototypes(vectors, torch.tensor(present).bool())
    loss = prototype_contrast(own, Prototypes(torch.ones(3, 6), torch.tensor(known).bool()))
    loss.backward()
    assert loss.item() == 0 and vectors.grad.abs().max() == 0


def test_the_memory_takes_over_what_is_new_and_follows_what_it_knows():
    memory = PrototypeMemory(3, 2, momentum=0.9)
    assert not memory.known.present.any()
    east, north = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    memory.update(Prototypes(torch.stack([east, north, east]), torch.tensor([True, True, False])))
    assert memory.known.present.tolist() == [True, True, False]
    assert torch.equal(memory.vectors[0], east)
    memory.update(Prototypes(torch.stack([north, north, north]), torch.tensor([True, False, False])))
    length = np.hypot(0.9, 0.1)
    assert memory.vectors[0].tolist() == pytest.approx([0.9 / length, 0.1 / length])
    assert torch.equal(memory.vectors[1], north)
    other = PrototypeMemory(3, 2)
    other.load_state_dict(memory.state_dict())
    assert torch.equal(other.known.present, memory.known.present)


# Contrast of places


def _places(first, second, grid, temperature):
    def pooled(embedding):
        sides = [side // count for side, count in zip(embedding.shape[2:], grid, strict=True)]
        cells = [
            embedding[
                :, :, *(slice(i * side, (i + 1) * side) for i, side in zip(cell, sides, strict=True))
            ].mean(axis=(2, 3, 4))
            for cell in np.ndindex(*grid)
        ]
        return _unit(np.stack(cells, axis=1).astype(np.float64))

    a, b = pooled(first.astype(np.float64)), pooled(second.astype(np.float64))
    terms = []
    for patch in range(len(a)):
        scores = np.exp(a[patch] @ b[patch].T / temperature)
        terms += [-np.log(scores[i, i] / scores[i].sum()) for i in range(len(scores))]
        terms += [-np.log(scores[i, i] / scores[:, i].sum()) for i in range(len(scores))]
    return np.mean(terms)


@pytest.mark.parametrize("temperature", [0.1, 0.3])
@pytest.mark.parametrize(
    ("shape", "grid"),
    [((2, 5, 6, 3, 3), (3, 3, 3)), ((1, 5, 3, 2, 1), (3, 2, 1)), ((3, 5, 9, 3, 6), (3, 3, 3))],
)
def test_place_contrast_equals_the_equation(shape, grid, temperature):
    first, second = _embedding(1, shape), _embedding(2, shape)
    loss = place_contrast(*map(torch.from_numpy, (first, second)), 3, temperature)
    assert loss.item() == pytest.approx(_places(first, second, grid, temperature), rel=1e-5)


def test_place_contrast_teaches_both_networks():
    """The released code turns this loss into a number, from which no gradient comes."""
    first, second = (_embedding(seed, (2, 5, 3, 3, 3)) for seed in (1, 2))
    one, other = torch.from_numpy(first), torch.from_numpy(second)
    grid = (3, 3, 3)
    _check_gradient(lambda z: place_contrast(z, other), lambda z: _places(z, second, grid, 0.3), first)
    _check_gradient(lambda z: place_contrast(one, z), lambda z: _places(first, z, grid, 0.3), second)


def test_two_networks_that_describe_places_alike_and_apart_have_the_least_loss():
    apart = torch.eye(27).reshape(1, 27, 3, 3, 3)
    alike = place_contrast(apart, 5 * apart, temperature=0.1)
    assert alike < 0.01
    assert alike < place_contrast(apart, apart.flip(2), temperature=0.1)
    collapsed = torch.ones(1, 27, 3, 3, 3)
    assert place_contrast(collapsed, collapsed).item() == pytest.approx(np.log(27), rel=1e-5)


@pytest.mark.parametrize("shape", [(2, 4, 1, 1, 1), (1, 4, 2, 1, 5)])
def test_place_contrast_stays_finite(shape):
    for embedding in (torch.zeros(shape), 1e4 * torch.ones(shape), torch.randn(shape).bfloat16()):
        embedding = embedding.requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            loss = place_contrast(embedding, embedding.detach())
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.isfinite() and embedding.grad.isfinite().all()
        if shape[2:] == (1, 1, 1):
            assert loss.item() == 0


# Contrast of uncertain cells


def _uncertain(z, labels, vectors, present, margin, repulsion, centres=None):
    """L_con with `vectors` as targets, which carry no gradient, and `centres` as what is kept apart."""
    z = _unit(z.astype(np.float64))
    pulls = [
        np.mean([np.linalg.norm(z[i] - vectors[k]) for i in np.flatnonzero(labels == k)])
        for k in np.flatnonzero(present)
        if (labels == k).any()
    ]
    centres = (vectors if centres is None else centres)[present]
    gaps = [
        margin - min(np.linalg.norm(centres[j] - centres[k]), margin)
        for j in range(len(centres))
        for k in range(j + 1, len(centres))
    ]
    return (np.mean(pulls) if pulls else 0.0) + (repulsion * np.mean(gaps) if gaps else 0.0)


@pytest.mark.parametrize(("margin", "repulsion"), [(1.4, 0.5), (2.0, 1.0), (0.5, 0.0)])
def test_uncertain_contrast_equals_the_equation(margin, repulsion):
    z, labels = _embedding(0, (30, 6)), np.random.default_rng(2).integers(-1, 4, 30)
    vectors, present = _memory(), np.array([True, True, False, True])
    loss = uncertain_contrast(
        *map(torch.from_numpy, (z, labels)),
        Prototypes(*map(torch.from_numpy, (vectors, present))),
        margin,
        repulsion,
    )
    expected = _uncertain(z, labels, vectors, present, margin, repulsion)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_uncertain_cells_move_to_prototypes_and_not_prototypes_to_them():
    z, labels = _embedding(0, (30, 6)), np.random.default_rng(2).integers(-1, 4, 30)
    vectors, present = _memory(), np.ones(4, dtype=bool)
    known = Prototypes(torch.from_numpy(vectors).requires_grad_(), torch.from_numpy(present))
    _check_gradient(
        lambda cells: uncertain_contrast(cells, torch.from_numpy(labels), known, repulsion=0.0),
        lambda cells: _uncertain(cells, labels, vectors, present, 1.4, 0.0),
        z,
    )
    assert known.vectors.grad is None or known.vectors.grad.abs().max() == 0


def test_prototypes_are_pushed_apart_and_not_together():
    """The released code has the sign of this term wrong."""
    embedding, shares = torch.from_numpy(_embedding()).requires_grad_(), torch.zeros(2, 2, 3, 2, 4)
    shares[0, 0], shares[1, 1] = 1.0, 1.0
    nothing = torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64)

    def gap():
        first, second = class_prototypes(embedding.detach(), shares).vectors
        return (first - second).norm().item()

    before, optimiser = gap(), torch.optim.SGD([embedding], lr=1.0)
    for _ in range(20):
        optimiser.zero_grad()
        loss = uncertain_contrast(*nothing, class_prototypes(embedding, shares), margin=2.0)
        loss.backward()
        optimiser.step()
    assert gap() > before + 0.1


def test_prototypes_far_enough_apart_are_left_alone():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    known = Prototypes(vectors, torch.tensor([True, True]))
    loss = uncertain_contrast(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), known, margin=1.4)
    loss.backward()
    assert loss.item() == 0 and vectors.grad.abs().max() == 0


@pytest.mark.parametrize(
    ("cells", "present"), [(0, [0, 0]), (5, [0, 0]), (0, [1, 1]), (5, [1, 0]), (5, [1, 1])]
)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
def test_uncertain_contrast_stays_finite(cells, present, scale):
    z = (scale * torch.ones(cells, 4)).requires_grad_()
    vectors = torch.nn.functional.normalize(torch.ones(2, 4), dim=1).requires_grad_()
    labels = torch.arange(cells) % 3 - 1
    loss = uncertain_contrast(z, labels, Prototypes(vectors, torch.tensor(present).bool()))
    loss.backward()
    assert loss.isfinite() and z.grad.isfinite().all()
    assert vectors.grad is None or vectors.grad.isfinite().all()


def test_doubtful_cells_have_the_class_they_most_likely_are():
    doubtful = torch.tensor([0.0, 0.49, 0.5, 1.0]).reshape(1, 4, 1, 1)
    likely = torch.tensor([[0.9, 0.9, 0.4, 0.1], [0.1, 0.1, 0.6, 0.9]]).reshape(1, 2, 4, 1, 1)
    assert uncertain_cells(doubtful, likely, 0.5).tolist() == [UNCLEAR, UNCLEAR, 1, 1]
