"""What one training step sees: labelled and unlabelled patches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

UNKNOWN = 255
"""Target code of a voxel nobody has labelled: not supervised, but open to consistency."""

IGNORE = 254
"""Target code of a "do not care" voxel: neither supervised nor made consistent."""


WORTH_ASKING = 0.1
"""Unknown share of the labelled patches from which a teacher is asked about their unknown voxels; patches
at the border of a scan always have a few outside it."""


@dataclass(frozen=True)
class Batch:
    """Patches for one training step; all of one spatial size `(X, Y, Z)`.

    The labels of unlabelled scans have no field here, so no method can read them.

    Parameters
    ----------
    image
        `(Bl, Cin, X, Y, Z)` patches with at least one known voxel each, as the student sees them.
    target
        `(Bl, X, Y, Z)` int64 class indices, `UNKNOWN` or `IGNORE`.
    weight
        `(Bl, X, Y, Z)` non-negative importance of each voxel, or None for 1. A voxel of weight 0 is
        treated as unknown.
    weak
        `(Bu, Cin, X, Y, Z)` unlabelled patches after geometric augmentation, the teacher's view; None
        without unlabelled data.
    strong
        The same patches after intensity augmentation as well, the student's view.
    inside
        `(Bu, X, Y, Z)` bool, which of their voxels lie in the scan; None for all. Outside, a patch repeats
        the border of its scan, and nothing is to be learned.

    Raises
    ------
    ValueError
        If the shapes do not belong together.
    """

    image: Tensor
    target: Tensor
    weight: Tensor | None = None
    weak: Tensor | None = None
    strong: Tensor | None = None
    inside: Tensor | None = None

    def __post_init__(self) -> None:
        voxels = (self.image.shape[0], *self.image.shape[2:])
        if self.target.shape != voxels:
            raise ValueError(f"target has shape {tuple(self.target.shape)}, the image needs {voxels}")
        if self.weight is not None and self.weight.shape != voxels:
            raise ValueError(f"weight has shape {tuple(self.weight.shape)}, the image needs {voxels}")
        if (self.weak is None) != (self.strong is None):
            raise ValueError("weak and strong are two views of the same patches: give both or none")
        if self.weak is None or self.strong is None:
            return
        if self.weak.shape != self.strong.shape or self.weak.shape[1:] != self.image.shape[1:]:
            raise ValueError("weak and strong must have the channels and the spatial size of the image")
        if self.inside is not None and self.inside.dtype != torch.bool:
            raise TypeError("inside tells of each voxel whether it lies in the scan; it holds no labels")
        if self.inside is not None and self.inside.shape != (self.unlabelled, *self.image.shape[2:]):
            raise ValueError(
                f"inside has shape {tuple(self.inside.shape)}, not that of the unlabelled patches"
            )

    @property
    def unlabelled(self) -> int:
        """Number of unlabelled patches."""
        return 0 if self.weak is None else self.weak.shape[0]

    @property
    def blank(self) -> Tensor:
        """Target of the unlabelled patches, `(Bu, X, Y, Z)` int64: `UNKNOWN` in the scan, else `IGNORE`."""
        sides = self.image.shape[2:]
        blank = torch.full((self.unlabelled, *sides), UNKNOWN, device=self.image.device)
        return blank if self.inside is None else blank.masked_fill_(~self.inside, IGNORE)

    @property
    def supervision(self) -> Tensor:
        """The target with every voxel of weight 0 made `UNKNOWN`, `(Bl, X, Y, Z)` int64.

        Everything that reads labels reads these.
        """
        if self.weight is None:
            return self.target
        hidden = (self.weight <= 0) & (self.target != IGNORE)
        return torch.where(hidden, UNKNOWN, self.target)

    @property
    def partly_labelled(self) -> bool:
        """Whether enough of the labelled patches is unknown to ask a teacher about it."""
        return bool((self.supervision == UNKNOWN).float().mean() >= WORTH_ASKING)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on `device`."""
        return replace(
            self,
            image=self.image.to(device, non_blocking=True),
            target=self.target.to(device, non_blocking=True),
            weight=None if self.weight is None else self.weight.to(device, non_blocking=True),
            weak=None if self.weak is None else self.weak.to(device, non_blocking=True),
            strong=None if self.strong is None else self.strong.to(device, non_blocking=True),
            inside=None if self.inside is None else self.inside.to(device, non_blocking=True),
        )
