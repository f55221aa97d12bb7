"""Supervised learning from what is labelled: the floor every other method must beat."""

from __future__ import annotations

from napari_dycon.learning.batch import Batch
from napari_dycon.learning.methods.base import Losses, Method, register


@register("supervised")
class Supervised(Method):
    """Cross-entropy and Dice on known voxels; predicts with the average of its own weights."""

    title = "Supervised: labelled voxels only"
    learns_from_unlabelled = False

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`."""
        return self.supervised(batch)
