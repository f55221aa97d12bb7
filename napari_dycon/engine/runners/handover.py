"""What follows when a training that does not hold the study has ended: somebody makes its run active."""

from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from napari_dycon.engine.events import Event, Note, RunFinished
from napari_dycon.errors import DyconError, StudyError
from napari_dycon.study.store.runs import propose
from napari_dycon.study.study import Study

if TYPE_CHECKING:
    from collections.abc import Generator


def hand_over(study: Study) -> bool:
    """Have the runs adopted that were proposed; return whether that is done.

    Where another program holds the study, that program does it as soon as it looks, or else whoever opens the
    study next.

    Raises
    ------
    StudyError, VolumeError
        When the study cannot be written; the run waits on.
    """
    if not study.read_only:
        study.adopt_runs()
        return True
    with suppress(StudyError):
        Study.open(study.path, read_only=False).close()
        return True
    return False


def make_active(study: Study, run: str) -> None:
    """Choose the run whose predictions are shown, whoever holds the study."""
    propose(study.run_dir(run))
    hand_over(study)


def handing_over(study: Study, events: "Generator[Event, None, None]") -> Iterator[Event]:
    """Pass events on, and see to the run before the last one."""
    with closing(events):
        for event in events:
            if isinstance(event, RunFinished) and event.reason != "failed" and event.iteration > 0:
                yield from _announce(study, event.run)
            yield event


def _announce(study: Study, run: str) -> Iterator[Note]:
    try:
        done = hand_over(study)
    except DyconError as error:
        yield Note(
            "warning", f"Run {run} could not be made the active one; the next opening does it: {error}"
        )
        return
    if not done:
        yield Note("info", f"The program that has this study open takes run {run} up.")
