"""Structures merged or removed, in all annotations of a study or in none.

What is to be done is first written to ``history/structures.json``; then the annotations are rewritten one by
one, each whole and with the version before kept; then the structure leaves ``study.json``, and the note is
marked as done. The study stays free for everything else meanwhile: its mutex is held to note things, never
while a case is worked on. If the program is stopped on the way, the next one that opens the study to write
goes on from there: rewriting twice does no harm. The notes stay, so that an older version that is looked at
or restored later speaks of the structures of today.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import make_folder
from napari_dycon.io.json_files import write_checked
from napari_dycon.study.store.files import clear_way, free_path, now
from napari_dycon.study.truth.annotations import Annotation, Known

if TYPE_CHECKING:
    from napari_dycon.study.store.annotation_store import AnnotationStore
    from napari_dycon.study.store.folder import StudyFolder


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


def merge(study: StudyFolder, store: AnnotationStore, value: int, into: int) -> None:
    """Give the voxels of one structure to another, in every case, and take it out of the study.

    Raises
    ------
    StudyError
        If there is no such structure, both are the same, or the study cannot be changed.
    """
    source, target = study.structure(value), study.structure(into)
    if source is target:
        raise StudyError("A structure cannot be merged into itself; choose another one.")
    _begin(study, store, f'Merge "{source.name}" into "{target.name}"', value, into, background=False)


def remove(study: StudyFolder, store: AnnotationStore, value: int, *, background: bool = False) -> None:
    """Take a structure out of the study; its voxels become unknown, or background if so wished.

    Raises
    ------
    StudyError
        If there is no such structure, or the study cannot be changed.
    """
    source = study.structure(value)
    _begin(study, store, f'Remove "{source.name}"', value, 0, background=background)


def finish(study: StudyFolder, store: AnnotationStore) -> None:
    """Go on with what was cut off; only while the study's lock is held."""
    _set_damaged_aside(study)
    with study.restructuring:
        for place, note in enumerate(read_notes(study.path)):
            if not note.done:
                _rewrite(study, store, place)


def given_up(study: StudyFolder) -> dict[int, str]:
    """Label values that no structure has any more, by the notes, and the names they had."""
    values = {structure.value for structure in study.structures}
    notes = read_notes(study.path)
    return {note.value: note.name.split('"')[1] for note in notes if note.done and note.value not in values}


def catch_up(study: StudyFolder, store: AnnotationStore, case_id: str) -> None:
    """Bring a case that is put back to the structures of today, by what was noted while it was away."""
    notes, version, found = read_notes(study.path), store.version(case_id), store.bare_geometry(case_id)
    values = {structure.value for structure in study.structures}
    missed = [note for note in notes if case_id not in note.generations and note.value not in values]
    if found is None or not missed:
        return
    reached = {case_id: 0 if version is None else version.generation}
    kept = (
        note.model_copy(update={"generations": note.generations | reached}) if note in missed else note
        for note in notes
    )
    _write_notes(study.path, tuple(kept))
    path, geometry = found
    annotation = store.read(case_id, geometry)
    names = [note.name for note in missed if note.apply(annotation)]
    if names:
        record = study.case(case_id)
        study.replace_case(study.annotated(record, store.write(case_id, annotation, path, "merge", names)))


def translated(study: Path, case: str, generation: int, annotation: Annotation) -> Annotation:
    """Bring an older version of a case to the structures of today, in place."""
    for note in read_notes(study):
        if generation <= note.generations.get(case, 0):
            note.apply(annotation)
    return annotation


