"""Labelled voxels kept away from training, so that the reported quality is honest.

Quality is measured on what a person drew or declared complete: a prediction that was accepted says what the
model says, and interpolated voxels were seen by nobody.
"""

import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.learning.batch import IGNORE, UNKNOWN

ENOUGH_CASES = 8
ENOUGH_SLICES = 10
CASE_SHARE = 0.2
SLICE_SHARE = 0.1
LARGEST_SHARE = 1 / 3
"""A patient with more of the complete cases than this is not held out whole."""
GUARD = 1
"""Slices on either side of held-out ones that are hidden from training too: they may be copies of them."""

Target = NDArray[np.uint8]


class HoldOut(BaseModel):
    """Which labelled voxels validation may use and training may not; saved with the run.

    Parameters
    ----------
    cases
        Whole cases, with all other scans of their patients.
    slices
        By case, the axis of the plan's grid and the indices of the slices along it. Of several scans of one
        patient the same part of each is held out.
    patients
        Whose cases are held out; empty in runs of earlier versions, where each case was a patient of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: tuple[str, ...] = ()
    slices: dict[str, tuple[int, tuple[int, ...]]] = {}
    patients: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is held out."""
        return not self.cases and not self.slices

    @property
    def where(self) -> str:
        """What validation looks at, in words."""
        count = sum(len(indices) for _, indices in self.slices.values())
        parts = [f"{len(self.cases)} held-out cases"] if self.cases else []
        parts += [f"{count} held-out slices of {len(self.slices)} cases"] if count else []
        return " and ".join(parts)

    def of_cases(self, names: Collection[str]) -> "HoldOut":
        """What of it concerns some cases."""
        return HoldOut(
            cases=tuple(case for case in self.cases if case in names),
            slices={case: entry for case, entry in self.slices.items() if case in names},
            patients=self.patients,
        )

    def holds(self, prepared: PreparedCase) -> bool:
        """Whether a case is kept from training whole: it is held out itself or its patient is."""
        return prepared.case in self.cases or prepared.person in self.patients

    def with_siblings(self, cases: Sequence[PreparedCase]) -> "HoldOut":
        """Hold out the same part of every labelled scan of a patient of whose scan slices are held out."""
        slices = dict(self.slices)
        lead = {case.person: case for case in reversed(cases) if case.case in self.slices}
        for case in cases:
            first = lead.get(case.person)
            if case.target is not None and first is not None and case.case not in slices:
                slices[case.case] = _same_part(*self.slices[first.case], first.grid, case.grid)
        return self if slices == self.slices else self.model_copy(update={"slices": slices})

    def training_target(self, prepared: PreparedCase) -> Target | None:
        """What training may know of a case; None when that is nothing."""
        if prepared.target is None or self.holds(prepared):
            return None
        mask = self._mask(prepared, GUARD)
        if mask is not None and prepared.weight is not None:
            mask = mask | _copies(mask, prepared.weight < 1, self.slices[prepared.case][0])
        return prepared.target if mask is None else np.where(mask, np.uint8(UNKNOWN), prepared.target)

    def validation_target(self, prepared: PreparedCase) -> Target | None:
        """What validation may know of a case; None when that is nothing."""
        truth = prepared.truth
        if truth is None or not has_known(truth):
            return None
        if self.holds(prepared):
            return truth
        mask = self._mask(prepared)
        found = None if mask is None else np.where(mask, truth, np.uint8(UNKNOWN))
        return found if found is not None and has_known(found) else None

    def _mask(self, prepared: PreparedCase, guard: int = 0) -> NDArray[np.bool_] | None:
        if prepared.case not in self.slices or prepared.target is None:
            return None
        axis, indices = self.slices[prepared.case]
        along = np.zeros(prepared.target.shape[axis], dtype=bool)
        for index in indices:
            along[max(0, index - guard) : index + guard + 1] = True
        return np.broadcast_to(
            along.reshape([-1 if a == axis else 1 for a in range(3)]), prepared.target.shape
        )


def choose_holdout(
    cases: Sequence[PreparedCase], seed: int, earlier: HoldOut | None = None, seen: Collection[str] = ()
) -> HoldOut:
    """Choose about a fifth of the complete cases, or a tenth of the known slices when those are few.

    Two scans of one patient are never on both sides. A structure is never held out entirely. Nothing is held
    out when too little is known, and no case or slice in which anything is known by acceptance or
    interpolation alone.

    Parameters
    ----------
    earlier
        What was held out from the model that training continues from; stays held out.
    seen
        Cases that this model was trained on; nothing more of them can be held out honestly.
    """
    random = np.random.default_rng((seed, 7))
    labelled = [case for case in cases if case.target is not None]
    judged = [case for case in labelled if case.truth is not None and has_known(case.truth)]
    known = {case.person for case in cases if case.case in seen}
    earlier = _still_held_out(earlier or HoldOut(), judged, known)
    free = [case for case in judged if case.person not in known and not earlier.holds(case)]
    complete = [case for case in judged if case.truth is not None and not (case.truth == UNKNOWN).any()]
    more = HoldOut()
    if len(complete) >= ENOUGH_CASES:
        more = _choose_patients(free, complete, len(earlier.cases), random)
    if len(complete) < ENOUGH_CASES or (more.empty and earlier.empty):
        more = _choose_slices(free, random)
    chosen = HoldOut(
        cases=tuple(sorted((*earlier.cases, *more.cases))),
        slices={**earlier.slices, **more.slices},
        patients=tuple(sorted((*earlier.patients, *more.patients))),
    )
    offered = (holdout.with_siblings(cases) for holdout in (chosen, earlier))
    return next((h for h in offered if _all_learnable(labelled, h)), HoldOut())


