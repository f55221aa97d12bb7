"""The background jobs that take cases out of the study and put them back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from napari_dycon.engine.control import Control
from napari_dycon.errors import DyconError, StudyError
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.store.removing import RemovedCase
from napari_dycon.study.study import Study


@dataclass(frozen=True, slots=True)
class CasesRemoved:
    """What was taken out, and why the rest was not (an empty text when nothing failed)."""

    cases: tuple[RemovedCase, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class CaseRestored:
    """A case that is in the study again."""

    case_id: str
    name: str


def removal(
    study: Study, case_ids: Sequence[str], save_first: Callable[[], bool]
) -> EventSource[CasesRemoved]:
    """Take cases out once everything painted is on disk."""

    def source(control: Control) -> Iterator[CasesRemoved]:
        del control
        removed, problem = [], ""
        try:
            if not save_first():
                raise StudyError("What you painted cannot be saved at the moment, so nothing was removed.")
            for case_id in case_ids:
                removed.append(study.remove_case(case_id))
        except DyconError as error:
            problem = str(error)
        yield CasesRemoved(tuple(removed), problem)

    return source


def return_of(study: Study, folder: str) -> EventSource[CaseRestored]:
    """Put a removed case back."""

    def source(control: Control) -> Iterator[CaseRestored]:
        del control
        case = study.restore_case(folder)
        yield CaseRestored(case.id, case.name)

    return source
