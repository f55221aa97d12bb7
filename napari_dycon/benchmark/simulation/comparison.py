"""How much better than chance a strategy is: paired differences, with intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

BASELINE = "random_foreground"
RESAMPLES = 2000
COVERED = 95.0

Values = Sequence[float]


@dataclass(frozen=True)
class Curve:
    """How one strategy fared with one seed; all by round, the start first.

    Attributes
    ----------
    slices, effort : what was labelled until then, and the seconds of work on it
    dice : by test scan
    """

    seed: int
    slices: tuple[int, ...]
    effort: tuple[float, ...]
    dice: Mapping[str, tuple[float, ...]]

    def mean_dice(self) -> NDArray[np.float64]:
        """By round, over the test scans."""
        return np.asarray(np.mean(list(self.dice.values()), axis=0))


class Interval(BaseModel):
    """A mean difference and where 95 % of its bootstrapped values lie."""

    model_config = ConfigDict(frozen=True)

    mean: float
    low: float
    high: float


class Difference(BaseModel):
    """A strategy less the baseline; Dice from 0 to 1.

    Attributes
    ----------
    seeds
        How many there are of both.
    by_slices, by_effort
        Difference of the mean height of the Dice curves over slices, and over effort as far as both went;
        None where there is nothing to compare.
    last
        Difference of Dice after the last round.
    effort_saved
        By how much less effort the mean curve reaches the last mean Dice of the baseline, as a share of that
        of the baseline; below 0 where it takes more, None where it never does.
    """

    model_config = ConfigDict(frozen=True)

    strategy: str
    baseline: str
    seeds: int
    by_slices: Interval | None
    by_effort: Interval | None
    last: Interval
    effort_saved: float | None


def compare(curves: Mapping[str, Sequence[Curve]], baseline: str = BASELINE) -> list[Difference]:
    """Compare every strategy with the baseline, seed by seed and scan by scan; nothing without it."""
    others = {seed.seed: seed for seed in curves.get(baseline, ())}
    found = []
    for strategy, own in curves.items():
        pairs = [(curve, others[curve.seed]) for curve in own if curve.seed in others]
        if strategy != baseline and pairs:
            found.append(_difference(strategy, baseline, pairs))
    return found


def _difference(strategy: str, baseline: str, pairs: Sequence[tuple[Curve, Curve]]) -> Difference:
    return Difference(
        strategy=strategy,
        baseline=baseline,
        seeds=len(pairs),
        by_slices=_paired_interval(pairs, lambda curve: curve.slices),
        by_effort=_paired_interval(pairs, lambda curve: curve.effort),
        last=_interval(np.array([_last(own) - _last(other) for own, other in pairs])),
        effort_saved=effort_saved(pairs),
    )


def _last(curve: Curve) -> NDArray[np.float64]:
    return np.array([values[-1] for values in curve.dice.values()])


def _paired_interval(
    pairs: Sequence[tuple[Curve, Curve]], axis: Callable[[Curve], Values]
) -> Interval | None:
    differences = []
    for own, other in pairs:
        end = min(axis(own)[-1], axis(other)[-1])
        if end <= axis(own)[0]:
            return None
        heights = np.array(
            [[mean_height(axis(curve), curve.dice[scan], end) for scan in own.dice] for curve in (own, other)]
        )
        differences.append(heights[0] - heights[1])
    return _interval(np.array(differences))


def mean_height(places: Values, values: Values, end: float) -> float:
    """Mean of a curve of straight lines from its first place to `end`: its area by its width."""
    inner = [place for place in places if place < end]
    knots = np.array([*inner, end], dtype=float)
    heights = np.interp(knots, places, values)
    return float(np.trapezoid(heights, knots) / (end - places[0]))


def _interval(differences: NDArray[np.float64]) -> Interval:
    """Bootstrap over seeds and over test scans at once, both drawn with replacement.

    Parameters
    ----------
    differences
        ``(seed, scan)``.
    """
    rng, (seeds, scans) = np.random.default_rng(0), differences.shape
    means = [
        differences[np.ix_(rng.integers(seeds, size=seeds), rng.integers(scans, size=scans))].mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(means, [(100 - COVERED) / 2, (100 + COVERED) / 2])
    return Interval(mean=float(differences.mean()), low=float(low), high=float(high))


def effort_saved(pairs: Sequence[tuple[Curve, Curve]]) -> float | None:
    """See `Difference`."""
    own, other = zip(*pairs, strict=True)
    wanted, effort = _mean_dice(other)[-1], _mean_effort(other)[-1]
    efforts, dice = _mean_effort(own), _mean_dice(own)
    reached = np.flatnonzero(dice >= wanted)
    if not reached.size or not effort:
        return None
    after = int(reached[0])
    before = max(0, after - 1)
    rise = dice[after] - dice[before]
    share = (wanted - dice[before]) / rise if rise > 0 else 0.0
    needed = efforts[before] + share * (efforts[after] - efforts[before])
    return float(1 - needed / effort)


def _mean_dice(curves: Sequence[Curve]) -> NDArray[np.float64]:
    return np.asarray(np.mean([curve.mean_dice() for curve in curves], axis=0))


def _mean_effort(curves: Sequence[Curve]) -> NDArray[np.float64]:
    return np.asarray(np.mean([curve.effort for curve in curves], axis=0))


def difference_table(differences: Sequence[Difference]) -> list[tuple[str, ...]]:
    """One line a strategy below a header; Dice in points of percent."""
    lines: list[tuple[str, ...]] = [
        (f"less {BASELINE}", "by slices", "by effort", "last round", "effort saved")
    ]
    for entry in differences:
        parts = (_points(part) for part in (entry.by_slices, entry.by_effort, entry.last))
        saved = "-" if entry.effort_saved is None else f"{100 * entry.effort_saved:+.0f} %"
        lines.append((entry.strategy, *parts, saved))
    return lines


def _points(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    return f"{100 * interval.mean:+.1f} ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"
