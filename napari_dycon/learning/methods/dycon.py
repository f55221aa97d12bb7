"""DyCON without the leak: uncertainty-aware consistency and focal contrast of patches."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import torch
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor

from napari_dycon.learning.batch import IGNORE, UNKNOWN, Batch
from napari_dycon.learning.losses.fecl import UNCLEAR, cell_mean, fecl, patch_labels, sample_anchors
from napari_dycon.learning.losses.uncertainty import normalised_entropy
from napari_dycon.learning.losses.uncl import uncl
from napari_dycon.learning.methods.base import Losses, Method, MethodSettings, Share, Weight, register
from napari_dycon.learning.methods.supervised import patches_with_mixtures, supervised_with_mixtures
from napari_dycon.learning.mixing import boxes_or_around, paste
from napari_dycon.learning.networks import Output
from napari_dycon.learning.schedules import decay, ramp


class DyCONSettings(MethodSettings):
    """Settings of DyCON; every component can be turned off.

    Parameters
    ----------
    start, ramp_length
        Progress at which the unlabelled scans begin to teach, and over which their weight grows.
    uncl_weight, fecl_weight, pseudo_weight
        Full weight of UnCL, of FeCL and of the supervised loss with confident pseudo-labels. The first two
        are off: with a weight of 5 UnCL brings as much as the seconds that it takes would bring without it,
        FeCL at 0.1 nothing but a dearer step (docs/explanation/benchmarks.md).
    beta_first, beta_last
        UnCL's beta at the start and the end of training, in units of normalised entropy; equal for a
        fixed beta, both 0 for none.
    entropy_cap
        Upper limit of the factor of UnCL's entropy term, which is otherwise beta; 0 leaves the term out,
        None is the paper's.
    pseudo_threshold
        Least probability of a pseudo-label.
    copy_paste, mixed, box
        Whether labelled and unlabelled patches are pasted into each other; of how many of the planned
        unlabelled ones a step then shows a mixture, each with a labelled one that is not shown whole, as a
        share; and the sides of the box that is copied, one way or the other, as a share of the patch. The
        other unlabelled ones are shown as they are, for UnCL; where it is off they are left out.
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

    start: Share = 0.2
    ramp_length: Share = 0.2
    uncl_weight: Weight = 0.0
    fecl_weight: Weight = 0.0
    pseudo_weight: Weight = 1.0
    beta_first: Weight = 0.7
    beta_last: Weight = 0.07
    entropy_cap: Weight | None = 0.02
    pseudo_threshold: Share = 0.9
    copy_paste: bool = True
    mixed: Share = 0.5
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
    """What student and teacher make of the patches of a step, the whole labelled ones first."""

    student: Output
    teacher: Output
    target: Tensor
    """`(B, X, Y, Z)` classes of known voxels, `UNKNOWN` where the teacher may be asked."""
    pseudo: Tensor
    """`(B, X, Y, Z)` the target, and where nothing is known the teacher's class if it is confident."""
    weight: Tensor | None
    """`(B, X, Y, Z)` importance of each voxel."""
    whole: int
    """How many labelled patches there are that nothing was pasted into."""
    mixed: int
    """How many mixtures follow; after them come unlabelled patches as they are."""


