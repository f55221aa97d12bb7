"""AD-MT: two teachers, updated in turns, whose differences tell where a pseudo-label is in doubt."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveInt
from torch import Tensor

from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch
from napari_dycon.learning.losses.supervised import confident_cross_entropy
from napari_dycon.learning.losses.uncertainty import softmax_entropy
from napari_dycon.learning.methods.base import Losses, Method, MethodSettings, Share, Weight, register
from napari_dycon.learning.mixing import paste, random_boxes
from napari_dycon.learning.networks import NetworkSpec, SegmentationNetwork
from napari_dycon.learning.schedules import ramp
from napari_dycon.learning.teacher import Teacher

BETA = 4.0
"""Both parameters of the Beta distribution that the size of CutMix boxes follows."""


class ADMTSettings(MethodSettings):
    """Settings of AD-MT.

    Parameters
    ----------
    start, ramp_length
        Progress at which pseudo-labels begin to teach, and over which they gain full weight.
    pseudo_weight
        Full weight of the pseudo-labels.
    confidence
        Least probability of a pseudo-label.
    longest_turn
        Each turn of a teacher lasts a random number of iterations from 1 to this.
    """

    start: Share = 0.3
    ramp_length: Share = 0.2
    pseudo_weight: Weight = 1.0
    confidence: Share = 0.8
    longest_turn: PositiveInt = 19


@register("ad_mt")
class ADMT(Method):
    """Alternate Diverse Mean Teacher (Zhao et al., ECCV 2024): `L = L_sup + w CE(student, pseudo-labels)`.

    In the first teacher's turn the student sees strongly augmented patches, in the second's weakly augmented
    ones with a box of another patch (CutMix); so the teachers average over different lessons.

    Differs from the released code:

    - The student's say in conflicts is taken voxel by voxel from the same patch. The code pastes boxes
      into the teachers' labels first and compares them with the student's labels of unpasted patches.
    - Entropies in the weights of the ensemble are divided by ln C; for two classes that is the code's bits.
    - Warm-ups are shares of the training, and the weight's end is 1 instead of 2: with few labels wrong
      pseudo-labels should not outweigh right labels. Both teachers follow from the first iterations on.
    - The teachers predict, as an ensemble; the code reports the student's best test result.
    - Unlabelled patches alone get pseudo-labels; unknown voxels of partly labelled scans are among them.
    """

    title = "AD-MT: two teachers in turns settle what unlabelled scans show"
    learns_from_unlabelled = True
    Settings = ADMTSettings
    settings: ADMTSettings
    turn: Tensor
    left: Tensor

    def __init__(self, spec: NetworkSpec, settings: MethodSettings | None = None) -> None:
        super().__init__(spec, settings)
        self.second = Teacher(self.student, self.settings.momentum)
        self.register_buffer("turn", torch.zeros((), dtype=torch.int64))
        self.register_buffer("left", torch.zeros((), dtype=torch.int64))

    def needs_unlabelled(self, progress: float) -> bool:
        """Return whether pseudo-labels teach."""
        return progress >= self.settings.start

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, from the start of pseudo-labels also `{"pseudo"}`."""
        weight = self.settings.pseudo_weight * ramp(progress, self.settings.start, self.settings.ramp_length)
        if weight == 0.0 or batch.weak is None or batch.strong is None:
            self.monitors = {}
            return self.supervised(batch)
        image, target = self._lesson(batch.weak, batch.strong, batch.blank)
        labelled = len(batch.image)
        logits = self.student(torch.cat([batch.image, image])).logits
        return {
            "supervised": self.labels_loss(logits[:labelled], batch.supervision, batch.weight),
            "pseudo": weight * confident_cross_entropy(logits[labelled:], target),
        }

    def after_step(self, progress: float) -> None:
        """Let the teacher whose turn it is follow the student; perhaps end its turn."""
        turn = int(self.turn)
        (self.teacher, self.second)[turn].update(self.student)
        self.left.sub_(1)
        if int(self.left) <= 0:
            self.turn.fill_(1 - turn)
            self.left.copy_(torch.randint(1, self.settings.longest_turn + 1, ()))

    def deciders(self) -> list[SegmentationNetwork]:
        """Return both teachers."""
        return [self.teacher.network, self.second.network]

    def _lesson(self, weak: Tensor, strong: Tensor, blank: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the student shall see of the unlabelled patches, and the pseudo-labels of that."""
        target = torch.where(blank == UNKNOWN, self._pseudo_labels(weak), IGNORE)
        if int(self.turn) == 0 or len(weak) < 2:
            return strong, target
        mask = self._cutmix_boxes(weak)
        return paste(weak.roll(1, 0), weak, mask), paste(target.roll(1, 0), target, mask)

    @torch.no_grad()
    def _pseudo_labels(self, weak: Tensor) -> Tensor:
        """Let the teachers, and where they disagree the student too, label the patches."""
        classes, confidence, conflict = ensemble(self.teacher(weak).logits, self.second(weak).logits)
        own_confidence, own = self.student(weak).logits.float().softmax(dim=1).max(dim=1)
        classes, confidence = settle(classes, confidence, conflict, own, own_confidence)
        target = torch.where(confidence >= self.settings.confidence, classes, UNKNOWN)
        self.monitors = {
            "conflict": float(conflict.float().mean()),
            "pseudo_share": float((target != UNKNOWN).float().mean()),
        }
        return target

    def _cutmix_boxes(self, image: Tensor) -> Tensor:
        """Boxes with sides of `sqrt(1 - lambda)` of the patch's, `lambda ~ Beta(4, 4)`."""
        kept = torch.distributions.Beta(BETA, BETA).sample((len(image),))
        return random_boxes(len(image), image.shape[2:], (1 - kept).sqrt(), device=image.device)


def ensemble(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Average two predictions, the surer one of each voxel counting more (AD-MT, entropy-based ensembling).

    .. math:: \bar p = \omega_1 p_1 + \omega_2 p_2, \quad
              \omega_k = \frac{e^{-H_k / \ln C}}{e^{-H_1 / \ln C} + e^{-H_2 / \ln C}}

    Parameters
    ----------
    first, second
        Logits `(B, C, X, Y, Z)`.

    Returns
    -------
    Class of largest mean probability, that probability, and whether the two disagree, `(B, X, Y, Z)` each.
    """
    p, p_entropy = softmax_entropy(first)
    q, q_entropy = softmax_entropy(second)
    share = torch.sigmoid((q_entropy - p_entropy) / math.log(first.shape[1]))
    confidence, classes = torch.lerp(q, p, share[:, None]).max(dim=1)
    return classes, confidence, p.max(dim=1).indices != q.max(dim=1).indices


def settle(
    classes: Tensor, confidence: Tensor, conflict: Tensor, own: Tensor, own_confidence: Tensor
) -> tuple[Tensor, Tensor]:
    """Where the teachers disagree with each other and the student with their mean, believe the surer one.

    Parameters
    ----------
    classes, confidence, conflict
        Of the teachers, as returned by `ensemble`.
    own, own_confidence
        Class and its probability of the student, `(B, X, Y, Z)`.

    Returns
    -------
    Class and its probability, `(B, X, Y, Z)`.
    """
    overruled = conflict & (own != classes) & (own_confidence > confidence)
    return torch.where(overruled, own, classes), torch.where(overruled, own_confidence, confidence)
