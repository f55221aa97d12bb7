"""What comes into the study and what leaves it: scans, labels, masks; asked for, and told at the end."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_dycon.plugin.background import jobs
from napari_dycon.plugin.controllers.import_news import ImportNews
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.labels import LabellingIntentions
from napari_dycon.plugin.controllers.question import CANCEL, Question
from napari_dycon.plugin.controllers.report import Report
from napari_dycon.plugin.controllers.structures import saved
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.study.exchange.exporting import Exported, ExportRequest, existing, left_out_sentence
from napari_dycon.study.exchange.importing import ImportEvent
from napari_dycon.study.exchange.searching import SearchEnded, Sought
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.edits import Edit, difference
from napari_dycon.study.truth.regions import Selection, everything

REPLACE = "replace"


class ExchangeIntentions(LabellingIntentions):
    """What the person wants to bring in or take out."""

    _imported: ImportNews

    @intention
    def add_scans(self, paths: Sequence[Path | str], labels: Path | str | None = None) -> None:
        """Import files or folders in the background, with their label maps in ``labels``."""
        folder = Path(labels) if labels else None
        source = jobs.importing(self._writable(), [Path(path) for path in paths], folder, self._desk.flush)
        self._tasks.run("importing", "Looking for scans", source)

    @intention
    def find_scans(self, folder: Path | str) -> None:
        """Look in ``folder`` for the scans that are not where they were, in the background."""
        source = jobs.seeking(self._writable(), Path(folder), self._desk.flush)
        self._tasks.run("importing", "Looking for the scans", source)

    @intention
    def add_labels(self, pairs: Sequence[tuple[Path, Path]]) -> None:
        """Take over label maps for scans, each ``(scan, label map)`` as the person paired them."""
        source = jobs.pairing(self._writable(), list(pairs), self._desk.flush)
        self._tasks.run("importing", "Reading labels", source)

    @intention
    def export(self, folder: Path | str, pseudonyms: bool = False) -> None:
        """Write masks on each scan's own grid and volumes.csv to ``folder``; what is there is asked about."""
        request = ExportRequest(Path(folder), pseudonyms=pseudonyms)
        there = existing(self._needed(), request)
        if not there:
            self._export(request)
            return
        files = there[0].name if len(there) == 1 else f"{len(there)} files, {there[0].name} among them,"
        verb = "is" if len(there) == 1 else "are"
        question = Question(
            f"{files} {verb} in {request.out.name} already. Replace what is there?",
            ((REPLACE, "Replace"), (CANCEL, "Cancel")),
        )
        self._ask(
            question, lambda key: self._export(replace(request, overwrite=True)) if key == REPLACE else None
        )

    @intention
    def _export(self, request: ExportRequest) -> None:
        source = jobs.exporting(self._needed(), request, self._desk.flush)
        self._tasks.run("exporting", "Exporting masks", source)

    def _on_imported(self, event: ImportEvent) -> None:
        self._imported.add(event)
        self._cases_moved()
        if event.case is None or event.outcome == "already there":
            return
        case_id = event.case.id
        if event.outcome == "labelled" and case_id in (self.case_id, self._wanted):
            take = partial(self._take_labels, case_id)
            self._loads.put(f"labels for {case_id}", saved(self._desk.flush, take))
        elif self.case_id is None and self._wanted is None:
            self.open_case(case_id)

    def _take_labels(self, case_id: str) -> None:
        """Let labels that came for the open case into it; what a person painted meanwhile stays."""
        study, case = self._needed(), self._desk.case
        if case is None or case.case_id != case_id:
            return  # it is read anew when it is opened
        self._new_structures()

        def work() -> str:
            case.editor.reconcile()
            edit = brought(study, case)
            if edit:
                case.editor.apply(edit)
            return ""

        self._change(case, work)

    def _new_structures(self) -> None:
        """A study without structures takes those of the first labels that come."""
        values = [structure.value for structure in self.structures]
        if self.active_value not in values:
            self.active_value = next(iter(values), 1)
        self._structures_edited()

    def _on_sought(self, event: Sought | SearchEnded) -> None:
        if isinstance(event, SearchEnded):
            self.say("warning" if event.missing else "info", event.sentence)
        elif event.problem:
            self.say("warning", event.problem)
        elif event.case is not None:
            self._cases_moved()
            if event.case.id in (self.case_id, self._wanted):
                self._desk.put_away()
                self.open_case(event.case.id)

    def _tell_import(self) -> None:
        news, self._imported = self._imported, ImportNews()
        if self.study is not None:
            self._new_structures()
        for level, sentence in news.sentences():
            self.say(level, sentence)
        if news.report is not None:
            self.reported.emit(news.report)
        if news.pairs:
            self.pairs_found.emit(news.pairs)
        if self.study is not None:
            self._chores.put("suggestions", jobs.suggestions(self.study))

    def _tell_export(self, event: Exported) -> None:
        level, sentences = "warning" if event.stopped else "info", [event.summary]
        if event.left_out:
            level = "warning"
            sentences.append(left_out_sentence(len(event.left_out)))
        if event.problems:
            level = "warning"
            sentences.append(f"{len(event.problems)} could not be exported.")
            self.reported.emit(Report("Export", event.summary, event.problems))
        self.say(level, " ".join(sentences))


def brought(study: Study, case: OpenCase) -> Edit:
    """Return what the labels imported last say about what nobody has spoken about in the open case."""
    versions = (version.generation for version in study.versions(case.case_id) if version.reason == "import")
    imported: Annotation = study.annotation_version(case.case_id, next(versions))
    unknown = Selection(everything(imported.shape).box, case.annotation.known == Known.UNKNOWN)
    return difference(case.annotation, imported, unknown, "Import labels", "import")
