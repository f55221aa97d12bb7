"""Dual network with cross-consistency enhancement: filtered labels of two networks teach both."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from pydantic import PositiveInt
from torch import Tensor

from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch
from napari_dycon.learning.losses.evidence import (
    certain_voxels,
    correction_losses,
    rectified_cross_entropy,
)
from napari_dycon.learning.losses.fecl import cell_mean, class_shares, sample_anchors
from napari_dycon.learning.losses.prototypes import (
    class_prototypes,
    uncertain_cells,
    uncertain_contrast,
)
from napari_dycon.learning.losses.supervised import confident_cross_entropy
from napari_dycon.learning.losses.uncertainty import softmax_entropy
from napari_dycon.learning.methods.base import Losses, Share, Weight, register
from napari_dycon.learning.methods.pair import NetworkPair, PairSettings, Surroundings
from napari_dycon.learning.networks import Output
from napari_dycon.learning.schedules import ramp


class DualNetworkSettings(PairSettings):
    """Settings of the dual network; every component can be turned off.

    Parameters
    ----------
    filtered_weight, rectified_weight, contrast_weight, correction_weight
        Full weight of entropy-filtered supervision, of KL-rectified cross pseudo-supervision, of the contrast
        of uncertain cells with reliable prototypes, and of L_cr.
    keep_first, keep_last
        Share of the voxels of each class, the most certain ones, that filtered supervision keeps at the start
        and from the end of the ramp on. The released code keeps 20 % of all voxels, which are background.
    entropy_floor
        Normalised entropy up to which a voxel is always kept.
    confidence
        Least probability with which both networks must name different classes for L_cr to correct them.
    candidates
        Most uncertain cells of each class that are contrasted at once.
    margin, repulsion
        Distance from which prototypes are far enough apart (2 at most), and weight of bringing them there.
    """

    filtered_weight: Weight = 0.5
    rectified_weight: Weight = 0.25
    contrast_weight: Weight = 0.05
    correction_weight: Weight = 0.5
    keep_first: Share = 0.5
    keep_last: Share = 0.8
    entropy_floor: Share = 0.1
    confidence: Share = 0.6
    candidates: PositiveInt = 256
    margin: Weight = 1.4
    repulsion: Weight = 0.5


class Consensus(NamedTuple):
    """What both averages say of the open patches."""

    probabilities: Tensor
    """`(B, C, X, Y, Z)`, their mean."""
    kept: Tensor
    """`(B, X, Y, Z)` bool: open voxels of which at least one of them is certain."""
    target: Tensor
    """`(B, X, Y, Z)` int64: the more probable class of kept voxels, `UNKNOWN` elsewhere."""


@register("dual_network")
class DualNetwork(NetworkPair):
    """Dual network (Lu et al., KBS 2025): `L = L_s + w_c L_cr + w_f L_u + w_r L_rect + w_k L_con`.

    Both networks give the labels that pass an entropy filter, and both learn them (cross-consistency
    enhancement). The terms are those of the code released with the paper's forerunner, but every unlabelled
    one has a gradient here, entropy is that of probabilities, labels are filtered class by class, and
    prototypes are pushed apart instead of together. Its cosine consistency is left out: the divergence in
    L_rect does the same.
    """

    title = "Dual network: two networks learn from each other's filtered labels"
    Settings = DualNetworkSettings
    settings: DualNetworkSettings

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, later also `{"correction", "filtered", "rectified", "contrast"}`."""
        settings, self.monitors = self.settings, {}
        strength = ramp(progress, settings.start, settings.ramp_length)
        if strength == 0.0:
            return self.supervised(batch)
        around = self.survey(batch)
        outputs = self.learn(batch, batch.strong, project=settings.contrast_weight > 0)
        supervised = self._supervised_losses(outputs, batch)
        losses = {"supervised": torch.stack(supervised).sum()}
        if settings.correction_weight > 0:
            losses["correction"] = strength * settings.correction_weight * self._correction(outputs, batch)
        if not around.predictions:
            return losses
        consensus = self._consensus(around, strength)
        if settings.filtered_weight > 0:
            loss = self._filtered_loss(outputs, consensus, around.first)
            losses["filtered"] = strength * settings.filtered_weight * loss
        if settings.rectified_weight > 0:
            loss = self._rectified_loss(outputs, around, supervised)
            losses["rectified"] = strength * settings.rectified_weight * loss
        if settings.contrast_weight > 0:
            loss = self._contrast(outputs, batch, around, consensus)
            losses["contrast"] = strength * settings.contrast_weight * loss
        return losses

    def _supervised_losses(self, outputs: list[Output], batch: Batch) -> list[Tensor]:
        """Cross-entropy and Dice on known voxels, for each network."""
        target, labelled = batch.supervision, len(batch.image)
        return [self.labels_loss(output.logits[:labelled], target, batch.weight) for output in outputs]

    def _correction(self, outputs: list[Output], batch: Batch) -> Tensor:
        """L_cr: squared error where both networks are confident of different classes on labelled voxels."""
        one, other = (output.logits[: len(batch.image)] for output in outputs)
        target, least = batch.supervision, self.settings.confidence
        return torch.stack(correction_losses(one, other, target, least, batch.weight)).sum()

    def _consensus(self, around: Surroundings, strength: float) -> Consensus:
        """Entropy filter: believe a voxel if one network is certain of it, for what it takes it for.

        Where certain networks contradict each other, their mean decides.
        """
        settings, classes = self.settings, self.student.spec.classes
        share = settings.keep_first + strength * (settings.keep_last - settings.keep_first)
        mean, kept = torch.zeros(()), torch.zeros_like(around.open)
        for logits in around.predictions:
            probabilities, entropy = softmax_entropy(logits)
            found, entropy = probabilities.max(dim=1).indices, entropy / math.log(classes)
            kept |= certain_voxels(entropy, found, around.open, classes, share, settings.entropy_floor)
            mean = mean + 0.5 * probabilities
        target = torch.where(kept, mean.max(dim=1).indices, UNKNOWN)
        self._monitor(around, target)
        return Consensus(mean, kept, target)

    def _filtered_loss(self, outputs: list[Output], consensus: Consensus, first: int) -> Tensor:
        """L_u: cross-entropy of both networks with the labels that passed the filter."""
        return torch.stack(
            [confident_cross_entropy(output.logits[first:], consensus.target) for output in outputs]
        ).sum()

    def _rectified_loss(
        self, outputs: list[Output], around: Surroundings, supervised: list[Tensor]
    ) -> Tensor:
        """L_rect: the network that is worse on the labelled patches of this step learns from the other."""
        learner = int(bool(supervised[1] > supervised[0]))
        teacher = around.predictions[1 - learner]
        return rectified_cross_entropy(outputs[learner].logits[around.first :], teacher, around.open)

    def _contrast(
        self, outputs: list[Output], batch: Batch, around: Surroundings, consensus: Consensus
    ) -> Tensor:
        """L_con: uncertain cells move to the prototypes of reliable ones, which keep apart."""
        settings, classes, labelled = self.settings, self.student.spec.classes, len(batch.image)
        truth = torch.where(batch.supervision < IGNORE, batch.supervision, UNKNOWN)
        if around.first == 0:
            truth = torch.where(consensus.kept[:labelled], consensus.target[:labelled], truth)
        reliable = torch.cat([truth, consensus.target[labelled - around.first :]])
        x, y, z = _embedding(outputs[0]).shape[2:]
        shares = class_shares(reliable, (x, y, z), classes)
        doubtful = cell_mean((around.open & ~consensus.kept)[:, None].float(), (x, y, z))[:, 0]
        labels = uncertain_cells(doubtful, cell_mean(consensus.probabilities, (x, y, z)))
        chosen = sample_anchors(labels, settings.candidates, classes)
        losses = []
        for embedding in map(_embedding, outputs):
            cells = embedding[around.first :].flatten(2).transpose(1, 2).flatten(0, 1)
            prototypes = class_prototypes(embedding, shares)
            losses.append(
                uncertain_contrast(
                    cells[chosen], labels[chosen], prototypes, settings.margin, settings.repulsion
                )
            )
        return torch.stack(losses).sum()

    def _monitor(self, around: Surroundings, target: Tensor) -> None:
        """Watch how much passes the filter, and whether the networks agree."""
        one, other = (logits.max(dim=1).indices for logits in around.predictions)
        self.monitors = {
            "agreement": float((one == other)[around.open].float().mean()),
            "pseudo_share": float((target != UNKNOWN)[around.open].float().mean()),
            "teacher_foreground": float((one > 0)[around.open].float().mean()),
        }


def _embedding(output: Output) -> Tensor:
    assert output.embedding is not None
    return output.embedding
