"""From scans to masks with the model of this bundle: what its configuration puts together.

MONAI, PyTorch, NumPy and nibabel are all it needs. Arrays are ``(x, y, z)``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.inferers.inferer import Inferer
from numpy.typing import NDArray
from torch import Tensor
from torch.export.passes import move_to_device_pass

Floats = NDArray[np.float32]
Place = tuple[int, int, int]
Network = Callable[[Tensor], Tensor]

MM_PER_UNIT = {1: 1000.0, 3: 0.001}
SAMPLED_VOXELS = 2_000_000
FEWEST_VOXELS = 64
FAR_SPREADS, NEAR_SPREADS = 3, 1
LARGEST_Z_SCORE = 8.0
NO_AIR, CT_AIR, CT_BONE = -5000, -500, 200
MANY_WINDOWS, GLANCE_OVERLAP, WORTH_A_LOOK = 48, 0.25, 0.02
REACH = 0.25


@dataclass(frozen=True)
class Image:
    """A scan as it is in its file: values, affine in mm, and what the mask's header is made of."""

    values: NDArray[Any]
    affine: NDArray[np.float64]
    file: Any

    @classmethod
    def read(cls, path: str | Path) -> Image:
        """Read a NIfTI with one volume."""
        file: Any = nib.load(path)
        stored = np.asarray(file.dataobj.get_unscaled())
        stored = stored.reshape([*stored.shape, 1, 1, 1][:3] if stored.ndim < 3 else stored.shape[:3])
        unit = MM_PER_UNIT.get(int(file.header["xyzt_units"]) & 7, 1.0)
        affine = np.diag([unit, unit, unit, 1.0]) @ file.affine
        return cls(_apply_scale(stored, file.dataobj.slope, file.dataobj.inter), affine, file)

    @property
    def turn(self) -> Turn:
        """How its axes become left to right, back to front and bottom to top."""
        found = nib.orientations.io_orientation(self.affine)
        order = [int(np.flatnonzero(found[:, 0] == axis)[0]) for axis in range(3)]
        flips = [axis for axis, source in enumerate(order) if found[source, 1] < 0]
        sides = np.linalg.norm(self.affine[:3, :3], axis=0)
        return Turn(tuple(order), tuple(flips), tuple(float(sides[axis]) for axis in order))

    def save(self, mask: NDArray[np.uint8], path: Path) -> None:
        """Write a mask on its grid."""
        header = self.file.header.copy()
        header.set_data_dtype(np.uint8)
        header["cal_min"] = header["cal_max"] = 0
        written = type(self.file)(mask, None, header)
        written.header.set_slope_inter(1, 0)
        nib.save(written, path)


