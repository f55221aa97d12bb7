"""What a person decides about a part of the open scan: a slice, a case, a piece, an outlined region."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Note
from napari_dycon.errors import StudyError
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.plugin.controllers.desk import predicted
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.plugin.controllers.state import SessionState
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.plugin.layers.sketch import Shape, Sketch
from napari_dycon.plugin.layers.styles import SCAN
from napari_dycon.study.truth.edits import Edit
from napari_dycon.study.truth.regions import (
    Selection,
    bounding_box,
    connected,
    cuboid,
    everything,
    one_slice,
    polygon,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_dycon.plugin.canvases.planes import LinkedPlanes

VERBS = {
    "accept": "Accept",
    "reject": "Reject",
    "withdraw": "Take back",
    "complete": "Complete",
    "ignore": "Do not care about",
    "forget": "Forget",
    "reopen": "Reopen",
}
OF_PREDICTION = ("accept", "reject")
NO_CHANGE = {
    "accept": "Nothing to accept there: what you drew or completed stays.",
    "reject": "Nothing to reject there: nothing is predicted, or you have drawn it.",
    "withdraw": "Nothing was accepted there.",
}
HOW_TO_DRAW = {
    "box": "Drag a box over the region.",
    "polygon": "Click the corners; double-click the last.",
    "outline": "Drag around the region.",
    "point": "Click a piece of the prediction.",
}
DEPTH = (("one", "This one"), ("here", "Up to here"), ("all", "All"), (CANCEL, "Cancel"))
WITHOUT_MODEL = (
    ("complete", "Complete"),
    ("ignore", "Do not care"),
    ("forget", "Forget"),
    (CANCEL, "Cancel"),
)
WITH_MODEL = (
    ("complete", "Complete"),
    ("accept", "Accept"),
    ("reject", "Reject"),
    *WITHOUT_MODEL[1:],
)
MOST_PIECES = np.iinfo(np.uint16).max
NO_PIECE = "There is no prediction under the pointer."
_serial = count()


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


def decided(case: OpenCase, what: str, where: Selection | None, name: str, run: str | None) -> Edit:
    """Apply a decision, one of `VERBS`, to a part of the open case; None is all of it."""
    editor = case.editor
    if what in OF_PREDICTION:
        case.decisions.append(everything(case.annotation.shape) if where is None else where)
    if what == "accept":
        return editor.accept(predicted(case), where, name, run)
    if what == "reject":
        return editor.reject(predicted(case), where, name, run)
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


def deciding(case: OpenCase, what: str, action: Callable[[], Edit], touch: Callable[[], None]) -> EventSource:
    """Make a decision that may look at every voxel, have it saved, and say what it came to."""

    def source(control: Control) -> Iterator[object]:
        made: list[Edit] = []
        yield from jobs.editing(case.case_id, lambda: made.append(action()), touch)(control)
        yield Note("info", outcome(made[0], what))

    return source


def seeing_decisions(case: OpenCase) -> EventSource:
    """Work out what is left of the prediction to decide about."""

    def source(control: Control) -> Iterator[object]:
        del control
        case.look_at_decisions()
        yield DecisionsSeen(case)

    return source


def finding_pieces(case: OpenCase) -> EventSource:
    """Number the pieces of the prediction that are left to decide about."""

    def source(control: Control) -> Iterator[object]:
        del control
        prediction = case.prediction if case.open_prediction is None else case.open_prediction
        if prediction is not None:
            yield PiecesFound(case, numbered_pieces(prediction))

    return source


class RegionIntentions(SessionState):
    """Decisions about predictions and regions, and the known map.

    Attributes
    ----------
    known_shown
        Whether it is shown how each voxel is known.
    """

    _planes: "LinkedPlanes | None"

    def __init__(self, viewer: "ViewerModel") -> None:
        super().__init__(viewer)
        self.known_shown = False
        rows = self._presenter.list_layer
        self._sketch = Sketch(lambda: self._presenter.viewer, self._drawn, self._sketch_left, rows)
        self._then: tuple[str, str] | None = None
        self._pieces: np.ndarray | None = None
        viewer.mouse_move_callbacks.append(self._pointer_moved)
        self._desk.rewritten.connect(self._see_decisions)
        self._desk.saved.connect(self._refresh_known)
        self.case_opened.connect(self._show_known)
        viewer.dims.events.ndisplay.connect(self._show_known)

    # ---- decisions ---------------------------------------------------------------------------

    @intention
    def decide(self, what: str, part: str) -> None:
        """Accept, reject or withdraw: the slice on screen, the case, a piece or a region.

        A piece is then clicked, a region drawn.
        """
        case = self._decidable(what)
        if part == "slice":
            self._decide_slice(case, what)
        elif part == "case":
            self._decide(case, what, None, part)
        elif part == "piece":
            self._presenter.show_pieces(np.broadcast_to(np.uint16(0), case.volume.geometry.shape))
            self._draw("point", (what, part))
            self._loads.put("pieces", finding_pieces(case))
        else:
            self._draw("box", (what, part))

    def accept_slice(self) -> None:
        """Take over the prediction on the slice on screen wherever no person has spoken."""
        self.decide("accept", "slice")

    def accept_case(self) -> None:
        """Take over the prediction of the whole case wherever no person has spoken."""
        self.decide("accept", "case")

    @intention
    def decide_piece(self, what: str) -> None:
        """Accept or reject the connected piece of the prediction under the pointer."""
        case = self._decidable(what)
        place = self._presenter.voxel_at(self._pointer())
        self._decide_at(case, what, None if place is None else case_voxel(case, place))

    @intention
    def toggle_case_complete(self) -> None:
        """Declare every voxel of the open case known, or open the case again."""
        self._writable()
        case = self._desk.open_case()
        complete = self._needed().case(case.case_id).status == "complete"
        if complete:
            self._put(case, "reopen", lambda: case.editor.reopen_case())
        else:
            self._put(case, "complete", lambda: case.editor.complete_case())

    # ---- regions -----------------------------------------------------------------------------

    @intention
    def start_region(self, shape: Shape = "box") -> None:
        """Let the person draw a box, polygon or outline on a slice in any plane, and ask what about it."""
        self._writable()
        self._draw(shape, None)

    def _draw(self, shape: Shape, then: tuple[str, str] | None) -> None:
        self._desk.open_case()
        self._slice_on_screen()
        self.answer(CANCEL)
        scan = self._presenter.layer(SCAN)
        assert scan is not None
        self._then = then
        self._sketch.start(shape, scan)
        self._ask(Question(HOW_TO_DRAW[shape], ((CANCEL, "Cancel"),)), self._drawing_ended)

    def _drawing_ended(self, key: str) -> None:
        del key
        self._pieces = None
        self._presenter.show_pieces(None)
        if self._sketch.drawing:
            self._sketch.stop()

    def _sketch_left(self) -> None:
        self.answer(CANCEL)
        self._sketch.stop()

    @intention
    def _drawn(self, corners: np.ndarray) -> None:
        case, shape = self._desk.open_case(), self._sketch.drawing
        assert shape is not None
        if shape == "point":
            self.answer(CANCEL)
            assert self._then is not None
            self._decide_at(case, self._then[0], case_voxel(case, corners[0]))
            return
        outline = outline_of(case.display, shape, corners)
        if outline is None:
            self._sketch.again()
            return
        self._sketch.hold()
        question = Question("Which slices?", DEPTH)
        self._ask(question, partial(self._depth_chosen, outline))

    @intention
    def _depth_chosen(self, outline: Outline, key: str) -> None:
        if key == CANCEL or self._desk.case is None:
            self._sketch.stop()
            return
        case = self._desk.case
        last = {"one": outline.index, "here": self._last_slice(outline)}.get(key)
        selection = outline.through(case.volume.geometry.shape, last)
        if self._then is not None:
            self._sketch.stop()
            self._decide(case, self._then[0], selection, self._then[1])
            return
        answers = WITH_MODEL if self.has_prediction else WITHOUT_MODEL
        self._ask(Question("This region:", answers), partial(self._region_decided, selection))

    @intention
    def _region_decided(self, selection: Selection, key: str) -> None:
        self._sketch.stop()
        if key != CANCEL and self._desk.case is not None:
            self._decide(self._decidable(key), key, selection, "region")

    def _last_slice(self, outline: Outline) -> int:
        """Return how far the person has gone through the slices of the plane the outline is in."""
        case, planes = self._desk.open_case(), self._planes
        if planes is not None and planes.shown:
            place = self._presenter.voxel_at(planes.point)
            voxel = None if place is None else case_voxel(case, place)
            return outline.index if voxel is None else voxel[outline.axis]
        axis, index = self._slice_on_screen()
        return index if axis == outline.axis else outline.index

    def _on_pieces_found(self, event: PiecesFound) -> None:
        if event.case is self._desk.case and self._sketch.drawing == "point":
            self._pieces = event.pieces
            self._presenter.show_pieces(event.pieces)
            self.point()

    def _pointer_moved(self, *event: object) -> None:
        del event
        self.point()

    def point(self) -> None:
        """Show the piece under the pointer, on whichever canvas, while one is to be clicked."""
        case, pieces = self._desk.case, self._pieces
        if case is None or pieces is None:
            return
        place = self._presenter.voxel_at(self._pointer())
        voxel = None if place is None else case_voxel(case, place)
        self._presenter.point_at_piece(0 if voxel is None else int(pieces[voxel]))

    def _see_decisions(self) -> None:
        case = self._desk.case
        if case is not None and case.decisions:
            self._loads.put("outlines", seeing_decisions(case))

    # ---- the known map -----------------------------------------------------------------------

    @intention
    def toggle_known_map(self) -> None:
        """Show how each voxel is known, or hide it."""
        self._desk.open_case()
        self.known_shown = not self.known_shown
        self._show_known()
        self.overlay_changed.emit()

    def _show_known(self, event: object = None) -> None:
        del event
        case = self._desk.case
        self._presenter.show_known(case.annotation.known if self.known_shown and case is not None else None)

    def _refresh_known(self, text: str, ok: bool) -> None:
        del text, ok
        if self.known_shown:
            self._presenter.refresh_known()

    # ---- inside ------------------------------------------------------------------------------

    def _decidable(self, what: str) -> OpenCase:
        self._writable()
        case = self._desk.open_case()
        if what in OF_PREDICTION:
            predicted(case)
        return case

    def _decide_slice(self, case: OpenCase, what: str) -> None:
        axis, index = self._slice_on_screen()
        where = one_slice(case.annotation.shape, axis, index)
        edit = decided(case, what, where, f"{VERBS[what]} slice", self._run)
        self._desk.edited()
        self._say_of_edit(outcome(edit, what))

    def _decide(self, case: OpenCase, what: str, where: Selection | None, part: str) -> None:
        self._put(case, what, partial(decided, case, what, where, f"{VERBS[what]} {part}", self._run))

    def _decide_at(self, case: OpenCase, what: str, voxel: tuple[int, int, int] | None) -> None:
        prediction, run = predicted(case), self._run
        if voxel is None or not prediction[voxel]:
            raise StudyError(NO_PIECE)

        def action() -> Edit:
            return decided(case, what, connected(prediction, voxel), f"{VERBS[what]} piece", run)

        self._put(case, what, action)

    def _put(self, case: OpenCase, what: str, action: Callable[[], Edit]) -> None:
        """Queue a decision; none replaces one that waits."""
        source = deciding(case, what, action, self._desk.toucher(case))
        self._loads.put(f"decision {next(_serial)}", source)

    @property
    def _run(self) -> str | None:
        return None if self.study is None else self.study.active_run

    def _pointer(self) -> Sequence[float]:
        """Return where the pointer is, in mm of the display axes."""
        planes = self._planes
        if planes is not None and planes.shown and planes.pointer is not None:
            return planes.pointer
        return tuple(self._presenter.viewer.cursor.position)

    def _slice_on_screen(self) -> tuple[int, int]:
        current = self._presenter.current_slice()
        if current is None:
            raise StudyError("Slices can only be chosen in the 2D view: switch the viewer to 2D first.")
        return current


def case_voxel(case: OpenCase, place: Sequence[float]) -> tuple[int, int, int] | None:
    """Return the voxel in source order at display coordinates; None outside the scan."""
    index = np.rint(np.asarray(place)).astype(int)
    if np.any(index < 0) or np.any(index >= case.display.shape):
        return None
    x, y, z = case.display.indices_to_source(tuple(index))
    return int(x), int(y), int(z)
