"""How sure a prediction is, and the labels it is sure of."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_dycon.learning.batch import UNKNOWN


def softmax_entropy(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return class probabilities `(B, C, ...)` and their entropy `(B, ...)` in nats, both float32."""
    with torch.autocast(logits.device.type, enabled=False):
        log_probabilities = F.log_softmax(logits.float(), dim=1)
        probabilities = log_probabilities.exp()
        return probabilities, -(probabilities * log_probabilities).sum(dim=1)


def normalised_entropy(logits: Tensor) -> Tensor:
    """Return the predictive entropy divided by ln C, `(B, ...)`: 0 for certain, 1 for all classes alike."""
    return softmax_entropy(logits)[1] / math.log(logits.shape[1])


@torch.no_grad()
def pseudo_labels(logits: Tensor, threshold: float) -> Tensor:
    """Return the most probable class where its probability reaches the threshold, `UNKNOWN` elsewhere.

    Parameters
    ----------
    logits
        `(B, C, X, Y, Z)` of a teacher.
    threshold
        Least probability, from 0 to 1.

    Returns
    -------
    Tensor
        `(B, X, Y, Z)` int64 target.
    """
    confidence, classes = logits.float().softmax(dim=1).max(dim=1)
    return torch.where(confidence >= threshold, classes, UNKNOWN)
