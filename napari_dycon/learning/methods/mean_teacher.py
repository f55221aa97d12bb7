"""Mean Teacher: the student is to agree with its own average on unlabelled scans."""

from __future__ import annotations

import torch

from napari_dycon.learning.batch import Batch
from napari_dycon.learning.losses.uncl import mean_squared_consistency
from napari_dycon.learning.methods.base import Losses, Method, MethodSettings, Share, Weight, register
from napari_dycon.learning.schedules import ramp


class MeanTeacherSettings(MethodSettings):
    """Settings of Mean Teacher.

    Parameters
    ----------
    start, ramp_length
        Progress at which consistency begins, and over which it grows to its full weight.
    consistency_weight
        Full weight of the consistency loss.
    """

    start: Share = 0.4
    ramp_length: Share = 0.2
    consistency_weight: Weight = 5.0


@register("mean_teacher")
class MeanTeacher(Method):
    """Mean Teacher (Tarvainen & Valpola 2017) with a late start and a strong view for the student."""

    title = "Mean Teacher: also agrees with itself on unlabelled scans"
    learns_from_unlabelled = True
    Settings = MeanTeacherSettings
    settings: MeanTeacherSettings

    def needs_unlabelled(self, progress: float) -> bool:
        """Return whether consistency has begun."""
        return progress >= self.settings.start

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, from the start of consistency also `{"consistency"}`."""
        weight = self.settings.consistency_weight * ramp(
            progress, self.settings.start, self.settings.ramp_length
        )
        if weight == 0.0 or batch.weak is None or batch.strong is None:
            return self.supervised(batch)
        labelled = len(batch.image)
        logits = self.student(torch.cat([batch.image, batch.strong])).logits
        return {
            "supervised": self.labels_loss(logits[:labelled], batch.supervision, batch.weight),
            "consistency": weight
            * mean_squared_consistency(logits[labelled:], self.teacher(batch.weak).logits, batch.inside),
        }
