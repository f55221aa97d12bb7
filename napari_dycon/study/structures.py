"""Structures merged or removed, in all annotations of a study or in none.

What is to be done is first written to ``history/structures.json``; then the annotations are rewritten one by
one, each whole and with the version before kept; then the structure leaves ``study.json``, and the note is
marked as done. If the program is stopped on the way, the next one that opens the study to write goes on from
there: rewriting twice does no harm. The notes stay, so that an older version that is looked at or restored
later speaks of the structures of today.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import write_text_atomic
from napari_dycon.study.annotations import Annotation, Known
from napari_dycon.study.files import now

if TYPE_CHECKING:
    from napari_dycon.study.annotation_store import AnnotationStore
    from napari_dycon.study.folder import StudyFolder


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
    notes = read_notes(study.path)
    for place, note in enumerate(notes):
        if not note.done:
            _rewrite(study, store, note)
            done = note.model_copy(update={"done": True})
            notes = (*notes[:place], done, *notes[place + 1 :])
            _write_notes(study.path, notes)


def catch_up(study: StudyFolder, store: AnnotationStore, case_id: str, since: str) -> None:
    """Bring a case that is put back to the structures of today; it was away since that ISO date and time."""
    notes, version, found = read_notes(study.path), store.version(case_id), store.bare_geometry(case_id)
    missed = [note for note in notes if note.when >= since and case_id not in note.generations]
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
    """Read what was merged and removed, oldest first.

    Raises
    ------
    StudyError
        If the file is damaged.
    """
    path = _file(study)
    if not path.is_file():
        return ()
    try:
        return _NOTES.validate_json(path.read_bytes())
    except ValidationError as error:
        raise StudyError(f"{path} is damaged; restore it from a copy of the study.") from error


def _begin(
    study: StudyFolder, store: AnnotationStore, name: str, value: int, becomes: int, *, background: bool
) -> None:
    study.require_writable()
    with study.mutex:
        _require_readable(study, store)
        versions = {case.id: store.version(case.id) for case in study.cases}
        generations = {case: 0 if v is None else v.generation for case, v in versions.items()}
        note = Reassignment(
            name=name,
            value=value,
            becomes=becomes,
            background=background,
            when=now(),
            generations=generations,
        )
        _write_notes(study.path, (*read_notes(study.path), note))
        finish(study, store)


def _require_readable(study: StudyFolder, store: AnnotationStore) -> None:
    """Find a damaged annotation before the first one is rewritten."""
    for case in study.cases:
        found = store.bare_geometry(case.id)
        if found is not None:
            store.read(case.id, found[1])


def _rewrite(study: StudyFolder, store: AnnotationStore, note: Reassignment) -> None:
    reason = "merge" if note.becomes else "remove"
    for case in study.cases:
        found = store.bare_geometry(case.id)
        if found is None:
            continue
        path, geometry = found
        annotation = store.read(case.id, geometry)
        if note.apply(annotation):
            study.replace_case(
                study.annotated(case, store.write(case.id, annotation, path, reason, [note.name])),
                write=False,
            )
    study.set_structures(tuple(kept for kept in study.structures if kept.value != note.value))


def _write_notes(study: Path, notes: tuple[Reassignment, ...]) -> None:
    path = _file(study)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(path, _NOTES.dump_json(notes, indent=1).decode())


def _file(study: Path) -> Path:
    return study / "history" / "structures.json"
