"""Which scans of the open study cannot be used, looked up in the background and shown beside each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from napari_dycon.engine.control import Control
from napari_dycon.plugin.background.study_watch import StudyWatch
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.exchange.searching import Checked, check_scans
from napari_dycon.study.study import Study


@dataclass(frozen=True, slots=True)
class Looked:
    """The scans that cannot be used, by case id, of so many."""

    refused: Mapping[str, Checked]
    total: int


class Lookout(StudyWatch[Looked]):
    """The scans of the open study that cannot be used.

    Parameters
    ----------
    on_change
        Called when other scans cannot be used than before.
    on_lost
        Called with how many scans are not where they were, or were replaced, when these are more than before,
        and with the number of all.

    Attributes
    ----------
    refused
        Those that cannot be used, by case id.
    """

    def __init__(self, on_change: Callable[[], object], on_lost: Callable[[int, int], object]) -> None:
        super().__init__()
        self._on_change, self._on_lost = on_change, on_lost
        self.refused: dict[str, Checked] = {}

    def question(self, study: Study) -> EventSource[Looked]:
        """Look at the files of all scans."""
        return scan_check(study)

    def take(self, event: Looked) -> None:
        """Keep what cannot be used."""
        if event.refused == self.refused:
            return
        before, self.refused = self.refused, dict(event.refused)
        self._on_change()
        lost = [one.case for one in self.refused.values() if one.lost]
        if any(not (case in before and before[case].lost) for case in lost):
            self._on_lost(len(lost), event.total)

    def forget(self) -> None:
        """Keep nothing."""
        self.refused.clear()


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
