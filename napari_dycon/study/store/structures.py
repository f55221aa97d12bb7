"""Structures merged or removed, in all annotations of a study or in none.

What is to be done is first written to ``history/structures.json``; then the annotations are rewritten one by
one, each whole and with the version before kept; then the structure leaves ``study.json``, and the note is
marked as done. The study stays free for everything else meanwhile: its mutex is held to note things, never
while a case is worked on. If the program is stopped on the way, the next one that opens the study to write
goes on from there: rewriting twice does no harm. The notes stay, so that an older version that is looked at
or restored later speaks of the structures of today.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import make_folder
from napari_dycon.io.json_files import write_checked
from napari_dycon.study.store.annotation_store import AnnotationStore
from napari_dycon.study.store.files import clear_way, free_path, now
from napari_dycon.study.store.folder import StudyFolder
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.truth.annotations import Annotation, Known


class Reassignment(BaseModel):
    """A label value that was given up.

    Attributes
    ----------
    name
        What was done, for example ``Merge "vein" into "left atrium"``.
    value
        Label value that is gone.
    becomes
        Label value in its place; 0 where there is none.
    background
        Whether its voxels became known background, rather than unknown, where `becomes` is 0.
    when
        ISO date and time, UTC.
    generations
        Newest save of each case before; it and what is older holds the value still.
    done
        Whether all annotations are rewritten.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    value: int
    becomes: int = 0
    background: bool = False
    when: str
    generations: dict[str, int]
    done: bool = False

    def apply(self, annotation: Annotation) -> bool:
        """Rewrite an annotation in place; return whether it held the value."""
        held = (annotation.labels == self.value) & (annotation.known != Known.UNKNOWN)
        annotation.labels[held] = self.becomes
        if self.becomes == 0 and not self.background:
            annotation.known[held & (annotation.known != Known.IGNORE)] = Known.UNKNOWN
        return bool(held.any())


_NOTES = TypeAdapter(tuple[Reassignment, ...])


