"""From a few strokes to a piece: proposed, corrected by further strokes, taken over."""

from collections.abc import Callable
from functools import partial
from math import prod

import numpy as np

from napari_dycon.plugin.background.growth_jobs import Grown, growth
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.canvases.rest import Rest
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.labels import Labels
from napari_dycon.plugin.controllers.piece_sources import PieceSources
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.plugin.layers.seeds import Seeds
from napari_dycon.plugin.layers.styles import PREVIEW, STROKES
from napari_dycon.study.truth.growth import NO_STROKE, Growth, Opinion, Stroke
from napari_dycon.study.truth.pieces import PieceRequest
from napari_dycon.wording import millilitres

TAKE = "take"
FROM = "from:"
"""Begins the answer that chooses a source."""
AHEAD_MS = 1500
"""So long the hand rests before something is made that it may need later."""
HOW = "Draw a stroke inside; with Shift, outside."
WORKING = "A moment: it still grows."


class Grower:
    """Lets a person draw strokes, and proposes the piece that they are about.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Asks whether the piece is taken over.
    desk
        Has the open case.
    presenter
        Shows strokes and proposals.
    labels
        Takes pieces over in the background, and undoes it.
    structures
        Has the structure that grows.
    on_failure
        Told when growing fails in a way that nobody foresaw, with ``(sentence, traceback)``.
    """

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        presenter: Presenter,
        labels: Labels,
        structures: Structures,
        on_failure: Callable[[str, str], None],
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._presenter, self._labels, self._structures = presenter, labels, structures
        self._growths = JobQueue(on_failure)  # of its own, since a source may be slow
        self._seeds = Seeds(presenter.stage, self._on_stroke, self._leave)
        self._ahead = Rest(self._prepare, AHEAD_MS)
        self._strokes: tuple[Stroke, ...] = ()
        self._growth: Growth | None = None
        self._preview: np.ndarray | None = None
        self._sources = PieceSources()
        self._asked = self._turn = self._value = 0
        self._pending = self._in_haste = self._seen = False
        presenter.stroke_brush.undo, presenter.stroke_brush.redo = self.undo, self.redo
        structures.changed.connect(self._on_structure)

    @intention
    def start(self) -> None:
        """Let the person draw strokes inside and outside a piece; asked once more, call it off."""
        if self._seeds.in_hand:
            self._dialogue.answer(CANCEL)
            return
        case = self._labels.editable()
        self._desk.slice_on_screen()
        self._structures.have_one()
        self._value = self._structures.active_structure().value
        self._dialogue.answer(CANCEL)
        self._desk.end_stroke()
        self._sources.look()
        self._strokes, self._growth = (), None
        self._pending = self._in_haste = self._seen = False
        self._preview = np.zeros(case.annotation.shape, np.uint8, order="F")
        self._seeds.start()
        self._ask(HOW)

    def undo(self) -> None:
        """Take back the last stroke; without strokes in hand, the last change of the labels."""
        if not self._seeds.in_hand:
            self._labels.undo()
        elif self._strokes:
            *kept, last = self._strokes
            self._strokes = tuple(kept)
            self._seeds.repaint(last.where.box, kept)
            self._grow()

    def redo(self) -> None:
        """Do again what was undone last; strokes are drawn again."""
        if not self._seeds.in_hand:
            self._labels.redo()

    # ---- growing -----------------------------------------------------------------------------

    def _on_stroke(self, stroke: Stroke) -> None:
        if stroke.where.voxels:
            self._strokes = (*self._strokes, stroke)
            self._grow()

    def _on_structure(self) -> None:
        """Let another structure grow from the same strokes."""
        if self._seeds.in_hand and self._structures.active_value != self._value:
            self._value = self._structures.active_value
            self._grow()

    @intention
    def _grow(self) -> None:
        case = self._desk.open_case()
        self._turn += 1
        self._pending = any(stroke.inside for stroke in self._strokes)
        if not self._pending:
            self._show(None)
            self._ask(NO_STROKE if self._strokes else HOW)
            return
        source, turn = self._sources.in_use, self._turn
        model = None if case.prediction is None else Opinion(case.prediction, case.entropy)
        structure = self._structures.active_structure()
        request = PieceRequest(case.picture.volume, case.annotation, structure, self._strokes, model)
        job = growth(source, request, turn, lambda: self._turn == turn)
        self._growths.put("growth", job, self._on_grown)
        if source.patience or self._dialogue.question is None:
            self._ask(source.patience or WORKING)

    def _on_grown(self, event: Grown) -> None:
        if event.turn != self._turn or not self._seeds.in_hand or self._desk.case is None:
            return
        self._pending = False
        self._show(event.growth)
        if event.growth is None:
            self._in_haste = False
            self._ask(event.sentence)
        elif self._in_haste:
            self._end(TAKE)
        else:
            volume = event.growth.piece.sum() * prod(self._desk.case.volume.geometry.spacing) / 1000
            self._ask(f"Take this piece over? {millilitres(volume)}", (TAKE, "Take over"))

    def _show(self, grown: Growth | None) -> None:
        before, self._growth = self._growth, grown
        if self._preview is not None:
            if before is not None:
                self._preview[before.box] = 0
            if grown is not None:
                self._preview[grown.box] = grown.labels
            if grown is not None and not self._seen:
                self._seen = True
                self._presenter.show_preview(self._preview)
            else:
                self._presenter.redraw_preview()

    # ---- where pieces come from ----------------------------------------------------------------

    def _use(self, name: str) -> None:
        self._sources.chosen = name
        self._grow()

    @property
    def busy(self) -> bool:
        """Whether a piece is on its way."""
        return self._growths.busy

    def close(self, seconds: float) -> bool:
        """Let go of everything; return whether what was on its way ended within so many seconds."""
        self._ahead.stop()
        ended = self._growths.close(seconds)
        self.let_go()
        return ended

    def begin_case(self) -> None:
        """Prepare for another case."""
        self.let_go()
        self._ahead.wait()

    def _prepare(self) -> None:
        """Have one of the layers made while the hand rests; made at their first use, they held the window."""
        stage, annotation = self._presenter.stage, self._presenter.annotation
        if self._desk.case is None or annotation is None or not stage.on_screen:
            return
        busy = self._seeds.in_hand or annotation.in_stroke or self._dialogue.question is not None
        if busy or any(stage.prepare(role) for role in (STROKES, PREVIEW)):
            self._ahead.wait()

    def let_go(self) -> None:
        """Let the sources go of the case of before."""
        self._sources.let_go()

    # ---- the question ------------------------------------------------------------------------

    def _ask(self, text: str, *answers: tuple[str, str]) -> None:
        self._asked += 1  # so that the question before, which this one cancels, calls nothing off
        offered = self._sources.titles()
        ways = tuple((FROM + name, title) for name, title in offered.items()) if len(offered) > 1 else ()
        question = Question(text, (*answers, (CANCEL, "Cancel")), ways, FROM + self._sources.chosen)
        self._dialogue.ask(question, partial(self._on_answer, self._asked))

    def _on_answer(self, asked: int, key: str) -> None:
        if asked != self._asked or not self._seeds.in_hand:
            return
        if key.startswith(FROM):
            self._use(key.removeprefix(FROM))
        elif key == TAKE and self._pending:
            self._in_haste = True
            self._ask(WORKING)
        else:
            self._end(key)

    def _leave(self) -> None:
        self._dialogue.answer(CANCEL)

    def _end(self, key: str) -> None:
        case, grown = self._desk.case, self._growth
        self._strokes, self._growth, self._preview = (), None, None
        self._turn += 1
        self._seeds.stop()
        self._asked += 1
        self._dialogue.answer(CANCEL)
        if key == TAKE and case is not None and grown is not None:
            self._take(case, grown)
        else:
            self._presenter.show_preview(None)

    @intention
    def _take(self, case: OpenCase, grown: Growth) -> None:
        self._current.writable()

        def work() -> str:
            case.editor.reconcile()
            case.editor.apply(grown.edit(case.annotation))
            return ""

        self._labels.change(case, work)
