"""Several readers of one study: each has one of their own in it, and sees no other's labels.

The study of a further reader lies in ``readers/NAME`` of the study and is one like any other, with a lock and
a history of its own. So two people can draw at the same time, on a shared folder too, and nothing that one
does can touch what the other did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from napari_dycon.errors import DyconError, StudyError
from napari_dycon.study.store.files import READERS, free_path, scan_reference, study_around
from napari_dycon.study.store.naming import fold, slug
from napari_dycon.study.store.schema import CaseRecord, ImageRecord, Whole, reader_name
from napari_dycon.study.store.studyfile import STUDY_FILE
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.consensus import Rule, consensus

FIRST = "first reader"
"""What the reader of the study itself is called where nobody has said who that is."""
NOT_DRAWN_YET = {
    "status": "unlabelled",
    "known_fraction": 0.0,
    "volumes_ml": {},
    "label_voxels": {},
    "at_edge": (),
}


@dataclass(frozen=True, slots=True)
class Reader:
    """A further reader of a study.

    Attributes
    ----------
    name
        As the reader gave it.
    path
        Folder of their own study.
    """

    name: str
    path: Path


def readers(study: Study) -> tuple[Reader, ...]:
    """Further readers of a study, by name; what cannot be read there is passed over."""
    found = []
    for path in sorted((study.path / READERS).glob(f"*/{STUDY_FILE}")):
        try:
            with Study.open(path.parent, read_only=True) as own:
                found.append(Reader(own.record.reader or path.parent.name, path.parent))
        except DyconError:
            continue
    return tuple(sorted(found, key=lambda reader: fold(reader.name)))


def open_reader(study: Study, name: str) -> Study:
    """Open the study of a further reader to write; it is made where there is none.

    It has the scans and structures of the study, also those that came since, and none of its labels,
    predictions and models.

    Parameters
    ----------
    study
        Any but that of a further reader; it need not be writable.
    name
        Name or initials.

    Raises
    ------
    StudyError
        If nobody is named, the study is itself that of a further reader, or the reader's is open elsewhere.
    """
    name = reader_name(name)
    if not name:
        raise StudyError("A further reader needs a name or initials.")
    if study.record.reader or study_around(study.path) is not None:
        raise StudyError(f"{study.path} is the study of {study.record.reader}; name the one that it lies in.")
    known = next((reader for reader in readers(study) if fold(reader.name) == fold(name)), None)
    if known is None:
        path = free_path(study.path / READERS / slug(name))
        own = Study.create(path, study.structures, f"{study.name}, {name}", name)
    else:
        own = Study.open(known.path, read_only=False)
    try:
        _bring_up(own, study)
    except BaseException:
        own.close()
        raise
    return own


def _bring_up(own: Study, study: Study) -> None:
    """Give a reader's study the scans and structures that it lacks."""
    there, values = {case.id for case in own.cases}, {each.value for each in own.structures}
    fresh = [_blank(case, study, own) for case in study.cases if case.id not in there]
    added = [each for each in study.structures if each.value not in values]
    own.set_structures((*own.structures, *added), _shared_wholes(own, study))
    own.update(
        secret=study.record.secret,
        channels=study.record.channels,
        endings=study.record.endings,
        cases=(*own.cases, *fresh),
    )


def _shared_wholes(own: Study, study: Study) -> tuple[Whole, ...]:
    """Wholes of the study, then those of the reader alone."""
    names = {structure.name for structure in own.structures}
    shared = {whole.name: whole for whole in study.record.wholes if whole.name not in names}
    return tuple(({whole.name: whole for whole in own.record.wholes} | shared).values())


def _blank(case: CaseRecord, study: Study, own: Study) -> CaseRecord:
    """A case without labels, whose images lie where they do."""

    def place(image: ImageRecord, channel: str = "") -> dict[str, str]:
        return {"scan": scan_reference(own.path, study.scan_path(case.id, channel))}

    images = {name: image.model_copy(update=place(image, name)) for name, image in case.images.items()}
    return case.model_copy(update={**NOT_DRAWN_YET, **place(case), "images": images})


