"""Annotations put on disk while they are painted, from a thread of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from napari_dycon.errors import DyconError
from napari_dycon.study.truth.draft import Draft
from napari_dycon.study.truth.editing import AnnotationEditor

QUIET_SECONDS = 1.5
LONGEST_SECONDS = 3.0
RETRY_SECONDS = 5.0
LOOK_SECONDS = 15.0
TICK_SECONDS = 0.25


class Keeper(Protocol):
    """Who puts an annotation on disk: a study that is open for writing."""

    def save_annotation(
        self, case_id: str, annotation: Draft, reason: str, names: Sequence[str] = (), run: str | None = None
    ) -> object:
        """Replace the annotation of a case."""


@dataclass(slots=True)
class Pending:
    """When an annotation was touched since it was last saved, by the clock in seconds."""

    editor: AnnotationEditor
    first: float
    last: float
    not_before: float = 0.0

    def due(self) -> float:
        """When to save: soon after the last stroke, and during painting every few seconds."""
        return max(self.not_before, min(self.last + QUIET_SECONDS, self.first + LONGEST_SECONDS))


class Autosaver:
    """Saves edited annotations of one study: within 4 s of a stroke, and at the end of the program.

    It also looks from time to time whether the annotation that was touched last was changed without anybody
    saying so. Its thread ends with `close`, or by itself after saving when the main thread has ended.

    Parameters
    ----------
    study
        Open for writing.
    on_saved
        Called with the case id after each save, in the saving thread.
    on_error
        Called with the case id and a sentence when a save failed, in the saving thread; it is tried again.
    clock
        Seconds that only grow.
    """

    def __init__(
        self,
        study: Keeper,
        on_saved: Callable[[str], object],
        on_error: Callable[[str, str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study = study
        self._on_saved = on_saved
        self._on_error = on_error
        self._clock = clock
        self._condition = threading.Condition()
        self._pending: dict[str, Pending] = {}
        self._watched: tuple[str, AnnotationEditor] | None = None
        self._looked = clock()
        self._failures: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._requested = self._flushed = 0
        self._closing = self._ended = False
        self._thread = threading.Thread(target=self._run, name="dycon-autosave")
        self._thread.start()

    def touch(self, case_id: str, editor: AnnotationEditor) -> None:
        """Say that an annotation was changed or may have been; returns at once.

        Raises
        ------
        RuntimeError
            After `close`, or where another editor of the case waits to be saved.
        """
        now = self._clock()
        with self._condition:
            if self._closing:
                raise RuntimeError("the autosaver is closed")
            pending = self._pending.setdefault(case_id, Pending(editor, now, now))
            if pending.editor is not editor:
                raise RuntimeError(f"flush before another editor of {case_id} is used")
            pending.last = now
            self._watched = (case_id, editor)

    def flush(self, timeout: float = 30.0) -> bool:
        """Save everything that waits now; return whether it is all on disk.

        A failure counts until the same annotation is saved, whoever asks and however many at once.

        Parameters
        ----------
        timeout
            Longest time to wait, in seconds of real time.
        """
        with self._condition:
            if self._ended:
                return self._all_saved()
            self._requested += 1
            wanted = self._requested
            self._told.clear()
            self._condition.notify_all()
            done = self._condition.wait_for(lambda: self._flushed >= wanted, timeout)
            return done and not self._failures

    @property
    def unsaved(self) -> dict[str, str]:
        """Why annotations could not be saved when that was tried last, by case id; they are kept."""
        with self._condition:
            return dict(self._failures)

    def close(self, timeout: float = 30.0) -> bool:
        """Save everything that waits and end the thread; return whether it is all on disk."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        self._thread.join(timeout)
        with self._condition:
            return self._ended and self._all_saved()

    def _run(self) -> None:
        ending = False
        while not ending:
            with self._condition:
                self._condition.wait_for(self._is_hurried, TICK_SECONDS)
                ending = self._closing or not threading.main_thread().is_alive()
                requested = self._requested
                due = self._take_due(everything=ending or requested > self._flushed)
            for case_id, pending in due.items():
                self._save(case_id, pending)
            with self._condition:
                self._ended = ending
                self._flushed = self._requested if ending else requested
                self._condition.notify_all()

    def _all_saved(self) -> bool:
        return not (self._failures or self._pending)

    def _is_hurried(self) -> bool:
        return self._closing or self._requested > self._flushed

    def _take_due(self, *, everything: bool) -> dict[str, Pending]:
        now = self._clock()
        due = {case: pending for case, pending in self._pending.items() if everything or pending.due() <= now}
        for case in due:
            del self._pending[case]
        if self._watched is not None and (everything or now - self._looked >= LOOK_SECONDS):
            case, editor = self._watched
            due.setdefault(case, Pending(editor, now, now))
            self._looked = now
        return due

    def _save(self, case_id: str, pending: Pending) -> None:
        taken = None
        try:
            taken = pending.editor.take()
            if taken is not None:
                self._study.save_annotation(case_id, *taken)
        except Exception as error:  # noqa: BLE001 - reported, and the thread must live to try again
            if taken is not None:
                pending.editor.take_back(taken.reason, taken.names, taken.run)
            self._on_failure(case_id, pending, error)
            return
        with self._condition:
            self._failures.pop(case_id, None)
            self._told.pop(case_id, None)
        if taken is not None:
            self._tell(self._on_saved, case_id)

    def _on_failure(self, case_id: str, pending: Pending, error: Exception) -> None:
        """Try again later, and report each failure once."""
        cause = str(error) if isinstance(error, DyconError) else f"{type(error).__name__}: {error}."
        with self._condition:
            later = self._pending.setdefault(case_id, pending)
            later.not_before = self._clock() + RETRY_SECONDS
            news = self._told.get(case_id) != cause
            self._failures[case_id] = self._told[case_id] = cause
        if news:
            sentence = (
                f"The labels of {case_id} are not saved yet: {cause} They are kept, saving is tried again."
            )
            self._tell(self._on_error, case_id, sentence)

    def _tell(self, callback: Callable[..., object], *details: str) -> None:
        """Call a listener; its own faults are reported as a thread's are, and do not end the saving."""
        try:
            callback(*details)
        except Exception as error:  # noqa: BLE001 - handed to the hook for uncaught exceptions
            threading.excepthook(
                threading.ExceptHookArgs((type(error), error, error.__traceback__, self._thread))
            )
