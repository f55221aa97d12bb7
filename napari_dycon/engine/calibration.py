"""Probabilities that mean what they say: one temperature, and the Dice that they lead one to expect."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LOWEST, HIGHEST = 0.25, 8.0
"""Bounds of a temperature."""
LEAST = 1e-12
"""Probabilities below this count as this."""
NEAR_MM = 10.0
"""A temperature is fitted, and uncertainty judged, so far around structures that are there or predicted."""

CELL_MM = 5.0
"""What is expected of a structure is summed up in cells of about this side."""

Probabilities = NDArray[np.float32] | NDArray[np.float64]


def fit_temperature(probabilities: Probabilities, labels: NDArray[np.integer]) -> float | None:
    """Fit the temperature under which labelled voxels are most likely (Guo et al., ICML 2017).

    Minimises the mean of -ln q_y with q = p^(1/T) / sum(p^(1/T)), which for the softmax of one network is
    softmax(z / T). The mean is convex in 1/T, so there is one minimum.

    Parameters
    ----------
    probabilities : (class, voxel)
    labels : (voxel,) class indices

    Returns
    -------
    Within `LOWEST` and `HIGHEST`; None where the labels cannot tell: no voxel, or none that is wrong.
    """
    from scipy.optimize import minimize_scalar  # takes a moment to load, and a training needs it at its end

    if labels.size == 0 or bool((probabilities.argmax(axis=0) == labels).all()):
        return None
    logs = np.log(np.clip(probabilities, LEAST, None)).astype(np.float64)
    bounds = (math.log(LOWEST), math.log(HIGHEST))
    found = minimize_scalar(lambda t: _surprise(logs / math.exp(t), labels), bounds=bounds, method="bounded")
    return math.exp(float(found.x))


def negative_log_likelihood(
    probabilities: Probabilities, labels: NDArray[np.integer], temperature: float = 1.0
) -> float:
    """Mean surprise in nats at the labels ``(voxel,)`` under tempered probabilities ``(class, voxel)``."""
    return _surprise(np.log(np.clip(probabilities, LEAST, None)).astype(np.float64) / temperature, labels)


def temper(probabilities: Probabilities, temperature: float) -> NDArray[np.float32]:
    """Return p^(1/T) / sum(p^(1/T)) over the first axis; the most likely class stays the same."""
    tempered = _power(probabilities, temperature)
    return np.asarray(tempered / tempered.sum(axis=0), dtype=np.float32)


def expected_dice(
    probabilities: Probabilities, mask: NDArray[np.integer], spacing: Sequence[float]
) -> list[float | None]:
    """Dice that a mask would reach if every voxel were right with its probability.

    2 sum_m(p) / (sum(p) + |m|): the Dice of the expected overlap and the expected size of the structure,
    known as soft Dice confidence (Borges et al. 2024, arXiv:2402.10665), there for all voxels. Here only
    probabilities near the structure in the mask count (see `ExpectedDice`): far from it the many voxels of a
    little doubt add up to islands that nobody would take for the structure. The expectation of the Dice
    itself differs from it by the spread of these sums, which is small for structures of many voxels.

    Parameters
    ----------
    probabilities : (class, x, y, z), background first
    mask : (x, y, z) class indices
    spacing : in mm

    Returns
    -------
    By structure, from 0 to 1; None where the mask has nothing of it, since nobody could tell.
    """
    sums = ExpectedDice(len(probabilities), mask.shape, spacing)
    sums.add(probabilities, mask, 0)
    return sums.near(mask, range(1, len(probabilities)))


class ExpectedDice:
    """`expected_dice` of a volume that comes in parts, and whose mask is only known at the end.

    Sums are kept by cells of about `CELL_MM`, so memory does not grow with the voxels. A structure is judged
    by the cells that hold it and by those that touch them.

    Parameters
    ----------
    classes
        With background.
    shape, spacing
        Of the volume; spacing in mm.
    """

    def __init__(self, classes: int, shape: Sequence[int], spacing: Sequence[float]) -> None:
        self._shape = tuple(shape)
        self._sides = tuple(max(1, round(CELL_MM / step)) for step in spacing)
        cells = (math.ceil(size / side) for size, side in zip(shape, self._sides, strict=True))
        self._size, self._whole, self._overlap = np.zeros((3, classes, *cells))

    def add(
        self, probabilities: Probabilities, mask: NDArray[np.integer], first: int, temperature: float = 1.0
    ) -> None:
        """Take in some rows along the first axis.

        Parameters
        ----------
        probabilities : (class, x, y, z) as they are, to be tempered
        mask : (x, y, z) class indices
        first : index of the first of these rows in the volume
        temperature : of the probabilities
        """
        tempering = Tempering(mask.shape, temperature)
        for probability in probabilities:
            tempering.add(probability)
        for index, probability in enumerate(probabilities):
            share, inside = _power(probability, temperature) / tempering.total, mask == index
            for sums, values in (
                (self._size, inside),
                (self._whole, share),
                (self._overlap, np.where(inside, share, 0)),
            ):
                self._put(sums[index], values, first)

    def near(self, mask: NDArray[np.integer], values: Sequence[int]) -> list[float | None]:
        """By structure, judged where it is in the mask that is kept.

        Parameters
        ----------
        mask : (x, y, z) of the same extent, on any grid
        values : of the structures in it, in the order of the classes
        """
        return [self._near(mask == value, index) for index, value in enumerate(values, start=1)]

    def _near(self, inside: NDArray[np.bool_], index: int) -> float | None:
        there = self._cells_of(inside)
        size = self._size[index][there].sum()
        if not size:
            return None
        around = ndimage.binary_dilation(there, structure=np.ones((3, 3, 3), dtype=bool))
        overlap, whole = self._overlap[index][there].sum(), self._whole[index][around].sum()
        return float(2 * overlap / (whole + size))

    def _cells_of(self, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which cells hold voxels of a mask of any grid over the volume."""
        there = np.zeros(self._size.shape[1:], dtype=bool)
        places = np.nonzero(inside)
        steps = zip(places, inside.shape, self._shape, self._sides, strict=True)
        there[tuple(((at + 0.5) * own / size / side).astype(int) for at, size, own, side in steps)] = True
        return there

    def _put(self, sums: NDArray[np.float64], values: NDArray[Any], first: int) -> None:
        x, y, z = self._sides
        summed = np.add.reduceat(values, np.arange(0, values.shape[1], y), axis=1, dtype=np.float64)
        summed = np.add.reduceat(summed, np.arange(0, values.shape[2], z), axis=2)
        np.add.at(sums, (first + np.arange(len(values))) // x, summed)


def near_structures(
    inside: NDArray[np.bool_], spacing: Sequence[float], distance: float = NEAR_MM
) -> NDArray[np.bool_]:
    """Voxels in a mask ``(x, y, z)`` or at most `distance` mm from it, centre to centre; `spacing` in mm."""
    result = np.zeros(inside.shape, dtype=bool)
    if inside.any():
        window = ndimage.find_objects(inside.astype(np.uint8))[0]
        margins = [math.ceil(distance / step) for step in spacing]
        cut = tuple(
            slice(max(0, part.start - m), part.stop + m) for part, m in zip(window, margins, strict=True)
        )
        away = ndimage.distance_transform_edt(~inside[cut], sampling=spacing)
        result[cut] = np.asarray(away) <= distance
    return result


def entropy(probabilities: Probabilities, axis: int = 0) -> NDArray[np.float32]:
    """Entropy along the axis of classes divided by ln C, from 0 (sure) to 1 (undecided)."""
    terms = -probabilities * np.log(np.clip(probabilities, LEAST, None))
    return np.asarray(terms.sum(axis=axis) / math.log(probabilities.shape[axis]), dtype=np.float32)


def mutual_information(members: Probabilities) -> NDArray[np.float32]:
    """Disagreement of networks ``(network, class, ...)``: entropy of their mean less their mean entropy."""
    own = np.mean([entropy(member) for member in members], axis=0)
    return np.asarray(np.clip(entropy(members.mean(axis=0)) - own, 0, None), dtype=np.float32)


class Tempering:
    """Tempered entropy and probabilities of one volume, class by class, so that memory stays small.

    With a = p^(1/T), Z = sum(a) and q = a / Z the entropy is ln Z - sum(a ln p) / (T Z).
    """

    def __init__(self, shape: Sequence[int], temperature: float) -> None:
        self._temperature = temperature
        self._classes = 0
        self._total = np.zeros(tuple(shape), dtype=np.float32)
        self._weighted = np.zeros(tuple(shape), dtype=np.float32)

    def add(self, probability: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take in the next class; returns its a, to be divided by `total` once all classes are in."""
        power = _power(probability, self._temperature)
        self._classes += 1
        self._total += power
        self._weighted += power * np.log(np.clip(probability, LEAST, None))
        return power

    @property
    def total(self) -> NDArray[np.float32]:
        """Z of the classes so far."""
        return self._total

    def entropy(self) -> NDArray[np.float32]:
        """Entropy divided by ln C, from 0 (sure) to 1 (undecided between all classes)."""
        nats = np.log(self._total) - self._weighted / (self._temperature * self._total)
        return np.asarray(np.clip(nats / math.log(self._classes), 0, 1), dtype=np.float32)


def _power(probability: Probabilities, temperature: float) -> NDArray[np.float32]:
    kept = np.clip(probability, LEAST, None).astype(np.float32)
    return kept if temperature == 1 else np.power(kept, np.float32(1 / temperature))


def _surprise(scores: NDArray[np.float64], labels: NDArray[np.integer]) -> float:
    """Mean of logsumexp(scores) - scores at the labels."""
    top = scores.max(axis=0)
    normaliser = top + np.log(np.exp(scores - top).sum(axis=0))
    return float((normaliser - np.take_along_axis(scores, labels[None].astype(np.intp), axis=0)[0]).mean())
