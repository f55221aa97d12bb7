"""Decisions about a part of the open scan, and the jobs that make them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Note
from napari_dycon.errors import StudyError
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.plugin.layers.sketch import Shape
from napari_dycon.study.truth.edits import Edit
from napari_dycon.study.truth.regions import Selection, bounding_box, cuboid, everything, polygon

OF_PREDICTION = ("accept", "reject")
NO_CHANGE = {
    "accept": "Nothing to accept there: what you drew or completed stays.",
    "reject": "Nothing to reject there: nothing is predicted, or you have drawn it.",
    "withdraw": "Nothing was accepted there.",
}
MOST_PIECES = np.iinfo(np.uint16).max


@dataclass(frozen=True, eq=False)
class DecisionsSeen:
    """What is left of the prediction of a case to decide about has been worked out."""

    case: OpenCase


@dataclass(frozen=True, eq=False)
class PiecesFound:
    """The pieces of the prediction of a case, numbered; see `numbered_pieces`."""

    case: OpenCase
    pieces: np.ndarray


@dataclass(frozen=True, eq=False)
class Outline:
    """A box or polygon on one slice.

    Attributes
    ----------
    axis, index
        The slice, in source order.
    selection
        The voxels within.
    """

    axis: int
    index: int
    selection: Selection

    def through(self, shape: Sequence[int], last: int | None) -> Selection:
        """Extend it to slice ``last``, or through all slices of a scan of ``shape`` for None."""
        ends = (0, shape[self.axis] - 1) if last is None else sorted((self.index, last))
        box, sizes = [*self.selection.box], [part.stop - part.start for part in self.selection.box]
        box[self.axis] = slice(ends[0], ends[1] + 1)
        sizes[self.axis] = ends[1] + 1 - ends[0]
        mask = self.selection.mask
        return Selection((box[0], box[1], box[2]), None if mask is None else np.broadcast_to(mask, sizes))


def outline_of(display: DisplayView, shape: Shape, corners: np.ndarray) -> Outline | None:
    """Return the region of a drawn shape; None where no voxel lies in it.

    Parameters
    ----------
    display
        How the case is turned for the viewer.
    shape
        What was drawn.
    corners
        ``(n, 3)`` voxel coordinates in display order, on one slice.
    """
    source = np.stack(display.indices_to_source(tuple(corners.T)), axis=1)
    size = display.geometry.shape
    axis = int(np.ptp(source, axis=0).argmin())
    index = int(np.clip(np.rint(source[0, axis]), 0, size[axis] - 1))
    if shape == "box":
        source[:, axis] = index
        selection = cuboid(size, source.min(axis=0), source.max(axis=0))
    elif len(source) < 3:
        return None
    else:
        selection = polygon(size, axis, index, np.delete(source, axis, axis=1))
    return Outline(axis, index, selection) if selection.voxels else None


def prediction_of(case: OpenCase) -> np.ndarray:
    """Return the prediction of ``case``.

    Raises
    ------
    StudyError
        When there is none.
    """
    if case.prediction is None:
        raise StudyError("This case has no prediction yet: train or predict first.")
    return case.prediction


def apply_decision(case: OpenCase, what: str, where: Selection | None, name: str, run: str | None) -> Edit:
    """Apply a decision to a part of the open case; None is all of it."""
    editor = case.editor
    if what in OF_PREDICTION:
        case.decisions.append(everything(case.annotation.shape) if where is None else where)
    if what == "accept":
        return editor.accept(prediction_of(case), where, name, run)
    if what == "reject":
        return editor.reject(prediction_of(case), where, name, run)
    action: Callable[[Selection | None, str], Edit] = getattr(editor, what)
    return action(where, name)


def numbered_pieces(prediction: np.ndarray) -> np.ndarray:
    """Number the connected pieces of each value of a prediction ``(x, y, z)``; uint16, 0 for none."""
    pieces, count = np.zeros_like(prediction, np.uint16), 0
    for value in np.flatnonzero(np.bincount(prediction.ravel(order="K"))[1:]) + 1:
        box = bounding_box(prediction == value)
        assert box is not None
        found, number = ndimage.label(prediction[box] == value)
        shown = (found > 0) & (found <= MOST_PIECES - count)
        pieces[box][shown] = (found[shown] + count).astype(np.uint16)
        count = min(count + number, MOST_PIECES)
    return pieces


def outcome(edit: Edit, what: str) -> str:
    """Say in one sentence what a decision came to."""
    if not edit:
        return NO_CHANGE.get(what, "Nothing changed there.")
    return f"{edit.name}: {edit.voxels:,} voxels changed.".replace(",", "\u2009")


def decision(
    case: OpenCase, what: str, action: Callable[[], Edit], touch: Callable[[], None]
) -> EventSource[jobs.Edited | Note]:
    """Make a decision that may look at every voxel, have it saved, and say what it came to."""

    def source(control: Control) -> Iterator[jobs.Edited | Note]:
        made: list[Edit] = []
        yield from jobs.edit(case.case_id, lambda: made.append(action()), touch)(control)
        yield Note("info", outcome(made[0], what))

    return source


def open_prediction(case: OpenCase) -> EventSource[DecisionsSeen]:
    """Work out what is left of the prediction to decide about."""

    def source(control: Control) -> Iterator[DecisionsSeen]:
        del control
        case.look_at_decisions()
        yield DecisionsSeen(case)

    return source


def piece_search(case: OpenCase) -> EventSource[PiecesFound]:
    """Number the pieces of the prediction that are left to decide about."""

    def source(control: Control) -> Iterator[PiecesFound]:
        del control
        prediction = case.prediction if case.open_prediction is None else case.open_prediction
        if prediction is not None:
            yield PiecesFound(case, numbered_pieces(prediction))

    return source


def case_voxel(case: OpenCase, place: Sequence[float]) -> tuple[int, int, int] | None:
    """Return the voxel in source order at display coordinates; None outside the scan."""
    index = np.rint(np.asarray(place)).astype(int)
    if np.any(index < 0) or np.any(index >= case.display.shape):
        return None
    x, y, z = case.display.indices_to_source(tuple(index))
    return int(x), int(y), int(z)
