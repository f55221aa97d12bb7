"""The structures of the study: named, coloured, chosen, merged and removed."""

from collections.abc import Callable, Collection
from functools import partial
from itertools import chain

from psygnal import Signal

from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.structure_jobs import (
    Saved,
    Steps,
    StructuresRewritten,
    at_once,
    flush,
    rewrite,
)
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.plugin.layers.hand import Hand
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.study.store.schema import Structure, in_groups
from napari_dycon.study.store.structures import read_notes, require_unlocked
from napari_dycon.study.study import Study

LONGEST_NAME = 18
FIRST_NAME = "Structure 1"
MOVING = ("pan_zoom", "transform")
"""Tools that change no label."""


class Structures:
    """What the person wants of the structures.

    Signals: ``changed`` follows the list and the choice; ``edited`` follows the list, after ``changed``;
    ``rewriting`` comes before structures are changed in every annotation, to let go of the open one;
    ``rewritten`` comes after that, and tells whether annotations on disk may be other ones now than those
    in memory.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Asks whether structures shall be merged or removed.
    desk
        Has the open case.
    presenter, hand
        Show the structures, and have the tool to paint them with.
    loads, tasks
        Work in the background.

    Attributes
    ----------
    active_value
        Label value of the structure being painted.
    """

    changed = Signal()
    edited = Signal()
    rewriting = Signal()
    rewritten = Signal(bool)

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        presenter: Presenter,
        hand: Hand,
        loads: JobQueue,
        tasks: Tasks,
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._presenter, self._hand, self._loads, self._tasks = presenter, hand, loads, tasks
        self.active_value = 1
        desk.picked.connect(self._on_picked)
        desk.rewritten.connect(self._tell_stopped)
        desk.stroked.connect(self._show_painted)
        presenter.brush.stopped = self._on_stopped

    @property
    def all(self) -> tuple[Structure, ...]:
        """The structures of the study as they are listed, group by group; empty without one."""
        if self._current.study is None:
            return ()
        return tuple(chain.from_iterable(in_groups(self._current.study.structures).values()))

    @property
    def active(self) -> Structure | None:
        """The structure being painted."""
        return next((one for one in self.all if one.value == self.active_value), None)

    def active_structure(self) -> Structure:
        """Return the structure being painted.

        Raises
        ------
        StudyError
            When none is chosen.
        """
        if self.active is None:
            raise StudyError("Choose a structure first.")
        return self.active

    def open_study(self, study: Study) -> None:
        """Paint with what was painted last in ``study``."""
        tools, values = study.notebook.tools, [structure.value for structure in study.structures]
        resumed = tools is not None and tools.value in values
        self.active_value = tools.value if tools is not None and resumed else next(iter(values), 1)

    @intention
    def add(self, name: str) -> None:
        """Add a structure and make it the active one."""
        self.active_value = self._require_settled().add_structure(name).value
        self._tell_edited()

    def have_one(self) -> None:
        """Make a first structure for whoever paints before there is one."""
        study = self._current.study
        if study is not None and not study.read_only and not self.all:
            self.add(FIRST_NAME)
            text = f"“{FIRST_NAME}” was made to paint with; double-click its name to change it."
            self._dialogue.say("info", text)

    def take_first(self) -> None:
        """A study without structures takes those of the first labels that come."""
        values = [structure.value for structure in self.all]
        if self.active_value not in values:
            self.active_value = next(iter(values), 1)
        self._tell_edited()

    @intention
    def rename(self, value: int, name: str) -> None:
        """Give the structure with label ``value`` another name."""
        self._require_settled().change_structure(value, name=name)
        self._tell_edited()

    @intention
    def recolour(self, value: int, color: str) -> None:
        """Give the structure with label ``value`` another colour, "#rrggbb"."""
        self._require_settled().change_structure(value, color=color)
        self._tell_edited()

    @intention
    def change(self, values: Collection[int], what: str, becomes: str | bool) -> None:
        """Change whether structures are ``locked`` or ``hidden``, or their ``group``."""
        study = self._require_settled()
        for value in values:
            study.change_structure(value, **{what: becomes})
        self._tell_edited()

    @intention
    def select(self, value: int) -> None:
        """Paint with label ``value`` from now on; a hand that only moves the picture takes the brush."""
        self.active_value = value
        self._tell_edited()
        if self._desk.case is not None and self._hand.tool in MOVING:
            self._hand.take("paint")

    @intention
    def step(self, step: int) -> None:
        """Paint with the structure ``step`` further in the list, round and round."""
        values = [structure.value for structure in self.all]
        if values:
            place = values.index(self.active_value) if self.active_value in values else -step
            self.select(values[(place + step) % len(values)])

    @intention
    def merge(self, value: int, into: int) -> None:
        """Ask whether one structure shall become part of another in every case, and do it."""
        study = self._current.at_rest()
        require_unlocked(study.structure(value))
        self._after_save(partial(self._ask_merge, study, value, into))

    @intention
    def remove(self, value: int, background: bool = False) -> None:
        """Ask whether a structure shall leave every case, its voxels unlabelled or background, and do it."""
        study = self._current.at_rest()
        require_unlocked(study.structure(value))
        if len(study.structures) == 1:
            name = study.structure(value).name
            raise StudyError(f"“{name}” is the only structure: add another one before you remove it.")
        self._after_save(partial(self._ask_removal, study, value, background))

    def _after_save(self, go_on: Callable[[], None]) -> None:
        self._loads.put("structures", flush(self._desk.saving.flush, go_on), Saved.call)

    @intention
    def _ask_merge(self, study: Study, value: int, into: int) -> None:
        names = f"{quote(study, value)} into {quote(study, into)}"
        change = partial(study.merge_structures, value, into)
        self._ask_change(f"Merge {names}{extent_in_words(study, value, 'in')}?", "Merge", change)

    @intention
    def _ask_removal(self, study: Study, value: int, background: bool) -> None:
        change = partial(study.remove_structure, value, background=background)
        text = f"Remove {quote(study, value)}{extent_in_words(study, value, 'from')}?"
        self._ask_change(text, "Remove", change)

    def _ask_change(self, text: str, verb: str, change: Callable[[], None]) -> None:
        question = Question(text, (("change", verb), (CANCEL, "Cancel")))
        self._dialogue.ask(question, lambda key: self.rewrite(at_once(change)) if key == "change" else None)

    @intention
    def rewrite(
        self,
        steps: Steps,
        text: str = "Changing structures",
        on_step: Callable[[object], None] = lambda event: None,
        on_success: Callable[[], None] | None = None,
    ) -> None:
        """Change annotations in the background, while no case is open.

        Parameters
        ----------
        steps
            See `structure_jobs.rewrite`.
        text
            Says what is done.
        on_step
            Called with what each step yields.
        on_success
            Called at the end.
        """
        self._current.at_rest()
        if self._loads.busy:
            raise StudyError("A case is still being read or changed: try again in a moment.")
        self.rewriting.emit()

        def take(event: object) -> None:
            self._on_rewritten(event) if isinstance(event, StructuresRewritten) else on_step(event)

        source = rewrite(steps, self._desk.saving.flush)
        self._tasks.run("restructuring", text, source, take, on_success)
        self.edited.emit()

    def _on_rewritten(self, event: StructuresRewritten) -> None:
        study = self._current.require()
        values = [structure.value for structure in study.structures]
        if self.active_value not in values:
            self.active_value = self._successor(study, values)
        self._tell_edited()
        if event.problem:
            self._dialogue.say("error", event.problem)
        self.rewritten.emit(event.begun)

    def _successor(self, study: Study, values: list[int]) -> int:
        """Return what is painted from now on where the active structure is gone."""
        heirs = (note.becomes for note in reversed(read_notes(study.path)) if note.value == self.active_value)
        return next((heir for heir in heirs if heir in values), next(iter(values), 1))

    def _require_settled(self) -> Study:
        """The study, while its structures are not being changed: that holds it for long."""
        rewriting = self._tasks.state.kind == "restructuring"
        return self._current.at_rest() if rewriting else self._current.writable()

    def _tell_edited(self) -> None:
        self._presenter.select_value(self.active_value)
        self._presenter.show_structures(self.all)
        self._desk.lock(self.all)
        self.changed.emit()
        self.edited.emit()

    def _on_stopped(self, values: Collection[int]) -> None:
        """Note which locked structures a stroke went over."""
        if self._desk.case is not None:
            self._desk.case.editor.locks.meet(values)
            self._tell_stopped()

    def _tell_stopped(self) -> None:
        """Say what stayed as it was because it is locked."""
        if self._desk.stopped:
            self._dialogue.say_of_edit("")

    def _show_painted(self) -> None:
        """A structure that is hidden and painted with is shown again."""
        active = self.active
        if active is not None and active.hidden and self._hand.tool != "erase":
            self.change([active.value], "hidden", False)
            self._dialogue.say_of_edit(f"“{active.name}” was hidden, and is shown again.")

    def _on_picked(self, value: int) -> None:
        """Follow napari's own label controls, but only to values that a structure has; 0 is the eraser's."""
        values = {structure.value for structure in self.all}
        if value not in values | {0}:
            self._presenter.select_value(self.active_value)
        elif value in values and value != self.active_value:
            self.active_value = value
            self.changed.emit()


def extent_in_words(study: Study, value: int, how: str) -> str:
    """Say in how many cases a structure is painted, as far as it is saved: `` in 3 cases``."""
    count = sum(case.label_voxels.get(value, 0) > 0 for case in study.cases)
    return f" {how} {count} {'case' if count == 1 else 'cases'}" if count else ""


def quote(study: Study, value: int) -> str:
    """Return the name of a structure, short enough for a question."""
    name = study.structure(value).name
    return f"“{name}”" if len(name) <= LONGEST_NAME else f"“{name[: LONGEST_NAME - 1].rstrip()}…”"
