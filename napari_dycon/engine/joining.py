"""What a person labels while a run is trained, prepared and put into the folder of the run."""

from collections.abc import Iterator

from napari_dycon.engine.bundle import Bundle, BundledCase, Update
from napari_dycon.engine.events import Note
from napari_dycon.engine.store import CaseStore, slices_complete
from napari_dycon.errors import DyconError, TrainingError
from napari_dycon.study.store.schema import StudyRecord
from napari_dycon.study.store.structures import read_notes
from napari_dycon.study.store.studyfile import read_record
from napari_dycon.study.study import Study


class Joining:
    """Prepares the labels of cases anew and offers them to a run; works beside the training, in any process.

    Parameters
    ----------
    study
        Open to read or to write.
    run
        Its name; it is being trained.

    Raises
    ------
    TrainingError
        When what the run was prepared with cannot be read.
    """

    def __init__(self, study: Study, run: str) -> None:
        self._study = study
        self._bundle = Bundle(study.run_dir(run))
        self._plan = self._bundle.run.plan()
        self._store = CaseStore(study, self._plan, in_memory=False)
        self._begun = {case.case: case for case in self._bundle.contents().cases}
        self._update = self._bundle.read_update()
        self._offered = {case.case: case for case in self._update.cases}

    def offer(self, case: str) -> Iterator[Note]:
        """Prepare the labels of a case, and offer them where they say something else than before.

        Yields
        ------
        Note
            For each thing that cannot join.

        Raises
        ------
        TrainingError
            When a structure that the run learns is gone, or structures are being changed.
        """
        record, _ = read_record(self._study.path)
        yield from self._check_structures(record)
        patients = {one.id: one.patient for one in record.cases}
        try:
            found = self._prepare(case, patients.get(case, ""))
            if found is not None:
                self._offered[case] = found
            if tuple(self._offered.values()) != self._update.cases:
                self._write()
        except (DyconError, MemoryError) as error:
            why = str(error) or "there is not enough memory for it."
            yield Note("warning", f"What was labelled in {case} could not join the training: {why}")

    def _prepare(self, case: str, patient: str) -> BundledCase | None:
        """New labels of a case; None where it is not trained on, or they say the same as before."""
        before = self._offered.get(case) or self._begun.get(case)
        if before is None or patient != before.patient:  # who is held out must stay so
            return None
        prepared = self._store.prepare(case)
        slices = slices_complete(self._study, case)
        found = self._bundle.add(prepared, self._store.files(case), slices, self._update.generation + 1)
        return None if found.same_labels(before) else found

    def _write(self) -> None:
        generation = self._update.generation + 1
        update = Update(generation=generation, cases=tuple(self._offered.values()))
        self._bundle.write_update(update)
        self._update = update

    def _check_structures(self, record: StudyRecord) -> Iterator[Note]:
        """Say which structures are new, and refuse what speaks of others than the run learns."""
        now = {structure.value: structure.name for structure in record.structures}
        learned = set(self._plan.structure_values)
        if not learned <= now.keys() or any(not note.done for note in read_notes(self._study.path)):
            raise TrainingError(
                "Structures were changed since this training began: what is labelled from now on joins with "
                "the next one."
            )
        for value in sorted(now.keys() - learned):
            yield Note(
                "info", f"'{now[value]}' is new since this training began: it joins with the next one."
            )
