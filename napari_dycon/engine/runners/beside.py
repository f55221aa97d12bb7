"""While a run without an end is trained, what is saved of labels in its study joins it.

That is done in the process that trains, in a thread of its own: a window that trains apart is left in peace.
"""

import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing

from napari_dycon.engine.events import Event, Note, RunFinished, RunStarted
from napari_dycon.engine.joining import Joining
from napari_dycon.errors import DyconError
from napari_dycon.study.store.annotation_store import AnnotationStore
from napari_dycon.study.study import Study

LOOK_SECONDS = 2.0
REST = 3
"""After the work on new labels it rests so many times as long: the training shall keep the processor."""


def with_joining(study: Study, events: Generator[Event, None, None]) -> Generator[Event, None, None]:
    """Pass the events of a training on, and have labels join it that are saved meanwhile, by whomever.

    Only where the run is open-ended: one with a budget learns from what there was when it began.
    """
    watch = LabelWatch(study)
    with closing(events):
        try:
            for event in events:
                if isinstance(event, RunStarted) and event.open_ended:
                    watch.begin(event.run)
                if isinstance(event, RunFinished):
                    watch.end()
                yield event
                yield from watch.notes()
        finally:
            watch.end()


class LabelWatch:
    """Looks every few seconds whether labels were saved, and prepares them in a thread of its own.

    Parameters
    ----------
    study
        Open to read or to write; what is saved from now on is new.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._annotations = AnnotationStore(study.path)
        self._seen = self._annotations.stamps()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._notes: deque[Note] = deque()
        self._told: set[Note] = set()

    def begin(self, run: str) -> None:
        """Have what is new join a run from now on."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, args=(run,), name="dycon-joining")
            self._thread.start()

    def end(self) -> None:
        """Have nothing join any more; waits for what is being prepared."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def notes(self) -> Iterator[Note]:
        """What could not join and why, each told once."""
        while self._notes:
            yield self._notes.popleft()

    def _watch(self, run: str) -> None:
        joining, wait = None, LOOK_SECONDS
        while not self._stop.wait(wait):
            begun = time.monotonic()
            changed = self._changes()
            if changed:
                joining = self._offer(joining, run, changed)
            wait = max(LOOK_SECONDS, REST * (time.monotonic() - begun))

    def _changes(self) -> list[str]:
        """Cases of which something was saved since the last look."""
        before, self._seen = self._seen, self._annotations.stamps()
        names = [name for name, stamp in self._seen.items() if before.get(name) != stamp]
        return [name.removesuffix(".json") for name in names if ".next." not in name]

    def _offer(self, joining: Joining | None, run: str, cases: list[str]) -> Joining | None:
        try:
            joining = joining or Joining(self._study, run)
            for case in cases:
                if self._stop.is_set():
                    break
                for note in joining.offer(case):
                    self._tell(note)
        except DyconError as error:
            self._tell(Note("warning", str(error)))
        except Exception as error:  # noqa: BLE001 - the last line of defence: the training goes on without
            self._tell(Note("warning", f"New labels could not join: {type(error).__name__}: {error}."))
        return joining

    def _tell(self, note: Note) -> None:
        if note not in self._told:
            self._told.add(note)
            self._notes.append(note)
