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

MANY_WINDOWS = 48
"""A scan of more windows is glanced at first, to look closely only where a structure may be."""
GLANCE_OVERLAP = 0.25
WORTH_A_LOOK = 0.02
"""Where no voxel of a window has a foreground probability above this at a glance, it holds nothing."""

Place = tuple[int, int, int]


def glance(
    networks: Sequence[SegmentationNetwork],
    image: NDArray[np.float16],
    plan: Plan,
    device: torch.device | str,
    control: Control | None = None,
) -> Generator[float, None, list[Place] | None]:
    """Find the windows of a large scan that may hold a structure, with one quick look at all of it.

    Windows overlap little and are looked at once, in one view. What shows one value everywhere, such as the
    air around a body, is passed over. Parameters as in `predict_windows`.

    Returns
    -------
    Places to hand to `predict_windows`, all of them where the scan is small; None when stopped.
    """
    padded, _ = _pad(image, plan.patch_size)
    box = _content_box(padded, plan.patch_size)
    every = _starts(box, plan.patch_size, plan.overlap)
    if len(every) <= MANY_WINDOWS:
        return every
    values, quick = torch.from_numpy(padded), _starts(box, plan.patch_size, GLANCE_OVERLAP)
    found = torch.zeros(padded.shape[1:], dtype=torch.float16)
    for done, place in enumerate(quick, start=1):
        if not _goes_on(control):
            return None
        window = _window(place, plan.patch_size)
        patch = values[:, *window]
        if bool((patch != patch[:, :1, :1, :1]).any()):
            background = _probabilities(networks, patch[None].float().to(device), plan, PLAIN)[:, 0]
            found[window] = torch.maximum(found[window], 1 - background.mean(dim=0).half())
        yield done / len(quick)
    return [place for place in every if bool((found[_window(place, plan.patch_size)] > WORTH_A_LOOK).any())]


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
    places: Sequence[Place] | None = None,
) -> Generator[float, None, Tensor | None]:
    """Yield the finished fraction after every window.

    Parameters
    ----------
    networks
        On the device, in evaluation mode.
    image : (channel, x, y, z) on the plan's grid; smaller than the patch is padded by repeating the border.
    means
        Groups of networks, by their places, whose mean is wanted; every network by itself by default.
    rows
        Only these voxels along x, by default all; they come out the same, and take less memory.
    views
        Axes to flip a window along, for each view of it; what a network says of them is averaged.
    places
        From `glance`; what no window covers is background. All of the scan by default.

    Returns
    -------
    Probabilities (group, class, x, y, z) float32 on the CPU, windows weighted by a Gaussian; None when
    the control stopped it.
    """
    groups = [[place] for place in range(len(networks))] if means is None else means
    padded, inner = _pad(image, plan.patch_size)
    first, last = (inner[0].start + edge for edge in _edges(rows, image.shape[1]))
    values = torch.from_numpy(padded)
    shape = (last - first, *padded.shape[2:])
    total, weights = torch.zeros((len(groups), plan.classes, *shape)), torch.zeros(shape)
    importance = _importance(plan.patch_size)
    starts = window_starts(padded.shape[1:], plan.patch_size, plan.overlap) if places is None else places
    here_about = [start for start in starts if start[0] < last and start[0] + plan.patch_size[0] > first]
    for done, place in enumerate(here_about, start=1):
        if not _goes_on(control):
            return None
        window = _window(place, plan.patch_size)
        found = _probabilities(networks, values[:, *window][None].float().to(device), plan, views)
        low, high = max(first, window[0].start), min(last, window[0].stop)
        part = slice(low - window[0].start, high - window[0].start)
        here = (slice(low - first, high - first), *window[1:])
        for number, group in enumerate(groups):
            mean = found[group[0]] if len(group) == 1 else found[list(group)].mean(dim=0)
            total[number, :, here[0], here[1], here[2]] += mean[:, part] * importance[part]
        weights[here] += importance[part]
        yield done / len(here_about)
    if places is not None:
        total[:, 0][:, weights == 0] = 1
        weights[weights == 0] = 1
    total /= weights
    return total[:, :, :, inner[1], inner[2]]


def _goes_on(control: Control | None) -> bool:
    if control is not None:
        control.wait_while_paused()
    return control is None or not control.stopped


def _window(place: Place, patch: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(s, s + p) for s, p in zip(place, patch, strict=True))


def _content_box(image: NDArray[np.float16], patch: Sequence[int]) -> tuple[slice, ...]:
    """The box of what is not the lowest value, at least as large as a window; all where that is nothing."""
    shown = (image > image.min(axis=(1, 2, 3), keepdims=True)).any(axis=0)
    box = []
    for axis, (n, p) in enumerate(zip(shown.shape, patch, strict=True)):
        along = np.flatnonzero(shown.any(axis=tuple(a for a in range(3) if a != axis)))
        low, high = (int(along[0]), int(along[-1]) + 1) if len(along) else (0, n)
        low = max(0, min(low, n - p, (low + high - p) // 2))
        box.append(slice(low, max(high, low + p)))
    return tuple(box)


def _starts(box: Sequence[slice], patch: Sequence[int], overlap: float) -> list[Place]:
    x, y, z = (part.start for part in box)
    sides = [part.stop - part.start for part in box]
    return [(x + a, y + b, z + c) for a, b, c in window_starts(sides, patch, overlap)]


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


def _pad(image: NDArray[np.float16], patch: Sequence[int]) -> tuple[NDArray[np.float16], tuple[slice, ...]]:
    sides = image.shape[1:]
    missing = [max(0, p - n) for n, p in zip(sides, patch, strict=True)]
    before = [m // 2 for m in missing]
    margins = [(0, 0), *((b, m - b) for b, m in zip(before, missing, strict=True))]
    padded = np.pad(image, margins, mode="edge")
    return padded, tuple(slice(b, b + n) for b, n in zip(before, sides, strict=True))


def _importance(patch: Sequence[int]) -> Tensor:
    """Gaussian weight of a window's voxels, sigma an eighth of each side (nnU-Net), never below 0.1 %."""
    axes = [torch.exp(-0.5 * ((torch.arange(n) - (n - 1) / 2) / (n / 8)) ** 2) for n in patch]
    x, y, z = axes
    return (x[:, None, None] * y[:, None] * z).clamp_min(1e-3)