def _still_held_out(earlier: HoldOut, judged: Sequence[PreparedCase], known: Collection[str]) -> HoldOut:
    """What stays held out: all scans of its patients, unless the model has learned from one of them."""
    persons = {case.person for case in judged if earlier.holds(case)} - set(known)
    cases = {case.case for case in judged if case.person in persons}
    slices = {case.case for case in judged if case.case in earlier.slices}
    return HoldOut(
        cases=tuple(sorted(cases)), slices=earlier.of_cases(slices).slices, patients=tuple(sorted(persons))
    )


def _choose_patients(
    free: Sequence[PreparedCase],
    complete: Sequence[PreparedCase],
    taken: int,
    random: np.random.Generator,
) -> HoldOut:
    """Patients by chance until a fifth of the complete cases is held out; none who has too large a part."""
    names = {case.case for case in complete}
    scans: dict[str, list[str]] = {}
    for case in free:
        scans.setdefault(case.person, []).append(case.case)
    able = [
        person
        for person, own in scans.items()
        if names.issuperset(own) and len(own) <= LARGEST_SHARE * len(complete)
    ]
    wanted, chosen = max(0, round(CASE_SHARE * len(complete)) - taken), list[str]()
    for person in (able[i] for i in random.permutation(len(able))):
        if sum(len(scans[other]) for other in chosen) >= wanted:
            break
        chosen.append(person)
    cases = (case for person in chosen for case in scans[person])
    return HoldOut(cases=tuple(sorted(cases)), patients=tuple(sorted(chosen)))


def _choose_slices(labelled: Sequence[PreparedCase], random: np.random.Generator) -> HoldOut:
    known = {case.case: _known_slices(case) for case in labelled}
    total = sum(len(indices) for _, indices, _ in known.values())
    if total < ENOUGH_SLICES:
        return HoldOut()
    budget = round(SLICE_SHARE * total)
    chosen: dict[str, tuple[int, tuple[int, ...]]] = {}
    persons = {case.case: case.person for case in labelled}
    names = sorted(known)
    for name in (names[i] for i in random.permutation(len(names))):
        if persons[name] in {persons[other] for other in chosen}:
            continue
        axis, indices, painted = known[name]
        length = min(budget, max(1, round(SLICE_SHARE * len(indices))))
        if length == 0 or len(indices) < 3 or not painted:
            continue
        middle = indices.index(painted[int(random.integers(len(painted)))])
        start = int(np.clip(middle - length // 2, 0, len(indices) - length))
        chosen[name] = (axis, tuple(indices[start : start + length]))
        budget -= length
    return HoldOut(slices=chosen)


def _known_slices(case: PreparedCase) -> tuple[int, list[int], list[int]]:
    """Axis along which fewest slices hold known voxels, these slices, and those with foreground.

    Slices in which only a part is what a person said do not count: where corrections alone were drawn, the
    model was wrong.
    """
    truth = case.truth
    assert truth is not None
    known = truth < IGNORE
    by_axis = [_whole_slices(case, known, axis) for axis in (2, 1, 0)]
    shares = [len(indices) / truth.shape[2 - i] for i, indices in enumerate(by_axis)]
    axis = 2 - int(np.argmin([share or np.inf for share in shares]))
    painted = np.asarray(((truth > 0) & known).any(axis=_others(axis)))
    indices = by_axis[2 - axis]
    return axis, indices.tolist(), indices[painted[indices]].tolist()


def _whole_slices(case: PreparedCase, known: NDArray[np.bool_], axis: int) -> NDArray[np.intp]:
    there = known.any(axis=_others(axis))
    if case.judged is not None and case.target is not None:
        there &= ~((case.target < IGNORE) & ~known).any(axis=_others(axis))
    return np.flatnonzero(there)


def _same_part(
    axis: int, indices: Sequence[int], shape: Sequence[int], other: Sequence[int]
) -> tuple[int, tuple[int, ...]]:
    """The slices at the same share of the extent of another scan."""
    factor = other[axis] / shape[axis]
    first, last = int(indices[0] * factor), math.ceil((indices[-1] + 1) * factor)
    return axis, tuple(range(first, min(max(last, first + 1), other[axis])))


def _copies(hidden: NDArray[np.bool_], interpolated: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Interpolated voxels in the slices that lead up to hidden ones: they were made from them."""
    along, there = (np.asarray(mask.any(axis=_others(axis))) for mask in (hidden, interpolated))
    for grown, source in ((along, there), (along[::-1], there[::-1])):
        for index in range(1, len(grown)):
            grown[index] |= source[index] & grown[index - 1]
    return interpolated & along.reshape([-1 if a == axis else 1 for a in range(3)])


def has_known(target: Target) -> bool:
    """Whether any voxel of a target has a class."""
    return bool((target < IGNORE).any())


def _others(axis: int) -> tuple[int, ...]:
    return tuple(a for a in range(3) if a != axis)


def _all_learnable(labelled: Sequence[PreparedCase], holdout: HoldOut) -> bool:
    before = _classes(case.target for case in labelled)
    return before == _classes(holdout.training_target(case) for case in labelled)


def _classes(targets: Iterable[Target | None]) -> set[int]:
    found: set[int] = set()
    for target in targets:
        if target is not None:
            found.update(np.unique(target).tolist())
    return found - {UNKNOWN, IGNORE}
