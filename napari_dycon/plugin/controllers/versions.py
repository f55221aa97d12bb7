"""Earlier versions of the open case: listed, looked at, made the annotation again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from napari_dycon.engine.control import Control
from napari_dycon.plugin.background.worker import EventSource, plain_words
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.question import CANCEL
from napari_dycon.plugin.controllers.state import SessionState
from napari_dycon.plugin.controllers.version_rows import CaseVersions, VersionRow, version_row
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.study.study import Study
from napari_dycon.study.truth.edits import difference
from napari_dycon.study.truth.regions import everything


@dataclass(frozen=True, slots=True)
class VersionsListed:
    """The versions of a case, newest first."""

    case_id: str
    rows: tuple[VersionRow, ...]


@dataclass(frozen=True, slots=True)
class VersionRead:
    """The labels ``(x, y, z)`` of a version in source order, or why they cannot be read."""

    case_id: str
    generation: int
    labels: np.ndarray | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class VersionRestored:
    """A version is the annotation again, unless it was already or cannot be read."""

    case_id: str
    when: str
    changed: bool
    problem: str = ""


class VersionIntentions(SessionState):
    """What the person wants of the versions of the open case."""

    _list_asked: str | None = None

    @intention
    def show_versions(self, case_id: str | None = None) -> None:
        """List the versions of a case, which is opened for that; by default of the open one."""
        study = self._needed()
        case_id = case_id or self.case_id or self._desk.open_case().case_id
        if case_id != self.case_id:
            self.open_case(case_id)
        self._list_asked = case_id
        self._loads.put("versions", listing(study, case_id, self._desk.flush))

    @intention
    def look_at_version(self, generation: int) -> None:
        """Show a version in place of the annotation, which cannot be painted meanwhile."""
        if self.versions is None or self.versions.chosen == generation:
            return
        self.answer(CANCEL)
        self._choose_version(generation)
        if generation == self.versions.rows[0].generation:
            self._desk.look_at(None)
            self._tell_versions()
        else:
            self._loads.put("version", reading(self._needed(), self.versions.case_id, generation))

    @intention
    def restore_version(self, generation: int) -> None:
        """Make a version the annotation again, as one edit that can be undone."""
        study, case, versions = self._writable(), self._desk.case, self.versions
        if case is None or versions is None:
            return
        when = next(row.when for row in versions.rows if row.generation == generation)
        source = restoring(study, case, generation, when, self._desk.toucher(case))
        self._loads.put(f"restore version {case.case_id}", source)

    def close_versions(self) -> None:
        """Go back to the annotation as it is."""
        self._list_asked = None
        self._leave_versions()

    def _leave_versions(self) -> None:
        if self.versions is not None:
            self.versions = None
            self._desk.look_at(None)
            self._tell_versions()

    def _on_version_event(self, event: object) -> None:
        if event.case_id != self.case_id:
            return
        match event:
            case VersionsListed() if self._list_asked == event.case_id:
                self._on_versions_listed(event)
            case VersionRead() if self.versions is not None and self.versions.chosen == event.generation:
                self._on_version_read(event)
            case VersionRestored():
                self._on_version_restored(event)

    def _on_versions_listed(self, event: VersionsListed) -> None:
        if not event.rows:
            self._list_asked = None
            self.say("info", "This case has no versions yet: nothing is labelled in it.")
            return
        name = self._needed().case(event.case_id).name
        generations = [row.generation for row in event.rows]
        before = self.versions
        chosen = generations[0]
        if before is not None and before.chosen in generations and before.chosen != before.rows[0].generation:
            chosen = before.chosen
        if chosen == generations[0]:
            self._desk.look_at(None)
        damaged = frozenset() if before is None else before.damaged
        self.versions = CaseVersions(event.case_id, name, event.rows, chosen, damaged)
        self._tell_versions()

    def _on_version_read(self, event: VersionRead) -> None:
        if event.labels is None:
            self.versions = replace(self.versions, damaged=self.versions.damaged | {event.generation})
            self._choose_version(self.versions.rows[0].generation)
            self.say("error", event.problem)
        self._desk.look_at(event.labels)
        self._tell_versions()

    def _on_version_restored(self, event: VersionRestored) -> None:
        if event.problem:
            self.say("error", event.problem)
            return
        self.close_versions()
        if event.changed:
            self._desk.edited()
            self._say_of_edit(f"Restored {event.when}. Undo takes it back.")
        else:
            self.say("info", "Nothing was changed: that version is the same as what you have.")

    def _list_again(self) -> None:
        """After something was saved while the list is open."""
        if self.versions is not None and self.study is not None:
            self._loads.put("versions", listing(self.study, self.versions.case_id))

    def _choose_version(self, generation: int) -> None:
        self.versions = replace(self.versions, chosen=generation)

    def _tell_versions(self) -> None:
        self.versions_changed.emit()


def listing(study: Study, case_id: str, save_first: Callable[[], bool] | None = None) -> EventSource:
    """List the versions of a case, once everything painted is on disk."""

    def source(control: Control) -> Iterator[object]:
        del control
        if save_first is not None:
            save_first()
        shape, now = study.case(case_id).shape, datetime.now().astimezone()
        rows = (version_row(version, shape, now) for version in study.versions(case_id))
        yield VersionsListed(case_id, tuple(rows))

    return source


def reading(study: Study, case_id: str, generation: int) -> EventSource:
    """Read a version to look at it."""

    def source(control: Control) -> Iterator[object]:
        del control
        try:
            labels = study.annotation_version(case_id, generation).labels
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file, the others stay usable
            yield VersionRead(case_id, generation, None, plain_words(error))
        else:
            yield VersionRead(case_id, generation, labels)

    return source


def restoring(
    study: Study, case: OpenCase, generation: int, when: str, touch: Callable[[], None]
) -> EventSource:
    """Change the annotation of the open case to what it was in a version, as one edit."""

    def source(control: Control) -> Iterator[object]:
        del control
        try:
            version = study.annotation_version(case.case_id, generation)
            case.editor.reconcile()
            name, where = f"Restore the version of {when}", everything(version.shape)
            edit = difference(case.annotation, version, where, name, "restore")
            if edit:
                case.editor.apply(edit)
                touch()
            yield VersionRestored(case.case_id, when, bool(edit))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file, the others stay usable
            yield VersionRestored(case.case_id, when, False, plain_words(error))

    return source
