"""What a person decides about a part of the open scan: a slice, a case, a piece, an outlined region."""

from functools import partial

import numpy as np

from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.region_jobs import (
    OF_PREDICTION,
    DecisionsSeen,
    Outline,
    PiecesFound,
    apply_decision,
    case_voxel,
    open_prediction,
    outcome,
    outline_of,
    piece_search,
    prediction_of,
)
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.labels import Labels
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.plugin.controllers.views import Views
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.plugin.layers.sketch import Shape, Sketch
from napari_dycon.plugin.layers.styles import SCAN
from napari_dycon.study.truth.edits import Edit
from napari_dycon.study.truth.regions import Selection, connected_piece, one_slice

VERBS = {
    "accept": "Accept",
    "reject": "Reject",
    "withdraw": "Take back",
    "complete": "Complete",
    "ignore": "Do not care about",
    "forget": "Forget",
    "reopen": "Reopen",
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
NO_PIECE = "There is no prediction under the pointer."


class Regions:
    """Decisions about predictions and regions.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Asks how far a region goes and what holds there.
    desk
        Has the open case.
    presenter
        Shows pieces of the prediction.
    labels
        Makes decisions in the background.
    views
        Knows the pointer and where the planes meet.
    loads
        Works in the background.
    """

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        presenter: Presenter,
        labels: Labels,
        views: Views,
        loads: JobQueue,
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._presenter, self._labels, self._views, self._loads = presenter, labels, views, loads
        rows = presenter.stage.list_layer
        self._sketch = Sketch(lambda: presenter.viewer, self._on_drawing, self._leave_sketch, rows)
        self._then: tuple[str, str] | None = None
        self._pieces: np.ndarray | None = None
        presenter.viewer.mouse_move_callbacks.append(self._on_pointer)
        views.pointed.connect(self.point)
        desk.rewritten.connect(self._see_decisions)

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
            self._loads.put("pieces", piece_search(case), self._on_pieces_found)
        else:
            self._draw("box", (what, part))

    @intention
    def decide_piece(self, what: str, voxel: tuple[int, int, int] | None = None) -> None:
        """Accept or reject the connected piece of the prediction at a voxel, by default under the pointer."""
        case = self._decidable(what)
        self._decide_at(case, what, voxel or self._voxel_under_pointer(case))

    # ---- regions -----------------------------------------------------------------------------

    @intention
    def start(self, shape: Shape = "box") -> None:
        """Let the person draw a box, polygon or outline on a slice in any plane, and ask what about it."""
        self._current.writable()
        self._draw(shape, None)

    def _draw(self, shape: Shape, then: tuple[str, str] | None) -> None:
        self._desk.open_case()
        self._desk.slice_on_screen()
        self._dialogue.answer(CANCEL)
        scan = self._presenter.layer(SCAN)
        assert scan is not None
        self._then = then
        self._sketch.start(shape, scan)
        self._dialogue.ask(Question(HOW_TO_DRAW[shape], ((CANCEL, "Cancel"),)), self._end_drawing)

    def _end_drawing(self, key: str) -> None:
        del key
        self._pieces = None
        self._presenter.show_pieces(None)
        if self._sketch.drawing:
            self._sketch.stop()

    def _leave_sketch(self) -> None:
        self._dialogue.answer(CANCEL)
        self._sketch.stop()

    @intention
    def _on_drawing(self, corners: np.ndarray) -> None:
        case, shape = self._desk.open_case(), self._sketch.drawing
        assert shape is not None
        if shape == "point":
            self._dialogue.answer(CANCEL)
            assert self._then is not None
            self._decide_at(case, self._then[0], case_voxel(case, corners[0]))
            return
        outline = outline_of(case.display, shape, corners)
        if outline is None:
            self._sketch.again()
            return
        self._sketch.hold()
        question = Question("Which slices?", DEPTH)
        self._dialogue.ask(question, partial(self._on_depth, outline))

    @intention
    def _on_depth(self, outline: Outline, key: str) -> None:
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
        answers = WITH_MODEL if self._desk.has_prediction else WITHOUT_MODEL
        self._dialogue.ask(Question("This region:", answers), partial(self._on_decision, selection))

    @intention
    def _on_decision(self, selection: Selection, key: str) -> None:
        self._sketch.stop()
        if key != CANCEL and self._desk.case is not None:
            self._decide(self._decidable(key), key, selection, "region")

    def _last_slice(self, outline: Outline) -> int:
        """Return how far the person has gone through the slices of the plane the outline is in."""
        case, point = self._desk.open_case(), self._views.meeting_point
        if point is not None:
            place = self._presenter.slices.voxel_at(point)
            voxel = None if place is None else case_voxel(case, place)
            return outline.index if voxel is None else voxel[outline.axis]
        axis, index = self._desk.slice_on_screen()
        return index if axis == outline.axis else outline.index

    # ---- pieces ------------------------------------------------------------------------------

    def _on_pieces_found(self, event: PiecesFound) -> None:
        if event.case is self._desk.case and self._sketch.drawing == "point":
            self._pieces = event.pieces
            self._presenter.show_pieces(event.pieces)
            self.point()

    def _on_pointer(self, *event: object) -> None:
        del event
        self.point()

    def point(self) -> None:
        """Show the piece under the pointer, on whichever canvas, while one is to be clicked."""
        case, pieces = self._desk.case, self._pieces
        if case is None or pieces is None:
            return
        voxel = self._voxel_under_pointer(case)
        self._presenter.point_at_piece(0 if voxel is None else int(pieces[voxel]))

    def _voxel_under_pointer(self, case: OpenCase) -> tuple[int, int, int] | None:
        place = self._presenter.slices.voxel_at(self._views.pointer)
        return None if place is None else case_voxel(case, place)

    # ---- inside ------------------------------------------------------------------------------

    def _decidable(self, what: str) -> OpenCase:
        case = self._labels.editable()
        if what in OF_PREDICTION:
            prediction_of(case)
        return case

    def _decide_slice(self, case: OpenCase, what: str) -> None:
        axis, index = self._desk.slice_on_screen()
        where = one_slice(case.annotation.shape, axis, index)
        edit = apply_decision(case, what, where, f"{VERBS[what]} slice", self._run)
        self._desk.take_edit()
        self._dialogue.say_of_edit(outcome(edit, what))

    def _decide(self, case: OpenCase, what: str, where: Selection | None, part: str) -> None:
        action = partial(apply_decision, case, what, where, f"{VERBS[what]} {part}", self._run)
        self._labels.decide(case, what, action)

    def _decide_at(self, case: OpenCase, what: str, voxel: tuple[int, int, int] | None) -> None:
        prediction, run = prediction_of(case), self._run
        if voxel is None or not prediction[voxel]:
            raise StudyError(NO_PIECE)

        def action() -> Edit:
            return apply_decision(case, what, connected_piece(prediction, voxel), f"{VERBS[what]} piece", run)

        self._labels.decide(case, what, action)

    @property
    def _run(self) -> str | None:
        return None if self._current.study is None else self._current.study.active_run

    def _see_decisions(self) -> None:
        case = self._desk.case
        if case is not None and case.decisions:
            self._loads.put("outlines", open_prediction(case), self._on_decisions_seen)

    def _on_decisions_seen(self, event: DecisionsSeen) -> None:
        self._desk.show_open_prediction(event.case)
