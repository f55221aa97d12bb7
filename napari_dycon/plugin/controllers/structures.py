"""The structures of the study: named, coloured, chosen, merged and removed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from napari_dycon.engine.control import Control
from napari_dycon.errors import StudyError
from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.tasks import NAMES
from napari_dycon.plugin.background.worker import EventSource, plain_words
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.logbook import Logbook
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.plugin.controllers.views import ViewIntentions
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.study.store.structures import read_notes
from napari_dycon.study.study import Study

LONGEST_NAME = 18
FIRST_NAME = "Structure 1"
MOVING = ("pan_zoom", "transform")
"""Tools that change no label."""


@dataclass(frozen=True, slots=True)
class Saved:
    """Everything painted is on disk; ``go_on`` is what was waiting for that."""

    go_on: Callable[[], None]


@dataclass(frozen=True, slots=True)
class StructuresRewritten:
    """A merge or removal has ended.

    Attributes
    ----------
    begun
        Whether annotations on disk may be other ones now than those in memory.
    problem
        Why it failed; an empty text when it did not.
    """

    begun: bool
    problem: str


class StructureIntentions(ViewIntentions):
    """What the person wants of the structures."""

    _log: Logbook
    _set_aside: OpenCase | None = None

    @intention
    def add_structure(self, name: str) -> None:
        """Add a structure and make it the active one."""
        study = self._settled()
        self.active_value = study.add_structure(name).value
        self._structures_edited()

    def _have_structure(self) -> None:
        """Make a first structure for whoever paints before there is one."""
        if self.study is not None and not self.study.read_only and not self.structures:
            self.add_structure(FIRST_NAME)
            self.say("info", f"“{FIRST_NAME}” was made to paint with; double-click its name to change it.")

    @intention
    def rename_structure(self, value: int, name: str) -> None:
        """Give the structure with label ``value`` another name."""
        self._settled().rename_structure(value, name)
        self._structures_edited()

    @intention
    def recolour_structure(self, value: int, color: str) -> None:
        """Give the structure with label ``value`` another colour, "#rrggbb"."""
        self._settled().recolour_structure(value, color)
        self._structures_edited()

    @intention
    def select_structure(self, value: int) -> None:
        """Paint with label ``value`` from now on; a hand that only moves the picture takes the brush."""
        self.active_value = value
        self._structures_edited()
        if self.tool in MOVING:
            self.take_tool("paint")

    @intention
    def merge_structures(self, value: int, into: int) -> None:
        """Ask whether one structure shall become part of another in every case, and do it."""
        study = self._rewritable()
        self._loads.put("structures", saved(self._desk.flush, partial(self._ask_merge, study, value, into)))

    @intention
    def remove_structure(self, value: int, background: bool = False) -> None:
        """Ask whether a structure shall leave every case, its voxels unlabelled or background, and do it."""
        study = self._rewritable()
        if len(study.structures) == 1:
            name = study.structure(value).name
            raise StudyError(f"“{name}” is the only structure: add another one before you remove it.")
        ask = partial(self._ask_removal, study, value, background)
        self._loads.put("structures", saved(self._desk.flush, ask))

    @intention
    def _ask_merge(self, study: Study, value: int, into: int) -> None:
        names = f"{quoted(study, value)} into {quoted(study, into)}"
        change = partial(study.structure_changes.merge, value, into)
        self._ask_change(f"Merge {names}{painted(study, value, 'in')}?", "Merge", change)

    @intention
    def _ask_removal(self, study: Study, value: int, background: bool) -> None:
        change = partial(study.structure_changes.remove, value, background=background)
        text = f"Remove {quoted(study, value)}{painted(study, value, 'from')}?"
        self._ask_change(text, "Remove", change)

    def _ask_change(self, text: str, verb: str, change: Callable[[], None]) -> None:
        question = Question(text, (("change", verb), (CANCEL, "Cancel")))
        self._ask(question, lambda key: self._rewrite(change) if key == "change" else None)

    @intention
    def _rewrite(self, change: Callable[[], None]) -> None:
        study = self._rewritable()
        if self._loads.busy:
            raise StudyError("A case is still being read or changed: try again in a moment.")
        self._log.leave()
        self.close_versions()
        self._presenter.retire()  # nothing may be painted from now on
        self._set_aside = self._desk.hand_over()
        if self._set_aside is not None:
            self._wanted = self._set_aside.case_id
        self._tasks.run("restructuring", "Changing structures", rewriting(study, change, self._desk.flush))
        self.cases_changed.emit()

    def _on_rewritten(self, event: StructuresRewritten) -> None:
        study, kept, self._set_aside = self._needed(), self._set_aside, None
        values = [structure.value for structure in study.structures]
        if self.active_value not in values:
            self.active_value = self._successor(study, values)
        self._structures_edited()
        self._known.look()
        self.suggestions = [place for place in self.suggestions if place.structure in values]
        self.suggestion_index = self._suggested = -1
        self.suggestions_changed.emit()
        if event.problem:
            self.say("error", event.problem)
        if kept is not None and not event.begun and kept.case_id == self._wanted:
            self._show(kept)
        elif self._wanted is not None:
            self._loads.put("case", jobs.loading(study, self._wanted, self._desk.flush))
        self._chores.put("suggestions", jobs.suggestions(study))

    def _successor(self, study: Study, values: list[int]) -> int:
        """Return what is painted from now on where the active structure is gone."""
        heirs = (note.becomes for note in reversed(read_notes(study.path)) if note.value == self.active_value)
        return next((heir for heir in heirs if heir in values), next(iter(values), 1))

    def _rewritable(self) -> Study:
        study = self._writable()
        if self.task.busy:
            raise StudyError(f"{NAMES[self.task.kind]} is under way: wait for its end or stop it first.")
        return study

    def _settled(self) -> Study:
        """The study, while its structures are not being changed: that holds it for long."""
        return self._rewritable() if self.task.kind == "restructuring" else self._writable()

    def _structures_edited(self) -> None:
        self._presenter.select_value(self.active_value)
        self._presenter.show_structures(self.structures)
        self.structures_changed.emit()
        self.cases_changed.emit()


def saved(save_first: Callable[[], bool], go_on: Callable[[], None]) -> EventSource:
    """Put everything painted on disk, then go on in the GUI thread."""

    def source(control: Control) -> Iterator[object]:
        del control
        jobs.save(save_first)
        yield Saved(go_on)

    return source


def rewriting(study: Study, change: Callable[[], None], save_first: Callable[[], bool]) -> EventSource:
    """Change the structures in all annotations once everything painted is on disk."""

    def source(control: Control) -> Iterator[object]:
        del control
        begun = False
        try:
            jobs.save(save_first)
            begun = True
            change()
            problem = ""
        except Exception as error:  # noqa: BLE001 - the case must come back into the viewer, whatever happened
            problem = plain_words(error)
        yield StructuresRewritten(begun, problem)

    return source


def painted(study: Study, value: int, how: str) -> str:
    """Say in how many cases a structure is painted, as far as it is saved: `` in 3 cases``."""
    count = sum(case.label_voxels.get(value, 0) > 0 for case in study.cases)
    return f" {how} {count} {'case' if count == 1 else 'cases'}" if count else ""


def quoted(study: Study, value: int) -> str:
    """Return the name of a structure, short enough for a question."""
    name = study.structure(value).name
    return f"“{name}”" if len(name) <= LONGEST_NAME else f"“{name[: LONGEST_NAME - 1].rstrip()}…”"
