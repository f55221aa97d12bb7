"""Supervised learning from what is labelled: the floor every other method must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dycon.learning.batch import Batch
from napari_dycon.learning.methods.base import Losses, Method, MethodSettings, Share, register
from napari_dycon.learning.mixing import boxes_or_around, paste
from napari_dycon.learning.schedules import ramp

LEAST = 4
"""Fewer patches are shown whole: two of them, and two more for a mixture."""


class SupervisedSettings(MethodSettings):
    """Settings of supervised learning.

    Parameters
    ----------
    copy_paste, box
        Whether labelled patches are also pasted into each other, and the sides of the box that is copied, as
        a share of the patch.
    start, ramp_length
        Progress at which mixtures join, and over which their weight grows.
    """

    copy_paste: bool = True
    box: Share = 0.67
    start: Share = 0.2
    ramp_length: Share = 0.2


@register("supervised")
class Supervised(Method):
    """Cross-entropy and Dice on known voxels; predicts with the average of its own weights.

    From the start of the mixtures on, two more labelled patches of a step are pasted into each other, a box
    of one and all around it of the other (CutMix, Yun et al., ICCV 2019, in three dimensions). Without that,
    methods that mix would be compared with one that does not, and what mixing brings would be credited to the
    unlabelled scans.
    """

    title = "Supervised: labelled voxels only"
    learns_from_unlabelled = False
    Settings = SupervisedSettings
    settings: SupervisedSettings

    def patches(self, progress: float, labelled: int, unlabelled: int) -> tuple[int, int]:
        """Return what is planned, from the start of the mixtures on as many again for them."""
        mixed = self.settings.copy_paste and progress >= self.settings.start
        return patches_with_mixtures(labelled) if mixed else labelled, 0

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, from the start of the mixtures also `{"mixed"}`."""
        strength = ramp(progress, self.settings.start, self.settings.ramp_length)
        if strength == 0.0 or not self.settings.copy_paste:
            return self.supervised(batch)
        return supervised_with_mixtures(self, batch, self.settings.box, strength)


def patches_with_mixtures(labelled: int) -> int:
    """How many labelled patches `supervised_with_mixtures` makes most of, in place of so many."""
    return max(LEAST, 2 * labelled)


def supervised_with_mixtures(method: Method, batch: Batch, box: float, strength: float) -> Losses:
    """Supervised loss of half of the labelled patches, and of the others pasted into each other by pairs.

    Parameters
    ----------
    method
        Whose student learns.
    box
        Sides of what is copied as a share of the patch.
    strength
        Weight of the mixtures.

    Returns
    -------
    `{"supervised", "mixed"}`; without `mixed` where there are fewer than four patches.
    """
    pairs = len(batch.image) // LEAST
    whole = len(batch.image) - 2 * pairs
    mask = boxes_or_around(pairs, batch.image.shape[2:], box, device=batch.image.device)

    def mix(patches: Tensor) -> Tensor:
        first, second = patches[whole : whole + pairs], patches[whole + pairs :]
        return torch.cat([patches[:whole], paste(first, second, mask)])

    target = mix(batch.supervision)
    weight = None if batch.weight is None else mix(batch.weight)
    logits = method.student(mix(batch.image)).logits

    def loss(part: slice) -> Tensor:
        return method.labels_loss(logits[part], target[part], None if weight is None else weight[part])

    losses = {"supervised": loss(slice(whole))}
    return losses | {"mixed": strength * loss(slice(whole, None))} if pairs else losses
