"""A study: scans, annotations, runs and predictions in one folder, which is the state of everything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Self

from napari_dycon.errors import DyconError, StudyError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.volumes import Volume, read_geometry
from napari_dycon.study.store import preflight
from napari_dycon.study.store.files import scan_path
from napari_dycon.study.store.folder import StudyFolder
from napari_dycon.study.store.lock import StudyLock
from napari_dycon.study.store.notebook import Notebook
from napari_dycon.study.store.predictions import Predictions
from napari_dycon.study.store.removing import RemovedCase, RemovedCases
from napari_dycon.study.store.runs import RunStore
from napari_dycon.study.store.scans import ScanReader, replaced_note
from napari_dycon.study.store.schema import CaseRecord, StudyRecord
from napari_dycon.study.store.structures import StructureChanges, locked_names
from napari_dycon.study.store.studyfile import Reading
from napari_dycon.study.store.versions import Version
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.draft import Draft
from napari_dycon.study.truth.edits import AUTOSAVE
from napari_dycon.study.truth.locks import Locks
from napari_dycon.study.truth.summary import KnownSummary


class Study(StudyFolder):
    """A study folder; make one with `create` or `open`, and close it.

    Methods may be called from several threads. Arrays are ``(x, y, z)`` in source order. What comes
    into it and leaves it is in `exchange`.

    Attributes
    ----------
    predictions
        What its runs predicted.
    """

    def __init__(
        self, path: Path, record: StudyRecord, lock: StudyLock | None, notes: tuple[str, ...]
    ) -> None:
        super().__init__(path, record, lock, notes)
        self._runs = RunStore(path)
        self._scans = ScanReader()
        self._notebook: Notebook | None = None
        self._notebook_mutex = Lock()
        self._structure_changes = StructureChanges(self, self._annotations)
        self.predictions = Predictions(self, self._runs, self._structure_changes)

    @classmethod
    def _open_to_write(cls, path: Path, reading: Reading, lock: StudyLock, crashed: bool) -> Self:
        study = super()._open_to_write(path, reading, lock, crashed)
        try:
            study.adopt_runs()
        except DyconError as error:
            study.tell(f"A training that has ended could not be made the active run: {error}")
        return study

    def close(self) -> None:
        """Write what is not yet written and let others change the study; may be called twice."""
        try:
            if self._notebook is not None and not self.read_only:
                self._notebook.save()
        finally:
            super().close()

    def _settle(self) -> None:
        """Go on with a merge or removal that a crash cut off; where that fails, say so."""
        try:
            self._structure_changes.finish()
            gone = self._structure_changes.values_given_up()
        except DyconError as error:
            self.tell(f"A change of the structures is not finished yet: {error}")
            return
        if not gone.keys() <= self.record.retired.keys():  # of a version that did not retire values
            retired = {**gone, **self.record.retired}
            self._live.now = self.record.model_copy(update={"retired": retired})

    # ---- scans and annotations ---------------------------------------------------------------

    def scan_path(self, case_id: str, channel: str = "") -> Path:
        """File of a scan, or of another image of the case, whether it is still there or not."""
        return scan_path(self.path, self.case(case_id).of(channel).scan)

    def has_scan(self, case_id: str) -> bool:
        """Tell whether the file of a scan is where it was."""
        try:
            return self.scan_path(case_id).is_file()
        except StudyError:  # a path of another system
            return False

    def scan_files(self) -> list[Path]:
        """Files of all scans that are where they were."""
        return [self.scan_path(case.id) for case in self.cases if self.has_scan(case.id)]

    def scan_has_changed(self, case_id: str, *, thorough: bool = True) -> bool:
        """Tell whether the file of a scan shows another one than was imported.

        Parameters
        ----------
        case_id
            The case.
        thorough
            Look into the file even where its size and time are as they were.

        Raises
        ------
        StudyError
            If it is gone.
        """
        case = self.case(case_id)
        path = self._scans.require(case, self.scan_path(case_id))
        return self._scans.has_changed(case, path, thorough=thorough)

    @property
    def secret(self) -> bytes:
        """What pseudonyms of this study are made with."""
        return self.record.secret.encode()

    def keep_secret(self) -> None:
        """Write down what pseudonyms are made with, where a study of an earlier version has none yet.

        Raises
        ------
        StudyError
            If the study has none and cannot be changed.
        """
        if "secret" not in self.record.model_fields_set:
            self.update(secret=self.record.secret)

    def geometry(self, case_id: str) -> Geometry:
        """Grid of a scan, from its header alone."""
        return read_geometry(self._scans.require(self.case(case_id), self.scan_path(case_id)))

    def volume(self, case_id: str, channel: str = "") -> Volume:
        """Read a scan, or another image of the case; notes say where the file has changed since its import.

        Raises
        ------
        StudyError
            If the file is gone, or now holds a scan of another size or place.
        VolumeError
            If it is damaged.
        """
        return self._scans.read(self.case(case_id).of(channel), self.scan_path(case_id, channel))

    def unchanged_volume(self, case_id: str, channel: str = "") -> Volume:
        """Read an image that must still be the one that was imported, as `volume` does.

        Raises
        ------
        StudyError
            Also if the file holds other voxels now.
        """
        record, path = self.case(case_id).of(channel), self.scan_path(case_id, channel)
        if self._scans.has_changed(record, self._scans.require(record, path), thorough=True):
            raise StudyError(replaced_note(record, path))
        return self.volume(case_id, channel)

    def annotation(self, case_id: str) -> Annotation:
        """Read what is known about a scan; an empty annotation where nothing is."""
        return self._annotations.read(case_id, self.geometry(case_id))

    def save_annotation(
        self,
        case_id: str,
        annotation: Annotation | Draft,
        reason: str,
        names: Sequence[str] = (),
        run: str | None = None,
        consensus: Sequence[str] = (),
    ) -> CaseRecord:
        """Replace the annotation of a case and update its status; what is locked stays as it was.

        A draft comes from an editor, which has seen to that.

        Parameters
        ----------
        case_id
            The case.
        annotation
            On the grid of the scan; not changed meanwhile by another thread.
        reason
            ``"autosave"``, or why the version before is kept in ``history/``: ``"complete"``, ``"accept"``,
            ``"import"``, ... (see `versions.Version`).
        names
            What was done to it since it was saved last.
        run
            Run whose prediction was taken over, if any.
        consensus
            Readers of whom it is the consensus.

        Raises
        ------
        StudyError
            If the study cannot be changed, or the annotation has another size than the scan.
        VolumeError
            If the disk is full or write-protected; the old annotation stays.
        """
        self.require_writable()
        if annotation.shape != self.case(case_id).shape:
            raise StudyError(f"The annotation of {case_id} has not the size of its scan; it was not saved.")
        scan, locks = self.scan_path(case_id), Locks(locked_names(self.structures))
        if locks and isinstance(annotation, Annotation) and self.case(case_id).status != "unlabelled":
            annotation = annotation.copy()
            locks.put_back(self.annotation(case_id), annotation)
        version = self._annotations.write(case_id, annotation, scan, reason, names, run, consensus)
        with self.mutex:
            record = self.case(case_id)
            updated = self.with_annotation(record, version)
            self.replace_case(updated, write=reason != AUTOSAVE or updated.status != record.status)
            return updated

    # ---- the case list -----------------------------------------------------------------------

    @property
    def notebook(self) -> Notebook:
        """Notes, flags, time and place of the cases; `close` saves it, and `Notebook.save` before that."""
        with self._notebook_mutex:  # not the study's: whoever clicks must not wait for work on labels
            if self._notebook is None:
                self._notebook = Notebook(self.path)
            return self._notebook

    def remove_case(self, case_id: str) -> RemovedCase:
        """Take a case out of the study; a copy of all but the scan is kept (see `RemovedCases.take_out`)."""
        return self._removed.take_out(case_id)

    def removed_cases(self) -> list[RemovedCase]:
        """Cases that `restore_case` can put back, the latest first."""
        return self._removed.list_cases()

    def restore_case(self, folder: str) -> CaseRecord:
        """Put a removed case back (see `RemovedCases.put_back`); it gets the structures of today."""
        return self._removed.put_back(folder)

    def merge_structures(self, value: int, into: int) -> None:
        """Give the voxels of one structure to another, in every case (see `StructureChanges.merge`)."""
        self._structure_changes.merge(value, into)

    def remove_structure(self, value: int, *, background: bool = False) -> None:
        """Take a structure out of the study and of all annotations (see `StructureChanges.remove`)."""
        self._structure_changes.remove(value, background=background)

    def preflight(self, case_ids: Sequence[str] | None = None) -> list[preflight.Problem]:
        """What would make training fail or mislead (see `preflight.check`)."""
        return preflight.check(self, case_ids)

    @property
    def _removed(self) -> RemovedCases:
        return RemovedCases(self, self._annotations, self.notebook, self._runs, self._structure_changes)

    def annotation_stamp(self, case_id: str) -> str:
        """Text that changes with every change of an annotation that is saved; empty where there is none."""
        version = self._annotations.version(self.case(case_id).id)
        return "" if version is None else f"{version.labels} {version.known}"

    def annotation_summary(self, case_id: str) -> KnownSummary:
        """How much of a scan is known, and by whom; from the record of its annotation alone."""
        shape, version = self.case(case_id).shape, self._annotations.version(case_id)
        if version is not None and version.known_voxels:
            return KnownSummary.of_counts(version.known_voxels, version.complete_slices, shape)
        if version is None and self.case(case_id).status == "unlabelled":
            return KnownSummary.of_counts({}, (0, 0, 0), shape)
        return KnownSummary.of(self.annotation(case_id))

    # ---- versions ----------------------------------------------------------------------------

    def versions(self, case_id: str) -> list[Version]:
        """Versions of the annotation of a case, newest first; the first is the one that counts."""
        current = self._annotations.version(self.case(case_id).id)
        kept = self._annotations.versions(case_id).all()
        return [*([] if current is None else [current]), *(v for v in kept if v != current)]

    def annotation_version(self, case_id: str, generation: int, *, as_saved: bool = False) -> Annotation:
        """Read a version of the annotation of a case, to be looked at or restored.

        Parameters
        ----------
        case_id
            The case.
        generation
            Which version (see `versions`).
        as_saved
            Leave labels of structures that were merged or removed since as they were.

        Raises
        ------
        StudyError
            If there is no such version, or its files are damaged.
        """
        current = self._annotations.version(self.case(case_id).id)
        if current is not None and current.generation == generation:
            return self.annotation(case_id)
        found = self._annotations.versions(case_id).read(generation, self.geometry(case_id))
        return found if as_saved else self._structure_changes.translate(case_id, generation, found)

    def restore_version(self, case_id: str, generation: int) -> CaseRecord:
        """Make a version the one that counts again; the one that counted until now is kept.

        For a case that nobody edits; in an open one the difference is applied as an edit.
        """
        annotation = self.annotation_version(case_id, generation)
        found = (version for version in self.versions(case_id) if version.generation == generation)
        names = [f"Restore version {generation} of {next(found).saved}"]
        return self.save_annotation(case_id, annotation, "restore", names)

    # ---- runs ----------------------------------------------------------------

    @property
    def active_run(self) -> str | None:
        """Run whose predictions are shown; None where there is none."""
        run = self.record.active_run
        return run if run in self._runs.ids() else None

    def runs(self) -> list[str]:
        """Ids of all runs, newest last."""
        return self._runs.ids()

    def new_run(self, method: str) -> str:
        """Make the folder of a new run; return its id, for example ``001-dycon``.

        A run belongs to whoever trains it, so this needs a folder that can be written, not the study's lock.
        """
        with self.mutex:
            return self._runs.new(method)

    def run_dir(self, run_id: str) -> Path:
        """Folder of a run."""
        return self._runs.folder(run_id)

    def set_active_run(self, run_id: str | None) -> None:
        """Choose the run whose predictions are shown."""
        if run_id is not None and run_id not in self._runs.ids():
            raise StudyError(f"There is no run {run_id!r} in this study.")
        self.update(active_run=run_id)

    def adopt_runs(self) -> str | None:
        """Make the run active that was proposed last, if any (see `runs.propose`); return its id.

        Opening a study to write does so, too.

        Raises
        ------
        StudyError
            If a run waits and the study cannot be changed.
        VolumeError
            If the disk is full or write-protected; the run waits on.
        """
        waiting = self._runs.proposals()
        if not waiting:
            return None
        self.set_active_run(waiting[-1])
        self._runs.withdraw(waiting)
        return waiting[-1]
