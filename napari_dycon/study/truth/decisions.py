"""What a person decides about a part of a scan, as changes of its annotation."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from napari_dycon.study.truth.annotations import BY_PERSON, Annotation, Known, Region, is_one_of
from napari_dycon.study.truth.edits import Change, Edit
from napari_dycon.study.truth.regions import Selection, one_slice

Mask = NDArray[np.bool_]


def complete(part: Annotation, where: Selection) -> None:
    """Say that everything there is, is labelled: what is unknown becomes known background."""
    unknown = _choose(part.known == Known.UNKNOWN, where)
    np.copyto(part.known, np.uint8(Known.COMPLETED), where=unknown & (part.labels == 0))
    np.copyto(part.known, np.uint8(Known.DRAWN), where=unknown & (part.labels != 0))


def reopen(part: Annotation, where: Selection) -> None:
    """Take `complete` back: background that only it made known becomes unknown."""
    part.known[_choose(part.known == Known.COMPLETED, where)] = Known.UNKNOWN


def reopen_drawn(part: Annotation, where: Selection) -> None:
    """Forget all background that a person stands for, also of full label maps that were imported."""
    background = is_one_of(part.known, BY_PERSON) & (part.labels == 0)
    part.known[_choose(background, where)] = Known.UNKNOWN


def withdraw(part: Annotation, where: Selection) -> None:
    """Forget what was accepted or interpolated there."""
    machine = _choose((part.known == Known.ACCEPTED) | (part.known == Known.INTERPOLATED), where)
    part.known[machine], part.labels[machine] = Known.UNKNOWN, 0


def ignore(part: Annotation, where: Selection) -> None:
    """Say that nothing there is to be learned from; labels stay for the day it is taken back by undo."""
    part.known[_choose(np.ones_like(part.known, dtype=bool), where)] = Known.IGNORE


def forget(part: Annotation, where: Selection) -> None:
    """Forget everything that is known there, drawn or not."""
    everywhere = _choose(np.ones_like(part.known, dtype=bool), where)
    part.known[everywhere], part.labels[everywhere] = Known.UNKNOWN, 0


def accept(prediction: NDArray[np.uint8]) -> Change:
    """Take over a prediction ``(x, y, z)`` of the whole scan wherever no person has spoken."""

    def change(part: Annotation, where: Selection) -> None:
        wanted = _choose(_free(part), where)
        np.copyto(part.labels, prediction[where.box], where=wanted)
        np.copyto(part.known, np.uint8(Known.ACCEPTED), where=wanted)

    return change


def reject(prediction: NDArray[np.uint8]) -> Change:
    """Say that the structures a prediction ``(x, y, z)`` shows there are background.

    Only where no person has spoken. With several structures this is for what is none of them; where one is
    taken for another, it is to be painted.
    """

    def change(part: Annotation, where: Selection) -> None:
        wrong = _choose(_free(part) & (prediction[where.box] > 0), where)
        part.labels[wrong], part.known[wrong] = 0, Known.DRAWN

    return change


class Decider(ABC):
    """The decisions as named edits of an annotation that somebody holds.

    A part of the scan is a `Selection` (see `regions`), slices, a mask, or None for all of it.
    """

    annotation: Annotation

    @abstractmethod
    def perform(
        self, edit: Edit, where: Region | Selection | None, change: Change, *, opening: bool = False
    ) -> Edit:
        """Change a part of the annotation as one named edit; return what was changed."""

    def complete(self, where: Region | Selection | None = None, name: str = "Region complete") -> Edit:
        """Say that everything in a part of the scan is labelled; the rest of it is background then."""
        return self.perform(Edit(name), where, complete, opening=True)

    def reopen(self, where: Region | Selection | None = None, name: str = "Region not complete") -> Edit:
        """Take `complete` back: background that only completing made known is unknown again.

        Where there is none (in a full label map, for example), all drawn background is forgotten.
        """
        return self.perform(Edit(name), where, reopen, opening=True) or self.perform(
            Edit(name), where, reopen_drawn, opening=True
        )

    def complete_slice(self, axis: int, index: int, name: str = "Slice complete") -> Edit:
        """Make what is unknown in one slice known background."""
        return self.complete(one_slice(self.annotation.shape, axis, index), name)

    def reopen_slice(self, axis: int, index: int, name: str = "Slice not complete") -> Edit:
        """Forget the background that completing the slice made known (see `Annotation.reopen_slice`)."""
        plane = one_slice(self.annotation.shape, axis, index)
        alone = Selection(plane.box, ~self.annotation.shared_voxels(axis, index))
        return self.perform(Edit(name), alone, reopen, opening=True) or self.reopen(plane, name)

    def complete_case(self, name: str = "Case complete") -> Edit:
        """Make everything that is unknown known background; looks at every voxel."""
        return self.perform(Edit(name, "complete"), None, complete, opening=True)

    def reopen_case(self, name: str = "Case not complete") -> Edit:
        """Forget all background that completing made known; looks at every voxel."""
        return self.reopen(None, name)

    def accept(
        self,
        prediction: NDArray[np.uint8],
        where: Region | Selection | None = None,
        name: str = "Accept prediction",
        run: str | None = None,
    ) -> Edit:
        """Take over a prediction wherever no person has spoken (see `Annotation.accept`)."""
        return self.perform(Edit(name, "accept", run), where, accept(prediction))

    def reject(
        self,
        prediction: NDArray[np.uint8],
        where: Region | Selection | None = None,
        name: str = "Reject prediction",
        run: str | None = None,
    ) -> Edit:
        """Say that what a prediction shows is background, wherever no person has spoken."""
        return self.perform(Edit(name, "reject", run), where, reject(prediction))

    def withdraw(self, where: Region | Selection | None = None, name: str = "Withdraw acceptance") -> Edit:
        """Forget what was accepted or interpolated in a part of the scan."""
        return self.perform(Edit(name, "withdraw"), where, withdraw)

    def ignore(self, where: Region | Selection | None, name: str = "Do not care") -> Edit:
        """Say that nothing in a part of the scan is to be learned from."""
        return self.perform(Edit(name), where, ignore)

    def forget(self, where: Region | Selection | None, name: str = "Forget region") -> Edit:
        """Forget everything that is known about a part of the scan, drawn or not."""
        return self.perform(Edit(name, "forget"), where, forget)


def _free(part: Annotation) -> Mask:
    return ~is_one_of(part.known, (*BY_PERSON, Known.IGNORE))


def _choose(mask: Mask, where: Selection) -> Mask:
    return mask if where.mask is None else mask & where.mask
