"""What mending a place is expected to bring, and the seconds it takes.

The seconds are those of the simulated annotator's `Costs`: an assumption of ours, not a measurement.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_dycon.guidance.annotator import Costs, contour_mm

COSTS = Costs()
UNSURE = 0.5
"""A contour is expected to be drawn anew where the entropy beside it is at least so high."""
REDRAWN = 0.7
"""Of such a contour so much is really drawn anew; the rest turns out to be good enough (docs, Guidance)."""
TYPICAL_MM = 100.0
"""Length of contour that is assumed on a slice of which nothing can be foretold."""
STEPS = 1024


def _errors_by_entropy() -> NDArray[np.float32]:
    """Probability to be wrong, from 0 to 1/2, by binary entropy in bits, from 0 to 1."""
    wrong = np.linspace(0, 0.5, 8 * STEPS + 1)[1:]
    entropy = -(wrong * np.log2(wrong) + (1 - wrong) * np.log2(1 - wrong))
    found = np.interp(np.linspace(0, 1, STEPS + 1), np.append(0, entropy), np.append(0, wrong))
    return np.asarray(found, np.float32)


_ERRORS = _errors_by_entropy()


def expected_errors(entropy: NDArray[np.floating]) -> NDArray[np.float32]:
    """Probability that voxels are wrong, told from their entropy (divided by ln C, 0 to 1).

    Exact for one structure, for the entropy of a probability p is that of 1 - p; of several ones it is taken
    as if only two of them were in question.
    """
    return np.asarray(_ERRORS[np.clip(np.rint(entropy * STEPS), 0, STEPS).astype(np.int32)])


def slice_seconds(inside: NDArray[np.bool_], unsure: NDArray[np.floating], spacing: Sequence[float]) -> float:
    """Seconds to correct a slice.

    Parameters
    ----------
    inside : bool (rows, columns) what is predicted of a structure
    unsure : entropy of the pixels, 0 where something is known
    spacing : of the pixels, in mm
    """
    doubtful = unsure >= UNSURE
    shown = inside if inside.any() else doubtful
    length = REDRAWN * contour_mm(shown.astype(np.uint8), doubtful, spacing)
    return COSTS.slice + (COSTS.click + COSTS.millimetre * length if length else 0.0)


def piece_seconds() -> float:
    """Seconds to judge a piece of a prediction and to accept or reject it."""
    return COSTS.slice + COSTS.click


def case_seconds(slices: int) -> float:
    """Seconds to read a whole case of so many slices, with something to draw on every second one."""
    return slices * (COSTS.slice + (COSTS.click + COSTS.millimetre * TYPICAL_MM) / 2)


def in_words(seconds: float) -> str:
    """Say about how long it takes; empty where that is not known."""
    if seconds <= 0:
        return ""
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} s"
    return f"about {round(seconds / 60)} min"