class Readings:
    """What the readers of a study drew; a context, in which the studies of all of them are open to read.

    Parameters
    ----------
    study
        The study that theirs lie in.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._others: list[Study] = []

    def __enter__(self) -> Self:
        for reader in readers(self._study):
            with suppress(DyconError):  # it is being made, or gone again
                self._others.append(Study.open(reader.path, read_only=True))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for other in self._others:
            other.close()

    def of(self, case_id: str) -> dict[str, Annotation]:
        """What each reader drew of a case, by name; who drew nothing is left out.

        Of the study itself it is what was drawn before any consensus, in the name of those who drew it. Label
        values are those of the study; another reader's structures are matched by name.

        Raises
        ------
        StudyError
            If there is no such case, or labels are damaged.
        """
        found = dict[str, Annotation]()
        versions = self._study.versions(case_id)
        version = next((each for each in versions if not each.consensus), None)
        if version is not None:
            own = self._study.annotation_version(case_id, version.generation)
            if own.known.any():
                found[" and ".join(version.readers) or FIRST] = own
        for other in self._others:
            if any(case.id == case_id and case.status != "unlabelled" for case in other.cases):
                name = _free_name(other.reader, found)
                found[name] = _translate(other.annotation(case_id), other, self._study)
        return found


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    """Name of a further reader beside one of the study itself who is called the same."""
    return name if name not in taken else f"{name} (again)"


def _translate(annotation: Annotation, theirs: Study, study: Study) -> Annotation:
    values = {fold(each.name): each.value for each in study.structures}
    changes = {
        each.value: values[fold(each.name)]
        for each in theirs.structures
        if fold(each.name) in values and values[fold(each.name)] != each.value
    }
    labels = annotation.labels.copy()
    for old, new in changes.items():
        labels[annotation.labels == old] = new
    return Annotation(labels, annotation.known)


@dataclass(frozen=True, slots=True)
class ConsensusMade:
    """A case got the consensus of its readers as its annotation, or why it did not.

    Attributes
    ----------
    case
        Id of the case.
    readers
        Whose.
    decided, open
        Shares of what anybody knows that the rule decided, and that is left to a person; 0 to 1.
    problem
        Why there is none; empty where there is one.
    done, total
        Cases dealt with so far, and in all.
    """

    case: str
    readers: tuple[str, ...]
    decided: float
    open: float
    problem: str
    done: int
    total: int


def make_consensus(
    study: Study, rule: Rule | None = None, case_ids: Sequence[str] | None = None
) -> Iterator[ConsensusMade]:
    """Make the consensus of its readers the annotation of each case that two or more drew.

    The annotation before is kept as a version, and stays the reading of who drew it.

    Parameters
    ----------
    study
        The study.
    rule
        See `truth.consensus`; by default ``"staple"`` for three readers or more, else ``"agreed"``.
    case_ids
        All cases by default.

    Raises
    ------
    StudyError
        If the study cannot be changed.
    """
    study.require_writable()
    wanted = [case.id for case in study.cases if case_ids is None or case.id in case_ids]
    with Readings(study) as readings:
        for done, case_id in enumerate(wanted, start=1):
            try:
                made = _consensus_of(study, case_id, readings.of(case_id), rule)
            except DyconError as error:
                made = (), 0.0, 0.0, str(error)
            yield ConsensusMade(case_id, *made, done, len(wanted))


def _consensus_of(
    study: Study, case_id: str, drawn: Mapping[str, Annotation], rule: Rule | None
) -> tuple[tuple[str, ...], float, float, str]:
    if len(drawn) < 2:
        return (*drawn,), 0.0, 0.0, "fewer than two readers drew it"
    rule = rule or ("staple" if len(drawn) > 2 else "agreed")
    made = consensus([*drawn.values()], rule)
    names = [f"Consensus of {', '.join(drawn)} ({rule})"]
    study.save_annotation(case_id, made, "consensus", names, consensus=(*drawn,))
    spoken = np.logical_or.reduce([each.known != Known.UNKNOWN for each in drawn.values()])
    total = int(np.count_nonzero(spoken)) or 1
    decided = np.count_nonzero(made.known == Known.INTERPOLATED)
    left = np.count_nonzero(spoken & (made.known == Known.UNKNOWN))
    return (*drawn,), decided / total, left / total, ""
