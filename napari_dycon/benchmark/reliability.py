"""Whether the uncertainty tells the truth.

Maps against errors, probabilities against frequencies, expected Dice against the Dice that is reached, alone
and corrected by cases that a person has completed.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from napari_dycon.engine.calibration import negative_log_likelihood
from napari_dycon.guidance.quality import USUAL_SHARE, Check, Checks

BINS = 15

Floats = NDArray[np.float32] | NDArray[np.float64]
Wrong = NDArray[np.bool_]


def auroc(uncertainty: Floats, wrong: Wrong) -> float | None:
    """Area under the receiver operating characteristic of a map as a detector of errors.

    The chance that a wrong voxel is less sure than a right one, ties counted half (Mann and Whitney):
    (sum of ranks of the wrong - n (n + 1) / 2) / (n m) with n wrong and m right voxels.

    Returns
    -------
    0.5 for a map that says nothing, 1 for a perfect one; None when all voxels are right or all are wrong.
    """
    n = int(np.count_nonzero(wrong))
    m = wrong.size - n
    if n == 0 or m == 0:
        return None
    ranks = stats.rankdata(uncertainty)
    return float((ranks[wrong].sum() - n * (n + 1) / 2) / (n * m))


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, by bins of equal width over [0, 1]; empty bins hold NaN.

    Attributes
    ----------
    confidence : mean probability of the predicted class, by bin
    accuracy : share of voxels where that class is right, by bin
    share : share of all voxels, by bin
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    share: NDArray[np.float64]

    @property
    def expected_calibration_error(self) -> float:
        """Mean of |accuracy - confidence| over the voxels (Naeini et al. 2015, Guo et al. 2017)."""
        gap = np.abs(self.accuracy - self.confidence)
        return float(np.nansum(gap * self.share))

    @property
    def overconfidence(self) -> float:
        """Mean confidence less mean accuracy: above 0 the model is surer than it should be."""
        return float(np.nansum((self.confidence - self.accuracy) * self.share))


def reliability(probabilities: Floats, labels: NDArray[np.integer], bins: int = BINS) -> Reliability:
    """Compare probabilities ``(class, voxel)`` with what voxels are, ``(voxel,)`` class indices."""
    confidence = probabilities.max(axis=0).astype(np.float64)
    right = (probabilities.argmax(axis=0) == labels).astype(np.float64)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins).astype(np.float64)
    some = np.where(count > 0, count, np.nan)
    return Reliability(
        confidence=np.bincount(place, confidence, bins) / some,
        accuracy=np.bincount(place, right, bins) / some,
        share=count / max(1, labels.size),
    )


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well probabilities are calibrated under one temperature.

    Attributes
    ----------
    temperature : with which the probabilities were made
    ece : expected calibration error, from 0 to 1
    overconfidence : mean confidence less accuracy
    nll : mean negative log-likelihood of the labels, in nats
    """

    temperature: float
    ece: float
    overconfidence: float
    nll: float

    @classmethod
    def measure(cls, probabilities: Floats, labels: NDArray[np.integer], temperature: float) -> "Calibration":
        """Judge probabilities ``(class, voxel)`` that have the temperature in them already."""
        found = reliability(probabilities, labels)
        nll = negative_log_likelihood(probabilities, labels)
        return cls(temperature, found.expected_calibration_error, found.overconfidence, nll)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a predicted quality follows the true one over cases; None where it cannot be said.

    Attributes
    ----------
    count : cases and structures compared
    spearman, pearson : correlation of ranks and of values
    mean_absolute_error : of the prediction
    bias : mean of prediction less truth
    """

    count: int
    spearman: float | None
    pearson: float | None
    mean_absolute_error: float | None
    bias: float | None

    @classmethod
    def measure(cls, predicted: Sequence[float], true: Sequence[float]) -> "Agreement":
        """Compare values of one order; correlations need three pairs and some spread in both."""
        a, b = np.asarray(predicted, dtype=float), np.asarray(true, dtype=float)
        if a.size == 0:
            return cls(0, None, None, None, None)
        varied = a.size >= 3 and np.ptp(a) > 0 and np.ptp(b) > 0
        return cls(
            count=a.size,
            spearman=float(stats.spearmanr(a, b).statistic) if varied else None,
            pearson=float(stats.pearsonr(a, b).statistic) if varied else None,
            mean_absolute_error=float(np.abs(a - b).mean()),
            bias=float((a - b).mean()),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CheckedQuality:
    """How good the outlook is once some cases have been completed, over many draws of these.

    Attributes
    ----------
    checked : cases that were completed
    error : mean error of the corrected expected Dice on the other cases
    uncorrected : that of what the model expects of itself
    constant : that of the mean of the completed cases
    coverage : share of the other cases that lie in their 80 % range
    width : mean width of these ranges
    """

    checked: int
    error: float
    uncorrected: float
    constant: float
    coverage: float
    width: float

    @classmethod
    def measure(
        cls, rows: Sequence[Check], checked: int, draws: int = 500, seed: int = 0
    ) -> "CheckedQuality | None":
        """Complete some cases by chance and look at the others, over and over; None with too few cases.

        Structures count alike, as do cases.
        """
        random, found = np.random.default_rng(seed), list[tuple[float, ...]]()
        for structure in sorted({row.structure for row in rows}):
            own = [row for row in rows if row.structure == structure]
            for _ in range(draws if len(own) > checked else 0):
                order = random.permutation(len(own))
                checks = Checks(own[place] for place in order[:checked])
                found += [_judge(checks, own[place]) for place in order[checked:]]
        return cls(checked, *np.mean(found, axis=0).tolist()) if found else None


def _judge(checks: Checks, row: Check) -> tuple[float, ...]:
    outlook = checks.outlook(row.structure, row.expected)
    low, high = outlook.ranges.get(USUAL_SHARE, (0.0, 1.0))
    guesses = (outlook.dice, row.expected, outlook.constant or 0.0)
    return *(abs(guess - row.dice) for guess in guesses), float(low <= row.dice <= high), high - low
