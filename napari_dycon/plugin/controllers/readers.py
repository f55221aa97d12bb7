"""Who draws, and what several readers of a study say: set, compared, made one."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from psygnal import Signal

from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.reader_jobs import Comparison, compare_readers
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.disputes import Disputes
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.plugin.controllers.report import Report
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.keys.preferences import prefer_reader, preferred_reader
from napari_dycon.study.exchange.readers import ConsensusMade, make_consensus, open_reader, readers
from napari_dycon.study.store.schema import reader_name
from napari_dycon.study.study import Study
from napari_dycon.study.truth.consensus import RULES, Rule

NOBODY = "Nobody else reads this study yet: choose “Second reader…” first."
STOPPED = " It was stopped: the other cases are as they were."
COLUMNS = ("Case", "Structure", "Readers", "Dice", "Kappa", "HD95 mm", "Volumes ml")


class Readers:
    """What the person wants of the readers of the study.

    Signals: ``compared`` carries a `Report` of how far they agree.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Asks how a consensus is to be made, and says what came of it.
    desk
        Puts on disk what is painted.
    structures
        Lets go of the open case while annotations change, and shows what became of it.
    tasks
        Works in the background.
    disputes
        Shows where they differ in the open case.

    Attributes
    ----------
    disputes
        The same.
    """

    compared = Signal(object)

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        structures: Structures,
        tasks: Tasks,
        disputes: Disputes,
    ) -> None:
        self.disputes = disputes
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._structures, self._tasks = structures, tasks
        self._made: list[ConsensusMade] = []
        structures.changed.connect(self._sign)  # those of a study that was opened, too

    @property
    def name(self) -> str:
        """Who draws; empty where nobody has said."""
        study = self._current.study
        return preferred_reader() if study is None else study.reader

    def _sign(self) -> None:
        """Let the open study know who draws."""
        if self._current.study is not None:
            with suppress(StudyError):  # the name comes from a file that anybody may have written
                self._current.study.reader = preferred_reader()

    @intention
    def call(self, name: str) -> None:
        """Keep the name of who draws with every version from now on, and after the next start."""
        name = reader_name(name)
        study = self._current.require()
        if study.record.reader:
            raise StudyError(f"This is the study of {study.record.reader}: it has no labels by others.")
        prefer_reader(name)
        study.reader = name

    @intention
    def invite(self, name: str, go_there: Callable[[Path], None]) -> None:
        """Make the study of a further reader, or bring it up to date, and go there."""
        with open_reader(self._current.at_rest(), name) as own:
            path = own.path
        go_there(path)

    @intention
    def compare(self) -> None:
        """Find how far the readers agree, in the background; ``compared`` tells."""
        source = compare_readers(self._with_others(), self._desk.saving.flush)
        self._tasks.run("reporting", "Comparing readers", source, self._on_compared)

    @intention
    def decide(self) -> None:
        """Ask what to do where readers differ, and make their consensus the annotation of each case."""
        study = self._with_others(self._current.at_rest())
        names = {"agreed": "Leave it open", "majority": "Majority", "staple": "STAPLE"}
        choices = [(rule, names[rule]) for rule in RULES]
        question = Question("Consensus; where readers differ:", (*choices, (CANCEL, "Cancel")))
        self._dialogue.ask(question, lambda key: None if key == CANCEL else self._decide(study, key))

    def _with_others(self, study: Study | None = None) -> Study:
        study = study or self._current.require()
        if not readers(study):
            raise StudyError(NOBODY)
        return study

    @intention
    def _decide(self, study: Study, key: str) -> None:
        rule: Rule = next(rule for rule in RULES if rule == key)
        self._made = []
        steps = partial(make_consensus, study, rule)
        self._structures.rewrite(steps, "Making the consensus", self._on_made, self._tell_consensus)

    def _on_made(self, event: object) -> None:
        if isinstance(event, ConsensusMade):
            self._made.append(event)

    def _tell_consensus(self) -> None:
        good = [event for event in self._made if not event.problem]
        stopped = bool(self._made) and self._made[-1].done < self._made[-1].total
        if not good and stopped:
            self._dialogue.say("info", "Stopped before any case was changed.")
            return
        if not good:
            self._dialogue.say("warning", "No case was drawn by two readers; nothing was changed.")
            return
        cases = "1 case holds" if len(good) == 1 else f"{len(good)} cases hold"
        left = sum(event.open > 0 for event in good)
        rest = f" In {left} of them readers differ on voxels that are left open." if left else ""
        self._dialogue.say("info", f"{cases} the consensus of their readers.{rest}{STOPPED * stopped}")
        for event in self._made:
            if event.problem and len(event.readers) > 1:
                self._dialogue.say("warning", event.problem)

    def _on_compared(self, event: Comparison) -> None:
        if event.rows:
            self.compared.emit(Report("Agreement of readers", event.summary, event.rows, COLUMNS))
        else:
            self._dialogue.say("info", "No case was drawn by two readers yet.")
