"""Writes down, in the study, what became of the places that were suggested."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count

from psygnal import Signal

from napari_dycon.errors import DyconError
from napari_dycon.guidance.suggestions import Suggestion
from napari_dycon.plugin.background.place_jobs import PlaceWriter, do_once, write_places
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.followed import Followed, key_of
from napari_dycon.plugin.controllers.logbook import Logbook
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.study.store.place_log import CASE, Key, Outcome
from napari_dycon.study.study import Study

END_SECONDS = 5.0


class FollowUp:
    """Follows the suggested places of the open case.

    Signals: ``written`` comes when the log of the study has grown.

    Parameters
    ----------
    desk
        Has the open case.
    presenter
        Knows which slice is on screen.
    logbook
        Counts the time.
    on_failure
        Called with a sentence and details when the log cannot be written; it is tried again.
    """

    written = Signal()

    def __init__(
        self, desk: Desk, presenter: Presenter, logbook: Logbook, on_failure: Callable[[str, str], None]
    ) -> None:
        self._desk, self._presenter, self._logbook = desk, presenter, logbook
        self._queue = JobQueue(on_failure)
        self._writer: PlaceWriter | None = None
        self._followed: dict[Key, Followed] = {}
        self._arrived: tuple[Key, float] | None = None
        self._serial = count()

    def open_study(self, study: Study) -> None:
        """Write to the log of ``study`` from now on, if it may be changed."""
        self._writer = None if study.read_only else PlaceWriter(study.path)

    def follow(self, places: Sequence[Suggestion]) -> None:
        """Follow these places from now on, as far as they lie in the open case."""
        self.leave()
        case = self._desk.case
        if case is not None:
            for place in places:
                if place.case == case.case_id:
                    self._begin(place)

    def arrive(self, place: Suggestion) -> None:
        """Count the time from now on: the person was sent to a place in the open case."""
        self._arrived = key_of(place), self._logbook.seconds
        if key_of(place) not in self._followed:
            self._begin(place)

    def see_work(self) -> None:
        """Take note that something was changed on the slice on screen."""
        on_screen = self._presenter.slices.current_slice()
        for followed in self._followed.values():
            followed.see_work(on_screen)

    def find(self, place: Suggestion) -> Followed | None:
        """Return a place of the open case as it was; None where it is not followed."""
        return self._followed.get(key_of(place))

    def end(self, place: Suggestion, outcome: Outcome) -> None:
        """Write down that a place is done or skipped."""
        followed = self.find(place)
        if followed is not None:
            self._put_down(followed, outcome)
            self._arrived = None
            self._begin(place)

    def leave(self) -> None:
        """Write down what was worked on and is left without a word."""
        for followed in self._followed.values():
            if followed.worked and followed.worked_on:
                self._put_down(followed, followed.how_left)
        self._followed, self._arrived = {}, None

    def close(self) -> None:
        """Write what waits and let go of the study."""
        self.leave()
        self._queue.close(END_SECONDS)
        if self._writer is not None:
            with suppress(DyconError):  # no label is lost with it
                self._writer.write()
        self._writer = None

    def _begin(self, place: Suggestion) -> None:
        case = self._desk.case
        if case is not None:
            followed = self._followed[key_of(place)] = Followed.begin(case, place)
            if place.level == CASE:
                self._queue.put(f"count {next(self._serial)}", do_once(followed.count_before), _nothing)

    def _put_down(self, followed: Followed, outcome: Outcome) -> None:
        if self._writer is None:
            return
        seconds = self._seconds_at(followed)
        if followed.place.level == CASE:
            self._writer.add(partial(followed.entry, outcome, seconds))
        else:
            entry = followed.entry(outcome, seconds)
            self._writer.add(lambda: entry)
        self._queue.put("log", write_places(self._writer), self._on_written)

    def _seconds_at(self, followed: Followed) -> float | None:
        if self._arrived is None or self._arrived[0] != key_of(followed.place):
            return None
        return self._logbook.seconds - self._arrived[1]

    def _on_written(self, lines: int) -> None:
        if lines:
            self.written.emit()


def _nothing(event: object) -> None:
    del event
