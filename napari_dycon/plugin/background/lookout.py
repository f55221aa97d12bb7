"""Which scans of the open study cannot be used, looked up in the background and shown beside each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from napari_dycon.engine.control import Control
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.exchange.searching import Checked, check_scans
from napari_dycon.study.study import Study

END_SECONDS = 5.0


@dataclass
class Lookout:
    """The scans of the open study that cannot be used.

    Attributes
    ----------
    on_change
        Called when other scans cannot be used than before.
    on_lost
        Called with how many scans are not where they were, or were replaced, when these are more than before,
        and with the number of all.
    refused
        Those that cannot be used, by case id.
    """

    on_change: Callable[[], object]
    on_lost: Callable[[int, int], object]
    refused: dict[str, Checked] = field(default_factory=dict)
    _study: Study | None = None

    def __post_init__(self) -> None:
        """Make the queue that looks."""
        self._queue = JobQueue(_ignore)

    def open_study(self, study: Study) -> None:
        """Look at the scans of ``study`` from now on."""
        self._study = study
        self.look()

    def look(self) -> None:
        """Look again, in the background."""
        if self._study is not None:
            self._queue.put("scans", scan_check(self._study), self._take)

    def close(self) -> None:
        """Forget the study."""
        self._queue.close(END_SECONDS)
        self._study = None
        self.refused.clear()

    def _take(self, event: "Looked") -> None:
        if event.refused == self.refused:
            return
        before, self.refused = self.refused, dict(event.refused)
        self.on_change()
        lost = [one.case for one in self.refused.values() if one.lost]
        if any(not (case in before and before[case].lost) for case in lost):
            self.on_lost(len(lost), event.total)


@dataclass(frozen=True, slots=True)
class Looked:
    """The scans that cannot be used, by case id, of so many."""

    refused: Mapping[str, Checked]
    total: int


def scan_check(study: Study) -> EventSource[Looked]:
    """Look at the files of all scans of ``study``."""

    def source(control: Control) -> Iterator[Looked]:
        refused, total = {}, 0
        for checked in check_scans(study):
            if control.stopped:
                return
            total += 1
            if checked.reasons:
                refused[checked.case] = checked
        yield Looked(refused, total)

    return source


def _ignore(sentence: str, details: str) -> None:
    del sentence, details
