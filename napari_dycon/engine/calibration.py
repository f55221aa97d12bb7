"""Probabilities that mean what they say: one temperature, and the Dice that they lead one to expect."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize_scalar

LOWEST, HIGHEST = 0.25, 8.0
"""Bounds of a temperature."""
LEAST = 1e-12
"""Probabilities below this count as this."""
NEAR_MM = 10.0
"""A temperature is fitted, and uncertainty judged, so far around structures that are there or predicted."""

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


def expected_dice(probabilities: Probabilities, mask: NDArray[np.integer]) -> list[float | None]:
    """Dice that a mask would reach if every voxel were right with its probability.

    2 sum_m(p) / (sum(p) + |m|): the Dice of the expected overlap and the expected size of the structure. The
    expectation of the Dice itself differs from it by the spread of these sums, which is small for structures
    of many voxels.

    Parameters
    ----------
    probabilities : (class, ...), background first
    mask : (...) class indices

    Returns
    -------
    By structure, from 0 to 1; None where the mask has nothing of it, since nobody could tell.
    """
    sums = ExpectedDice(len(probabilities))
    sums.add(probabilities, mask)
    return sums.result


class ExpectedDice:
    """`expected_dice` of a volume that comes in parts, by classes with background."""

    def __init__(self, classes: int) -> None:
        self._size, self._whole, self._overlap = np.zeros((3, classes))

    def add(self, probabilities: Probabilities, mask: NDArray[np.integer], temperature: float = 1.0) -> None:
        """Take in a part: (class, ...) as they are, to be tempered, and its class indices (...)."""
        tempering = Tempering(mask.shape, temperature)
        for probability in probabilities:
            tempering.add(probability)
        for index, probability in enumerate(probabilities):
            share, inside = _power(probability, temperature) / tempering.total, mask == index
            self._size[index] += int(inside.sum())
            self._whole[index] += float(share.sum(dtype=np.float64))
            self._overlap[index] += float(share[inside].sum(dtype=np.float64))

    @property
    def result(self) -> list[float | None]:
        """By structure, background apart."""
        sums = zip(self._size[1:], self._whole[1:], self._overlap[1:], strict=True)
        return [2 * overlap / (whole + size) if size else None for size, whole, overlap in sums]


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
