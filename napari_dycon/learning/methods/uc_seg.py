"""UC-Seg: two subnets that agree on features, and on labels weighted by how sure they are together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch
from napari_dycon.learning.losses.evidence import Guess, calibration_loss, evidential_uncertainty, fuse
from napari_dycon.learning.losses.fecl import class_shares
from napari_dycon.learning.losses.prototypes import (
    PrototypeMemory,
    Prototypes,
    class_prototypes,
    place_contrast,
    prototype_contrast,
)
from napari_dycon.learning.losses.uncertainty import normalised_entropy
from napari_dycon.learning.methods.base import Losses, MethodSettings, Share, Weight, register
from napari_dycon.learning.methods.pair import NetworkPair, PairSettings, Surroundings
from napari_dycon.learning.mixing import paste, random_boxes
from napari_dycon.learning.networks import NetworkSpec, Output
from napari_dycon.learning.schedules import decay, ramp

Positive = Annotated[float, Field(gt=0)]


class UCSegSettings(PairSettings):
    """Settings of UC-Seg; every component can be turned off.

    Parameters
    ----------
    uncertainty
        What weighs the subnets against each other and is calibrated: "entropy" of the softmax or "evidence"
        of a Dirichlet distribution.
    pseudo_weight, calibration_weight, prototype_weight, place_weight
        Full weight of learning from pseudo-labels, of L_AU, and of the two contrasts of CCP. The released
        code lets the sum of its unsupervised terms grow to 15 times the supervised loss, by a factor of
        150 too many.
    trust_first, trust_last
        L_AU's factor a at the start and the end of training: first wrong voxels are to be uncertain, then
        right ones certain.
    temperature
        Of both contrasts.
    places
        Places along each axis into which the first contrast divides a patch.
    mixing_start
        Progress from which unlabelled patches are mixed with labelled ones; 1 for never. The paper mixes,
        beside the plain patches and at half the weight; here the mixed patches take the place of the plain
        ones, which costs no pass more.
    mixing_box
        Side of the copied box as a share of the patch's.
    """

    uncertainty: Literal["entropy", "evidence"] = "entropy"
    pseudo_weight: Weight = 0.5
    calibration_weight: Weight = 0.1
    prototype_weight: Weight = 0.2
    place_weight: Weight = 0.1
    trust_first: Annotated[float, Field(gt=0, le=1)] = 0.01
    trust_last: Annotated[float, Field(gt=0, le=1)] = 1.0
    temperature: Positive = 0.3
    places: PositiveInt = 3
    mixing_start: Share = 1.0
    mixing_box: Annotated[float, Field(gt=0, le=1)] = 2 / 3


@register("uc_seg")
class UCSeg(NetworkPair):
    """UC-Seg (Huang et al., IEEE TIP 2025): `L = L_sup + w_p L_u + w_a L_AU + w_c L_class + w_i L_place`.

    Both subnets get every term. Other than in the paper, classes exclude each other (softmax instead of one
    sigmoid each), and the predictions are fused by a formula instead of a trained attention head.
    """

    title = "UC-Seg: two networks cross-train on what they are jointly sure of"
    Settings = UCSegSettings
    settings: UCSegSettings

    def __init__(self, spec: NetworkSpec, settings: MethodSettings | None = None) -> None:
        super().__init__(spec, settings)
        self.memory = PrototypeMemory(spec.classes, spec.projection)
        self._fresh: list[Prototypes] = []

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, later also `{"pseudo", "calibration", "class", "place"}`."""
        self._fresh, self.monitors = [], {}
        settings = self.settings
        strength = ramp(progress, settings.start, settings.ramp_length)
        if strength == 0.0:
            return self.supervised(batch)
        around = self.survey(batch)
        guess = self._guess(batch, around)
        strong, guess = self._mix(batch, guess, progress)
        outputs = self.learn(batch, strong, project=settings.prototype_weight + settings.place_weight > 0)
        losses = {"supervised": self.supervised_sum([output.logits for output in outputs], batch)}
        if settings.pseudo_weight > 0:
            losses["pseudo"] = strength * settings.pseudo_weight * self._pseudo(outputs, guess, around.first)
        if settings.calibration_weight > 0:
            loss = self._calibration(outputs, batch, progress)
            losses["calibration"] = strength * settings.calibration_weight * loss
        if settings.prototype_weight > 0:
            losses["class"] = strength * settings.prototype_weight * self._classes(outputs, batch, guess)
        if settings.place_weight > 0:
            losses["place"] = strength * settings.place_weight * self._places(outputs)
        return losses

    def after_step(self, progress: float) -> None:
        """Let the averages follow, and remember the class prototypes of the step."""
        super().after_step(progress)
        for prototypes in self._fresh:
            self.memory.update(prototypes)
        self._fresh = []

    def _uncertainty(self, logits: Tensor) -> Tensor:
        evidence = self.settings.uncertainty == "evidence"
        return evidential_uncertainty(logits) if evidence else normalised_entropy(logits)

    def _guess(self, batch: Batch, around: Surroundings) -> Guess:
        """Fuse both predictions to pseudo-labels of all unknown voxels (UPG), for every patch of the step."""
        target = torch.full_like(batch.target, UNKNOWN)
        certainty = torch.zeros_like(target, dtype=torch.float32)
        if not around.predictions:
            return Guess(target, certainty)
        fused = fuse(around.predictions, [self._uncertainty(logits) for logits in around.predictions])
        found = torch.where(around.open, fused.target, UNKNOWN)
        self._monitor(around, fused)
        known = around.first
        return Guess(torch.cat([target[:known], found]), torch.cat([certainty[:known], fused.certainty]))

    def _mix(self, batch: Batch, guess: Guess, progress: float) -> tuple[Tensor | None, Guess]:
        """Late in training, exchange a box between each unlabelled patch and a labelled one.

        Which of the two is the box is the toss of a coin. The labelled part keeps its true labels.
        """
        settings, labelled = self.settings, len(batch.image)
        if batch.strong is None or progress < settings.mixing_start or settings.mixing_start == 1.0:
            return batch.strong, guess
        count, device = batch.unlabelled, batch.image.device
        box = random_boxes(count, batch.strong.shape[2:], settings.mixing_box, device=device)
        labelled_part = box if torch.rand(()) < 0.5 else ~box
        chosen = torch.arange(count, device=device) % labelled
        truth = batch.supervision[chosen]
        weight = torch.ones_like(guess.certainty[chosen]) if batch.weight is None else batch.weight[chosen]
        target = paste(truth, guess.target[labelled:], labelled_part)
        certainty = paste(weight.float(), guess.certainty[labelled:], labelled_part)
        mixed = paste(batch.image[chosen], batch.strong, labelled_part)
        return mixed, Guess(
            torch.cat([guess.target[:labelled], target]), torch.cat([guess.certainty[:labelled], certainty])
        )

    def _pseudo(self, outputs: list[Output], guess: Guess, first: int) -> Tensor:
        """Cross-entropy and Dice with the pseudo-labels, each voxel counting as much as it is certain."""
        target, certainty = guess.target[first:], guess.certainty[first:]
        return _sum(self.labels_loss(output.logits[first:], target, certainty) for output in outputs)

    def _calibration(self, outputs: list[Output], batch: Batch, progress: float) -> Tensor:
        """L_AU on labelled voxels."""
        trust = decay(progress, self.settings.trust_first, self.settings.trust_last)
        labelled, target = len(batch.image), batch.supervision
        return _sum(
            calibration_loss(logits, self._uncertainty(logits), target, trust, batch.weight)
            for logits in (output.logits[:labelled] for output in outputs)
        )

    def _classes(self, outputs: list[Output], batch: Batch, guess: Guess) -> Tensor:
        """CCP's contrast of each subnet's class prototypes with those remembered from both subnets."""
        truth, labelled, classes = batch.supervision, len(batch.image), self.student.spec.classes
        known = truth < IGNORE
        target = torch.cat([torch.where(known, truth, guess.target[:labelled]), guess.target[labelled:]])
        trust = 1.0 if batch.weight is None else batch.weight.float()
        weight = torch.cat(
            [torch.where(known, trust, guess.certainty[:labelled]), guess.certainty[labelled:]]
        )
        losses = []
        for output in outputs:
            embedding, grid = _embedding(output)
            own = class_prototypes(embedding, class_shares(target, grid, classes, weight.clamp_max(1.0)))
            losses.append(prototype_contrast(own, self.memory.known, self.settings.temperature))
            found = output.logits[:labelled].detach().max(dim=1).indices
            right = class_shares(torch.where(found == truth, truth, UNKNOWN), grid, classes)
            self._fresh.append(class_prototypes(embedding[:labelled].detach(), right))
        return _sum(losses)

    def _places(self, outputs: list[Output]) -> Tensor:
        """CCP's contrast of places: the same cell in the other subnet is the positive."""
        (one, _), (other, _) = (_embedding(output) for output in outputs)
        return place_contrast(one, other, self.settings.places, self.settings.temperature)

    def _monitor(self, around: Surroundings, fused: Guess) -> None:
        """Watch whether the subnets agree, and whether structures vanish from what they see."""
        one, other = (logits.max(dim=1).indices for logits in around.predictions)
        self.monitors = {
            "agreement": float((one == other)[around.open].float().mean()),
            "certainty": float(fused.certainty[around.open].mean()),
            "teacher_foreground": float((fused.target > 0)[around.open].float().mean()),
        }


def _embedding(output: Output) -> tuple[Tensor, tuple[int, int, int]]:
    assert output.embedding is not None
    x, y, z = output.embedding.shape[2:]
    return output.embedding, (x, y, z)


def _sum(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).sum()
