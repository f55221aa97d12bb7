"""Labels from two networks, fused or filtered by certainty, and losses that heed or teach certainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_dycon.learning.batch import IGNORE

_LEAST = 1e-6
_SOFT = 0.01
_PERCENTILE_VOXELS = 2**16


class Guess(NamedTuple):
    """Labels that networks agree on, and how sure they are together."""

    target: Tensor
    """`(B, X, Y, Z)` int64 classes."""
    certainty: Tensor
    """`(B, X, Y, Z)` from 0 to 1: 1 minus the normalised entropy of the fused prediction."""


def evidential_uncertainty(logits: Tensor) -> Tensor:
    r"""Uncertainty of the Dirichlet distribution whose evidence are the logits (Sensoy et al. 2018).

    .. math:: u = \frac{C}{S}, \quad S = \sum_c \alpha_c, \quad \alpha_c = \mathrm{softplus}(z_c) + 1

    Parameters
    ----------
    logits
        `(B, C, ...)`.

    Returns
    -------
    Tensor
        `(B, ...)` float32 above 0 and at most 1, which is no evidence for any class. A number added to
        all logits changes it but not the softmax, so it can be learned apart from the class.
    """
    with torch.autocast(logits.device.type, enabled=False):
        strength = (F.softplus(logits.float()) + 1.0).sum(dim=1)
        return logits.shape[1] / strength


@torch.no_grad()
def fuse(predictions: Sequence[Tensor], uncertainties: Sequence[Tensor]) -> Guess:
    r"""Average predictions, the surer one counting more.

    .. math:: p = \frac{\sum_k (1 - u_k) p_k}{\sum_k (1 - u_k)}

    Two networks that are sure of different classes make an unsure guess.

    Parameters
    ----------
    predictions
        Logits `(B, C, X, Y, Z)` of each network.
    uncertainties
        `(B, X, Y, Z)` of each, from 0 to 1; where all are 1 the networks count alike.
    """
    trust = [(1.0 - u.float()).clamp_min(_LEAST) for u in uncertainties]
    total = torch.stack(trust).sum(dim=0)
    fused = torch.zeros_like(predictions[0], dtype=torch.float32)
    for logits, weight in zip(predictions, trust, strict=True):
        fused += logits.float().softmax(dim=1) * (weight / total)[:, None]
    certainty = 1.0 - torch.special.entr(fused).sum(dim=1) / math.log(fused.shape[1])
    return Guess(fused.max(dim=1).indices, certainty.clamp(0.0, 1.0))


@torch.no_grad()
def certain_voxels(
    entropy: Tensor, found: Tensor, valid: Tensor, classes: int, share: float, floor: float = 0.0
) -> Tensor:
    r"""Return which voxels a network is sure of, each measured against the voxels it gives the same class.

    .. math:: H_i \le \max(\Theta_{\hat y_i}, H_0), \quad
              \Theta_c = \text{percentile of } \{H_j : \hat y_j = c\}

    One percentile for all classes would keep background alone.

    Parameters
    ----------
    entropy
        `(B, X, Y, Z)` normalised entropy of the network.
    found
        `(B, X, Y, Z)` int64, the class it finds most probable.
    valid
        `(B, X, Y, Z)` bool; other voxels neither count nor are kept.
    classes
        Number of classes.
    share
        The percentile as a share: how many of each class are kept at least.
    floor
        Normalised entropy up to which a voxel is kept anyway, so that a class that is certain throughout is
        not cut down to its surest part.

    Returns
    -------
    Tensor
        `(B, X, Y, Z)` bool.
    """
    kept = valid & (entropy <= floor)
    if share > 0:
        for label in range(classes):
            own = valid & (found == label)
            kept |= own & (entropy <= _percentile(entropy[own], share))
    return kept


def _percentile(values: Tensor, share: float) -> Tensor:
    """Return the value that a share of all, or of evenly spread ones of very many, does not exceed."""
    if len(values) == 0:
        return values.new_zeros(())
    few = values[:: max(1, len(values) // _PERCENTILE_VOXELS)]
    return few.kthvalue(min(len(few), max(1, round(share * len(few))))).values


def calibration_loss(
    logits: Tensor, uncertainty: Tensor, target: Tensor, trust: float, weight: Tensor | None = None
) -> Tensor:
    r"""Make right voxels certain and wrong ones uncertain (UC-Seg's L_AU).

    .. math:: -a \, 1[\hat y = y] \, \hat p \log(1 - u) - (1 - a) \, 1[\hat y \ne y] \, (1 - \hat p) \log u

    averaged over the known voxels. Here the confidence p of the class found is a factor without a
    gradient: with one, right voxels would earn by being less confident. And u is first moved into
    [0.01, 0.99]: the gradient of log(1 - u) has no bound where classes are alike.

    Parameters
    ----------
    logits
        `(B, C, X, Y, Z)`.
    uncertainty
        `(B, X, Y, Z)` from 0 to 1, a function of the logits; the gradient flows through it.
    target
        `(B, X, Y, Z)` int64 class indices, 254 or 255.
    trust
        The factor a, from 0 (only wrong voxels teach) to 1 (only right ones).
    weight
        `(B, X, Y, Z)` non-negative importance of each voxel, or None for 1.
    """
    with torch.autocast(logits.device.type, enabled=False):
        known = target < IGNORE
        importance = known.float() if weight is None else torch.where(known, weight.float(), 0.0)
        confidence, found = logits.detach().float().softmax(dim=1).max(dim=1)
        u = _SOFT + (1.0 - 2.0 * _SOFT) * uncertainty.float()
        right = -trust * confidence * torch.log1p(-u)
        wrong = -(1.0 - trust) * (1.0 - confidence) * u.log()
        voxels = torch.where(found == target, right, wrong)
        return (voxels * importance).sum() / importance.sum().clamp_min(_LEAST)


def rectified_cross_entropy(learner: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    r"""Pseudo-label cross-entropy that counts less where the two networks differ (Zheng & Yang 2021).

    .. math:: \frac1N \sum_i e^{-D_i} \, CE(p_i^l, \hat y_i^t) + D_i, \quad D = KL(p^t \Vert p^l)

    The weight carries no gradient: with one, a learner of several classes could earn by moving away from
    its teacher.

    Parameters
    ----------
    learner, teacher
        Logits `(B, C, X, Y, Z)`; no gradient reaches the teacher.
    valid
        `(B, X, Y, Z)` bool, the voxels to use; without any the loss is 0.
    """
    with torch.autocast(learner.device.type, enabled=False):
        log_p = F.log_softmax(learner.float(), dim=1)
        log_q = F.log_softmax(teacher.detach().float(), dim=1)
        divergence = (log_q.exp() * (log_q - log_p)).sum(dim=1)
        entropy = F.nll_loss(log_p, log_q.max(dim=1).indices, reduction="none")
        voxels = torch.exp(-divergence.detach()) * entropy + divergence
        return (voxels * valid).sum() / valid.sum().clamp_min(1)


def correction_losses(
    first: Tensor, second: Tensor, target: Tensor, confidence: float, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""Correct both networks where both are confident of different classes (CCE's L_cr).

    .. math:: \frac{1}{|M|} \sum_{i \in M} \frac12 \lVert p_i - y_i \rVert^2

    which for two classes is the squared error of the foreground's probability.

    Parameters
    ----------
    first, second
        Logits `(B, C, X, Y, Z)`.
    target
        `(B, X, Y, Z)` int64 class indices, 254 or 255.
    confidence
        Least probability that both networks must give to their class.
    weight
        `(B, X, Y, Z)` non-negative importance of each voxel, or None for 1.

    Returns
    -------
    The loss of each network, 0 where they never differ.
    """
    with torch.autocast(first.device.type, enabled=False):
        p, q = first.float().softmax(dim=1), second.float().softmax(dim=1)
        known = target < IGNORE
        (sure, found), (other_sure, other_found) = p.detach().max(dim=1), q.detach().max(dim=1)
        chosen = known & (found != other_found) & (sure >= confidence) & (other_sure >= confidence)
        classes = torch.where(known, target, 0)
        importance = chosen.float() if weight is None else torch.where(chosen, weight.float(), 0.0)
        return _squared_error(p, classes, importance), _squared_error(q, classes, importance)


def _squared_error(probabilities: Tensor, classes: Tensor, importance: Tensor) -> Tensor:
    """Return half the weighted mean of |p - onehot|^2 = |p|^2 - 2 p_y + 1, without a one-hot."""
    own = probabilities.gather(1, classes[:, None])[:, 0]
    voxels = 0.5 * (probabilities.square().sum(dim=1) - 2.0 * own + 1.0)
    return (voxels * importance).sum() / importance.sum().clamp_min(_LEAST)
