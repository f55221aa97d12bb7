"""Something about the open study that is found out in the background and kept while nothing changes."""

from abc import ABC, abstractmethod
from typing import Generic

from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.worker import E, EventSource
from napari_dycon.study.study import Study

END_SECONDS = 5.0


class StudyWatch(ABC, Generic[E]):
    """Asks its question of the study that is open, each time that it is told to look.

    A question that fails has no answer; whoever opens the case in question is told why.
    """

    def __init__(self) -> None:
        self._study: Study | None = None
        self._queue = JobQueue(_ignore)

    def open_study(self, study: Study) -> None:
        """Look at ``study`` from now on."""
        self._study = study
        self.look()

    def look(self) -> None:
        """Look, in the background, at what is new since the last look."""
        if self._study is not None:
            self.ask("all", self.question(self._study))

    def close(self) -> None:
        """Forget the study."""
        self._queue.close(END_SECONDS)
        self._study = None
        self.forget()

    def ask(self, key: str, question: EventSource[E]) -> None:
        """Put a question in the place of one that waits under the same key."""
        self._queue.put(key, question, self.take)

    @abstractmethod
    def question(self, study: Study) -> EventSource[E]:
        """Return the job that looks at all of ``study``."""

    @abstractmethod
    def take(self, event: E) -> None:
        """Keep what was found; called in the GUI thread."""

    @abstractmethod
    def forget(self) -> None:
        """Keep nothing."""


def _ignore(sentence: str, details: str) -> None:
    del sentence, details
