"""Models of elsewhere: those that are kept on this computer, and one that is looked at to begin with."""

from collections.abc import Collection, Mapping
from pathlib import Path

from psygnal import Signal

from napari_dycon.engine.models.library import Kept, find_kept, forget_model, kept_models
from napari_dycon.errors import StudyError
from napari_dycon.plugin.background import library_jobs
from napari_dycon.plugin.background.library_jobs import Candidate, ModelExported, TakenOver
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.study.study import Study

REPLACE = "replace"
NO_MODEL = "There is no trained model in this study yet: press Train first."


class Library:
    """What the person wants of models of elsewhere, and of this study's for elsewhere.

    Signals: ``changed`` follows `kept`, `candidate` and `sought`; ``taken`` comes when a model has become the
    active run.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Asks before a model is replaced, and says what came of it.
    structures
        Shows those that came with a model.
    chores, tasks
        Work in the background.

    Attributes
    ----------
    kept
        The models that are kept on this computer.
    candidate
        The model that is looked at, and what it would be to the study; None without one.
    sought
        Where a model is being looked for; empty when nothing is.
    """

    changed = Signal()
    taken = Signal()

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        structures: Structures,
        chores: JobQueue,
        tasks: Tasks,
    ) -> None:
        self._current, self._dialogue, self._structures = current, dialogue, structures
        self._chores, self._tasks = chores, tasks
        self.kept: tuple[Kept, ...] = ()
        self.candidate: Candidate | None = None
        self.sought = ""

    @intention
    def look(self) -> None:
        """Read the list anew: the command line may have changed it."""
        self.kept = kept_models()
        self.changed.emit()

    @intention
    def consider(self, origin: str) -> None:
        """Look at a model: the folder of a study, a run or an export, or the name of one that is kept."""
        self.candidate, self.sought = None, origin
        self._chores.put("candidate", library_jobs.consider(self._current.require(), origin), self._on_found)
        self.changed.emit()

    def leave(self) -> None:
        """Think no more of a model; nothing has been written."""
        self.candidate, self.sought = None, ""
        self.changed.emit()

    @intention
    def take(self, told: Mapping[str, str], add: Collection[str]) -> None:
        """Make the model that is looked at the run from which training goes on.

        Parameters
        ----------
        told
            Names of structures here by what the model calls them; an empty one leaves it behind.
        add
            Names in the model of structures that come into the study.
        """
        study, candidate = self._current.at_rest(), self.candidate
        if candidate is None or candidate.model is None:
            return
        source = library_jobs.take_over(study, candidate.model, told, add)
        self.leave()
        self._tasks.run("adopting", "Taking a model over", source, self._on_taken_over, self._tell_taken)

    @intention
    def keep(self, name: str) -> None:
        """Keep a copy of the active model under a name, for other studies; ask where there is one already."""
        run = self._active_run(self._current.require())
        there = find_kept(name)
        if there is None:
            self._keep(run, name, overwrite=False)
            return
        question = Question(
            f"A model called “{there.name}” is kept already, from {there.source}. Replace it?",
            ((REPLACE, "Replace"), (CANCEL, "Cancel")),
        )
        self._dialogue.ask(question, lambda key: self._keep(run, name, True) if key == REPLACE else None)

    @intention
    def _keep(self, run: str, name: str, overwrite: bool) -> None:
        source = library_jobs.keep(self._current.require(), run, name, overwrite)
        self._chores.put("keep", source, self._on_kept)

    @intention
    def forget(self, name: str) -> None:
        """Keep a model no longer."""
        forget_model(name)
        self.look()

    @intention
    def export(self, folder: Path) -> None:
        """Write the active model as a MONAI bundle into a folder, which is empty or made."""
        study = self._current.require()
        if folder.is_dir() and any(folder.iterdir()):
            raise StudyError(f"{folder} is not empty; choose or make an empty folder for the model.")
        source = library_jobs.export(study, self._active_run(study), folder)
        self._tasks.run("exporting", "Exporting the model", source, self._on_exported)

    @staticmethod
    def _active_run(study: Study) -> str:
        if study.active_run is None:
            raise StudyError(NO_MODEL)
        return study.active_run

    def _on_found(self, event: Candidate) -> None:
        if event.origin == self.sought and self._current.study is not None:
            self.candidate, self.sought = event, ""
            self.changed.emit()

    def _on_taken_over(self, event: TakenOver) -> None:
        text = f"The model is run {event.run} here, the active one: Train goes on from it."
        self._dialogue.say("info", text)

    def _tell_taken(self) -> None:
        self._structures.take_first()
        self.taken.emit()

    def _on_kept(self, event: Kept) -> None:
        text = f"“{event.name}” is kept on this computer: any study can start from it."
        self._dialogue.say("info", text)
        self.look()

    def _on_exported(self, event: ModelExported) -> None:
        text = f"The model is in {event.folder}. Its README.md waits for a word on data and licence."
        self._dialogue.say("info", text)
