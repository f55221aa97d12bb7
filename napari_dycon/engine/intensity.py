"""From scanner values to what a network sees, whatever the scanner, its padding and its outliers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from napari_dycon.hints import PLANNED, Hint
from napari_dycon.study.store.scans import CT_AIR, CT_BONE, NO_AIR

FloatArray = NDArray[np.float32]

LARGEST_Z_SCORE = 8.0
SAMPLED_VOXELS = 2_000_000
FEWEST_VOXELS = 64
FAR_SPREADS, NEAR_SPREADS = 3, 1
"""Values further than so many times the range of the others are outliers, and brought this near."""
BEYOND, FURTHEST = 50.0, 200.0
"""The window of a CT reaches at least and at most so many HU beyond the values of every structure."""
TAILS = (0.5, 0.05, 0.005)
"""Percent of the values of an MR that may be cut at either end."""
MOST_CUT = 0.2
"""No structure of an MR has more of its voxels cut than this share."""
HU = Hint(unit="HU", planned=True)


class Intensity(BaseModel):
    """How scanner values become network input.

    Parameters
    ----------
    kind
        "mr": each scan by its own percentiles and z-score. "ct": the same window for all scans in Hounsfield
        units; others among them, such as an MR, by their own.
    low, high, mean, std
        The window and moments of a CT in scanner units (HU); unused for MR.
    tail
        Percent of the values of an MR that are cut at either end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Annotated[Literal["mr", "ct"], PLANNED] = "mr"
    low: Annotated[float, HU] = 0.0
    high: Annotated[float, HU] = 0.0
    mean: Annotated[float, HU] = 0.0
    std: Annotated[float, HU] = 1.0
    tail: Annotated[float, Hint(unit="%", planned=True)] = 0.5

    def of(self, values: FloatArray) -> "Intensity":
        """How the values ``(x, y, z)`` of one scan are scaled: by the common window only if they are HU."""
        if self.kind == "ct" and not self._in_hounsfield_units(values):
            return Intensity(tail=self.tail)
        return self

    def _in_hounsfield_units(self, values: FloatArray) -> bool:
        """Whether a scan is a CT, or a part of one without air or bone."""
        sample = _plausible(_sample(values))
        if sample.size and sample.min() <= CT_AIR and sample.max() > CT_BONE:
            return True
        inside = (sample >= self.low) & (sample <= self.high)
        return bool(sample.size and sample.min() < 0 and _whole(sample) and inside.mean() > 0.5)


class Channel(BaseModel):
    """An image of each case beside the scan: its name, and how its values become network input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    intensity: Intensity = Intensity()


@dataclass(frozen=True)
class StructureValues:
    """What a structure looks like in one scan.

    Attributes
    ----------
    inside : of its voxels, in scanner units
    around : of the voxels next to it
    scan : of all the scan, a sample
    hounsfield : whether the scan is a CT
    """

    inside: FloatArray
    around: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    scan: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    hounsfield: bool = True


def common_window(structures: Sequence[StructureValues]) -> Intensity:
    """Window and moments of CT values in which every structure stands out from what lies around it.

    It holds the 0.5th to 99.5th percentile of each structure in each scan, as nnU-Net's does of all of them
    together, and a part of the surroundings: what is cut has another value than the structure. Every
    structure counts alike, so that a large one does not decide what a small one looks like.
    """
    edges = [_edges(entry) for entry in structures]
    low, high = min(edge[0] for edge in edges), max(edge[1] for edge in edges)
    clipped = [np.clip(entry.inside, low, high) for entry in structures]
    means = np.array([float(values.mean(dtype=np.float64)) for values in clipped])
    squares = np.array([float(values.var(dtype=np.float64)) for values in clipped]) + means**2
    mean = float(means.mean())
    spread = max(0.0, float(squares.mean()) - mean**2) ** 0.5
    return Intensity(kind="ct", low=low, high=high, mean=mean, std=max(spread, 1.0))


def needed_tail(structures: Sequence[StructureValues]) -> float:
    """Percent of the values of an MR to cut at either end, such that no structure is cut against others."""
    return next((tail for tail in TAILS if not any(_is_cut(entry, tail) for entry in structures)), TAILS[-1])


def _edges(structure: StructureValues) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(structure.inside, (0.5, 99.5)))
    below, above = low, high
    if structure.around.size:
        below, above = (float(v) for v in np.percentile(structure.around, (5, 95)))
    return (
        max(low - FURTHEST, min(low - BEYOND, below)),
        min(high + FURTHEST, max(high + BEYOND, above)),
    )


def _is_cut(structure: StructureValues, tail: float) -> bool:
    shown = structure.scan[structure.scan != 0]
    if shown.size < FEWEST_VOXELS:
        return False
    low, high = np.percentile(shown, (tail, 100 - tail))
    cut = (structure.inside < min(low, 0.0)) | (structure.inside > high)
    return bool(cut.mean() > MOST_CUT)


def looks_like_ct(values: FloatArray) -> bool:
    """Whole numbers with air far below zero; MR and PET have neither."""
    values = _plausible(values)
    if values.size == 0 or values.min() > CT_AIR:
        return False
    return bool(values.max() > CT_BONE and _whole(values))


def without_outliers(values: FloatArray) -> FloatArray:
    """Bring padding and outliers near the other values, which they would squash into one.

    Parameters
    ----------
    values : finite, (x, y, z), in scanner units

    Returns
    -------
    The same array where there is none.
    """
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


def normalise(image: FloatArray, intensity: Intensity) -> FloatArray:
    """Scale intensities; a scan with one value everywhere becomes zero, and no other does.

    MR: values are cut at percentiles of what is not exactly zero (the filled background) and z-scored there.
    CT: the plan's window and moments.
    """
    if intensity.kind == "ct":
        clipped = np.clip(image, intensity.low, intensity.high)
        if clipped.min() < clipped.max():
            return np.asarray((clipped - intensity.mean) / intensity.std, dtype=np.float32)
    inside = image[image != 0]
    if inside.size < FEWEST_VOXELS or inside.min() == inside.max():
        inside = image.ravel()
    low, high = np.percentile(inside, (intensity.tail, 100 - intensity.tail))
    if low == high:
        low, high = inside.min(), inside.max()
    inside = np.clip(inside, low, high)
    std = float(inside.std(dtype=np.float64))
    if not std > 1e-6 * abs(float(high)):
        return np.zeros_like(image)
    scaled = (np.clip(image, min(low, 0.0), high) - inside.mean(dtype=np.float64)) / std
    return np.asarray(np.clip(scaled, -LARGEST_Z_SCORE, LARGEST_Z_SCORE), dtype=np.float32)


def _plausible(values: FloatArray) -> FloatArray:
    return values[values > NO_AIR]


def _whole(sample: FloatArray) -> bool:
    return bool((sample == np.round(sample)).mean() > 0.9)


def _sample(values: FloatArray) -> FloatArray:
    return values.ravel()[:: max(1, values.size // SAMPLED_VOXELS)]
