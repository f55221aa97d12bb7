"""Consistency between student and teacher: mean squared error, and DyCON's UnCL."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from napari_dycon.learning.losses.uncertainty import softmax_entropy


def mean_squared_consistency(student: Tensor, teacher: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean squared difference of two predictions' probabilities (Mean Teacher).

    Parameters
    ----------
    student, teacher
        Logits `(B, C, X, Y, Z)`; no gradient reaches the teacher.
    valid
        `(B, X, Y, Z)` bool, the voxels to use; all when None. Without any the loss is 0.
    """
    with torch.autocast(student.device.type, enabled=False):
        target = teacher.detach().float().softmax(dim=1)
        voxels = (student.float().softmax(dim=1) - target).square().mean(dim=1)
        return voxels.mean() if valid is None else (voxels * valid).sum() / valid.sum().clamp_min(1)


def uncl(
    student: Tensor,
    teacher: Tensor,
    beta: float,
    entropy_weight: float | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    r"""Uncertainty-aware consistency loss (DyCON, Eq. 1).

    .. math:: \frac1N \sum_i \frac{\lVert p_i^s - p_i^t \rVert^2}{e^{\beta H_i^s} + e^{\beta H_i^t}}
              + \frac{\lambda}{N} \sum_i (H_i^s + H_i^t)

    Entropies H are divided by ln C, so that beta means the same for any number of classes; the paper's
    beta, in nats, is `beta / ln C`.

    Parameters
    ----------
    student, teacher
        Logits `(B, C, X, Y, Z)`; no gradient reaches the teacher.
    beta
        How much less uncertain voxels count; 0 gives half the squared error.
    entropy_weight
        The factor lambda; beta, as in the paper, when None.
    valid
        `(B, X, Y, Z)` bool, the voxels to use; all when None. Without any the loss is 0.

    Returns
    -------
    Tensor
        Scalar, computed in float32 and finite for any beta.
    """
    with torch.autocast(student.device.type, enabled=False):
        p, student_entropy = _normalise(student)
        q, teacher_entropy = _normalise(teacher.detach())
        distance = (p - q).square().sum(dim=1)
        certainty = torch.exp(-torch.logaddexp(beta * student_entropy, beta * teacher_entropy))
        sharpness = beta if entropy_weight is None else entropy_weight
        voxels = distance * certainty + sharpness * (student_entropy + teacher_entropy)
        if valid is None:
            return voxels.mean()
        return (voxels * valid).sum() / valid.sum().clamp_min(1)


def _normalise(logits: Tensor) -> tuple[Tensor, Tensor]:
    probabilities, entropy = softmax_entropy(logits)
    return probabilities, entropy / math.log(logits.shape[1])
