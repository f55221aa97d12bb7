"""DyCON without the leak: uncertainty-aware consistency and focal contrast of patches."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from napari_dycon.learning.batch import UNKNOWN, Batch
from napari_dycon.learning.losses.fecl import UNCLEAR, cell_mean, fecl, patch_labels, sample_anchors
from napari_dycon.learning.losses.supervised import partial_loss
from napari_dycon.learning.losses.uncertainty import normalised_entropy
from napari_dycon.learning.losses.uncl import uncl
from napari_dycon.learning.methods.base import Losses, Method, MethodSettings, Share, Weight, register
from napari_dycon.learning.mixing import paste, random_boxes
from napari_dycon.learning.networks import Output
from napari_dycon.learning.schedules import decay, ramp


class DyCONSettings(MethodSettings):
    """Settings of DyCON; every component can be turned off.

    Parameters
    ----------
    start, ramp_length
        Progress at which the unlabelled scans begin to teach, and over which their weight grows.
    uncl_weight, fecl_weight, pseudo_weight
        Full weight of UnCL, of FeCL and of the supervised loss with confident pseudo-labels.
    beta_first, beta_last
        UnCL's beta at the start and the end of training, in units of normalised entropy; equal for a
        fixed beta, both 0 for none.
    entropy_cap
        Upper limit of the factor of UnCL's entropy term, which is otherwise beta; 0 leaves the term out,
        None is the paper's.
    pseudo_threshold
        Least probability of a pseudo-label.
    copy_paste, box
        Share of the unlabelled patches that are mixed with a labelled one, and the sides of the box that
        is copied, one way or the other, as a share of the patch.
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
    pseudo_weight: Weight = 1.0
    beta_first: Weight = 0.7
    beta_last: Weight = 0.07
    entropy_cap: Weight | None = 0.02
    pseudo_threshold: Share = 0.9
    copy_paste: Share = 1.0
    box: Share = 0.67
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
    """What student and teacher make of all patches of a batch, the labelled ones first.

    Where a labelled patch was pasted into an unlabelled one, so were its target, weight and teacher.
    """

    student: Output
    teacher: Output
    target: Tensor
    """`(Bl + Bu, X, Y, Z)` classes of known voxels, `UNKNOWN` in what is unlabelled."""
    pseudo: Tensor
    """`(Bu, X, Y, Z)` target of the unlabelled patches with the teacher's confident classes in it."""
    weight: Tensor | None
    """`(Bl + Bu, X, Y, Z)` importance of each voxel."""
    labelled: int
    open: int
    """The first patch with enough unknown voxels to be made consistent."""


