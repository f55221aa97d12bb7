"""What completed cases say about the active run, counted in the background and kept while nothing changes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from napari_dycon.engine.control import Control
from napari_dycon.errors import DyconError
from napari_dycon.guidance.quality import Check, Checks, check_case, to_check
from napari_dycon.plugin.background.study_watch import StudyWatch
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.study import Study

Stamp = tuple[str, str, float, int]
"""Run, version of the annotation, time and size of the prediction."""
Kept = Mapping[str, tuple[Stamp, tuple[Check, ...]]]


@dataclass(frozen=True, slots=True)
class Compared:
    """The checks of each case that can be checked, and what they are about."""

    kept: Kept


class CheckedBy(StudyWatch[Compared]):
    """The checks of the active run of the open study; ``on_change`` is called when they are others.

    Attributes
    ----------
    checks
        As far as they have been made.
    """

    def __init__(self, on_change: Callable[[], object]) -> None:
        super().__init__()
        self._on_change = on_change
        self.checks = Checks()
        self._kept: Kept = {}

    def question(self, study: Study) -> EventSource[Compared]:
        """Compare what is new since it was compared last."""
        return compare(study, self._kept)

    def take(self, event: Compared) -> None:
        """Keep the checks."""
        if event.kept != self._kept:
            self._kept = event.kept
            self.checks = Checks(check for _, checks in event.kept.values() for check in checks)
            self._on_change()

    def forget(self) -> None:
        """Keep no checks."""
        self.checks, self._kept = Checks(), {}


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
