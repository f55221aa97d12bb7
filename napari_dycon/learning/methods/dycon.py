"""DyCON without the leak: uncertainty-aware consistency and focal contrast of patches."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.losses.fecl import cell_mean, fecl, patch_labels, sample_anchors
from napari_dycon.learning.losses.supervised import confident_cross_entropy, partial_loss
from napari_dycon.learning.losses.uncertainty import normalised_entropy, pseudo_labels
from napari_dycon.learning.losses.uncl import uncl
from napari_dycon.learning.methods.base import Losses, Method, MethodSettings, Share, Weight, register
from napari_dycon.learning.networks import Output
from napari_dycon.learning.schedules import decay, ramp


class DyCONSettings(MethodSettings):
    """Settings of DyCON; every component can be turned off.

    Parameters
    ----------
    start, ramp_length
        Progress at which the unlabelled scans begin to teach, and over which their weight grows.
    uncl_weight, fecl_weight, pseudo_weight
        Full weight of UnCL, of FeCL and of cross-entropy with confident pseudo-labels.
    beta_first, beta_last
        UnCL's beta at the start and the end of training, in units of normalised entropy; equal for a
        fixed beta, both 0 for none.
    entropy_cap
        Upper limit of the factor of UnCL's entropy term, which is otherwise beta; 0 leaves the term out,
        None is the paper's.
    pseudo_threshold
        Least probability of a pseudo-label.
    temperature, gamma, focal, entropy_weights, hard_negatives
        Of FeCL: temperature; focal exponent and whether it is used; whether uncertain positives count
        more; how many of the teacher's hardest negatives join (0 for none).
    anchors
        Most patches of each class that FeCL compares at once.
    purity, background_purity, min_known
        Which patches have a class, see `patch_labels`.
    unlabelled_anchors_start
        Progress from which confident pseudo-labels give classes to unlabelled patches too; 1 for never.
    pseudo_purity
        Least share of such a patch that must be confident and of its class.
    """

    start: Share = 0.4
    ramp_length: Share = 0.2
    uncl_weight: Weight = 1.0
    fecl_weight: Weight = 0.1
    pseudo_weight: Weight = 0.5
    beta_first: Weight = 0.7
    beta_last: Weight = 0.07
    entropy_cap: Weight | None = 0.02
    pseudo_threshold: Share = 0.9
    temperature: Annotated[float, Field(gt=0)] = 0.6
    gamma: Weight = 2.0
    focal: bool = True
    entropy_weights: bool = True
    hard_negatives: Annotated[int, Field(ge=0)] = 32
    anchors: PositiveInt = 256
    purity: Share = 0.5
    background_purity: Share = 0.95
    min_known: Share = 0.5
    unlabelled_anchors_start: Share = 0.7
    pseudo_purity: Share = 0.9

    @model_validator(mode="after")
    def _beta_can_decay(self) -> DyCONSettings:
        if (self.beta_first == 0) != (self.beta_last == 0):
            raise ValueError("beta_first and beta_last must both be 0 or both be above 0")
        return self


class Views(NamedTuple):
    """Student and teacher on all patches of a batch, the labelled ones first."""

    student: Output
    teacher: Output
    target: Tensor
    """`(Bl + Bu, X, Y, Z)`; unknown throughout in unlabelled patches."""
    labelled: int


@register("dycon")
class DyCON(Method):
    """DyCON (Assefa et al., CVPR 2025), leak-free: `L = L_sup + w_u UnCL + w_f FeCL + w_p L_pseudo`.

    All but the first grow from 0 once the teacher is worth listening to.
    """

    title = "DyCON: learns from unlabelled scans, guided by its own uncertainty"
    learns_from_unlabelled = True
    Settings = DyCONSettings
    settings: DyCONSettings

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, from the start of consistency also `{"uncl", "fecl", "pseudo"}`."""
        strength = ramp(progress, self.settings.start, self.settings.ramp_length)
        if strength == 0.0:
            self.monitors = {}
            return self.supervised(batch)
        views = self._look(batch)
        pseudo = pseudo_labels(views.teacher.logits[views.labelled :], self.settings.pseudo_threshold)
        self.monitors = self._monitor(views, pseudo, progress)
        logits = views.student.logits[: views.labelled]
        losses = {"supervised": partial_loss(logits, batch.supervision, batch.weight)}
        if self.settings.uncl_weight > 0:
            losses["uncl"] = strength * self.settings.uncl_weight * self._uncl(views, progress)
        if self.settings.fecl_weight > 0:
            losses["fecl"] = strength * self.settings.fecl_weight * self._fecl(views, pseudo, progress)
        if self.settings.pseudo_weight > 0 and len(pseudo) > 0:
            student = views.student.logits[views.labelled :]
            loss = confident_cross_entropy(student, pseudo)
            losses["pseudo"] = strength * self.settings.pseudo_weight * loss
        return losses

    def needs_unlabelled(self, progress: float) -> bool:
        """Return whether consistency has begun."""
        return progress >= self.settings.start

    def _look(self, batch: Batch) -> Views:
        """Show the student the strong views and the teacher the weak ones."""
        project = self.settings.fecl_weight > 0
        labelled = len(batch.image)
        if batch.weak is None or batch.strong is None:
            student = self.student(batch.image, project=project)
            return Views(student, self.teacher(batch.image, project=project), batch.supervision, labelled)
        student = self.student(torch.cat([batch.image, batch.strong]), project=project)
        teacher = self.teacher(torch.cat([batch.image, batch.weak]), project=project)
        unknown = torch.full_like(batch.target[:1], UNKNOWN).expand(batch.unlabelled, -1, -1, -1)
        return Views(student, teacher, torch.cat([batch.supervision, unknown]), labelled)

    def _uncl(self, views: Views, progress: float) -> Tensor:
        """UnCL (Eq. 1 and 2) on every unknown voxel, also those of partly labelled patches."""
        beta = decay(progress, self.settings.beta_first, self.settings.beta_last)
        cap = self.settings.entropy_cap
        valid = views.target == UNKNOWN
        first = 0 if valid[: views.labelled].any() else views.labelled
        if first == len(valid):
            return views.student.logits.sum() * 0.0
        return uncl(
            views.student.logits[first:],
            views.teacher.logits[first:],
            beta,
            beta if cap is None else min(beta, cap),
            valid[first:],
        )

    def _fecl(self, views: Views, pseudo: Tensor, progress: float) -> Tensor:
        """FeCL (Eq. 3 to 6) on patches with known voxels, later also on confident unlabelled ones."""
        settings = self.settings
        embedding, other = views.student.embedding, views.teacher.embedding
        assert embedding is not None and other is not None
        classes = self.student.spec.classes
        grid = (embedding.shape[2], embedding.shape[3], embedding.shape[4])
        labels = self._patch_labels(views, pseudo, grid, progress)
        chosen = sample_anchors(labels, settings.anchors, classes)
        entropy = cell_mean(normalised_entropy(views.student.logits.detach())[:, None], grid).flatten()
        return fecl(
            _patches(embedding)[chosen],
            labels[chosen],
            entropy[chosen] if settings.entropy_weights else None,
            _patches(other)[chosen] if settings.hard_negatives else None,
            temperature=settings.temperature,
            gamma=settings.gamma if settings.focal else 0.0,
            hard_negatives=settings.hard_negatives,
        )

    def _patch_labels(
        self, views: Views, pseudo: Tensor, grid: tuple[int, int, int], progress: float
    ) -> Tensor:
        """Return `(M,)` classes of the patches of the whole batch, labelled patches first."""
        settings, classes = self.settings, self.student.spec.classes
        known = patch_labels(
            views.target,
            grid,
            classes,
            purity=settings.purity,
            background_purity=settings.background_purity,
            min_known=settings.min_known,
        )
        if progress >= settings.unlabelled_anchors_start and len(pseudo) > 0:
            purity = settings.pseudo_purity
            known[views.labelled :] = patch_labels(pseudo, grid, classes, purity=purity, min_known=purity)
        return known.flatten()

    def _monitor(self, views: Views, pseudo: Tensor, progress: float) -> dict[str, float]:
        """Watch whether the teacher is sure, and whether structures vanish from what it sees."""
        monitors = {"beta": decay(progress, self.settings.beta_first, self.settings.beta_last)}
        if len(pseudo) > 0:
            foreground = views.teacher.logits[views.labelled :].max(dim=1).indices > 0
            monitors["pseudo_share"] = float((pseudo != UNKNOWN).float().mean())
            monitors["teacher_foreground"] = float(foreground.float().mean())
        return monitors


def _patches(embedding: Tensor) -> Tensor:
    """Return `(B, D, x, y, z)` as `(B * x * y * z, D)`."""
    return embedding.flatten(2).transpose(1, 2).flatten(0, 1)
