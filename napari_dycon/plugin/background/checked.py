"""What completed cases say about the active run, counted in the background and kept while nothing changes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from napari_dycon.engine.control import Control
from napari_dycon.errors import DyconError
from napari_dycon.guidance.quality import Check, Checks, check_case, to_check
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.study import Study

END_SECONDS = 5.0

Stamp = tuple[str, str, float, int]
"""Run, version of the annotation, time and size of the prediction."""
Kept = Mapping[str, tuple[Stamp, tuple[Check, ...]]]


@dataclass
class CheckedBy:
    """The checks of the active run of the open study; ``on_change`` is called when they are others.

    Attributes
    ----------
    checks
        As far as they have been made.
    """

    on_change: Callable[[], object]
    checks: Checks = field(default_factory=Checks)
    _kept: Kept = field(default_factory=dict)
    _study: Study | None = None

    def __post_init__(self) -> None:
        """Make the queue that compares."""
        self._queue = JobQueue(_ignore)

    def open_study(self, study: Study) -> None:
        """Check the cases of ``study`` from now on."""
        self._study = study
        self.look()

    def look(self) -> None:
        """Compare, in the background, what is new since it was compared last."""
        if self._study is not None:
            self._queue.put("check", compare(self._study, self._kept), self._take)

    def close(self) -> None:
        """Forget the study."""
        self._queue.close(END_SECONDS)
        self._study = None
        self.checks, self._kept = Checks(), {}

    def _take(self, event: "Compared") -> None:
        if event.kept != self._kept:
            self._kept = event.kept
            self.checks = Checks(check for _, checks in event.kept.values() for check in checks)
            self.on_change()


@dataclass(frozen=True, slots=True)
class Compared:
    """The checks of each case that can be checked, and what they are about."""

    kept: Kept


def compare(study: Study, known: Kept) -> EventSource[Compared]:
    """Check the cases whose annotation or prediction is not the one in ``known``."""

    def source(control: Control) -> Iterator[Compared]:
        run, kept = study.active_run, {}
        for case in to_check(study, run) if run is not None else ():
            if control.stopped or run is None:
                return
            try:
                file = study.predictions.path(run, case.id).stat()
                stamp = (run, study.annotation_stamp(case.id), file.st_mtime, file.st_size)
                before = known.get(case.id)
                kept[case.id] = (
                    before
                    if before is not None and before[0] == stamp
                    else (stamp, tuple(check_case(study, run, case)))
                )
            except (DyconError, OSError):  # whoever opens the case is told
                continue
        yield Compared(kept)

    return source


def _ignore(sentence: str, details: str) -> None:
    del sentence, details
