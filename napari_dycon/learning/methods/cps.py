"""CPS: two networks that began differently teach each other what they are sure of."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch
from napari_dycon.learning.losses.supervised import confident_cross_entropy
from napari_dycon.learning.losses.uncertainty import pseudo_labels
from napari_dycon.learning.methods.base import Losses, Share, Weight, register
from napari_dycon.learning.methods.pair import NetworkPair, PairSettings
from napari_dycon.learning.schedules import ramp


class CPSSettings(PairSettings):
    """Settings of cross pseudo-supervision.

    Parameters
    ----------
    cross_weight
        Full weight of what a network learns from the other.
    confidence
        Least probability of a pseudo-label; 0 takes all, as in the paper.
    """

    cross_weight: Weight = 1.0
    confidence: Share = 0.8


@register("cps")
class CPS(NetworkPair):
    """Cross pseudo-supervision (Chen et al., CVPR 2021): `L = L_sup(1) + L_sup(2) + w L_cross`.

    Differs from the paper and its 3D code:

    - Each network learns, on a strongly augmented view, what the *average* (EMA) of the other one says
      of the weak view. The averages are steadier than the networks, and it is their mean that predicts;
      the code predicts with one of the networks.
    - Only confident pseudo-labels teach: from a handful of labels the others are mostly wrong. In return
      the weight reaches 1 instead of 0.1.
    - Both networks draw from one kind of random initial weights, where the code uses two: the draws differ.

    Like the paper's, the cross loss also reads labelled patches, here where their voxels are unknown.
    """

    title = "CPS: two networks teach each other on unlabelled scans"
    Settings = CPSSettings
    settings: CPSSettings

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, later also `{"cross"}`; each is the sum over both networks."""
        self.monitors = {}
        weight = self.settings.cross_weight * ramp(progress, self.settings.start, self.settings.ramp_length)
        if weight == 0.0:
            return self.supervised(batch)
        around = self.survey(batch)
        logits = [output.logits for output in self.learn(batch, batch.strong, project=False)]
        losses = {"supervised": self.supervised_sum(logits, batch)}
        if around.predictions:
            own, other = (
                torch.where(around.open, pseudo_labels(scores, self.settings.confidence), UNKNOWN)
                for scores in around.predictions
            )
            student, partner = (scores[around.first :] for scores in logits)
            losses["cross"] = weight * cross_loss(student, partner, own, other)
            self.monitors = _compare(own, other)
        return losses


def cross_loss(student: Tensor, partner: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """Cross-entropy of each network with the other's pseudo-labels (CPS, Eq. 2), summed over both.

    Parameters
    ----------
    student, partner
        Logits `(B, C, X, Y, Z)`.
    own, other
        Pseudo-labels `(B, X, Y, Z)` of student and partner; 254 and 255 where there is none.
    """
    losses = [confident_cross_entropy(student, other), confident_cross_entropy(partner, own)]
    return torch.stack(losses).sum()


def _compare(own: Tensor, other: Tensor) -> dict[str, float]:
    """Return the share of voxels that either network is sure of, and that both are sure of otherwise."""
    sure, also_sure = own < IGNORE, other < IGNORE
    return {
        "pseudo_share": float((sure | also_sure).float().mean()),
        "contradiction": float((sure & also_sure & (own != other)).float().mean()),
    }
