"""Structures that are locked: what is labelled as one of them stays so, whatever is written there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import StudyError
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.edits import Change, Patch
from napari_dycon.study.truth.regions import Selection


class Locks:
    """Keeps the voxels of locked structures as they are.

    Neither is their label replaced or erased, nor do they become unknown or such that nobody cares. What is
    not a part of them yet may become one.

    Parameters
    ----------
    names
        The locked label values, and what they are called.

    Attributes
    ----------
    met
        Values that stopped something since `forget` was called.
    """

    def __init__(self, names: Mapping[int, str] | None = None) -> None:
        self.met: set[int] = set()
        self._names: dict[int, str] = {}
        self._locked = np.zeros(256, bool)
        self.set(names or {})

    def __bool__(self) -> bool:
        """Whether anything is locked."""
        return bool(self._names)

    def set(self, names: Mapping[int, str]) -> None:
        """Lock these label values and no others."""
        self._names = dict(names)
        locked = np.zeros(256, bool)
        locked[list(names)] = True
        self._locked = locked

    def forget(self) -> None:
        """Begin to note anew what stops something."""
        self.met = set()

    def meet(self, values: Collection[int]) -> None:
        """Note that a stroke went over structures of these label values, and left them alone."""
        self.met = set(values)

    def guard(self, change: Change) -> Change:
        """Make a change that does the same but for what is locked."""
        if not self:
            return change

        def careful(part: Annotation, where: Selection) -> None:
            before = part.copy()
            change(part, where)
            self.put_back(before, part)

        return careful

    def put_back(self, before: Annotation, now: Annotation) -> None:
        """Let the voxels of locked structures be in `now`, in place, what they were before."""
        stopped = self._are_stopped(before, now)
        if stopped.any():
            self.met |= set(np.unique(before.labels[stopped]).tolist())
            np.copyto(now.labels, before.labels, where=stopped)
            np.copyto(now.known, before.known, where=stopped)

    def _are_stopped(self, before: Annotation, now: Annotation) -> NDArray[np.bool_]:
        if not self:
            return np.zeros(before.shape, bool)
        held = self._locked[before.labels] & _counts(before.known)
        return np.asarray(held & ((now.labels != before.labels) | ~_counts(now.known)))

    def require_free(self, patches: Iterable[Patch], *, undo: bool) -> None:
        """Refuse to go a step back or forth that would take voxels from a locked structure.

        Raises
        ------
        StudyError
            With what to do.
        """
        lost = set().union(*(patch.values_lost(undo=undo) for patch in patches))
        taken = self._among(lost)
        if taken:
            them = "it" if len(taken) == 1 else "them"
            raise StudyError(
                f"{in_words(taken)}, and this would change {them}: nothing was "
                f"{'undone' if undo else 'done again'}. Unlock {them} first."
            )

    @property
    def sentence(self) -> str:
        """What stayed as it was because it is locked; empty where nothing was in the way."""
        met = self._among(self.met)
        return f"{in_words(met)} and stayed as {'it was' if len(met) == 1 else 'they were'}." if met else ""

    def _among(self, values: Collection[int]) -> dict[int, str]:
        return {value: name for value, name in self._names.items() if value in values}


def in_words(names: Mapping[int, str]) -> str:
    """Say which structures are locked, without a full stop."""
    quoted = [f"“{name}”" for name in names.values()]
    listed = " and ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))
    return f"{listed} {'is' if len(quoted) == 1 else 'are'} locked"


def _counts(known: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell of each voxel whether its label counts."""
    return np.asarray((known != Known.UNKNOWN) & (known != Known.IGNORE))
