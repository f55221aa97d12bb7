"""Places worth looking at, and the way through them."""

from collections.abc import Sequence

from psygnal import Signal

from napari_dycon.engine.events import Note
from napari_dycon.guidance.suggestions import CaseLooked, Suggestion
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.structures import Structures


class Suggestions:
    """Where the person is sent next.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Says that there are none.
    cases
        Goes to a place.
    structures
        Tells when structures are gone.
    chores
        Works in the background.

    Attributes
    ----------
    places, index
        Places worth looking at, best first, and which of them is on screen (-1: none).
    """

    changed = Signal()

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        cases: Cases,
        structures: Structures,
        chores: JobQueue,
    ) -> None:
        self._current, self._dialogue, self._cases = current, dialogue, cases
        self._structures, self._chores = structures, chores
        self.places: list[Suggestion] = []
        self.index = self._left = -1
        cases.opened.connect(self._leave)
        cases.gone.connect(self._drop)
        structures.rewritten.connect(self._on_rewritten)

    @intention
    def go_to(self, place: Suggestion) -> None:
        """Open the case of a place, if need be, and show its slice."""
        if place in self.places:
            self.index = self.places.index(place)
            self.changed.emit()
        self._cases.visit(place)

    @intention
    def step(self, step: int = 1) -> None:
        """Go to the next suggestion, or with a negative ``step`` to one before."""
        if not self.places:
            self._dialogue.say("info", "There are no suggestions at the moment.")
            return
        now = self.index if self.index >= 0 else self._left
        start = max(now, -1 if step > 0 else 0)
        self.go_to(self.places[(start + step) % len(self.places)])

    def clear(self) -> None:
        """Forget all places, without a word."""
        self.places, self.index, self._left = [], -1, -1

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
                self._show(event.suggestions)

    def _show(self, places: Sequence[Suggestion]) -> None:
        self.places = list(places)
        self.index = self._left = -1
        self.changed.emit()

    def _leave(self, case_id: str) -> None:
        """A place and its reason are about one case only."""
        if self.index >= 0 and self.places[self.index].case != case_id:
            self._left, self.index = self.index, -1
            self.changed.emit()

    def _drop(self, gone: Sequence[str]) -> None:
        """Forget the places in cases that were removed."""
        if any(place.case in gone for place in self.places):
            self._show([place for place in self.places if place.case not in gone])

    def _on_rewritten(self) -> None:
        """Forget the places of structures that are gone."""
        values = [structure.value for structure in self._structures.all]
        self._show([place for place in self.places if place.structure in values])
        self.look()