class StructureChanges:
    """Structures of one study merged or removed, and what is older than that read as of today.

    Parameters
    ----------
    study
        Its record, cases and structures.
    annotations
        Its annotations.
    """

    def __init__(self, study: StudyFolder, annotations: AnnotationStore) -> None:
        self._study = study
        self._annotations = annotations

    def merge(self, value: int, into: int) -> None:
        """Give the voxels of one structure to another, in every case, and take it out of the study.

        Raises
        ------
        StudyError
            If there is no such structure, it is locked, both are the same, or the study cannot be changed.
        """
        source, target = self._study.structure(value), self._study.structure(into)
        if source is target:
            raise StudyError("A structure cannot be merged into itself; choose another one.")
        self._begin(f'Merge "{source.name}" into "{target.name}"', value, into, background=False)

    def remove(self, value: int, *, background: bool = False) -> None:
        """Take a structure out of the study; its voxels become unknown, or background if so wished.

        Raises
        ------
        StudyError
            If there is no such structure, it is locked, or the study cannot be changed.
        """
        source = self._study.structure(value)
        self._begin(f'Remove "{source.name}"', value, 0, background=background)

    def finish(self) -> None:
        """Go on with what was cut off; only while the study's lock is held."""
        self._set_damaged_aside()
        with self._study.restructuring:
            for place, note in enumerate(read_notes(self._study.path)):
                if not note.done:
                    self._rewrite(place)

    def values_given_up(self) -> dict[int, str]:
        """Label values that no structure has any more, by the notes, and the names they had."""
        values = {structure.value for structure in self._study.structures}
        notes = read_notes(self._study.path)
        return {
            note.value: note.name.split('"')[1] for note in notes if note.done and note.value not in values
        }

    def catch_up(self, case_id: str) -> None:
        """Bring a case that is put back to the structures of today, by what was noted while it was away."""
        notes, version = read_notes(self._study.path), self._annotations.version(case_id)
        found = self._annotations.bare_geometry(case_id)
        values = {structure.value for structure in self._study.structures}
        missed = [note for note in notes if case_id not in note.generations and note.value not in values]
        if found is None or not missed:
            return
        reached = {case_id: 0 if version is None else version.generation}
        kept = (
            note.model_copy(update={"generations": note.generations | reached}) if note in missed else note
            for note in notes
        )
        _write_notes(self._study.path, tuple(kept))
        path, geometry = found
        annotation = self._annotations.read(case_id, geometry)
        names = [note.name for note in missed if note.apply(annotation)]
        if names:
            saved = self._annotations.write(case_id, annotation, path, "merge", names)
            self._study.replace_case(self._study.with_annotation(self._study.case(case_id), saved))

    def translate(self, case: str, generation: int, annotation: Annotation) -> Annotation:
        """Bring an older version of a case to the structures of today, in place."""
        for note in read_notes(self._study.path):
            if generation <= note.generations.get(case, 0):
                note.apply(annotation)
        return annotation

    def translate_mask(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring a mask that a model made of the structures of its day to those of today, in place.

        A label value that another structure has got since is left alone.
        """
        values = {structure.value for structure in self._study.structures}
        for note in read_notes(self._study.path):
            if note.value not in values:
                mask[mask == note.value] = note.becomes
        return mask

    def _begin(self, name: str, value: int, becomes: int, *, background: bool) -> None:
        self._study.require_writable()
        with self._study.restructuring:
            require_unlocked(self._study.structure(value))  # another change may have taken it meanwhile
            self._require_readable(value)
            with self._study.mutex:
                versions = {case.id: self._annotations.version(case.id) for case in self._study.cases}
                note = Reassignment(
                    name=name,
                    value=value,
                    becomes=becomes,
                    background=background,
                    when=now(),
                    generations={case: 0 if v is None else v.generation for case, v in versions.items()},
                )
                notes = read_notes(self._study.path)
                _write_notes(self._study.path, (*notes, note))
            self._rewrite(len(notes))

    def _require_readable(self, value: int) -> None:
        """Find a damaged annotation before the first one is rewritten."""
        for case in self._study.cases:
            found = self._annotations.bare_geometry(case.id)
            if found is not None and self._annotations.may_hold(case.id, value):
                self._annotations.read(case.id, found[1])

    def _rewrite(self, place: int) -> None:
        """Do what one of the notes says, case by case, until there is none left that came in between."""
        note, seen = read_notes(self._study.path)[place], set[str]()
        while True:
            with self._study.mutex:
                left = [case.id for case in self._study.cases if case.id not in seen]
                note = self._note_cases(place, left)
                if not left:
                    left_over = (one for one in self._study.structures if one.value != note.value)
                    self._study.set_structures(tuple(left_over))
                    self._replace_note(place, note.model_copy(update={"done": True}))
                    return
            for case_id in left:
                self._rewrite_case(note, case_id)
            seen.update(left)

    def _note_cases(self, place: int, cases: list[str]) -> Reassignment:
        """Add cases that came since the note was made: what they are now holds the value still."""
        note = read_notes(self._study.path)[place]
        new = {case: self._annotations.version(case) for case in cases if case not in note.generations}
        if new:
            reached = {case: 0 if version is None else version.generation for case, version in new.items()}
            note = note.model_copy(update={"generations": note.generations | reached})
            self._replace_note(place, note)
        return note

    def _rewrite_case(self, note: Reassignment, case_id: str) -> None:
        there = self._annotations.bare_geometry(case_id)
        if there is None or not self._annotations.may_hold(case_id, note.value):
            return
        path, geometry = there
        annotation = self._annotations.read(case_id, geometry)
        if note.apply(annotation):
            reason = "merge" if note.becomes else "remove"
            version = self._annotations.write(case_id, annotation, path, reason, [note.name])
            with self._study.mutex:
                found = [case for case in self._study.cases if case.id == case_id]
                for case in found:  # none where it was removed meanwhile
                    self._study.replace_case(self._study.with_annotation(case, version), write=False)

    def _replace_note(self, place: int, note: Reassignment) -> None:
        notes = read_notes(self._study.path)
        _write_notes(self._study.path, (*notes[:place], note, *notes[place + 1 :]))

    def _set_damaged_aside(self) -> None:
        path = _file(self._study.path)
        if path.is_file() and not read_notes(self._study.path):
            path.replace(free_path(path.with_name(f"{path.name}.damaged")))
            self._study.tell(
                f"{path} was damaged and set aside: older versions and predictions may show structures that "
                "were merged or removed."
            )


def require_unlocked(structure: Structure) -> None:
    """Refuse to take a structure out of the study that is locked.

    Raises
    ------
    StudyError
        With what to do.
    """
    if structure.locked:
        raise StudyError(f"“{structure.name}” is locked, and this would change it: unlock it first.")


def locked_names(structures: Iterable[Structure]) -> dict[int, str]:
    """Label values of the structures that are locked, and what they are called."""
    return {structure.value: structure.name for structure in structures if structure.locked}


def read_notes(study: Path) -> tuple[Reassignment, ...]:
    """Read what was merged and removed, oldest first; nothing where the file is damaged or not there."""
    try:
        return _NOTES.validate_json(_file(study).read_bytes())
    except (OSError, ValidationError):
        return ()


def _write_notes(study: Path, notes: tuple[Reassignment, ...]) -> None:
    path = _file(study)
    clear_way(path.parent, folder=True)
    make_folder(path.parent)
    clear_way(path)
    write_checked(path, _NOTES.dump_json(notes, indent=1), _NOTES.validate_json)


def _file(study: Path) -> Path:
    return study / "history" / "structures.json"
