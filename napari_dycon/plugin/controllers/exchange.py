"""What comes into the study and what leaves it: scans, labels, masks; asked for, and told at the end."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.structure_jobs import Saved, flush
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.disputes import Disputes
from napari_dycon.plugin.controllers.exams import Exams
from napari_dycon.plugin.controllers.import_news import ImportNews
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.labels import Labels
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.plugin.controllers.readers import Readers
from napari_dycon.plugin.controllers.report import Report
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.controllers.suggestions import Suggestions
from napari_dycon.study.exchange.channels import Endings
from napari_dycon.study.exchange.exporting import (
    CaseExported,
    Exported,
    ExportRequest,
    existing,
    left_out_sentence,
)
from napari_dycon.study.exchange.frames import Volumes
from napari_dycon.study.exchange.importing import CollectingScans, ImportEvent
from napari_dycon.study.exchange.label_values import Foreign, Key
from napari_dycon.study.exchange.searching import SearchEnded, Sought

REPLACE = "replace"
APART = "\n"
"""Answers that files are scans of their own; no image is called so."""


class Exchange:
    """What the person wants to bring in or take out.

    Signals: ``reported`` carries a `Report` of what became of each file; ``pairs_found`` the label maps that
    may belong to each scan; ``values_found`` cases and the values of their labels that no structure has;
    ``scans_listed`` a `ScansListed` of which the person has to choose.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Asks before files are replaced, and says what came of it.
    desk
        Has the open case.
    cases, labels, structures, suggestions
        Take what has come.
    loads, tasks
        Work in the background.
    disputes
        Shows where readers differ.

    Attributes
    ----------
    exams
        Brings labels from one exam of a patient to another.
    readers
        Who draws, and what several readers say.
    """

    reported = Signal(object)
    pairs_found = Signal(object)
    values_found = Signal(object)
    scans_listed = Signal(object)

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        cases: Cases,
        labels: Labels,
        structures: Structures,
        suggestions: Suggestions,
        loads: JobQueue,
        tasks: Tasks,
        disputes: Disputes,
    ) -> None:
        self._current, self._dialogue, self._desk, self._cases = current, dialogue, desk, cases
        self._labels, self._structures, self._suggestions = labels, structures, suggestions
        self._loads, self._tasks = loads, tasks
        self._news = ImportNews()
        self._listed: jobs.ScansListed | None = None
        self.exams = Exams(current, dialogue, desk, cases, labels, tasks)
        self.readers = Readers(current, dialogue, desk, structures, tasks, disputes)

    @intention
    def add_scans(self, paths: Sequence[Path | str], labels: Path | str | None = None) -> None:
        """Import files or folders in the background, with their label maps in ``labels``.

        Where several scans and DICOM series are among them, they are listed first, for the person to choose;
        where files seem to be images of one case, or hold several volumes, that is asked.
        """
        places, study = [Path(path) for path in paths], self._current.writable()
        of_labels = Path(labels) if labels else None
        source = jobs.look_at_scans(study, places, of_labels)
        self._tasks.run("importing", "Looking for scans", source, self._on_listed, self._go_on)

    @intention
    def add_chosen(
        self,
        paths: Sequence[Path],
        only: Collection[str],
        endings: Endings | None = None,
        frames: Volumes | None = None,
    ) -> None:
        """Import what a person has chosen from a list, by its keys, and which series are images of a case."""
        self._import(paths, None, only, endings, frames)

    @intention
    def _import(
        self,
        paths: Sequence[Path],
        labels: Path | None,
        only: Collection[str] | None,
        endings: Endings | None = None,
        frames: Volumes | None = None,
    ) -> None:
        study, save = self._current.writable(), self._desk.saving.flush
        source = jobs.import_scans(study, list(paths), labels, save, only, endings, frames)
        self._tasks.run("importing", "Looking for scans", source, self._on_imported, self._tell_import)

    def _on_listed(self, event: CollectingScans | jobs.ScansListed) -> None:
        self._listed = event if isinstance(event, jobs.ScansListed) else None

    def _go_on(self) -> None:
        listed, self._listed = self._listed, None
        if listed is not None:
            self.add_listed(listed)

    def add_listed(self, listed: jobs.ScansListed) -> None:
        """Ask which of the listed scans are wanted, or add them where there is nothing to ask."""
        if listed.has_choice or (listed.volumes and listed.frames is None):
            self.scans_listed.emit(listed)
        elif listed.endings:
            self._ask_endings(listed)
        else:
            self._import(listed.paths, listed.labels, None, None, listed.frames)

    def _ask_endings(self, listed: jobs.ScansListed) -> None:
        """Ask whether files that differ by their endings are images of one case, and which one has labels."""
        endings = listed.endings
        answers = (*((name, name) for name in endings), (APART, "Apart"), (CANCEL, "Cancel"))
        question = Question("Images of one case? Labels lie on:", answers)
        self._dialogue.ask(question, partial(self._answer_endings, listed, endings))

    def _answer_endings(self, listed: jobs.ScansListed, endings: Endings, key: str) -> None:
        if key != CANCEL:
            first = {key: endings[key], **endings} if key in endings else None
            self._import(listed.paths, listed.labels, None, first, listed.frames)

    @intention
    def find_scans(self, folder: Path | str) -> None:
        """Look in ``folder`` for the scans that are not where they were, in the background."""
        source = jobs.find_scans(self._current.writable(), Path(folder), self._desk.saving.flush)
        self._tasks.run("importing", "Looking for the scans", source, self._on_sought, self._tell_import)

    @intention
    def add_labels(self, pairs: Sequence[tuple[Path, Path]]) -> None:
        """Take over label maps for scans, each ``(scan, label map)`` as the person paired them."""
        source = jobs.pair_labels(self._current.writable(), list(pairs), self._desk.saving.flush)
        self._tasks.run("importing", "Reading labels", source, self._on_imported, self._tell_import)

    @intention
    def explain_labels(self, foreign: Sequence[tuple[str, Foreign]], meant: Mapping[Key, int | str]) -> None:
        """Take over labels of cases, now that a person has said what their values mean."""
        source = jobs.explain_values(self._current.writable(), foreign, meant, self._desk.saving.flush)
        self._tasks.run("importing", "Reading labels", source, self._on_imported, self._tell_import)

    def leave_labels(self, count: int) -> None:
        """Say that scans are there without their labels, as the person wished."""
        scans = "1 scan was" if count == 1 else f"{count} scans were"
        self._dialogue.say("warning", f"{scans} added without labels; add the labels again to be asked anew.")

    @intention
    def export(self, folder: Path | str, settings: Mapping[str, Any] | None = None) -> None:
        """Write masks on each scan's own grid and volumes.csv to ``folder``; what is there is asked about.

        Parameters
        ----------
        folder
            Made where it does not exist.
        settings
            Fields of `ExportRequest` that a person has set.
        """
        request = ExportRequest(Path(folder), **(settings or {}))
        there = existing(self._current.require(), request)
        if not there:
            self._export(request)
            return
        files = there[0].name if len(there) == 1 else f"{len(there)} files, {there[0].name} among them,"
        verb = "is" if len(there) == 1 else "are"
        question = Question(
            f"{files} {verb} in {request.out.name} already. Replace what is there?",
            ((REPLACE, "Replace"), (CANCEL, "Cancel")),
        )
        again = replace(request, overwrite=True)
        self._dialogue.ask(question, lambda key: self._export(again) if key == REPLACE else None)

    def toggle_disputes(self) -> None:
        """Show where the readers of the open case differ, or no longer."""
        self.readers.disputes.toggle()

    def carry_over(self) -> None:
        """Bring the labels of another exam of the patient to the open case (see `Exams.carry`)."""
        self.exams.carry()

    @intention
    def report(self, folder: Path | str) -> None:
        """Write the methods sheet to ``folder``, in the background."""
        source = jobs.write_report(self._current.require(), Path(folder), self._desk.saving.flush)
        self._tasks.run("reporting", "Writing the methods sheet", source, self._on_written)

    def _on_written(self, event: jobs.ReportWritten) -> None:
        names = " and ".join(path.name for path in event.paths)
        self._dialogue.say("info", f"{names} are in {event.paths[0].parent}.")

    @intention
    def _export(self, request: ExportRequest) -> None:
        source = jobs.export_masks(self._current.require(), request, self._desk.saving.flush)
        self._tasks.run("exporting", "Exporting masks", source, self._on_exported)

    def _on_imported(self, event: CollectingScans | ImportEvent) -> None:
        if isinstance(event, CollectingScans):
            return
        self._news.add(event)
        self._cases.list.change_soon()
        if event.case is None or event.outcome == "already there":
            return
        case_id = event.case.id
        if event.outcome == "labelled" and case_id in (self._cases.case_id, self._cases.wanted):
            take = partial(self._labels.take_imported, case_id)
            self._loads.put(f"labels for {case_id}", flush(self._desk.saving.flush, take), Saved.call)
        elif self._cases.case_id is None and self._cases.wanted is None:
            self._cases.open(case_id)

    def _on_sought(self, event: Sought | SearchEnded) -> None:
        if isinstance(event, SearchEnded):
            self._dialogue.say("warning" if event.missing else "info", event.sentence)
        elif event.problem:
            self._dialogue.say("warning", event.problem)
        elif event.case is not None:
            self._cases.list.change_soon()
            if event.case.id in (self._cases.case_id, self._cases.wanted):
                self._desk.put_away()
                self._cases.open(event.case.id)

    def _tell_import(self) -> None:
        self._cases.list.look_again()
        news, self._news = self._news, ImportNews()
        if self._current.study is not None:
            self._structures.take_first()
        for level, sentence in news.sentences():
            self._dialogue.say(level, sentence)
        if news.report is not None:
            self.reported.emit(news.report)
        if news.pairs:
            self.pairs_found.emit(news.pairs)
        if news.foreign:
            self.values_found.emit(news.foreign)
        self._suggestions.look()

    def _on_exported(self, event: CaseExported | Exported) -> None:
        if isinstance(event, CaseExported):
            return
        level, sentences = "warning" if event.stopped else "info", [event.summary]
        if event.left_out:
            level = "warning"
            sentences.append(left_out_sentence(len(event.left_out)))
        if event.problems:
            level = "warning"
            sentences.append(f"{len(event.problems)} could not be exported.")
            self.reported.emit(Report("Export", event.summary, event.problems))
        self._dialogue.say(level, " ".join(sentences))
