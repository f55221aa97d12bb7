"""DyCON with the published equations and constants, but for the leak: to compare with, not to work with."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from napari_dycon.learning.batch import IGNORE, Batch
from napari_dycon.learning.losses.fecl import cell_mean, fecl, patch_labels, sample_anchors
from napari_dycon.learning.losses.uncertainty import softmax_entropy
from napari_dycon.learning.losses.uncl import mean_squared_consistency, uncl
from napari_dycon.learning.methods.base import Losses, Method, MethodSettings, Share, Weight, register
from napari_dycon.learning.networks import Output
from napari_dycon.learning.schedules import decay, ramp


class DyCONPaperSettings(MethodSettings):
    """Constants of the authors' released scripts; those of the paper's text where they differ are unknown.

    Parameters
    ----------
    uncl_weight, fecl_weight
        Weight of UnCL and of FeCL, from the first step.
    consistency_weight, ramp_length
        Full weight of the squared error, and the progress its ramp takes: 30,000 steps in a run of 20,000, so
        that it ends at 0.57 of its full weight.
    beta_first, beta_last
        UnCL's beta at the start and the end of training, on entropies in nats. Others read 1 and 0.1.
    temperature, gamma, hard_negatives
        Of FeCL. The number of hard negatives is ours; the scripts take all above a similarity.
    anchors
        Most cells of each class that FeCL compares within a crop, which bounds memory.
    noise
        Standard deviation of the noise on the teacher's input, which is cut at twice that.
    """

    uncl_weight: Weight = 0.5
    fecl_weight: Weight = 0.5
    consistency_weight: Weight = 0.1
    ramp_length: Annotated[float, Field(gt=0)] = 1.5
    beta_first: Annotated[float, Field(gt=0)] = 5.0
    beta_last: Annotated[float, Field(gt=0)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 0.6
    gamma: Weight = 2.0
    hard_negatives: Annotated[int, Field(ge=0)] = 32
    anchors: PositiveInt = 1024
    noise: Share = 0.1


class Views(NamedTuple):
    """Student and teacher on all patches of a batch, the labelled ones first."""

    student: Output
    teacher: Output
    target: Tensor
    """`(Bl + Bu, X, Y, Z)`; unknown throughout in unlabelled patches."""
    weight: Tensor | None
    """`(Bl, X, Y, Z)` importance of each voxel of the labelled patches."""
    labelled: int


@register("dycon_paper")
class DyCONPaper(Method):
    r"""DyCON (Assefa et al., CVPR 2025) as published, but contrasting by known voxels alone.

    .. math:: L = L_{CE} + L_{Dice} + w(t) L_{MSE} + \tfrac12 (L_{UnCL} + L_{FeCL})

    All terms are there from the first step. Where an equation has a trivial minimum or is not finite its
    safe form stands in; docs/explanation/differences.md lists where.
    """

    title = "DyCON as published: to compare with, without its leak"
    learns_from_unlabelled = True
    Settings = DyCONPaperSettings
    settings: DyCONPaperSettings

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised", "uncl", "fecl"}`, with unlabelled patches also `{"consistency"}`."""
        settings = self.settings
        views = self._look(batch)
        beta = decay(progress, settings.beta_first, settings.beta_last)
        self.monitors = {"beta": beta}
        logits = views.student.logits[: views.labelled]
        losses = {
            "supervised": 2.0 * self.labels_loss(logits, batch.supervision, batch.weight),
            "uncl": settings.uncl_weight * self._uncl(views, beta),
            "fecl": settings.fecl_weight * self._fecl(views),
        }
        if batch.unlabelled > 0:
            weight = settings.consistency_weight * ramp(progress, length=settings.ramp_length)
            losses["consistency"] = weight * self._consistency(views)
        return losses

    def _look(self, batch: Batch) -> Views:
        """Show all patches to the student as they are, to the teacher with noise."""
        images, target = batch.image, batch.supervision
        if batch.weak is not None:
            images = torch.cat([images, batch.weak])
            target = torch.cat([target, batch.blank])
        student = self.student(images, project=True)
        teacher = self.teacher(images + self._noise_like(images), project=True)
        return Views(student, teacher, target, batch.weight, len(batch.image))

    def _noise_like(self, images: Tensor) -> Tensor:
        size = self.settings.noise
        return (size * torch.randn(images.shape)).clamp(-2 * size, 2 * size).to(images)

    def _uncl(self, views: Views, beta: float) -> Tensor:
        """UnCL (Eq. 1) on all voxels, its entropy term with the full weight beta."""
        normalised = beta * math.log(self.student.spec.classes)
        return uncl(views.student.logits, views.teacher.logits, normalised, valid=views.target != IGNORE)

    def _consistency(self, views: Views) -> Tensor:
        """Squared error of the unlabelled patches."""
        return mean_squared_consistency(
            views.student.logits[views.labelled :],
            views.teacher.logits[views.labelled :],
            views.target[views.labelled :] != IGNORE,
        )

    def _fecl(self, views: Views) -> Tensor:
        """FeCL (Eq. 3 to 6) within each labelled crop, averaged over them."""
        labelled, classes = views.labelled, self.student.spec.classes
        student, teacher = views.student.embedding, views.teacher.embedding
        assert student is not None and teacher is not None
        grid = (student.shape[2], student.shape[3], student.shape[4])
        labels = patch_labels(views.target[:labelled], grid, classes, views.weight)
        _, entropy = softmax_entropy(views.student.logits[:labelled].detach())
        entropy = cell_mean(entropy[:, None], grid).flatten(1)
        crops = zip(_cells(student[:labelled]), _cells(teacher[:labelled]), labels, entropy, strict=True)
        return torch.stack([self._contrast(*crop) for crop in crops]).mean()

    def _contrast(self, student: Tensor, teacher: Tensor, labels: Tensor, entropy: Tensor) -> Tensor:
        """FeCL of the `(N, D)` cells of one crop; positives weigh e^H with H in nats."""
        chosen = sample_anchors(labels, self.settings.anchors, self.student.spec.classes)
        return fecl(
            student[chosen],
            labels[chosen],
            entropy[chosen],
            teacher[chosen],
            temperature=self.settings.temperature,
            gamma=self.settings.gamma,
            hard_negatives=self.settings.hard_negatives,
            reference_negatives=None,
            bracket=True,
        )


def _cells(embedding: Tensor) -> Tensor:
    """Return `(B, D, x, y, z)` as `(B, x * y * z, D)`."""
    return embedding.flatten(2).transpose(1, 2)