@register("dycon")
class DyCON(Method):
    """DyCON (Assefa et al., CVPR 2025), leak-free: `L = L_sup + w_u UnCL + w_f FeCL + w_p L_pseudo`.

    All but the first grow from 0 once the teacher is worth listening to. From then on a step also shows an
    unlabelled patch and a labelled one that is not among the others, pasted together as in bidirectional
    copy-paste (Bai et al., CVPR 2023), so that no labelled voxel counts twice; that is where pseudo-labels
    teach. UnCL works beside it, on an unlabelled patch as it is: asked about mixtures it does harm. Where
    everything is labelled, two labelled patches are pasted together instead, as in `supervised`.
    """

    title = "DyCON: learns from unlabelled scans, guided by its own uncertainty"
    learns_from_unlabelled = True
    Settings = DyCONSettings
    settings: DyCONSettings

    def forward(self, batch: Batch, progress: float) -> Losses:
        """Return `{"supervised"}`, from the start also those of `{"uncl", "fecl", "pseudo"}` that are on."""
        settings = self.settings
        strength = ramp(progress, settings.start, settings.ramp_length)
        self.monitors = {}
        contrasts = settings.fecl_weight > 0 or self._makes_consistent(batch)
        alone = batch.weak is None and not contrasts
        if strength == 0.0 or (alone and not settings.copy_paste):
            return self.supervised(batch)
        if alone:
            return supervised_with_mixtures(self, batch, settings.box, strength)
        views = self._look(batch)
        losses = {"supervised": self._loss(views, views.target, slice(views.whole))}
        if settings.uncl_weight > 0:
            losses["uncl"] = strength * settings.uncl_weight * self._uncl(views, progress)
        if settings.fecl_weight > 0:
            losses["fecl"] = strength * settings.fecl_weight * self._fecl(views, progress)
        if settings.pseudo_weight > 0:
            taught = slice(views.whole, views.whole + views.mixed if views.mixed else None)
            losses["pseudo"] = strength * settings.pseudo_weight * self._loss(views, views.pseudo, taught)
        return losses

    def needs_unlabelled(self, progress: float) -> bool:
        """Return whether consistency has begun."""
        return progress >= self.settings.start

    def patches(self, progress: float, labelled: int, unlabelled: int) -> tuple[int, int]:
        """Return what is planned, from the start of consistency on what a step then shows.

        That is the planned labelled patches and the pairs to paste together; with UnCL also the planned
        unlabelled ones that are in no pair, at least one.
        """
        if not self.needs_unlabelled(progress):
            return labelled, 0
        if not self.settings.copy_paste:
            return labelled, unlabelled
        if not unlabelled:
            return labelled if self.settings.fecl_weight > 0 else patches_with_mixtures(labelled), 0
        pairs = max(1, round(self.settings.mixed * unlabelled))
        plain = max(1, unlabelled - pairs) if self.settings.uncl_weight > 0 else 0
        return labelled + pairs, pairs + plain

    def _pairs(self, unlabelled: int) -> int:
        """How many of the unlabelled patches that a step shows are pasted together with labelled ones."""
        if self.settings.uncl_weight == 0:
            return unlabelled
        return max(1, min(unlabelled - 1, round(self.settings.mixed * unlabelled)))

    def _makes_consistent(self, batch: Batch) -> bool:
        """Whether UnCL works on unknown voxels of labelled patches, which must be whole for that."""
        return self.settings.uncl_weight > 0 and not self.settings.copy_paste and batch.partly_labelled

    def _look(self, batch: Batch) -> Views:
        """Show the student the strong views, pasted into labelled patches, and the teacher the weak ones."""
        known, weight = batch.supervision, batch.weight
        if not batch.partly_labelled:
            known = known.masked_fill(known == UNKNOWN, IGNORE)  # a rim is not worth asking the teacher
        if batch.weak is None or batch.strong is None:
            return self._compare(batch.image, self._teach(batch.image), known, weight, len(known))
        labelled, unlabelled = len(known), len(batch.weak)
        pairs = self._pairs(unlabelled)
        if weight is not None:
            weight = torch.cat([weight, torch.ones_like(weight[:1]).expand(unlabelled, *weight.shape[1:])])
        image, target = torch.cat([batch.image, batch.strong]), torch.cat([known, batch.blank])
        whole = max(1, labelled - pairs)
        teacher = self._teach_both(batch, batch.weak, whole)
        if not self.settings.copy_paste:
            return self._compare(image, teacher, target, weight, labelled)
        pasted = boxes_or_around(pairs, known.shape[1:], self.settings.box, device=known.device)
        partner = labelled - 1 - torch.arange(pairs) % max(1, labelled - whole)

        def mix(both: Tensor, where: Tensor = pasted) -> Tensor:
            first, plain = both[labelled : labelled + pairs], both[labelled + pairs :]
            return torch.cat([both[:whole], paste(both[partner], first, where), plain])

        embedding = teacher.embedding
        if embedding is not None:
            embedding = mix(embedding, cell_mean(pasted.float(), _grid(embedding)) > 0.5)
        both = Output(mix(teacher.logits), embedding)
        weight = None if weight is None else mix(weight)
        return self._compare(mix(image), both, mix(target), weight, whole, pairs)

    def _compare(
        self,
        image: Tensor,
        teacher: Output,
        target: Tensor,
        weight: Tensor | None,
        whole: int,
        mixed: int = 0,
    ) -> Views:
        student = self.student(image, project=self.settings.fecl_weight > 0)
        return Views(student, teacher, target, self._fill(target, teacher.logits), weight, whole, mixed)

    def _teach(self, image: Tensor) -> Output:
        compared = self.settings.fecl_weight > 0 and self.settings.hard_negatives > 0
        seen: Output = self.teacher(image, project=compared)
        return seen

    def _teach_both(self, batch: Batch, weak: Tensor, whole: int) -> Output:
        """Return what the teacher says of labelled and weak patches; of the former only where it is used."""
        unheard = self._unheard(batch, whole)
        seen = self._teach(torch.cat([batch.image[unheard:], weak]))
        if not unheard:
            return seen
        return Output(torch.cat([seen.logits.new_zeros(unheard, *seen.logits.shape[1:]), seen.logits]), None)

    def _unheard(self, batch: Batch, whole: int) -> int:
        """How many labelled patches, the whole ones first, nothing is asked of the teacher about."""
        if self.settings.fecl_weight > 0 and self.settings.hard_negatives > 0:
            return 0
        if self._makes_consistent(batch):
            return 0
        mixed = batch.partly_labelled and self.settings.copy_paste and self.settings.pseudo_weight > 0
        return whole if mixed else len(batch.image)

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

    def _uncl(self, views: Views, progress: float) -> Tensor:
        """UnCL (Eq. 1 and 2) on unknown voxels that nothing known was pasted beside.

        Where nothing is mixed, those of partly labelled patches are among them.
        """
        beta = decay(progress, self.settings.beta_first, self.settings.beta_last)
        self.monitors["beta"] = beta
        cap = self.settings.entropy_cap
        sharpness = beta if cap is None else min(beta, cap)
        plain = slice(views.whole + views.mixed if views.mixed else 0, None)
        student, teacher = views.student.logits[plain], views.teacher.logits[plain]
        return uncl(student, teacher, beta, sharpness, views.target[plain] == UNKNOWN)

    def _fecl(self, views: Views, progress: float) -> Tensor:
        """FeCL (Eq. 3 to 6) on patches with known voxels, later also on confident unlabelled ones."""
        settings = self.settings
        embedding, other = views.student.embedding, views.teacher.embedding
        assert embedding is not None
        grid = _grid(embedding)
        labels = self._patch_labels(views, grid, progress)
        chosen = sample_anchors(labels, settings.anchors, self.student.spec.classes)
        entropy = cell_mean(normalised_entropy(views.student.logits.detach())[:, None], grid).flatten()
        return fecl(
            _patches(embedding)[chosen],
            labels[chosen],
            entropy[chosen] if settings.entropy_weights else None,
            None if other is None else _patches(other)[chosen],
            temperature=settings.temperature,
            gamma=settings.gamma if settings.focal else 0.0,
            hard_negatives=settings.hard_negatives,
        )

    def _loss(self, views: Views, target: Tensor, part: slice) -> Tensor:
        """Supervised loss of some of the patches."""
        weight = None if views.weight is None else views.weight[part]
        return self.labels_loss(views.student.logits[part], target[part], weight)

    def _patch_labels(self, views: Views, grid: tuple[int, int, int], progress: float) -> Tensor:
        """Return `(M,)` classes of the cells of the whole batch."""
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
            purity = settings.pseudo_purity
            sure = patch_labels(views.pseudo, grid, classes, purity=purity, min_known=purity)
            known = torch.where(known == UNCLEAR, sure, known)
        return known.flatten()


def _grid(embedding: Tensor) -> tuple[int, int, int]:
    x, y, z = embedding.shape[2:]
    return x, y, z


def _patches(embedding: Tensor) -> Tensor:
    """Return `(B, D, x, y, z)` as `(B * x * y * z, D)`."""
    return embedding.flatten(2).transpose(1, 2).flatten(0, 1)
