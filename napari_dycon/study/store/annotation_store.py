"""Annotations on disk: labels and known map as one unit, whatever happens while they are written.

An annotation is two files, ``CASE.nii.gz`` and ``CASE.known.nii.gz``, and a small record ``CASE.json`` with
the SHA-256 of both. A write first puts both files beside the old ones as ``.next``, flushed and verified;
then it replaces the record, which is the instant at which the new annotation counts; then it renames the two
files. A reader takes, of each file and its ``.next``, the one whose digest the record names. So after a
crash at any instant the reader finds either the whole old annotation or the whole new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_dycon.errors import GridMismatchError, StudyError, VolumeError
from napari_dycon.io.atomic import in_plain_words, make_folder, make_folder_in, write_text_atomic
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.json_files import write_model
from napari_dycon.io.masks import read_mask, write_pieces
from napari_dycon.io.volumes import read_geometry
from napari_dycon.study.store.files import clear_way, free_path, now, sha256_of
from napari_dycon.study.store.versions import PARTS, Part, Version, Versions
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.draft import Draft

READ_ATTEMPTS = 5
READ_PAUSE_SECONDS = 0.02
RENAME_ATTEMPTS = 10
RENAME_PAUSE_SECONDS = 0.05
SEEN_FILE = ".study.seen"
UNSIGNED = ("import", "consensus")
"""Reasons of versions that nobody drew in this program."""


class AnnotationStore:
    """The ``annotations/`` and ``history/`` folders of one study.

    Parameters
    ----------
    study
        Its folder.
    owner
        The reader whose labels alone it has; empty where several may draw.

    Attributes
    ----------
    reader
        Who draws now; empty where nobody has said.
    """

    def __init__(self, study: Path, owner: str = "") -> None:
        self._owner = owner
        self.reader = owner
        self._folder = study / "annotations"
        self._history = study / "history"
        self._seen = study / SEEN_FILE
        self._known: dict[str, tuple[int, int]] = {}
        self._mutexes: dict[str, RLock] = {}

    def has_seen(self, revision: int) -> bool:
        """Tell whether the records are those that `remember` saw beside that revision of the study file.

        One look at the folder, nothing is read; from then on the records count as known.
        """
        self._known = self.stamps()
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return self._seen.read_text(encoding="utf-8") == _fingerprint(revision, self._known)
        return False

    def remember(self, revision: int) -> None:
        """Note that a revision of the study file speaks of all records, if nobody else changed one."""
        stamps = self.stamps()
        if stamps != self._known or any(".next." in name for name in stamps) or self.has_seen(revision):
            return
        with contextlib.suppress(VolumeError):  # the next to open the study looks at all of them then
            write_text_atomic(self._seen, _fingerprint(revision, stamps))

    def stamps(self) -> dict[str, tuple[int, int]]:
        """Size and time of each record, and of files of a save that is not finished."""
        stamps = {}
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json") or ".next." in entry.name:
                    stamps[entry.name] = _stamp(entry.stat())
        return stamps

    def version(self, case: str) -> Version | None:
        """Record of the annotation that counts; None where there is none, or only bare files."""
        path = self._record(case)
        if not path.is_file():
            return None
        try:
            return Version.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise StudyError(
                f"The annotation record {path} is damaged; remove it to use the label files as they are, "
                "or restore an "
                f"earlier version from {self._history / case}."
            ) from error

    def read(self, case: str, geometry: Geometry) -> Annotation:
        """Read an annotation; an empty one where there is none.

        Labels that another program has changed are taken as they are; what it painted counts as drawn.

        Parameters
        ----------
        case
            Case id.
        geometry
            Grid of the scan.

        Raises
        ------
        StudyError
            If files are damaged or missing.
        GridMismatchError
            If the annotation is not on the grid of the scan.
        """
        for _ in range(READ_ATTEMPTS):  # another process may be writing: it is the reader who tries again
            version = self.version(case)
            if version is None:
                return self._read_bare(case, geometry)
            with self._mutex(case):
                found = self._read_version(case, version, geometry)
            if found is not None:
                return found
            time.sleep(READ_PAUSE_SECONDS)
        return self._read_changed(case, geometry)

    def versions(self, case: str) -> Versions:
        """Earlier versions of a case that were kept."""
        return Versions(self._history / case)

    def bare_geometry(self, case: str) -> tuple[Path, Geometry] | None:
        """File and grid of the labels themselves, for work that needs no scan; None where there are none."""
        version = self.version(case)
        path = self._final(case, "labels") if version is None else self._current(case, "labels", version)
        return None if path is None or not path.is_file() else (path, read_geometry(path))

    def may_hold(self, case: str, value: int) -> bool:
        """Tell whether a label value may be in an annotation, from its record where both files fit that."""
        version = self.version(case)
        if version is None or any(self._current(case, part, version) is None for part in PARTS):
            return True
        return value in version.label_voxels or not version.known_voxels

    def write(
        self,
        case: str,
        annotation: Annotation | Draft,
        scan: Path,
        reason: str,
        names: Sequence[str] = (),
        run: str | None = None,
        consensus: Sequence[str] = (),
    ) -> Version:
        """Replace the annotation of a case; on any error the old one stays.

        Parameters
        ----------
        case
            Case id.
        annotation
            On the grid of the scan.
        scan
            File of the scan; its header is copied.
        reason
            Why. The version before is kept in ``history/``; where both are ``"autosave"``, only if none was
            kept for ten minutes.
        names, run
            What was done since the version before, and with the prediction of which run.
        consensus
            Readers of whom it is the consensus.

        Raises
        ------
        VolumeError
            If the disk is full or write-protected, or what was written does not read back.
        """
        with self._mutex(case), in_plain_words(self._final(case, "labels")):
            draft = annotation if isinstance(annotation, Draft) else Draft.of(annotation)
            return self._write(case, draft, scan, reason, tuple(names), run, tuple(consensus))

    def recover(self, cases: list[str]) -> tuple[str, ...]:
        """Finish or discard what a crash left half done; only while the study's lock is held.

        Returns
        -------
        tuple of str
            A sentence for each damaged record, which was set aside: labels count as they are then.
        """
        notes = []
        for case in cases:
            try:
                if any(self._next(case, part).exists() for part in PARTS):
                    self._settle(case, self.version(case))
                else:
                    self.version(case)
            except (OSError, StudyError):
                notes.append(
                    f"The record of the annotation of {case} was damaged and is set aside in {self._strays}; "
                    "the labels are used as they are. Please check them."
                )
                self._put_record_aside(case)
        return tuple(notes)

    def set_aside(self, case: str) -> None:
        """Move annotation files that belong to no case of the study into ``history/``."""
        for path in self._paths(case):
            self._put_aside(path)
        for part in PARTS:
            self._next(case, part).unlink(missing_ok=True)

    @property
    def _strays(self) -> Path:
        return self._history / "strays"

    def _mutex(self, case: str) -> RLock:
        return self._mutexes.setdefault(case, RLock())

    def _put_aside(self, path: Path) -> None:
        if path.exists():
            clear_way(self._strays, folder=True)
            make_folder(self._strays)
            shutil.move(path, free_path(self._strays / f"{now().replace(':', '')}-{path.name}"))

    def _put_record_aside(self, case: str) -> None:
        with contextlib.suppress(OSError, VolumeError):
            for path in (self._record(case), *(self._next(case, part) for part in PARTS)):
                self._put_aside(path)

    def _write(
        self,
        case: str,
        draft: Draft,
        scan: Path,
        reason: str,
        names: tuple[str, ...],
        run: str | None,
        consensus: tuple[str, ...],
    ) -> Version:
        clear_way(self._folder, folder=True)
        make_folder_in(self._folder.parent, self._folder)
        for path in (*self._paths(case), *(self._next(case, part) for part in PARTS)):
            clear_way(path)
        before = self._version_before(case)
        self._prepare(case, before)
        self._write_files(case, draft, scan)
        versions, earlier = self.versions(case), 0 if before is None else before.generation
        if before is not None and versions.due(before, reason):
            self._keep(case, before)
        version = Version(
            generation=1 + max(versions.newest, earlier),
            reason=reason,
            names=names,
            run=run,
            **self._readers(before, reason, consensus),
            saved=now(),
            labels=sha256_of(self._next(case, "labels")),
            known=sha256_of(self._next(case, "known")),
            known_fraction=draft.known_fraction,
            label_voxels=draft.label_voxels,
            known_voxels=draft.known_voxels,
            complete_slices=draft.complete_counts,
            at_edge=draft.at_edge,
        )
        write_model(self._record(case), version)
        self._known[self._record(case).name] = _stamp(self._record(case).stat())
        with contextlib.suppress(OSError):  # it counts already; the next write renames it first
            self._settle(case, version)
        return version

    def _readers(self, before: Version | None, reason: str, consensus: tuple[str, ...]) -> dict[str, Any]:
        """Who saves this version, and who had a hand in it; what came as files was drawn elsewhere."""
        reader = self._owner or ("" if reason in UNSIGNED else self.reader)
        earlier = () if before is None else before.readers
        readers = earlier if reader in ("", *earlier) else (*earlier, reader)
        return {
            "reader": reader,
            "readers": readers,
            "consensus": consensus or (() if before is None else before.consensus),
        }

    def _keep(self, case: str, before: Version) -> None:
        """Keep the version before; what is left of one whose files are gone is kept without a number."""
        if all(path.is_file() for path in self._paths(case)):
            self.versions(case).keep(before, self._paths(case))
            return
        for part in PARTS:
            if self._final(case, part).is_file():
                self._put_aside(self._final(case, part))

    def _version_before(self, case: str) -> Version | None:
        """Record of what is to be replaced; a damaged one is set aside, it must not stop a save."""
        try:
            return self.version(case)
        except StudyError:
            self._put_record_aside(case)
            return self.version(case)

    def _write_files(self, case: str, draft: Draft, scan: Path) -> None:
        """Write both files beside the old ones; the first ones of a draft are read back as a whole."""
        for part, pieces in zip(PARTS, (draft.labels, draft.known), strict=True):
            path = self._next(case, part)
            write_pieces(path, pieces, draft.shape, scan, read_back=not draft.read_back)
        draft.read_back = True

    def _prepare(self, case: str, version: Version | None) -> None:
        """Make room for new ``.next`` files."""
        try:
            self._settle(case, version)
        except PermissionError as error:
            raise StudyError(
                f"The annotation of {case} could not be saved because its file is open in another "
                "program; close it there."
            ) from error

    def _settle(self, case: str, version: Version | None) -> None:
        """Rename each ``.next`` that the record names and remove the others."""
        for part in PARTS:
            waiting = self._next(case, part)
            if not waiting.exists():
                continue
            if version is not None and sha256_of(waiting) == getattr(version, part):
                _rename(waiting, self._final(case, part))
            else:
                waiting.unlink()

    def _read_version(self, case: str, version: Version, geometry: Geometry) -> Annotation | None:
        """Read what a record names; None where it is not there, or was replaced while it was read."""
        labels = self._current(case, "labels", version)
        known = self._current(case, "known", version)
        if labels is None or known is None:
            return None
        try:
            found = Annotation(read_mask(labels, geometry), read_mask(known, geometry, allowed=list(Known)))
        except VolumeError:
            if labels.exists() and known.exists():
                raise
            return None
        return found if self.version(case) == version else None

    def _read_bare(self, case: str, geometry: Geometry) -> Annotation:
        """Read label files that came without a record, put there by hand."""
        labels, known = (self._final(case, part) for part in PARTS)
        if not labels.is_file():
            return Annotation.empty(geometry.shape)
        mask = read_mask(labels, geometry)
        if known.is_file():
            return Annotation(mask, read_mask(known, geometry, allowed=list(Known)))
        return _as_drawn(mask, np.zeros_like(mask))

    def _read_changed(self, case: str, geometry: Geometry) -> Annotation:
        """Read labels that are not the ones that were saved, beside the known map that was."""
        version, labels = self.version(case), self._final(case, "labels")
        known = None if version is None else self._current(case, "known", version)
        try:
            if known is None or not labels.is_file():
                raise VolumeError(f"its files in {self._folder} are not the ones that were saved.")
            return _as_drawn(read_mask(labels, geometry), read_mask(known, geometry, allowed=list(Known)))
        except GridMismatchError:
            raise
        except VolumeError as error:
            raise StudyError(
                f"The annotation of {case} is damaged: {error} Restore an earlier version, "
                f"from {self._history / case}."
            ) from error

    def _current(self, case: str, part: Part, version: Version) -> Path | None:
        for path in (self._final(case, part), self._next(case, part)):
            with contextlib.suppress(OSError):
                if sha256_of(path) == getattr(version, part):
                    return path
        return None

    def _paths(self, case: str) -> tuple[Path, Path, Path]:
        return self._final(case, "labels"), self._final(case, "known"), self._record(case)

    def _final(self, case: str, part: Part) -> Path:
        return self._folder / (f"{case}.nii.gz" if part == "labels" else f"{case}.known.nii.gz")

    def _next(self, case: str, part: Part) -> Path:
        return self._folder / f"{case}.{part}.next.nii.gz"

    def _record(self, case: str) -> Path:
        return self._folder / f"{case}.json"


def _stamp(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def _fingerprint(revision: int, stamps: Mapping[str, tuple[int, int]]) -> str:
    return f"{revision} {hashlib.sha256(repr(sorted(stamps.items())).encode()).hexdigest()}\n"


def _as_drawn(labels: NDArray[np.uint8], known: NDArray[np.uint8]) -> Annotation:
    known[(labels > 0) & (known == Known.UNKNOWN)] = Known.DRAWN
    return Annotation(labels, known)


def _rename(waiting: Path, final: Path) -> None:
    for _ in range(RENAME_ATTEMPTS - 1):
        try:
            waiting.replace(final)
            return
        except PermissionError:  # Windows: a viewer or a virus scanner has it open
            time.sleep(RENAME_PAUSE_SECONDS)
    waiting.replace(final)
