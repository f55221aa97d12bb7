"""Where to annotate next: what a suggestion is, and the register of the strategies that make them."""

import hashlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np

from napari_dycon.engine.control import Control
from napari_dycon.engine.steps import finish
from napari_dycon.errors import DyconError
from napari_dycon.guidance.skips import NONE_SKIPPED, Skips
from napari_dycon.register import Register
from napari_dycon.study.store.place_log import CASE, CHOSEN, FIRST, REGION, SLICE, Kind, Level
from napari_dycon.study.study import Study

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
USUAL = "ours"
LEVELS = frozenset({SLICE, REGION, CASE})
ONLY_SLICES = frozenset({SLICE})


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A slice, a region or a case worth a person's next minute.

    ``axis`` and ``index`` name the slice and ``box`` the place on it, in source voxels (half-open ranges by
    axis); ``score`` is from 0 to 1; ``structure`` is a label value; ``reason`` is for the user to read.

    ``level`` tells whether it is about a slice, a whole case (its middle slice is named) or a region: a piece
    of the prediction with the voxel ``voxel``, to be accepted or rejected. ``seconds`` is about how long it
    takes and ``gain`` how many mm² are expected to be mended in a second of that, both by the costs that the
    simulated annotator assumes (a piece counts with its mean cross-section times its slices); 0 where it
    cannot be told. ``kind`` tells whether it was chosen, is a random check, or one of the first, which
    nothing guides; ``strategy`` who chose it and ``run`` whose prediction guided, None where none did.
    """

    case: str
    plane: str
    axis: int
    index: int
    box: Box
    structure: int
    structure_name: str
    score: float
    reason: str
    level: Level = SLICE
    voxel: tuple[int, int, int] | None = None
    seconds: float = 0.0
    gain: float = 0.0
    kind: Kind = CHOSEN
    strategy: str = ""
    run: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CaseLooked:
    """Another of `total` cases was looked at for suggestions."""

    case: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Places to annotate next, and of each case that could not be looked at why."""

    places: tuple[Suggestion, ...]
    left_out: dict[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a strategy is asked for.

    Attributes
    ----------
    count : how many places, at most
    round : how many models were trained until now, of which the last one guides; from 1 where there is one
    seed : of all chance, so that strategies can be compared on equal terms
    skips : places that were skipped, which are left out of the answer of any strategy
    levels : what is asked for; any strategy may answer with slices alone
    """

    count: int = 8
    round: int = 1
    seed: int = 0
    skips: Skips = NONE_SKIPPED
    levels: frozenset[Level] = ONLY_SLICES

    def chance(self, study: Study, run: str | None) -> np.random.Generator:
        """Random numbers that are the same for the same state of the study, model, round and seed."""
        labelled = [(case.id, round(case.known_fraction, 6)) for case in study.cases]
        digest = hashlib.sha256(repr((run, labelled, self.round, self.seed)).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))


class Strategy(Protocol):
    """One way to choose the slices that are worth a person's next minutes."""

    def __call__(
        self, study: Study, run: str | None, wanted: Wanted, control: Control, /
    ) -> Generator[CaseLooked, None, Suggestions]:
        """Choose at most so many slices, best first, from what is known and what `run` has predicted.

        The same call on the same study gives the same answer. `control` is asked between any two cases.
        """


strategies: Register[Strategy] = Register(
    "strategy", "napari_dycon.guidance.strategies", "napari_dycon.strategies", DyconError
)
"""Strategies by name; one that is to be compared with ours needs a file of its own and no more."""


def suggest(study: Study, run: str | None = None, count: int = 8, strategy: str = USUAL) -> list[Suggestion]:
    """Choose slices to annotate next, as `suggesting` does, in one step."""
    return list(finish(suggesting(study, run, count, strategy=strategy)).places)


def suggesting(
    study: Study,
    run: str | None = None,
    count: int = 8,
    control: Control | None = None,
    strategy: str = USUAL,
    seed: int = 0,
    levels: frozenset[Level] = LEVELS,
) -> Generator[CaseLooked, None, Suggestions]:
    """Choose slices to annotate next, best first.

    Parameters
    ----------
    study : Study
    run : str, optional
        Whose predictions guide; the active run by default.
    count : int
    control : Control, optional
        To stop between any two cases; what was found until then is returned.
    strategy : str
        Name of a registered strategy.
    seed : int
        Of its chance.
    levels : frozenset of str
        Whether slices, regions and cases are asked for.

    Yields
    ------
    CaseLooked
        After each case.

    Returns
    -------
    Suggestions
        A case whose scan or prediction cannot be read is left out. Never a complete slice, nor one that was
        skipped. The same call on the same study gives the same answer.

    Raises
    ------
    DyconError
        If there is no such strategy.
    """
    chosen = strategies.get(strategy)
    guide, skips = run or study.active_run, Skips.of(study)
    wanted = Wanted(count, len(study.runs()), seed, skips, levels)
    found = yield from chosen(study, guide, wanted, control or Control())
    places = tuple(
        replace(place, strategy=strategy, run=None if place.kind == FIRST else guide)
        for place in found.places
        if not skips.hide(place, study.case(place.case).spacing[place.axis])
    )
    return Suggestions(places, found.left_out)


@contextmanager
def leaving_out(case: str, left_out: dict[str, str]) -> Iterator[None]:
    """Note why a case cannot be looked at, and go on with the next one."""
    try:
        yield
    except (DyconError, OSError, MemoryError) as error:
        left_out[case] = str(error) or type(error).__name__