def _apply_scale(stored: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    kind, size = stored.dtype.kind, stored.dtype.itemsize
    single = size <= 4 if kind == "f" else size <= 2
    if (slope, intercept) == (1, 0):
        return stored.astype(np.float32 if single else np.float64) if kind == "f" else stored
    number: Any = np.float32 if single else np.float64
    return np.asarray(stored.astype(number) * number(slope) + number(intercept))


@dataclass(frozen=True)
class Turn:
    """Axes in another order and direction; `spacing` in mm along the new ones."""

    order: tuple[int, ...]
    flips: tuple[int, ...]
    spacing: tuple[float, ...]

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """View of an array of the file in the new order."""
        return np.flip(array.transpose(self.order), self.flips)

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """View of an array in the order of the file."""
        return np.flip(array, self.flips).transpose(np.argsort(self.order))


class Preprocessing:
    """Brings the images of a case to the grid and the intensity scales of the model.

    Parameters
    ----------
    spacing
        Size of the model's voxels in mm, right, anterior and superior.
    intensities
        How the values of each image are scaled: kind, low, high, mean, std, tail.
    """

    def __init__(self, spacing: Sequence[float], intensities: Sequence[Mapping[str, Any]]) -> None:
        self.spacing = spacing
        self.intensities = intensities

    def __call__(self, images: Sequence[Image | None]) -> NDArray[np.float16]:
        """Return ``(image, x, y, z)``; the first image gives the grid, and one that is missing is 0."""
        scan = images[0]
        if scan is None:
            raise ValueError("the first image of a case cannot be missing")
        turn = scan.turn
        sides = zip(turn.apply(scan.values).shape, turn.spacing, self.spacing, strict=True)
        shape = [max(1, math.floor(n * own / wanted + 0.5)) for n, own, wanted in sides]
        result = np.zeros((len(self.intensities), *shape), np.float16)
        for number, image in enumerate(images):
            if image is not None:
                own = image.values if image is scan else on_the_grid_of(scan, image)
                values = np.asarray(turn.apply(own), np.float32)
                result[number] = _channel(values, self.intensities[number], shape)
        return result


def _channel(values: Floats, intensity: Mapping[str, Any], shape: Sequence[int]) -> Floats:
    broken = ~np.isfinite(values)
    if broken.any():
        least = values[~broken].min() if not broken.all() else np.float32(0)
        values = np.where(broken, least, values)
    if intensity["kind"] == "ct" and not _in_hounsfield_units(values, intensity):
        intensity = {"kind": "mr", "tail": intensity["tail"]}
    return normalise(resample(without_outliers(values), shape), intensity)


def _sample(values: Floats) -> Floats:
    return values.ravel()[:: max(1, values.size // SAMPLED_VOXELS)]


def _in_hounsfield_units(values: Floats, intensity: Mapping[str, Any]) -> bool:
    sample = _sample(values)
    sample = sample[sample > NO_AIR]
    if sample.size and sample.min() <= CT_AIR and sample.max() > CT_BONE:
        return True
    inside = (sample >= intensity["low"]) & (sample <= intensity["high"])
    whole = sample.size and (sample == np.round(sample)).mean() > 0.9
    return bool(sample.size and sample.min() < 0 and whole and inside.mean() > 0.5)


def without_outliers(values: Floats) -> Floats:
    """Bring padding and outliers near the other values, which they would squash into one."""
    low, high = float(values.min()), float(values.max())
    sample = _sample(values)
    inner = sample[(sample > low) & (sample < high)]
    if inner.size < FEWEST_VOXELS:
        return values
    bottom, top = (float(v) for v in np.percentile(inner, (0.5, 99.5)))
    spread = top - bottom
    if spread <= 0 or (low >= bottom - FAR_SPREADS * spread and high <= top + FAR_SPREADS * spread):
        return values
    return np.clip(values, bottom - NEAR_SPREADS * spread, top + NEAR_SPREADS * spread)


def normalise(image: Floats, intensity: Mapping[str, Any]) -> Floats:
    """Scale intensities: those of a CT by the model's window, others by the percentiles of the image."""
    if intensity["kind"] == "ct":
        clipped = np.clip(image, intensity["low"], intensity["high"])
        if clipped.min() < clipped.max():
            return np.asarray((clipped - intensity["mean"]) / intensity["std"], np.float32)
    inside = image[image != 0]
    if inside.size < FEWEST_VOXELS or inside.min() == inside.max():
        inside = image.ravel()
    low, high = np.percentile(inside, (intensity["tail"], 100 - intensity["tail"]))
    if low == high:
        low, high = inside.min(), inside.max()
    inside = np.clip(inside, low, high)
    std = float(inside.std(dtype=np.float64))
    if not std > 1e-6 * abs(float(high)):
        return np.zeros_like(image)
    scaled = (np.clip(image, min(low, 0.0), high) - inside.mean(dtype=np.float64)) / std
    return np.asarray(np.clip(scaled, -LARGEST_Z_SCORE, LARGEST_Z_SCORE), np.float32)


def resample(array: NDArray[Any], shape: Sequence[int]) -> Floats:
    """Resample to another number of voxels over the same field of view, averaging where it gets coarser."""
    result: Floats = np.asarray(array, np.float32)
    for axis in sorted(range(3), key=lambda a: shape[a] / array.shape[a]):
        if result.shape[axis] != shape[axis]:
            weights = _weights(result.shape[axis], shape[axis])
            moved = np.tensordot(weights, result, axes=(1, axis))
            result = np.ascontiguousarray(np.moveaxis(moved, 0, axis))
    return result


def _weights(old: int, new: int) -> Floats:
    factor = max(1.0, old / new)
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    distance = np.abs(np.arange(old)[None, :] - np.clip(centres, 0, old - 1)[:, None]) / factor
    weights = np.maximum(0.0, 1.0 - distance)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def on_the_grid_of(scan: Image, image: Image) -> Floats:
    """Sample an image at the voxels of another one, linearly; its lowest value where it has none."""
    values = np.asarray(image.values, np.float32)
    finite = np.isfinite(values)
    values = np.where(finite, values, values[finite].min() if finite.any() else np.float32(0))
    matrix = np.linalg.inv(image.affine) @ scan.affine
    ends = [(0, n - 1) for n in scan.values.shape]
    corners = np.array([(*corner, 1.0) for corner in product(*ends)])
    if values.shape == scan.values.shape and np.abs(corners @ matrix.T - corners).max() < 1e-3:
        return values
    last = np.array(values.shape) - 1
    found: Floats = np.full(scan.values.shape, values.min(), np.float32)
    for row in range(found.shape[0]):
        across: Any = np.moveaxis(np.indices(found.shape[1:]), 0, -1)
        place = across @ matrix[:3, 1:3].T + (row * matrix[:3, 0] + matrix[:3, 3])
        inside = ((place >= -0.5) & (place <= last + 0.5)).all(axis=-1)
        found[row][inside] = _between(values, np.clip(place[inside], 0, last))
    return found


def _between(values: Floats, places: NDArray[np.float64]) -> NDArray[np.float64]:
    low = np.floor(places).astype(int)
    high, share = np.minimum(low + 1, np.array(values.shape) - 1), places - low
    total = np.zeros(len(places))
    for corner in product((0, 1), repeat=3):
        at = np.where(np.array(corner), high, low)
        weight = np.where(np.array(corner), share, 1 - share).prod(axis=1)
        total += weight * values[at[:, 0], at[:, 1], at[:, 2]]
    return total


class EvenWindows(Inferer):  # type: ignore[misc]
    """Slides evenly spread windows over an image and averages what the networks say of mirrored views.

    A scan of many windows is glanced at first, to look closely only where a structure may be.

    Parameters
    ----------
    patch_size
        Voxels of a window.
    classes
        Number of classes with background.
    overlap
        Share by which neighbours overlap at least.
    views
        Axes to flip, for each view.
    precision
        As it was planned: 32-true, bf16-mixed or 16-mixed, which is used where the device is fast in it.
    """

    def __init__(
        self,
        patch_size: Sequence[int],
        classes: int,
        overlap: float,
        views: Sequence[Sequence[int]],
        precision: str = "32-true",
    ) -> None:
        super().__init__()
        self.patch_size = tuple(patch_size)
        self.classes = classes
        self.overlap = overlap
        self.views = views
        self.precision = precision

    def __call__(
        self, inputs: Tensor, network: Sequence[Network], device: torch.device | str = "cpu", **_: Any
    ) -> Tensor:
        """Return probabilities ``(class, x, y, z)`` of an image ``(image, x, y, z)``."""
        padded, inner = self._pad(inputs.numpy())
        values = torch.from_numpy(padded)
        total = torch.zeros((self.classes, *values.shape[1:]))
        weights = torch.zeros(values.shape[1:])
        importance = self._importance()
        for place in self._places(padded, network, device):
            window = self._window(place)
            found = self._look(network, values[(slice(None), *window)], self.views, device)
            mean = found[0] if len(found) == 1 else found.mean(dim=0)
            total[(slice(None), *window)] += mean * importance
            weights[window] += importance
        total[0][weights == 0] = 1
        weights[weights == 0] = 1
        total /= weights
        return total[(slice(None), *inner)]

    def _places(
        self, padded: NDArray[np.float16], networks: Sequence[Network], device: torch.device | str
    ) -> list[Place]:
        box = self._content(padded)
        every = self._starts(box, self.overlap)
        if len(every) <= MANY_WINDOWS:
            return every
        values, found = torch.from_numpy(padded), torch.zeros(padded.shape[1:], dtype=torch.float16)
        for place in self._starts(box, GLANCE_OVERLAP):
            window = self._window(place)
            patch = values[(slice(None), *window)]
            if bool((patch != patch[:, :1, :1, :1]).any()):
                background = self._look(networks, patch, ((),), device)[:, 0]
                found[window] = torch.maximum(found[window], 1 - background.mean(dim=0).half())
        return [place for place in every if bool((found[self._window(place)] > WORTH_A_LOOK).any())]

    @torch.inference_mode()
    def _look(
        self,
        networks: Sequence[Network],
        patch: Tensor,
        views: Sequence[Sequence[int]],
        device: torch.device | str,
    ) -> Tensor:
        patch = patch[None].float().to(device)
        mixed = mixed_precision(self.precision, patch.device)
        found = torch.zeros((len(networks), self.classes, *patch.shape[2:]), device=patch.device)
        for view in views:
            axes = [2 + axis for axis in view]
            with torch.autocast(patch.device.type, dtype=mixed, enabled=mixed is not None):
                logits = [network(patch.flip(axes)) for network in networks]
            found += torch.cat([entry.float().softmax(dim=1).flip(axes) for entry in logits])
        return (found / len(views)).cpu()

    def _window(self, place: Place) -> tuple[slice, ...]:
        return tuple(slice(s, s + p) for s, p in zip(place, self.patch_size, strict=True))

    def _pad(self, image: NDArray[np.float16]) -> tuple[NDArray[np.float16], tuple[slice, ...]]:
        missing = [max(0, p - n) for n, p in zip(image.shape[1:], self.patch_size, strict=True)]
        before = [m // 2 for m in missing]
        margins = [(0, 0), *((b, m - b) for b, m in zip(before, missing, strict=True))]
        inner = tuple(slice(b, b + n) for b, n in zip(before, image.shape[1:], strict=True))
        return np.pad(image, margins, mode="edge"), inner

    def _content(self, image: NDArray[np.float16]) -> list[slice]:
        """The box of what is not the lowest value, at least as large as a window."""
        shown = (image > image.min(axis=(1, 2, 3), keepdims=True)).any(axis=0)
        box = []
        for axis, (n, p) in enumerate(zip(shown.shape, self.patch_size, strict=True)):
            along = np.flatnonzero(shown.any(axis=tuple(a for a in range(3) if a != axis)))
            low, high = (int(along[0]), int(along[-1]) + 1) if len(along) else (0, n)
            low = max(0, min(low, n - p, (low + high - p) // 2))
            box.append(slice(low, max(high, low + p)))
        return box

    def _starts(self, box: Sequence[slice], overlap: float) -> list[Place]:
        axes = []
        for part, p in zip(box, self.patch_size, strict=True):
            spare, step = part.stop - part.start - p, max(1, round(p * (1 - overlap)))
            count = 1 + -(-spare // step)
            axes.append([part.start + round(i * spare / max(1, count - 1)) for i in range(count)])
        return [(x, y, z) for x, y, z in product(*axes)]

    def _importance(self) -> Tensor:
        sides = self.patch_size
        x, y, z = (torch.exp(-0.5 * ((torch.arange(n) - (n - 1) / 2) / (n / 8)) ** 2) for n in sides)
        return (x[:, None, None] * y[:, None] * z).clamp_min(1e-3)


class Postprocessing:
    """Turns probabilities on the grid of the model into a mask on that of the scan.

    Parameters
    ----------
    values
        Label value of each class after background.
    single
        Structures of which only the largest piece is kept.
    joint
        Groups of structures of which only what hangs together with most of the group is kept.
    specks
        Volume in mm³ by label value, of which a piece is too small to be one.
    """

    def __init__(
        self,
        values: Sequence[int],
        single: Sequence[int] = (),
        joint: Sequence[Sequence[int]] = (),
        specks: Mapping[str, float] | None = None,
    ) -> None:
        self.values = values
        self.single = single
        self.joint = joint
        self.specks = {int(value): volume for value, volume in (specks or {}).items()}

    def __call__(self, probabilities: NDArray[np.float32], scan: Image) -> NDArray[np.uint8]:
        """Return label values ``(x, y, z)`` in the order of the file."""
        turn = scan.turn
        shape = turn.apply(scan.values).shape
        best, mask = np.full(shape, -1.0, np.float32), np.zeros(shape, np.uint8)
        reach = np.zeros(shape, np.uint8)
        for value, part in zip((0, *self.values), probabilities, strict=True):
            probability = resample(part, shape)
            wins = probability > best
            mask[wins], best[wins] = value, probability[wins]
            if value in self.specks:
                reach[probability > REACH] = value
        self._tidy(mask, reach, math.prod(turn.spacing))
        return np.ascontiguousarray(turn.undo(mask))

    def _tidy(self, mask: NDArray[np.uint8], reach: NDArray[np.uint8], voxel: float) -> None:
        for group in self.joint if mask.any() else ():
            clusters, members = pieces(mask > 0), np.isin(mask, group)
            shares = np.bincount(clusters[members])
            if len(shares):
                mask[members & (clusters != shares.argmax())] = 0
        for value in self.single:
            numbers = pieces(mask == value)
            sizes = np.bincount(numbers.ravel())[1:]
            if len(sizes):
                mask[(numbers > 0) & (numbers != 1 + sizes.argmax())] = 0
        for value, volume in self.specks.items():
            own = mask == value
            numbers = pieces(own | (reach == value))
            sizes = np.bincount(numbers.ravel())[1:]
            mask[own & (np.append(0, sizes)[numbers] * voxel < volume)] = 0


def pieces(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of the piece of each voxel, from 1 in the order of their first voxels; corners join."""
    index = np.full(mask.shape, -1)
    index[mask] = parent = np.arange(np.count_nonzero(mask))
    for one, other in _neighbours(index):
        while True:
            heads, tails = parent[one], parent[other]
            if (heads == tails).all():
                break
            np.minimum.at(parent, np.maximum(heads, tails), np.minimum(heads, tails))
            while (parent != parent[parent]).any():
                parent = parent[parent]
    numbers = np.zeros(mask.shape, np.int64)
    numbers[mask] = 1 + np.unique(parent, return_inverse=True)[1]
    return numbers


def _neighbours(index: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield pairs of neighbours, direction by direction."""
    for step in (step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0)):
        here = index[tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(step, index.shape, strict=True))]
        there = index[tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(step, index.shape, strict=True))]
        both = (here >= 0) & (there >= 0)
        yield here[both], there[both]


def mixed_precision(planned: str, device: torch.device) -> torch.dtype | None:
    """Type of mixed precision, where it was planned and the device is fast in it."""
    kind = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(planned)
    if device.type == "cuda":
        return kind
    fast = any(
        getattr(torch.cpu, check, bool)() for check in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )
    return kind if device.type == "cpu" and kind is torch.bfloat16 and fast else None


def load_networks(folder: str, files: Sequence[str], device: torch.device) -> list[Network]:
    """Load the networks whose mean probability decides."""
    programs = [torch.export.load(str(Path(folder) / file)) for file in files]
    return [move_to_device_pass(program, device).module() for program in programs]


def segment(
    cases: Sequence[str],
    out: str,
    networks: Sequence[Network],
    preprocessing: Preprocessing,
    inferer: EvenWindows,
    postprocessing: Postprocessing,
    device: torch.device,
) -> list[str]:
    """Write a mask for each case, called like its first image.

    Parameters
    ----------
    cases
        Files of the images of each case, with commas between them; nothing in the place of one that is
        missing.

    Returns
    -------
    Files of the masks.
    """
    Path(out).mkdir(parents=True, exist_ok=True)
    written = []
    for case in cases:
        files = case.split(",")
        if len(files) > len(preprocessing.intensities):
            raise ValueError(f"the model sees {len(preprocessing.intensities)} images a case: {case}")
        images = [Image.read(file) if file else None for file in files]
        image = torch.from_numpy(preprocessing(images))
        probabilities = inferer(image, networks, device).numpy()
        scan, name = images[0], Path(files[0]).name
        assert scan is not None
        target = Path(out) / (name if name.endswith((".nii", ".nii.gz")) else f"{name}.nii.gz")
        if target.resolve() == Path(files[0]).resolve():
            raise ValueError(f"the mask would replace the scan {target}; choose another folder")
        scan.save(postprocessing(probabilities, scan), target)
        logging.getLogger(__name__).info("%s", target)
        written.append(str(target))
    return written
