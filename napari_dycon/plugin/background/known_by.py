"""By whom what is known of each case is known, counted in the background and kept while nothing changes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from napari_dycon.engine.control import Control
from napari_dycon.errors import DyconError
from napari_dycon.plugin.background.study_watch import StudyWatch
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.study import Study
from napari_dycon.study.truth.summary import KnownSummary


@dataclass(frozen=True, slots=True)
class Counted:
    """Summaries that are new, and which version of its annotation each is about."""

    summaries: Mapping[str, KnownSummary]
    stamps: Mapping[str, str]


class KnownBy(StudyWatch[Counted]):
    """The summaries of the annotated cases of the open study; ``on_change`` is called when some are new.

    Attributes
    ----------
    summaries
        By case id; a case that is missing has not been counted yet.
    """

    def __init__(self, on_change: Callable[[], object]) -> None:
        super().__init__()
        self._on_change = on_change
        self.summaries: dict[str, KnownSummary] = {}
        self._stamps: dict[str, str] = {}

    def question(self, study: Study) -> EventSource[Counted]:
        """Count what was saved since it was counted last."""
        return count(study, [case.id for case in study.cases], self._stamps)

    def look_at(self, cases: Sequence[str]) -> None:
        """Count, in the background, what was saved of these cases since it was counted last."""
        if self._study is not None:
            self.ask("some", count(self._study, cases, self._stamps))

    def take(self, event: Counted) -> None:
        """Keep the summaries."""
        if event.summaries:
            self.summaries.update(event.summaries)
            self._stamps.update(event.stamps)
            self._on_change()

    def forget(self) -> None:
        """Keep no summaries."""
        self.summaries.clear()
        self._stamps.clear()


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
