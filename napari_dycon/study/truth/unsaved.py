"""What was done to an annotation since it was saved last, and the draft of its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np

from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.draft import Draft
from napari_dycon.study.truth.edits import AUTOSAVE, Edit
from napari_dycon.study.truth.regions import Box, everything

MOST_NAMES = 20


class Snapshot(NamedTuple):
    """An annotation for saving, and what was done to it since the last one."""

    draft: Draft
    reason: str
    names: tuple[str, ...]
    run: str | None


class Unsaved:
    """Keeps a draft of an annotation and takes only what changed into it; not locked by itself.

    Parameters
    ----------
    shape
        Voxels of the annotation.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._everything = everything(shape).box
        self._draft = Draft(shape)
        self._stale = np.ones(shape[2], bool)
        self._changed = False
        self._reason = AUTOSAVE
        self._names: list[str] = []
        self._run: str | None = None

    def touch(self, box: Box) -> None:
        """Note that something changed in a box."""
        self._stale[box[2]] = True
        self._changed = True

    def tell(self, edit: Edit) -> None:
        """Note what was done; a decision counts though it changed nothing."""
        self._changed = True
        self._reason = edit.reason if edit.reason != AUTOSAVE else self._reason
        self._names = [*self._names, edit.name][-MOST_NAMES:]
        self._run = edit.run or self._run

    def put_back(self, reason: str, names: Sequence[str], run: str | None) -> None:
        """Take back a snapshot that could not be saved: the next one will hold it."""
        self._changed = True
        self._reason = reason if self._reason == AUTOSAVE else self._reason
        self._names = [*names, *self._names][-MOST_NAMES:]
        self._run = self._run or run

    def take(
        self, copied: Callable[[Box], Annotation], lock: AbstractContextManager[object]
    ) -> Snapshot | None:
        """Bring the draft up to date and return it with what was done; None where nothing changed.

        Parameters
        ----------
        copied
            Returns a copy of a part of the annotation.
        lock
            Held while something is copied or noted, not while it is compressed.
        """
        with lock:
            if not self._changed:
                return None
            taken = Snapshot(self._draft, self._reason, tuple(self._names), self._run)
            self._changed, self._reason, self._names, self._run = False, AUTOSAVE, [], None
        try:
            self._bring_up_to_date(copied, lock)
        except BaseException:
            with lock:
                self.touch(self._everything)
                self.put_back(taken.reason, taken.names, taken.run)
            raise
        return taken

    def _bring_up_to_date(
        self, copied: Callable[[Box], Annotation], lock: AbstractContextManager[object]
    ) -> None:
        for number, span in enumerate(self._draft.spans):
            with lock:
                if not self._stale[span].any():
                    continue
                part = copied((*self._everything[:2], span))
                self._stale[span] = False
            self._draft.put(number, part)
