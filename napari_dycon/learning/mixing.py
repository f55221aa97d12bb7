"""Mixing patches: random boxes, and copying what lies in them from one patch to another.

Images, targets and weights are mixed with the same mask, so that each voxel keeps its own label.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def random_boxes(
    count: int,
    sides: Sequence[int],
    share: float | Tensor,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw one box for each patch, anywhere inside it with equal probability.

    Parameters
    ----------
    count
        Number of patches.
    sides
        Voxels of a patch along each axis `(X, Y, Z)`.
    share
        Length of a box as a share of each side, from 0 to 1, one for all or `(count,)`; rounded down, at
        least one voxel. The share of the volume is its third power.
    generator
        A CPU generator; torch's global one when None.
    device
        Where the mask is needed; the random numbers are drawn on the CPU whatever it is.

    Returns
    -------
    Tensor
        `(count, 1, X, Y, Z)` bool, true inside the boxes.
    """
    shares = torch.as_tensor(share, dtype=torch.float64).cpu().expand(count)
    position = torch.rand(count, len(sides), generator=generator, dtype=torch.float64)
    mask = torch.ones(count, *([1] * (len(sides) + 1)), dtype=torch.bool, device=device)
    for axis, side in enumerate(sides):
        length = (shares * side + 1e-9).floor().clamp(1, side)
        start = (position[:, axis] * (side - length + 1)).floor()
        index = torch.arange(side, dtype=torch.float64)
        inside = (index >= start[:, None]) & (index < (start + length)[:, None])
        mask = mask & inside.to(device).reshape(count, 1, *_along(axis, sides))
    return mask


def boxes_or_around(
    count: int, sides: Sequence[int], share: float, *, device: torch.device | str = "cpu"
) -> Tensor:
    """Draw for each patch either a box as `random_boxes` does or, as likely, all around one.

    Returns
    -------
    Tensor
        `(count, 1, X, Y, Z)` bool.
    """
    box = random_boxes(count, sides, share, device=device)
    around = torch.rand(count) < 0.5
    return box ^ around.to(box.device).view(-1, 1, 1, 1, 1)


def paste(inside: Tensor, outside: Tensor, mask: Tensor) -> Tensor:
    """Take `inside` where the mask is true and `outside` elsewhere.

    Parameters
    ----------
    inside, outside
        Images `(B, C, X, Y, Z)`, or targets or weights `(B, X, Y, Z)`.
    mask
        `(B, 1, X, Y, Z)` bool.
    """
    return torch.where(mask if inside.ndim == mask.ndim else mask.squeeze(1), inside, outside)


def _along(axis: int, sides: Sequence[int]) -> list[int]:
    return [side if other == axis else 1 for other, side in enumerate(sides)]
