"""DyCON's focal entropy-aware contrastive loss (FeCL) and the choice of its patches.

A patch is one cell of the feature map, about 8 voxels wide. Which patches belong together is read from
known voxels or from confident pseudo-labels, never from the hidden truth of an unlabelled scan.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

UNCLEAR = -1
"""Label of a patch that is mixed or mostly unknown."""

_NEVER = -1e4


def cell_mean(values: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Average `(B, C, X, Y, Z)` over the cells of a feature map, `(B, C, *grid)`.

    Each side must be a multiple of the grid's.
    """
    batch, channels, *sides = values.shape
    cells = [part for count, side in zip(grid, sides, strict=True) for part in (count, side // count)]
    return values.reshape(batch, channels, *cells).mean(dim=(3, 5, 7))


@torch.no_grad()
def class_shares(
    target: Tensor, grid: tuple[int, int, int], classes: int, weight: Tensor | None = None
) -> Tensor:
    """Return how much of each cell of a feature map belongs to each class, `(B, C, *grid)` float32.

    Parameters
    ----------
    target
        `(B, X, Y, Z)` int64 class indices, 254 or 255.
    grid
        Shape of the feature map.
    classes
        Number of classes C.
    weight
        `(B, X, Y, Z)` importance of each voxel from 0 to 1, or None for 1.
    """
    importance = torch.ones_like(target, dtype=torch.float32) if weight is None else weight.float()
    return torch.cat([cell_mean((importance * (target == c))[:, None], grid) for c in range(classes)], dim=1)


@torch.no_grad()
def patch_labels(
    target: Tensor,
    grid: tuple[int, int, int],
    classes: int,
    weight: Tensor | None = None,
    *,
    purity: float = 0.5,
    background_purity: float | None = None,
    min_known: float = 0.5,
) -> Tensor:
    """Give each patch the class most of its known voxels have.

    Parameters
    ----------
    target
        `(B, X, Y, Z)` int64 class indices, 254 or 255.
    grid
        Shape of the feature map.
    classes
        Number of classes C.
    weight
        `(B, X, Y, Z)` importance of each voxel from 0 to 1, or None for 1; 0.5 is half known.
    purity
        Least share of the known voxels that must have the class.
    background_purity
        The same for background, `purity` when None. A high value keeps patches that touch a structure
        too small to fill them from being called background.
    min_known
        Least share of known voxels.

    Returns
    -------
    Tensor
        `(B, x * y * z)` int64 classes, -1 where unclear.
    """
    shares = class_shares(target, grid, classes, weight)
    known = shares.sum(dim=1)
    share, label = shares.max(dim=1)
    needed = torch.where(label == 0, purity if background_purity is None else background_purity, purity)
    clear = (known >= min_known) & (known > 0) & (share >= needed * known - 1e-6)
    return torch.where(clear, label, UNCLEAR).flatten(1)


@torch.no_grad()
def sample_anchors(
    labels: Tensor, per_class: int, classes: int, generator: torch.Generator | None = None
) -> Tensor:
    """Choose at most `per_class` patches of every class at random, so that memory stays bounded.

    Parameters
    ----------
    labels
        `(M,)` int64; patches labelled -1 are never chosen.
    per_class
        Most patches of one class.
    classes
        Number of classes.
    generator
        Source of randomness on the CPU; torch's global one when None.

    Returns
    -------
    Tensor
        Indices into `labels`, sorted by class.
    """
    chosen = []
    for label in range(classes):
        found = (labels == label).nonzero().flatten()
        if len(found) > per_class:
            order = torch.randperm(len(found), generator=generator)[:per_class]
            found = found[order.to(found.device)]
        chosen.append(found)
    return torch.cat(chosen)


def fecl(
    embeddings: Tensor,
    labels: Tensor,
    entropy: Tensor | None = None,
    teacher: Tensor | None = None,
    *,
    temperature: float = 0.6,
    gamma: float = 2.0,
    hard_negatives: int = 32,
    reference_negatives: float | None = 64.0,
    bracket: bool = False,
) -> Tensor:
    r"""Focal entropy-aware contrastive loss (DyCON, Eq. 3 to 6) in its safe form.

    .. math:: \frac{1}{|P(i)|} \sum_{k \in P(i)} F_{ik} e^{H_k} \log\frac{e^{S_{ik}} + D_i}{e^{S_{ik}}},
              \quad F_{ik} = (1 - p_{ik})^\gamma

    with S the cosine similarity over temperature, p the softmax probability of the positive and D the
    focally weighted negatives of the anchor plus its hardest negatives in the teacher. The focal weight
    uses p and not the cosine as in Eq. 4, which equal embeddings minimise; negatives are counted as if
    there were always `reference_negatives`; rows without a positive or a negative are left out.

    Parameters
    ----------
    embeddings
        `(M, D)` of the student; normalised here.
    labels
        `(M,)` int64 classes, none unclear.
    entropy
        `(M,)` entropy of each patch, None for no entropy weights.
    teacher
        `(M, D)` embeddings of the same patches by the teacher, None for no cross-network negatives.
    temperature
        Of the similarities.
    gamma
        Focal exponent of positives and negatives; 0 turns both off.
    hard_negatives
        How many of the teacher's negatives count per anchor.
    reference_negatives
        Count to which the sum of negatives is scaled; None for the plain sum.
    bracket
        How the hardest negatives join: as so many more negatives, or, as Eq. 6 is printed, their mean beside
        every negative and under its focal weight.

    Returns
    -------
    Tensor
        Scalar, computed in float32; 0 where no anchor has both a positive and a negative.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        z = _unit(embeddings)
        same = labels[:, None] == labels[None, :]
        positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=z.device)
        usable = positive.any(dim=1) & ~same.all(dim=1)
        if not usable.any():
            return z.sum() * 0.0
        cosine = z @ z.T
        similarity, focus = cosine / temperature, _negative_focus(cosine, same, gamma)
        negatives = _log_sum(similarity + focus, reference_negatives)
        if teacher is not None and hard_negatives > 0:
            hardest = _hardest(z @ _unit(teacher.detach()).T / temperature, same, hard_negatives)
            if bracket:
                added = _log_sum(focus, reference_negatives) + _log_sum(hardest, 1.0)
            else:
                added = _log_sum(hardest, reference_negatives)
            negatives = torch.logaddexp(negatives, added)
        pairs = F.softplus(negatives[:, None] - similarity)
        weights = positive * _positive_focus(pairs, gamma, entropy)
        return ((pairs * weights).sum(dim=1) / positive.sum(dim=1).clamp_min(1))[usable].mean()


def _unit(embeddings: Tensor) -> Tensor:
    return F.normalize(embeddings.float(), dim=-1, eps=1e-6)


@torch.no_grad()
def _negative_focus(cosine: Tensor, same: Tensor, gamma: float) -> Tensor:
    """Return `(M, M)` logs of the focal weights of the negatives, the similar ones up; never elsewhere."""
    return (gamma * ((cosine + 1) / 2).clamp(1e-4, 1).log()).masked_fill(same, _NEVER)


def _hardest(across: Tensor, same: Tensor, count: int) -> Tensor:
    """Return `(M, K)` similarities of each anchor with the teacher's most similar negatives."""
    return across.masked_fill(same, _NEVER).topk(min(count, len(same)), dim=1).values


def _log_sum(terms: Tensor, reference: float | None) -> Tensor:
    """Return `(M,)` log of the sum of exp over each row, as if it had `reference` terms; all when None."""
    total = torch.logsumexp(terms, dim=1)
    if reference is None:
        return total
    count = (terms > _NEVER / 2).sum(dim=1)
    return total + (math.log(reference) - count.clamp_min(1).float().log())


@torch.no_grad()
def _positive_focus(pairs: Tensor, gamma: float, entropy: Tensor | None) -> Tensor:
    """Return (1 - p)^gamma, where p = exp(-loss of the pair), times e^H of the positive."""
    focus = (-torch.expm1(-pairs)).clamp(0, 1) ** gamma
    return focus if entropy is None else focus * entropy.float().exp()[None, :]