def translated_mask(study: StudyFolder, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring a mask that a model made of the structures of its day to those of today, in place.

    A label value that another structure has got since is left alone.
    """
    values = {structure.value for structure in study.structures}
    for note in read_notes(study.path):
        if note.value not in values:
            mask[mask == note.value] = note.becomes
    return mask


def read_notes(study: Path) -> tuple[Reassignment, ...]:
    """Read what was merged and removed, oldest first; nothing where the file is damaged or not there."""
    try:
        return _NOTES.validate_json(_file(study).read_bytes())
    except (OSError, ValidationError):
        return ()


def _begin(
    study: StudyFolder, store: AnnotationStore, name: str, value: int, becomes: int, *, background: bool
) -> None:
    study.require_writable()
    with study.restructuring:
        study.structure(value)  # another change may have taken it meanwhile
        _require_readable(study, store, value)
        with study.mutex:
            versions = {case.id: store.version(case.id) for case in study.cases}
            note = Reassignment(
                name=name,
                value=value,
                becomes=becomes,
                background=background,
                when=now(),
                generations={case: 0 if v is None else v.generation for case, v in versions.items()},
            )
            notes = read_notes(study.path)
            _write_notes(study.path, (*notes, note))
        _rewrite(study, store, len(notes))


def _require_readable(study: StudyFolder, store: AnnotationStore, value: int) -> None:
    """Find a damaged annotation before the first one is rewritten."""
    for case in study.cases:
        found = store.bare_geometry(case.id)
        if found is not None and store.may_hold(case.id, value):
            store.read(case.id, found[1])


def _rewrite(study: StudyFolder, store: AnnotationStore, place: int) -> None:
    """Do what one of the notes says, case by case, until there is none left that came in between."""
    note, seen = read_notes(study.path)[place], set[str]()
    while True:
        with study.mutex:
            left = [case.id for case in study.cases if case.id not in seen]
            note = _noted(study, store, place, left)
            if not left:
                kept = tuple(structure for structure in study.structures if structure.value != note.value)
                study.set_structures(kept)
                _replace_note(study, place, note.model_copy(update={"done": True}))
                return
        for case_id in left:
            _rewrite_case(study, store, note, case_id)
        seen.update(left)


def _noted(study: StudyFolder, store: AnnotationStore, place: int, cases: list[str]) -> Reassignment:
    """Add cases that came since the note was made: what they are now holds the value still."""
    note = read_notes(study.path)[place]
    new = {case: store.version(case) for case in cases if case not in note.generations}
    if new:
        reached = {case: 0 if version is None else version.generation for case, version in new.items()}
        note = note.model_copy(update={"generations": note.generations | reached})
        _replace_note(study, place, note)
    return note


def _rewrite_case(study: StudyFolder, store: AnnotationStore, note: Reassignment, case_id: str) -> None:
    found = store.bare_geometry(case_id)
    if found is None or not store.may_hold(case_id, note.value):
        return
    path, geometry = found
    annotation = store.read(case_id, geometry)
    if note.apply(annotation):
        reason = "merge" if note.becomes else "remove"
        version = store.write(case_id, annotation, path, reason, [note.name])
        with study.mutex:
            if any(case.id == case_id for case in study.cases):  # it may have been removed meanwhile
                study.replace_case(study.annotated(study.case(case_id), version), write=False)


def _replace_note(study: StudyFolder, place: int, note: Reassignment) -> None:
    notes = read_notes(study.path)
    _write_notes(study.path, (*notes[:place], note, *notes[place + 1 :]))


def _write_notes(study: Path, notes: tuple[Reassignment, ...]) -> None:
    path = _file(study)
    clear_way(path.parent, folder=True)
    make_folder(path.parent)
    clear_way(path)
    write_checked(path, _NOTES.dump_json(notes, indent=1), _NOTES.validate_json)


def _set_damaged_aside(study: StudyFolder) -> None:
    path = _file(study.path)
    if path.is_file() and not read_notes(study.path):
        path.replace(free_path(path.with_name(f"{path.name}.damaged")))
        study.tell(
            f"{path} was damaged and set aside: older versions and predictions may show structures that were "
            "merged or removed."
        )


def _file(study: Path) -> Path:
    return study / "history" / "structures.json"
