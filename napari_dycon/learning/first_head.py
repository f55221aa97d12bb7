"""A first head, fitted to the first labels in closed form, instead of a random one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_dycon.learning.batch import IGNORE, Batch
from napari_dycon.learning.networks import EncoderDecoder, SegmentationNetwork, SubpixelHead

RIDGE, SHARPNESS = 0.01, 2.0
"""Weight of the penalty of a fitted head, and factor of what it says."""

CELLS = 20_000
"""At most so many cells of a patch are looked at."""


@torch.no_grad()
def fit_head(network: SegmentationNetwork, batches: Iterable[Batch]) -> None:
    """Fit the head of a network of the usual backbone to labelled patches, in closed form.

    Ridge regression of the classes on the features that the head reads, in which a voxel of a rare class
    counts more, by the root of its share (R2-D2: Bertinetto et al., ICLR 2019). Random features tell much
    already. Networks with another head stay as they are.

    Parameters
    ----------
    network
        On the CPU.
    batches
        Labelled patches; what is unknown in them is not read.
    """
    head = network.head if isinstance(network, EncoderDecoder) else None
    if not isinstance(head, SubpixelHead):
        return
    batches = list(batches)
    known = torch.cat([batch.supervision.flatten() for batch in batches])
    share = torch.bincount(known[known < IGNORE], minlength=head.classes)[: head.classes].float()
    rarity = (share / share.sum()).clamp_min(1e-4).rsqrt()
    size = head.convolution.weight[0].numel() + 1
    left, right = torch.zeros(size, size), torch.zeros(size, head.convolution.out_channels)
    for features, truth in _cells_around(network, head, batches):
        weight = (truth @ rarity).mean(1, keepdim=True)
        left += features.T @ (weight * features)
        right += features.T @ (weight * (truth.mT - 1 / head.classes).flatten(1))
    total = left[-1, -1]  # of the weights: the last feature is 1
    found = SHARPNESS * torch.linalg.solve(left / total + RIDGE * torch.eye(size), right / total).T
    head.convolution.weight.copy_(found[:, :-1].reshape(head.convolution.weight.shape))
    assert head.convolution.bias is not None
    head.convolution.bias.copy_(found[:, -1])


def _cells_around(
    network: SegmentationNetwork, head: SubpixelHead, batches: Iterable[Batch]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield of each patch features `(N, D)` around cells, 1 last, and `(N, V, C)` classes of their voxels."""
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        for batch in batches:
            network(batch.image)
            for features, target in zip(seen.pop(), batch.supervision, strict=True):
                yield _cells(head, features, target)
    finally:
        hook.remove()


def _cells(head: SubpixelHead, features: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    x, y, z = head.stride
    sides = features.shape[1:]
    fine = (
        target.view(sides[0], x, sides[1], y, sides[2], z).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(0, 2)
    )
    known = (fine < IGNORE).any(1).nonzero()[:, 0]
    known = known[torch.linspace(0, len(known) - 1, min(len(known), CELLS)).long()]
    kernel = head.convolution.kernel_size
    around = F.pad(features, [side // 2 for side in reversed(kernel) for _ in range(2)])
    for axis, side in enumerate(kernel, start=1):
        around = around.unfold(axis, side, 1)
    places = known // (sides[1] * sides[2]), known // sides[2] % sides[1], known % sides[2]
    rows = around.permute(1, 2, 3, 0, 4, 5, 6)[places].flatten(1)
    chosen = fine[known]
    truth = F.one_hot(chosen.clamp_max(head.classes), head.classes + 1)[..., :-1].float()
    return F.pad(rows, (0, 1), value=1.0), truth * (chosen < IGNORE)[..., None]
