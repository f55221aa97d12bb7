"""Pictures of the places that are suggested."""

from collections.abc import Callable, Sequence

from psygnal import Signal

from napari_dycon.guidance.suggestions import Suggestion
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.thumbnails import PlacePictured, pictures
from napari_dycon.plugin.controllers.followed import key_of
from napari_dycon.study.store.place_log import Key
from napari_dycon.study.study import Study

END_SECONDS = 5.0


class Gallery:
    """Has places pictured in the background, one after another.

    Signals: ``pictured`` tells of which place there is a picture now.

    Parameters
    ----------
    on_failure
        Called with a sentence and details when pictures cannot be made.
    """

    pictured = Signal(object)

    def __init__(self, on_failure: Callable[[str, str], None]) -> None:
        self._artist = JobQueue(on_failure)
        self._pictures: dict[Key, PlacePictured] = {}

    def find(self, place: Suggestion) -> PlacePictured | None:
        """Return the picture of a place, as soon as there is one."""
        return self._pictures.get(key_of(place))

    def clear(self) -> None:
        """Forget all pictures."""
        self._pictures = {}

    def make(self, study: Study, places: Sequence[Suggestion]) -> None:
        """Picture the places of which there is no picture yet."""
        unseen = [place for place in places if key_of(place) not in self._pictures]
        if unseen:
            self._artist.put("pictures", pictures(study, unseen), self._take)

    def close(self) -> None:
        """Picture nothing more."""
        self._artist.close(END_SECONDS)

    def _take(self, event: PlacePictured) -> None:
        self._pictures[key_of(event.place)] = event
        self.pictured.emit(event.place)
