"""A learning method of your own in one file, tried on phantom patients beside one of ours.

    python examples/own_method.py --iterations 400

The method believes its teacher on unlabelled scans where that is sure: pseudo-labels above a threshold, as in
FixMatch (Sohn et al. 2020). Put into ``napari_dycon/learning/methods``, or named under the entry point group
``napari_dycon.methods`` of a package, the first part of this file is in the dock and on the command line.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from torch.nn import functional as F

from napari_dycon.engine.events import RunFinished
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.learning.batch import Batch
from napari_dycon.learning.methods.base import Losses, Method, MethodSettings, Share, Weight, register
from napari_dycon.learning.schedules import ramp
from napari_dycon.study.exchange.phantom import make_phantom_study


class SureSettings(MethodSettings):
    """Settings of learning from sure guesses.

    Parameters
    ----------
    least_probability
        How sure the teacher has to be.
    weight
        Full weight of the loss on its guesses.
    """

    least_probability: Share = 0.9
    weight: Weight = 0.5


@register("sure")
class Sure(Method):
    """Cross-entropy with the sure guesses of the teacher, which sees a weaker view (FixMatch)."""

    title = "Sure: believes its teacher where that is sure"
    learns_from_unlabelled = True
    Settings = SureSettings
    settings: SureSettings

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, with unlabelled patches also `{"guessed"}`."""
        losses = self.supervised(batch)
        if batch.weak is not None and batch.strong is not None:
            probability, guess = self.teacher(batch.weak).logits.softmax(dim=1).max(dim=1)
            sure = probability >= self.settings.least_probability
            if batch.inside is not None:
                sure &= batch.inside
            each = F.cross_entropy(self.student(batch.strong).logits, guess, reduction="none")
            weight = self.settings.weight * ramp(progress, 0.2, 0.2)
            losses["guessed"] = weight * (each * sure).sum() / sure.sum().clamp(min=1)
        return losses


def compare(folder: Path, names: tuple[str, ...] = ("supervised", "sure"), **budget: Any) -> dict[str, float]:
    """Train each method on the same phantom patients; return its Dice on held-out labels, from 0 to 1."""
    dice = {}
    with make_phantom_study(folder / "study", cases=8, labelled=3) as study:
        for name in names:
            *_, end = Trainer(study, name, warm_start=False, **budget).run()
            assert isinstance(end, RunFinished) and end.final_dice is not None
            dice[name] = end.final_dice
    return dice


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--iterations", type=int, default=400)
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for method, found in compare(Path(scratch), iterations=wish.iterations).items():
            print(f"{method}: held-out Dice {100 * found:.1f} %")
