"""UA-MT: the student agrees with its teacher where the teacher, asked several times, is sure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.methods.base import Losses, Method, MethodSettings, Share, Weight, register
from napari_dycon.learning.networks import NetworkSpec, SegmentationNetwork
from napari_dycon.learning.schedules import ramp


class UAMTSettings(MethodSettings):
    """Settings of UA-MT.

    Parameters
    ----------
    start, ramp_length
        Progress at which consistency begins, and over which it grows to its full weight.
    consistency_weight
        Full weight of the consistency loss.
    passes
        How often the teacher is asked. Each pass costs a forward pass of the unlabelled patches: these 4
        make a step half as dear again as Mean Teacher's, the paper's 8 would make it twice as dear.
    dropout
        Share of feature channels dropped in each such pass, and while the student learns.
    noise
        Standard deviation of the noise in each such pass, in units of the normalised image.
    threshold
        Entropy, as a share of ln C, below which the teacher is believed when consistency begins; it rises
        to 1, which believes everything, at the end of training.
    """

    start: Share = 0.4
    ramp_length: Share = 0.2
    consistency_weight: Weight = 20.0
    passes: PositiveInt = 4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    noise: Weight = 0.1
    threshold: Share = 0.75


@register("ua_mt")
class UAMT(Method):
    r"""Uncertainty-aware Mean Teacher (Yu et al., MICCAI 2019): `L = L_sup + w L_c`.

    Differs from the released code where that was written for two classes, 6,000 iterations or V-Net:

    - The entropy threshold is a share of ln C, not of ln 2, and warm-ups are shares of the training.
    - The teacher whose prediction is the target sees no noise and drops nothing: its own mean prediction
      is a better target than one random draw. Only the passes that measure uncertainty are random.
    - The student sees a strongly augmented view, and 4 passes stand for 8. A fifth of the features is
      dropped, not half: these networks are narrower.
    - Unlabelled patches alone are made consistent. The unknown voxels of partly labelled scans are among
      them; asking the teacher five times about the labelled patches too would double the cost of a step.
    """

    title = "UA-MT: agrees with itself on unlabelled scans where it is sure"
    learns_from_unlabelled = True
    Settings = UAMTSettings
    settings: UAMTSettings

    def __init__(self, spec: NetworkSpec, settings: MethodSettings | None = None) -> None:
        chosen = self._accept(settings)
        assert isinstance(chosen, UAMTSettings)
        super().__init__(spec.model_copy(update={"dropout": chosen.dropout}), chosen)

    def needs_unlabelled(self, progress: float) -> bool:
        """Return whether consistency has begun."""
        return progress >= self.settings.start

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, from the start of consistency also `{"consistency"}`."""
        weight = self.settings.consistency_weight * ramp(
            progress, self.settings.start, self.settings.ramp_length
        )
        if weight == 0.0 or batch.weak is None or batch.strong is None:
            self.monitors = {}
            return self.supervised(batch)
        labelled = len(batch.image)
        logits = self.student(torch.cat([batch.image, batch.strong])).logits
        target = self.teacher(batch.weak).logits
        certain = (entropy(self.ask(batch.weak)) < self._limit(progress)) & (batch.blank == UNKNOWN)
        self.monitors = {"certain_share": float(certain.float().mean())}
        return {
            "supervised": self.labels_loss(logits[:labelled], batch.supervision, batch.weight),
            "consistency": weight * certain_consistency(logits[labelled:], target, certain),
        }

    @torch.no_grad()
    def ask(self, image: Tensor) -> Tensor:
        """Return the mean probabilities `(B, C, X, Y, Z)` of the teacher's random passes."""
        total = torch.zeros(())
        with _dropping(self.teacher.network):
            for _ in range(self.settings.passes):
                logits = self.teacher(image + self._noise_like(image)).logits
                total = logits.float().softmax(dim=1) + total.to(image.device)
        return total / self.settings.passes

    def _noise_like(self, image: Tensor) -> Tensor:
        """Gaussian noise, cut off at two standard deviations."""
        noise = torch.randn(image.shape) * self.settings.noise
        return noise.clamp(-2 * self.settings.noise, 2 * self.settings.noise).to(image.device)

    def _limit(self, progress: float) -> float:
        """Largest entropy, in nats, of a voxel that is made consistent."""
        first, classes = self.settings.threshold, self.student.spec.classes
        risen = ramp(progress, self.settings.start, 1 - self.settings.start)
        return (first + (1 - first) * risen) * math.log(classes)


def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy of `(B, C, X, Y, Z)` probabilities by voxel, in nats."""
    terms: Tensor = torch.special.entr(probabilities)
    return terms.sum(dim=1)


def certain_consistency(student: Tensor, teacher: Tensor, certain: Tensor) -> Tensor:
    r"""Mean squared difference of probabilities over the certain voxels (UA-MT, Eq. 3).

    .. math:: \frac{\sum_v M_v \lVert p_v^s - p_v^t \rVert^2}{C \sum_v M_v}

    Parameters
    ----------
    student, teacher
        Logits `(B, C, X, Y, Z)`; no gradient reaches the teacher.
    certain
        `(B, X, Y, Z)` bool, the mask M. Without any certain voxel the loss is 0.
    """
    with torch.autocast(student.device.type, enabled=False):
        difference = student.float().softmax(dim=1) - teacher.detach().float().softmax(dim=1)
        distance = difference.square().sum(dim=1) * certain
        return distance.sum() / (student.shape[1] * certain.sum()).clamp_min(1)


@contextmanager
def _dropping(network: SegmentationNetwork) -> Iterator[None]:
    """Let a network that is otherwise in evaluation mode drop features."""
    network.dropout.train()
    try:
        yield
    finally:
        network.dropout.eval()
