"""Prediction of a whole scan by overlapping windows, interruptible between any two."""

from collections.abc import Generator, Sequence
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_dycon.engine.control import Control
from napari_dycon.engine.device import fast_bfloat16
from napari_dycon.engine.plan import Plan
from napari_dycon.learning.networks import SegmentationNetwork

PLAIN: tuple[tuple[int, ...], ...] = ((),)
"""A window as it is, and no other view of it."""


def predict_windows(
    networks: Sequence[SegmentationNetwork],
    image: NDArray[np.float16],
    plan: Plan,
    device: torch.device | str,
    control: Control | None = None,
    *,
    means: Sequence[Sequence[int]] | None = None,
    rows: slice | None = None,
    views: Sequence[Sequence[int]] = PLAIN,
) -> Generator[float, None, Tensor | None]:
    """Yield the finished fraction after every window.

    Parameters
    ----------
    networks
        On the device, in evaluation mode.
    image : (x, y, z) on the plan's grid; smaller than the patch is padded by repeating the border.
    means
        Groups of networks, by their places, whose mean is wanted; every network by itself by default.
    rows
        Only these voxels along x, by default all; they come out the same, and take less memory.
    views
        Axes to flip a window along, for each view of it; what a network says of them is averaged.

    Returns
    -------
    Probabilities (group, class, x, y, z) float32 on the CPU, windows weighted by a Gaussian; None when
    the control stopped it.
    """
    groups = [[place] for place in range(len(networks))] if means is None else means
    padded, inner = _padded(image, plan.patch_size)
    first, last = (inner[0].start + edge for edge in _edges(rows, image.shape[0]))
    values = torch.from_numpy(padded)
    shape = (last - first, *padded.shape[1:])
    total, weights = torch.zeros((len(groups), plan.classes, *shape)), torch.zeros(shape)
    importance = _importance(plan.patch_size)
    starts = window_starts(padded.shape, plan.patch_size, plan.overlap)
    places = [start for start in starts if start[0] < last and start[0] + plan.patch_size[0] > first]
    for done, place in enumerate(places, start=1):
        if control is not None:
            control.wait_while_paused()
            if control.stopped:
                return None
        window = tuple(slice(s, s + p) for s, p in zip(place, plan.patch_size, strict=True))
        found = _probabilities(networks, values[window][None, None].float().to(device), plan, views)
        low, high = max(first, window[0].start), min(last, window[0].stop)
        part = slice(low - window[0].start, high - window[0].start)
        here = (slice(low - first, high - first), *window[1:])
        for number, group in enumerate(groups):
            mean = found[group[0]] if len(group) == 1 else found[list(group)].mean(dim=0)
            total[number, :, here[0], here[1], here[2]] += mean[:, part] * importance[part]
        weights[here] += importance[part]
        yield done / len(places)
    total /= weights
    return total[:, :, :, inner[1], inner[2]]


def _edges(rows: slice | None, length: int) -> tuple[int, int]:
    return (0, length) if rows is None else (rows.start, rows.stop)


def window_starts(shape: Sequence[int], patch: Sequence[int], overlap: float) -> list[tuple[int, int, int]]:
    """First voxels of evenly spread windows that cover a volume at least as large as the patch."""
    axes = []
    for n, p in zip(shape, patch, strict=True):
        step = max(1, round(p * (1 - overlap)))
        count = 1 + -(-(n - p) // step)
        axes.append([round(i * (n - p) / max(1, count - 1)) for i in range(count)])
    return [(x, y, z) for x, y, z in product(*axes)]


@torch.inference_mode()
def _probabilities(
    networks: Sequence[SegmentationNetwork], patch: Tensor, plan: Plan, views: Sequence[Sequence[int]]
) -> Tensor:
    """Mean softmax of the views, (network, class, X, Y, Z) on the CPU; in mixed precision where planned."""
    kind = torch.bfloat16 if plan.precision == "bf16-mixed" else torch.float16
    on_cpu = patch.device.type == "cpu" and kind == torch.bfloat16 and fast_bfloat16()
    mixed = plan.precision != "32-true" and (patch.device.type == "cuda" or on_cpu)
    found = torch.zeros((len(networks), plan.classes, *patch.shape[2:]), device=patch.device)
    for view in views:
        axes = [2 + axis for axis in view]
        with torch.autocast(patch.device.type, dtype=kind, enabled=mixed):
            logits = [network(patch.flip(axes)).logits for network in networks]
        found += torch.cat([entry.float().softmax(dim=1).flip(axes) for entry in logits])
    return (found / len(views)).cpu()


def _padded(
    image: NDArray[np.float16], patch: Sequence[int]
) -> tuple[NDArray[np.float16], tuple[slice, ...]]:
    missing = [max(0, p - n) for n, p in zip(image.shape, patch, strict=True)]
    before = [m // 2 for m in missing]
    padded = np.pad(image, [(b, m - b) for b, m in zip(before, missing, strict=True)], mode="edge")
    return padded, tuple(slice(b, b + n) for b, n in zip(before, image.shape, strict=True))


def _importance(patch: Sequence[int]) -> Tensor:
    """Gaussian weight of a window's voxels, sigma an eighth of each side (nnU-Net), never below 0.1 %."""
    axes = [torch.exp(-0.5 * ((torch.arange(n) - (n - 1) / 2) / (n / 8)) ** 2) for n in patch]
    x, y, z = axes
    return (x[:, None, None] * y[:, None] * z).clamp_min(1e-3)
