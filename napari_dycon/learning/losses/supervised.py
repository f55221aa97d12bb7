"""Supervised loss on partial truth, and the entropy of a prediction."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_dycon.learning.batch import IGNORE

_SMOOTH = 1e-5


def partial_loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    wholes: Sequence[Collection[int]] = (),
) -> Tensor:
    """Mean of cross-entropy and Dice loss over the known voxels.

    Dice is summed over the batch and averaged over the foreground classes present in it, and the wholes:
    unions of classes that count as one structure (the regions of Isensee et al. 2021), with the sum of
    their probabilities. Without any known voxel the loss and all its gradients are 0.

    Parameters
    ----------
    logits
        `(B, C, X, Y, Z)`.
    target
        `(B, X, Y, Z)` int64 class indices, 254 (do not care) or 255 (unknown).
    weight
        `(B, X, Y, Z)` non-negative importance of each voxel, or None for 1.
    wholes
        Of each whole, the class indices that are its parts.

    Returns
    -------
    Tensor
        Scalar, computed in float32.
    """
    with torch.autocast(logits.device.type, enabled=False):
        scores = logits.float()
        known = target < IGNORE
        classes = torch.where(known, target, 0)
        importance = known.float() if weight is None else torch.where(known, weight.float(), 0.0)
        dice = _dice_loss(scores.softmax(dim=1), classes, importance, wholes)
        return 0.5 * (_cross_entropy(scores, classes, importance) + dice)


def confident_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy over the known voxels alone, for pseudo-labels.

    Parameters
    ----------
    logits
        `(B, C, X, Y, Z)`.
    target
        `(B, X, Y, Z)` int64; 254 and 255 where there is no confident class.
    """
    with torch.autocast(logits.device.type, enabled=False):
        known = target < IGNORE
        return _cross_entropy(logits.float(), torch.where(known, target, 0), known.float())


def _cross_entropy(scores: Tensor, classes: Tensor, importance: Tensor) -> Tensor:
    voxels = F.cross_entropy(scores, classes, reduction="none") * importance
    return voxels.sum() / importance.sum().clamp_min(_SMOOTH)


def _dice_loss(
    probabilities: Tensor, classes: Tensor, importance: Tensor, wholes: Sequence[Collection[int]]
) -> Tensor:
    """Return 1 - Dice with squared sums (Milletari et al. 2016), weighted by voxel."""
    pairs = [(probabilities[:, index], classes == index) for index in range(1, probabilities.shape[1])]
    for parts in map(list, wholes):
        union = torch.isin(classes, torch.tensor(parts, device=classes.device))
        pairs.append((probabilities[:, parts].sum(dim=1), union))
    losses = []
    for predicted, there in pairs:
        truth = there.float() * importance
        overlap = 2 * (predicted * truth).sum()
        total = (predicted * predicted * importance).sum() + truth.sum()
        present = (truth.sum() > 0).float()
        losses.append(torch.stack([present * (1 - (overlap + _SMOOTH) / (total + _SMOOTH)), present]))
    total_loss = torch.stack(losses).sum(dim=0)
    return total_loss[0] / total_loss[1].clamp_min(1.0)
