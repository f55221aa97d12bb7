"""Places worth looking at, and the way through them."""

from collections.abc import Callable, Sequence

from psygnal import Signal

from napari_dycon.engine.events import Note
from napari_dycon.guidance.suggestions import CaseLooked, Suggestion
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.canvases.signposts import BoxInSpace, Signposts
from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.follow_up import FollowUp
from napari_dycon.plugin.controllers.followed import key_of
from napari_dycon.plugin.controllers.gallery import Gallery
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.controllers.verdict import Verdict
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.study.store.place_log import CASE, DONE, REGION, SKIPPED, SLICE, Key, Level, Outcome
from napari_dycon.study.study import Study

WAITING = "waiting"
NONE = "There are no suggestions at the moment."
ALL = "All suggestions are done or skipped. The next training brings new ones."
NOT_THERE = "Go to a suggestion first, with its card or the key for the next one."
UNTOUCHED: dict[Level, str] = {
    SLICE: "Nothing on this slice was changed yet: correct, accept or complete it, or skip the suggestion.",
    REGION: "This piece is not decided yet: accept or reject it, or skip the suggestion.",
    CASE: "Nothing in this case was changed yet: correct and complete it, or skip the suggestion.",
}


class Suggestions:
    """Where the person is sent next.

    Signals: ``changed`` follows the places and what became of them.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Says that there are none.
    desk
        Has the slice that is worked on.
    presenter
        Knows where on the screen a box lies.
    cases
        Goes to a place.
    structures
        Tells when structures are gone.
    signposts
        Has the box drawn.
    chores
        Works in the background.
    on_failure
        Called with a sentence and details when pictures cannot be made, or the log not be written.

    Attributes
    ----------
    places, index
        Places worth looking at, best first, and which of them is on screen (-1: none).
    record
        Writes down what became of them.
    verdict
        What they have brought.
    gallery
        Has pictures of them.
    """

    changed = Signal()

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        presenter: Presenter,
        cases: Cases,
        structures: Structures,
        signposts: Signposts,
        chores: JobQueue,
        on_failure: Callable[[str, str], None],
    ) -> None:
        self._current, self._dialogue, self._desk, self._presenter = current, dialogue, desk, presenter
        self._cases, self._structures, self._signposts = cases, structures, signposts
        self._chores, self.gallery = chores, Gallery(on_failure)
        self.places: list[Suggestion] = []
        self.index = self._left = -1
        self._ended: dict[Key, str] = {}
        self._on_way: Suggestion | None = None
        self.record = FollowUp(desk, presenter, cases.list.logbook, on_failure)
        self.verdict = Verdict(current, dialogue, cases.list, self.record, on_failure)
        cases.opened.connect(self._on_opened)
        cases.closing.connect(self.record.leave)
        cases.gone.connect(self._drop)
        structures.rewritten.connect(self._on_rewritten)
        for signal in (desk.stroked, desk.rewritten):
            signal.connect(self._on_work)

    # ---- the queue ---------------------------------------------------------------------------

    @property
    def here(self) -> Suggestion | None:
        """The place on screen, or None."""
        return self.places[self.index] if 0 <= self.index < len(self.places) else None

    @property
    def piece(self) -> tuple[int, int, int] | None:
        """A voxel of the piece that is asked about; None where none is, or it is decided."""
        place = self.here
        return None if place is None or self.state_of(place) != WAITING else place.voxel

    @property
    def waiting(self) -> list[Suggestion]:
        """Places that are neither done nor skipped."""
        return [place for place in self.places if self.state_of(place) == WAITING]

    def state_of(self, place: Suggestion) -> str:
        """Return what became of a place: waiting, done or skipped."""
        return self._ended.get(key_of(place), WAITING)

    @intention
    def go_to(self, place: Suggestion) -> None:
        """Open the case of a place, if need be, and show its slice."""
        if place in self.places:
            self.index = self.places.index(place)
            self.changed.emit()
        self._on_way = place
        self._signposts.frame(None)
        self._cases.visit(place)

    @intention
    def step(self, step: int = 1) -> None:
        """Go to the next suggestion that waits, or with a negative ``step`` to the one before."""
        if not self.places:
            self._dialogue.say("info", NONE)
            return
        now = self.index if self.index >= 0 else self._left
        start = max(now, -1 if step > 0 else 0)
        count = len(self.places)
        ways = [self.places[(start + step * turn) % count] for turn in range(1, count + 1)]
        open_ones = [place for place in ways if self.state_of(place) == WAITING] if step > 0 else ways
        if open_ones:
            self.go_to(open_ones[0])
        else:
            self._dialogue.say("info", ALL)

    @intention
    def skip(self) -> None:
        """Leave the place on screen out, and go on."""
        place = self.here
        if place is None:
            self._dialogue.say("info", NOT_THERE)
        else:
            self._end(place, SKIPPED)

    @intention
    def finish(self) -> None:
        """Go on from a place whose slice was completed or corrected."""
        place = self.here
        followed = None if place is None else self.record.find(place)
        if place is None:
            self._dialogue.say("info", NOT_THERE)
        elif self.state_of(place) == DONE or (followed is not None and followed.worked_on):
            self._end(place, DONE)
        else:
            self._dialogue.say("info", UNTOUCHED[place.level])

    def _end(self, place: Suggestion, state: Outcome) -> None:
        self._ended[key_of(place)] = state
        self.record.end(place, state)
        self._signposts.frame(None)
        self.changed.emit()
        self.step()

    # ---- on the way --------------------------------------------------------------------------

    def _on_opened(self, case_id: str) -> None:
        """Put a frame around the place one was sent to; a place and its reason are about one case only."""
        place, self._on_way = self._on_way, None
        self.record.follow(self.places)
        self._see_settled()
        if place is not None and place.case == case_id:
            if place.structure:
                self._presenter.select_value(place.structure)
            self.record.arrive(place)
            if place.level != CASE:
                self._signposts.frame(BoxInSpace(*self._presenter.slices.edges_of(place)))
        elif self.index >= 0 and self.places[self.index].case != case_id:
            self._left, self.index = self.index, -1
            self._signposts.frame(None)
            self.changed.emit()

    def _on_work(self) -> None:
        """Take the frame away when work begins."""
        self._signposts.frame(None)
        self.record.see_work()
        self._see_settled()

    def _see_settled(self) -> None:
        """Tick off what is complete by now, whether or not the person came to it as a place."""
        ways = ((place, self.record.find(place)) for place in self.waiting)
        settled = [key_of(place) for place, followed in ways if followed is not None and followed.settled]
        if settled:
            self._ended |= dict.fromkeys(settled, DONE)
            self.changed.emit()

    # ---- where places come from --------------------------------------------------------------

    def open_study(self, study: Study | None) -> None:
        """Forget all places, without a word; what becomes of others is written to ``study``."""
        self.places, self.index, self._left = [], -1, -1
        self._ended, self._on_way = {}, None
        self.gallery.clear()
        self._signposts.frame(None)
        if study is not None:
            self.record.open_study(study)
            self.verdict.look()

    def close(self) -> None:
        """Let go of the study."""
        self.record.close()
        self.verdict.close()
        self.gallery.close()
        self.open_study(None)

    def look(self) -> None:
        """Look for places in the background."""
        if self._current.study is not None:
            self._chores.put("suggestions", jobs.suggestions(self._current.study), self.take)

    def take(self, event: jobs.Searching | CaseLooked | Note | jobs.SuggestionsReady) -> None:
        """Take what a search for places tells."""
        match event:
            case Note():
                self._dialogue.say(event.level, event.text)
            case jobs.SuggestionsReady():
                self._ended = {key: state for key, state in self._ended.items() if state == SKIPPED}
                self.gallery.clear()
                self._show([place for place in event.suggestions if self.state_of(place) == WAITING])

    def _show(self, places: Sequence[Suggestion]) -> None:
        self.places = list(places)
        self.index = self._left = -1
        self.record.follow(self.places)
        self._signposts.frame(None)
        self.changed.emit()
        if self._current.study is not None:
            self.gallery.make(self._current.study, self.places)

    def _drop(self, gone: Sequence[str]) -> None:
        """Forget the places in cases that were removed."""
        if any(place.case in gone for place in self.places):
            self._show([place for place in self.places if place.case not in gone])

    def _on_rewritten(self) -> None:
        """Forget the places of structures that are gone."""
        values = [structure.value for structure in self._structures.all]
        self._show([place for place in self.places if place.structure in values])
        self.look()