@register("dycon")
class DyCON(Method):
    """DyCON (Assefa et al., CVPR 2025), leak-free: `L = L_sup + w_u UnCL + w_f FeCL + w_p L_pseudo`.

    All but the first grow from 0 once the teacher is worth listening to. The student then sees unlabelled
    patches mixed with labelled ones, as in bidirectional copy-paste (Bai et al., CVPR 2023).
    """

    title = "DyCON: learns from unlabelled scans, guided by its own uncertainty"
    learns_from_unlabelled = True
    Settings = DyCONSettings
    settings: DyCONSettings

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, from the start of consistency also `{"uncl", "fecl", "pseudo"}`."""
        settings = self.settings
        strength = ramp(progress, settings.start, settings.ramp_length)
        self.monitors = {}
        if strength == 0.0:
            return self.supervised(batch)
        views = self._look(batch)
        labelled = views.student.logits[: views.labelled]
        losses = {"supervised": partial_loss(labelled, batch.supervision, batch.weight)}
        if settings.uncl_weight > 0:
            losses["uncl"] = strength * settings.uncl_weight * self._uncl(views, progress)
        if settings.fecl_weight > 0:
            losses["fecl"] = strength * settings.fecl_weight * self._fecl(views, progress)
        if settings.pseudo_weight > 0 and len(views.pseudo) > 0:
            losses["pseudo"] = strength * settings.pseudo_weight * self._pseudo(views)
        return losses

    def needs_unlabelled(self, progress: float) -> bool:
        """Return whether consistency has begun."""
        return progress >= self.settings.start

    def _look(self, batch: Batch) -> Views:
        """Show the student the strong views, mixed with labelled patches, and the teacher the weak ones."""
        project = self.settings.fecl_weight > 0
        known, weight = batch.supervision, batch.weight
        first = 0 if batch.partly_labelled else len(known)
        if batch.weak is None or batch.strong is None:
            student, teacher = (
                network(batch.image, project=project) for network in (self.student, self.teacher)
            )
            return Views(student, teacher, known, known[:0], weight, len(known), first)
        labelled, unlabelled = len(known), batch.unlabelled
        partner = torch.arange(unlabelled, device=known.device) % labelled
        pasted = self._pasted(unlabelled, known)
        image = paste(batch.image[partner], batch.strong, pasted)
        student = self.student(torch.cat([batch.image, image]), project=project)
        teacher = self._teach(batch, partner, pasted)
        target = torch.cat([known, paste(known[partner], batch.blank, pasted)])
        if weight is not None:
            weight = torch.cat([weight, paste(weight[partner], torch.ones_like(weight[partner]), pasted)])
        pseudo = self._fill(target[labelled:], teacher.logits[labelled:])
        return Views(student, teacher, target, pseudo, weight, labelled, first)

    def _pasted(self, count: int, like: Tensor) -> Tensor:
        """Draw where labelled patches are pasted: a box or all around it, `(Bu, 1, X, Y, Z)` bool."""
        mask = random_boxes(count, like.shape[1:], self.settings.box, device=like.device)
        around, mixed = (torch.rand(count) < share for share in (0.5, self.settings.copy_paste))
        shape = (count, 1, 1, 1, 1)
        return (mask ^ around.to(mask.device).view(shape)) & mixed.to(mask.device).view(shape)

    def _teach(self, batch: Batch, partner: Tensor, pasted: Tensor) -> Output:
        """Return what the teacher says of labelled and weak patches, put together as the student saw them."""
        assert batch.weak is not None
        labelled = len(batch.image)
        seen = self.teacher(torch.cat([batch.image, batch.weak]), project=self.settings.fecl_weight > 0)
        logits = torch.cat([seen.logits[:labelled], _mix(seen.logits, labelled, partner, pasted)])
        if seen.embedding is None:
            return Output(logits, None)
        cells = cell_mean(pasted.float(), _grid(seen.embedding)) > 0.5
        mixed = _mix(seen.embedding, labelled, partner, cells)
        return Output(logits, torch.cat([seen.embedding[:labelled], mixed]))

    @torch.no_grad()
    def _fill(self, target: Tensor, logits: Tensor) -> Tensor:
        """Give unknown voxels the teacher's class where it is confident."""
        confidence, classes = logits.float().softmax(dim=1).max(dim=1)
        unknown = target == UNKNOWN
        sure = unknown & (confidence >= self.settings.pseudo_threshold)
        count = unknown.sum().clamp_min(1)
        self.monitors["pseudo_share"] = float(sure.sum() / count)
        self.monitors["teacher_foreground"] = float(((classes > 0) & unknown).sum() / count)
        return torch.where(sure, classes, target)

    def _pseudo(self, views: Views) -> Tensor:
        """Supervised loss of the mixed patches, with pseudo-labels where nothing is known."""
        first = views.labelled
        weight = None if views.weight is None else views.weight[first:]
        return partial_loss(views.student.logits[first:], views.pseudo, weight)

    def _uncl(self, views: Views, progress: float) -> Tensor:
        """UnCL (Eq. 1 and 2) on unknown voxels, also those of partly labelled patches."""
        beta = decay(progress, self.settings.beta_first, self.settings.beta_last)
        self.monitors["beta"] = beta
        cap = self.settings.entropy_cap
        first = views.open
        if first == len(views.target):
            return views.student.logits.sum() * 0.0
        return uncl(
            views.student.logits[first:],
            views.teacher.logits[first:],
            beta,
            beta if cap is None else min(beta, cap),
            views.target[first:] == UNKNOWN,
        )

    def _fecl(self, views: Views, progress: float) -> Tensor:
        """FeCL (Eq. 3 to 6) on patches with known voxels, later also on confident unlabelled ones."""
        settings = self.settings
        embedding, other = views.student.embedding, views.teacher.embedding
        assert embedding is not None and other is not None
        grid = _grid(embedding)
        labels = self._patch_labels(views, grid, progress)
        chosen = sample_anchors(labels, settings.anchors, self.student.spec.classes)
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

    def _patch_labels(self, views: Views, grid: tuple[int, int, int], progress: float) -> Tensor:
        """Return `(M,)` classes of the patches of the whole batch, labelled patches first."""
        settings, classes = self.settings, self.student.spec.classes
        known = patch_labels(
            views.target,
            grid,
            classes,
            views.weight,
            purity=settings.purity,
            background_purity=settings.background_purity,
            min_known=settings.min_known,
        )
        if progress >= settings.unlabelled_anchors_start:
            purity, first = settings.pseudo_purity, views.labelled
            sure = patch_labels(views.pseudo, grid, classes, purity=purity, min_known=purity)
            known[first:] = torch.where(known[first:] == UNCLEAR, sure, known[first:])
        return known.flatten()


def _mix(both: Tensor, labelled: int, partner: Tensor, pasted: Tensor) -> Tensor:
    """Paste what belongs to labelled patches into what belongs to unlabelled ones."""
    return paste(both[:labelled][partner], both[labelled:], pasted)


def _grid(embedding: Tensor) -> tuple[int, int, int]:
    x, y, z = embedding.shape[2:]
    return x, y, z


def _patches(embedding: Tensor) -> Tensor:
    """Return `(B, D, x, y, z)` as `(B * x * y * z, D)`."""
    return embedding.flatten(2).transpose(1, 2).flatten(0, 1)
