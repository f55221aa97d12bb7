"""What methods with two networks share: the second network, its average, and what both see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.methods.base import Losses, Method, MethodSettings, Share
from napari_dycon.learning.networks import Kind, NetworkSpec, Output, SegmentationNetwork, build_network
from napari_dycon.learning.teacher import Teacher

PARTING = 0.3
"""How far one of two equal networks moves towards a fresh one."""


class PairSettings(MethodSettings):
    """Settings of every method with two networks.

    Parameters
    ----------
    partner
        Kind of the second network. A U-Net by default even beside a U-Net, from which it then differs by
        its first weights alone: a step of a V-Net at full resolution takes five to six times as long on a
        CPU. "vnet" gives the papers' pair of unlike networks.
    start, ramp_length
        Progress at which the unlabelled scans begin to teach, and over which their weight grows.
    """

    partner: Kind = "unet"
    start: Share = 0.4
    ramp_length: Share = 0.2


class Surroundings(NamedTuple):
    """The patches of a step that are open: in which enough voxels have no label."""

    first: int
    """Index of the first open patch among labelled and then unlabelled ones; all later ones are open."""
    open: Tensor
    """`(B, X, Y, Z)` bool for the open patches alone: which voxels are unknown."""
    predictions: tuple[Tensor, ...]
    """`(B, C, X, Y, Z)` logits for the open patches alone, by the average of each network."""


class NetworkPair(Method):
    """Two networks that teach each other, `student` and `partner`, and the running average of each.

    The averages make the pseudo-labels, from views without intensity augmentation, and the prediction, which
    is their mean. The papers use the last weights of both networks for either. The averages cost no
    further pass, since each stands in for its network, and a prediction does not depend on where the last
    few steps led.
    """

    learns_from_unlabelled = True
    settings: PairSettings

    def __init__(self, spec: NetworkSpec, settings: MethodSettings | None = None) -> None:
        super().__init__(spec, settings)
        self.partner = build_network(spec.model_copy(update={"kind": self.settings.partner}))
        self.partner_teacher = Teacher(self.partner, self.settings.momentum)

    def supervised(self, batch: Batch) -> Losses:
        """Return `{"supervised"}`, the sum over both networks: each learns as fast as one alone."""
        self._keep_apart()
        logits = [network(batch.image).logits for network in self.learners()]
        return {"supervised": self.supervised_sum(logits, batch)}

    def supervised_sum(self, logits: list[Tensor], batch: Batch) -> Tensor:
        """Return the supervised loss summed over networks, of logits whose first patches are labelled."""
        target, labelled = batch.supervision, len(batch.image)
        return torch.stack(
            [self.labels_loss(scores[:labelled], target, batch.weight) for scores in logits]
        ).sum()

    def needs_unlabelled(self, progress: float) -> bool:
        """Return whether the unlabelled scans have begun to teach."""
        return progress >= self.settings.start

    def after_step(self, progress: float) -> None:
        """Let the averages follow."""
        super().after_step(progress)
        self.partner_teacher.update(self.partner)

    def learners(self) -> tuple[SegmentationNetwork, SegmentationNetwork]:
        """Return the two networks that are trained."""
        return self.student, self.partner

    def deciders(self) -> list[SegmentationNetwork]:
        """Return the averages of both networks."""
        return [self.teacher.network, self.partner_teacher.network]

    def committee(self) -> list[SegmentationNetwork]:
        """Return the averages of both networks: where they differ is what the method does not know."""
        return self.deciders()

    @classmethod
    def networks_at_once(cls, settings: Mapping[str, Any]) -> float:
        """Two U-Nets take twice the memory of one, a U-Net and a V-Net four times (3.8 measured)."""
        return 4.0 if settings.get("partner") == "vnet" else 2.0

    def survey(self, batch: Batch) -> Surroundings:
        """Let the averages predict the unlabelled patches, and labelled ones enough of which is unknown."""
        unknown = batch.supervision == UNKNOWN
        views, masks = [], []
        if batch.partly_labelled:
            views, masks = [batch.image], [unknown]
        first = 0 if views else len(unknown)
        if batch.weak is not None:
            views.append(batch.weak)
            masks.append(batch.blank == UNKNOWN)
        if not views:
            return Surroundings(first, unknown[:0], ())
        images = torch.cat(views)
        predictions = tuple(average(images).logits for average in (self.teacher, self.partner_teacher))
        return Surroundings(first, torch.cat(masks), predictions)

    def learn(self, batch: Batch, strong: Tensor | None, *, project: bool) -> list[Output]:
        """Show both networks the labelled patches and, where given, the strong views of the others."""
        self._keep_apart()
        images = batch.image if strong is None else torch.cat([batch.image, strong])
        return [network(images, project=project) for network in self.learners()]

    @torch.no_grad()
    def _keep_apart(self) -> None:
        """Move the partner some way to fresh weights if both networks start from the same earlier model.

        Equal networks would get equal gradients and stay equal for ever (for the move see Ash & Adams 2020).
        """
        if int(self.teacher.updates) > 0 or self.student.spec != self.partner.spec:
            return
        pairs = zip(self.student.parameters(), self.partner.parameters(), strict=True)
        if all(torch.equal(own, other) for own, other in pairs):
            fresh = build_network(self.partner.spec).to(next(self.partner.parameters()).device)
            for own, new in zip(self.partner.parameters(), fresh.parameters(), strict=True):
                own.lerp_(new, PARTING)
