"""BCP: labelled and unlabelled patches are pasted into each other, and so are their labels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch
from napari_dycon.learning.losses.uncertainty import pseudo_labels
from napari_dycon.learning.methods.base import Losses, Method, MethodSettings, Share, Weight, register
from napari_dycon.learning.mixing import paste, random_boxes
from napari_dycon.learning.schedules import ramp


class BCPSettings(MethodSettings):
    """Settings of bidirectional copy-paste.

    Parameters
    ----------
    start, ramp_length
        Progress at which unlabelled patches join the mixtures, and over which the loss on what the teacher
        fills in grows to its full weight.
    unlabelled_weight
        Full weight of voxels labelled by the teacher; labelled ones have 1.
    box_share
        Length of the pasted box as a share of each side of the patch.
    confidence
        Least probability of a teacher's label; less sure voxels are left out. 0 fills in everything, as in
        the paper.
    """

    start: Share = 0.3
    ramp_length: Share = 0.1
    unlabelled_weight: Weight = 0.5
    box_share: Share = 2 / 3
    confidence: Share = 0.7


class Mixture(NamedTuple):
    """Mixed patches: what they look like, what is known of them, and what the teacher makes of the rest."""

    image: Tensor
    truth: Tensor
    """`(B, X, Y, Z)`; unknown wherever no person labelled."""
    weight: Tensor | None
    guess: Tensor
    """`(B, X, Y, Z)`; a class only where the truth has none."""


@register("bcp")
class BCP(Method):
    r"""Bidirectional copy-paste (Bai et al., CVPR 2023): `L = L_seg(labelled) + w_u L_seg(pseudo-labelled)`.

    First phase: a box of each labelled patch is replaced by that of another one. Second phase: the two of
    each pair of a labelled and an unlabelled patch are pasted into each other, a box of one and all around
    the box of the other.

    Differs from the released code, which was written for one organ in fully labelled scans:

    - Any number of classes. The largest connected component of a pseudo-label is not assumed to be all of
      a structure; unsure voxels are left out instead.
    - Unknown voxels of partly labelled patches are filled in by the teacher as well, at its lower weight.
    - Batches of any size, odd or unequal: a shorter stream is used again. Each pair has a box of its own
      and makes two mixtures; the code draws one box for all and makes one mixture of each pair, of twice
      as many. So each labelled voxel is seen in each step, and a step costs what one of Mean Teacher does.
    - One training instead of two with a restart from the checkpoint that was best on test scans; the second
      phase begins at a share of the training and gains weight gradually.
    - Dice counts foreground classes that are present, over the batch, see `partial_loss`.
    """

    title = "BCP: labelled and unlabelled scans are pasted into each other"
    learns_from_unlabelled = True
    Settings = BCPSettings
    settings: BCPSettings

    def needs_unlabelled(self, progress: float) -> bool:
        """Return whether unlabelled patches have joined the mixtures."""
        return progress >= self.settings.start

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, in the second phase also `{"copy_paste"}`."""
        weight = self.settings.unlabelled_weight * ramp(
            progress, self.settings.start, self.settings.ramp_length
        )
        if weight == 0.0 or batch.weak is None or batch.strong is None:
            self.monitors = {}
            return self.supervised(batch)
        mixed = self.mix(batch, batch.weak, batch.strong)
        logits = self.student(mixed.image).logits
        self.monitors = {"pseudo_share": float((mixed.guess < IGNORE).float().mean())}
        return {
            "supervised": self.labels_loss(logits, mixed.truth, mixed.weight),
            "copy_paste": weight * self.labels_loss(logits, mixed.guess),
        }

    def supervised(self, batch: Batch) -> Losses:
        """Return `{"supervised"}` of labelled patches with a box of another one each (first phase)."""
        mask = self._boxes(len(batch.image), batch)
        image, target = batch.image, batch.supervision
        weight = None if batch.weight is None else paste(batch.weight.roll(1, 0), batch.weight, mask)
        logits = self.student(paste(image.roll(1, 0), image, mask)).logits
        return {"supervised": self.labels_loss(logits, paste(target.roll(1, 0), target, mask), weight)}

    def mix(self, batch: Batch, weak: Tensor, strong: Tensor) -> Mixture:
        """Paste both patches of each pair into each other (second phase, Eq. 2 to 5)."""
        ours, theirs = pairs(len(batch.image), len(strong))
        box = self._boxes(len(ours), batch)
        ours, theirs, labelled = 2 * ours, 2 * theirs, torch.cat([box, ~box])
        filled, guessed = self._guess(batch, weak)
        unknown = batch.blank
        guessed = torch.where(unknown == UNKNOWN, guessed, IGNORE)
        return Mixture(
            image=paste(batch.image[ours], strong[theirs], labelled),
            truth=paste(batch.supervision[ours], unknown[theirs], labelled),
            weight=None if batch.weight is None else batch.weight[ours],
            guess=paste(filled[ours], guessed[theirs], labelled),
        )

    def _guess(self, batch: Batch, weak: Tensor) -> tuple[Tensor, Tensor]:
        """Let the teacher label unlabelled patches, and what is unknown of the labelled ones."""
        unknown, least = batch.supervision == UNKNOWN, self.settings.confidence
        if not batch.partly_labelled:
            return torch.full_like(batch.target, UNKNOWN), pseudo_labels(self.teacher(weak).logits, least)
        guess = pseudo_labels(self.teacher(torch.cat([batch.image, weak])).logits, least)
        return torch.where(unknown, guess[: len(unknown)], UNKNOWN), guess[len(unknown) :]

    def _boxes(self, count: int, batch: Batch) -> Tensor:
        image = batch.image
        return random_boxes(count, image.shape[2:], self.settings.box_share, device=image.device)


def pairs(labelled: int, unlabelled: int) -> tuple[list[int], list[int]]:
    """Pair two streams of patches; each is in a pair at least once, the shorter stream's in turns again.

    Returns
    -------
    Indices of the labelled and of the unlabelled patch of each pair.
    """
    count = max(labelled, unlabelled)
    return [i % labelled for i in range(count)], [i % unlabelled for i in range(count)]
