"""Several exams of one patient: the labels of one are brought to the scan of another."""

from napari_dycon.errors import StudyError
from napari_dycon.io.registration import RegistrationStep
from napari_dycon.plugin.actions import NO_EXAM
from napari_dycon.plugin.background.exam_jobs import carry_labels
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.labels import Labels
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.study.exchange.carrying import CarriedOver, other_exams


class Exams:
    """What the person wants of the other exams of the patient.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Asks which exam is meant, and whether its labels shall come.
    desk
        Has the open case.
    cases
        Tells which case is opened.
    labels
        Shows labels before they count, and takes them over.
    tasks
        Works in the background.
    """

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        cases: Cases,
        labels: Labels,
        tasks: Tasks,
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._cases, self._labels, self._tasks = cases, labels, tasks
        self._found: dict[str, CarriedOver] = {}
        cases.opened.connect(self._propose)

    @property
    def there(self) -> bool:
        """Whether another case of the patient of the open one has labels."""
        study, case_id = self._current.study, self._desk.case_id
        return study is not None and case_id is not None and bool(other_exams(study, case_id))

    @intention
    def carry(self) -> None:
        """Bring the labels of another exam to the open case, in the background; they are shown first."""
        case_id = self._labels.editable().case_id
        exams = other_exams(self._current.require(), case_id)
        if not exams:
            raise StudyError(NO_EXAM)
        if len(exams) == 1:
            self._carry(exams[0].id, case_id)
            return
        answers = (*((exam.id, exam.name) for exam in exams), (CANCEL, "Cancel"))
        question = Question("Which exam’s labels?", answers)
        self._dialogue.ask(question, lambda key: None if key == CANCEL else self._carry(key, case_id))

    @intention
    def _carry(self, earlier: str, later: str) -> None:
        self._found.pop(later, None)
        source = carry_labels(self._current.writable(), earlier, later, self._desk.saving.flush)
        name = self._current.require().case(earlier).name
        self._tasks.run("carrying", f"Labels of {name}", source, self._on_carried)

    def _on_carried(self, event: RegistrationStep | CarriedOver) -> None:
        if isinstance(event, RegistrationStep):
            return
        self._found = {event.later: event}
        if event.later == self._desk.case_id == self._cases.wanted:
            self._propose(event.later)
        else:
            name = self._current.require().case(event.later).name
            self._dialogue.say("info", f"The labels for {name} are ready: open it to see them.")

    def _propose(self, case_id: str) -> None:
        """Show what was found for a case once it is open."""
        study, case, found = self._current.study, self._desk.case, self._found.pop(case_id, None)
        if found is None or study is None or case is None or found.later not in {c.id for c in study.cases}:
            return
        words = found.in_words(study, case.annotation)
        text = f"Take over the labels of {study.case(found.earlier).name}? {words[0].upper()}{words[1:]}."
        self._labels.propose(text, "Take over", found.carried.labels, found.carried.edit)
