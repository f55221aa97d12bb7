"""Chance that gives way to scores as the rounds go on, after ClaSP PE (Lüth et al., TMLR 2026)."""

from collections.abc import Sequence

import numpy as np

PUBLISHED = 1.0
"""beta of the first round of ClaSP PE."""
LAST_BETA = 100.0
ROUNDS = 5
"""beta has reached its last value in this round and keeps it, however many follow."""


def beta(round_number: int, first: float = PUBLISHED) -> float:
    """How sharply scores decide in a round, counted from 1: as published 1, 3, 10, 32, 100, 100, ..."""
    share = min(1.0, max(0, round_number - 1) / (ROUNDS - 1))
    return float(first * (LAST_BETA / first) ** share)


def noised_order(
    scores: Sequence[float], round_number: int, rng: np.random.Generator, first: float = PUBLISHED
) -> list[int]:
    """Places of positive scores by log score + Gumbel(0, 1 / beta), the highest first."""
    keys = np.log(np.asarray(scores, dtype=float)) + rng.gumbel(0, 1 / beta(round_number, first), len(scores))
    return [int(place) for place in np.argsort(-keys, kind="stable")]
