"""Schedules over the progress of a training, from 0 to 1, so that short and long runs look alike."""

from __future__ import annotations

import math


def ramp(progress: float, start: float = 0.0, length: float = 0.25) -> float:
    """Sigmoid-shaped ramp-up of Laine & Aila 2017, `exp(-5 (1 - t)^2)`.

    Parameters
    ----------
    progress
        Share of the training done.
    start
        Progress before which the value is exactly 0.
    length
        Progress the ramp takes; 0 for a step.

    Returns
    -------
    float
        0 before `start`, about 0.007 at `start`, 1 from `start + length`.
    """
    if progress < start:
        return 0.0
    if progress >= start + length:
        return 1.0
    return math.exp(-5.0 * (1.0 - (progress - start) / length) ** 2)


def decay(progress: float, first: float, last: float) -> float:
    """Exponential decay from `first` to `last` (DyCON, Eq. 2), constant where both are equal."""
    if first == last:
        return first
    return first * math.pow(last / first, min(max(progress, 0.0), 1.0))


def polynomial(progress: float, power: float = 0.9) -> float:
    """Polynomial decay `(1 - progress) ** power`, from 1 to 0."""
    return math.pow(1.0 - min(max(progress, 0.0), 1.0), power)
