"""What following the suggestions brought, told from the study's own log: chosen places beside random ones."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from napari_dycon.study.store.place_log import CHOSEN, RANDOM, SKIPPED, SLICE, PlaceEntry

LEAST_CHOSEN, LEAST_RANDOM = 8, 4
"""So many places must be done before anything is said about them."""
RESAMPLINGS = 2000
SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Work:
    """What a person did on one suggested slice while one model guided, in however many visits.

    Attributes
    ----------
    when
        Of the last visit.
    changed_mm2
        Area that the person made something else than the prediction.
    changed, covered
        Voxels of it, and of structures on the slice.
    seconds
        None where it is not known of every visit.
    """

    when: str
    kind: str
    changed_mm2: float
    changed: int
    covered: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Arm:
    """Places of one kind: how many, mm² mended on one in the mean with its interval, and a minute."""

    places: int
    mended_mm2: float
    low: float
    high: float
    seconds: float | None
    mended_mm2_a_minute: float | None


@dataclass(frozen=True, slots=True)
class Brought:
    """Chosen and random places side by side; `more` holds the interval of the difference of their means."""

    chosen: Arm
    random: Arm
    more: tuple[float, float] | None

    @property
    def enough(self) -> bool:
        """Whether it can be compared."""
        return self.more is not None

    @property
    def sentence(self) -> str:
        """What to tell the person; empty before any place was done."""
        if not self.chosen.places + self.random.places:
            return ""
        if self.more is None:
            return (
                f"Suggestions on trial: {self._count(self.chosen, LEAST_CHOSEN)} chosen and "
                f"{self._count(self.random, LEAST_RANDOM)} random."
            )
        return (
            f"Suggested places: {area(self.chosen.mended_mm2)} mm² mended a slice, random ones "
            f"{area(self.random.mended_mm2)}."
        )

    @property
    def details(self) -> str:
        """What the figures rest on; empty where nothing is compared."""
        if self.more is None:
            return ""
        low, high = self.more
        clear = "more" if low > 0 else "less" if high < 0 else ""
        verdict = f"chosen places mended {clear}" if clear else "that may be chance"
        return (
            f"{_told('chosen', self.chosen)}; {_told('random', self.random)} (intervals hold 95 % of "
            f"{RESAMPLINGS} resamplings of the places); difference {area(low)} to {area(high)} mm²: {verdict}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "sentence": self.sentence}

    @staticmethod
    def _count(arm: Arm, least: int) -> str:
        return f"{min(arm.places, least)} of {least}"


def works(entries: Iterable[PlaceEntry]) -> list[Work]:
    """Put the visits of each slice together that a prediction guided to, in the order of the last ones."""
    visits: dict[tuple[object, ...], list[PlaceEntry]] = {}
    for entry in entries:
        if entry.level == SLICE and entry.outcome != SKIPPED and entry.changed_mm2 is not None:
            visits.setdefault((*entry.key, entry.run), []).append(entry)
    return sorted(map(_work, visits.values()), key=lambda work: work.when)


def _work(visits: Sequence[PlaceEntry]) -> Work:
    seconds = [entry.seconds for entry in visits if entry.seconds is not None]
    return Work(
        when=visits[-1].when,
        kind=visits[-1].kind,
        changed_mm2=sum(entry.changed_mm2 or 0.0 for entry in visits),
        changed=sum(entry.changed or 0 for entry in visits),
        covered=max(entry.covered or 0 for entry in visits),
        seconds=sum(seconds) if len(seconds) == len(visits) else None,
    )


def compare(entries: Iterable[PlaceEntry]) -> Brought:
    """Compare what was mended on chosen and on random slices.

    Intervals are percentiles of the bootstrap over slices (Efron, Annals of Statistics 1979).
    """
    every = works(entries)
    rng = np.random.default_rng(0)
    arms, means = [], []
    for kind in (CHOSEN, RANDOM):
        of_kind = [work for work in every if work.kind == kind]
        means.append(_resample([work.changed_mm2 for work in of_kind], rng))
        arms.append(_arm(of_kind, means[-1]))
    chosen, random = arms
    enough = chosen.places >= LEAST_CHOSEN and random.places >= LEAST_RANDOM
    return Brought(chosen, random, _interval(means[0] - means[1]) if enough else None)


def _resample(values: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    if not values:
        return np.zeros(RESAMPLINGS)
    drawn = rng.integers(len(values), size=(RESAMPLINGS, len(values)))
    return np.asarray(np.asarray(values)[drawn].mean(axis=1))


def _arm(of_kind: Sequence[Work], means: np.ndarray) -> Arm:
    timed = [(work.changed_mm2, work.seconds) for work in of_kind if work.seconds]
    seconds = sum(second for _, second in timed)
    return Arm(
        len(of_kind),
        fmean(work.changed_mm2 for work in of_kind) if of_kind else 0.0,
        *_interval(means),
        seconds / len(timed) if timed else None,
        60 * sum(changed for changed, _ in timed) / seconds if timed else None,
    )


def _interval(means: np.ndarray) -> tuple[float, float]:
    edge = 100 * (1 - SHARE) / 2
    low, high = np.percentile(means, (edge, 100 - edge))
    return float(low), float(high)


def area(value: float) -> str:
    """Write an area with as many digits as it deserves."""
    return f"{value:.1f}" if abs(value) < 10 else f"{value:.0f}"


def _told(kind: str, arm: Arm) -> str:
    pace = "" if arm.mended_mm2_a_minute is None else f", {area(arm.mended_mm2_a_minute)} mm² a minute"
    return (
        f"{arm.places} {kind} places: {area(arm.mended_mm2)} mm² a slice ({area(arm.low)} to "
        f"{area(arm.high)}){pace}"
    )
