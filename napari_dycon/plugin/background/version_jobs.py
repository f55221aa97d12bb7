"""The jobs that list, read and restore earlier versions of an annotation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from napari_dycon.engine.control import Control
from napari_dycon.plugin.background.jobs import while_there
from napari_dycon.plugin.background.version_rows import VersionRow, version_row
from napari_dycon.plugin.background.worker import EventSource, plain_words
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.study.study import Study
from napari_dycon.study.truth.edits import difference
from napari_dycon.study.truth.regions import everything


@dataclass(frozen=True, slots=True)
class VersionsListed:
    """The versions of a case, newest first."""

    case_id: str
    rows: tuple[VersionRow, ...]


@dataclass(frozen=True, slots=True)
class VersionRead:
    """The labels ``(x, y, z)`` of a version in source order, or why they cannot be read."""

    case_id: str
    generation: int
    labels: np.ndarray | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class VersionRestored:
    """A version is the annotation again, unless it was already or cannot be read."""

    case_id: str
    when: str
    changed: bool
    problem: str = ""


def version_list(
    study: Study, case_id: str, save_first: Callable[[], bool] | None = None
) -> EventSource[VersionsListed]:
    """List the versions of a case, once everything painted is on disk."""

    def source(control: Control) -> Iterator[VersionsListed]:
        del control
        if save_first is not None:
            save_first()
        shape, now = study.case(case_id).shape, datetime.now().astimezone()
        rows = (version_row(version, shape, now) for version in study.versions(case_id))
        yield VersionsListed(case_id, tuple(rows))

    return while_there(study, case_id, source)


def version_labels(study: Study, case_id: str, generation: int) -> EventSource[VersionRead]:
    """Read a version to look at it."""

    def source(control: Control) -> Iterator[VersionRead]:
        del control
        try:
            labels = study.annotation_version(case_id, generation).labels
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file, the others stay usable
            yield VersionRead(case_id, generation, None, plain_words(error))
        else:
            yield VersionRead(case_id, generation, labels)

    return source


def version_return(
    study: Study, case: OpenCase, generation: int, when: str, touch: Callable[[], None]
) -> EventSource[VersionRestored]:
    """Change the annotation of the open case to what it was in a version, as one edit."""

    def source(control: Control) -> Iterator[VersionRestored]:
        del control
        try:
            version = study.annotation_version(case.case_id, generation)
            case.editor.reconcile()
            name, where = f"Restore the version of {when}", everything(version.shape)
            edit = difference(case.annotation, version, where, name, "restore")
            if edit:
                case.editor.apply(edit)
                touch()
            yield VersionRestored(case.case_id, when, bool(edit))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file, the others stay usable
            yield VersionRestored(case.case_id, when, False, plain_words(error))

    return source
