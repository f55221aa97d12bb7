"""By whom what is known of each case is known, counted in the background and kept while nothing changes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from napari_dycon.engine.control import Control
from napari_dycon.errors import DyconError
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.study import Study
from napari_dycon.study.truth.summary import KnownSummary

END_SECONDS = 5.0


@dataclass
class KnownBy:
    """The summaries of the annotated cases of the open study; ``on_change`` is called when some are new.

    Attributes
    ----------
    summaries
        By case id; a case that is missing has not been counted yet.
    """

    on_change: Callable[[], object]
    summaries: dict[str, KnownSummary] = field(default_factory=dict)
    _stamps: dict[str, str] = field(default_factory=dict)
    _study: Study | None = None

    def __post_init__(self) -> None:
        """Make the queue that counts."""
        self._queue = JobQueue(_ignore)

    def open_study(self, study: Study) -> None:
        """Count the cases of ``study`` from now on."""
        self._study = study
        self.look()

    def look(self, cases: Sequence[str] | None = None) -> None:
        """Count, in the background, what was saved since it was counted last, of all cases or of some."""
        if self._study is not None:
            wanted = [case.id for case in self._study.cases] if cases is None else cases
            key = "all" if cases is None else "some"
            self._queue.put(key, count(self._study, wanted, self._stamps), self._take)

    def close(self) -> None:
        """Forget the study."""
        self._queue.close(END_SECONDS)
        self._study = None
        self.summaries.clear()
        self._stamps.clear()

    def _take(self, event: "Counted") -> None:
        if event.summaries:
            self.summaries.update(event.summaries)
            self._stamps.update(event.stamps)
            self.on_change()


@dataclass(frozen=True, slots=True)
class Counted:
    """Summaries that are new, and which version of its annotation each is about."""

    summaries: Mapping[str, KnownSummary]
    stamps: Mapping[str, str]


def count(study: Study, cases: Sequence[str], known: Mapping[str, str]) -> EventSource[Counted]:
    """Summarise the annotations of ``cases`` whose version is not the one in ``known``."""

    def source(control: Control) -> Iterator[Counted]:
        summaries, stamps = {}, {}
        for case_id in cases:
            if control.stopped:
                return
            try:
                stamp = study.annotation_stamp(case_id)
                if stamp != known.get(case_id, ""):
                    summaries[case_id], stamps[case_id] = study.annotation_summary(case_id), stamp
            except DyconError:  # whoever opens the case is told
                continue
        yield Counted(summaries, stamps)

    return source


def _ignore(sentence: str, details: str) -> None:
    del sentence, details
