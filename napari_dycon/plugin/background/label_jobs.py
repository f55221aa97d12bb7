"""The jobs that work on all the labels of the open case: slices in between, tidying up, decisions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from napari_dycon.engine.control import Control
from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.cleanup import fill_holes, keep_largest, remove_islands, smooth
from napari_dycon.study.truth.edits import Edit, difference
from napari_dycon.study.truth.interpolation import Interpolation, drawn_slices, interpolate, known_slices
from napari_dycon.study.truth.regions import Selection, everything
from napari_dycon.wording import millilitres

ISLAND_MM3 = 100.0
SMOOTHER = 2.5
"""How much stronger "smooth_more" is than smoothing by one voxel."""
NOTHING_TO_DO = {
    "largest": "{name} is one piece already.",
    "islands": "{name} has no piece below 0.1 ml.",
    "holes": "{name} has no holes.",
    "slice_holes": "{name} has no holes in any slice.",
    "smooth": "{name} is smooth already.",
    "smooth_more": "{name} is smooth already.",
}


@dataclass(frozen=True)
class Proposed:
    """Labels between labelled slices, to be looked at."""

    case_id: str
    proposal: Interpolation


@dataclass(frozen=True)
class LabelsChanged:
    """An operation on the labels of a case has ended; the sentence may be empty."""

    case_id: str
    sentence: str = ""


def proposal(case: OpenCase, structures: tuple[Structure, ...], axis: int) -> EventSource[Proposed]:
    """Work out the slices between the labelled ones of the open case, see `between`."""

    def source(control: Control) -> Iterator[Proposed]:
        del control
        case.editor.reconcile()
        spacing = case.volume.geometry.spacing
        yield Proposed(case.case_id, between(case.annotation, spacing, structures, axis))

    return source


def change(case: OpenCase, work: Callable[[], str], touch: Callable[[], None]) -> EventSource[LabelsChanged]:
    """Do what looks at every voxel, have it saved whatever is open then; ``work`` says what came of it."""

    def source(control: Control) -> Iterator[LabelsChanged]:
        del control
        sentence = work()
        touch()
        yield LabelsChanged(case.case_id, sentence)

    return source


def clean_up(case: OpenCase, structure: Structure, what: str, axis: int | None) -> str:
    """Tidy a structure of the open case up, and say what came of it; see `cleanup_edit`."""
    case.editor.reconcile()
    spacing = case.volume.geometry.spacing
    edit = cleanup_edit(case.annotation, structure, spacing, what, axis)
    return cleanup_sentence(case.editor.apply(edit) if edit else edit, structure, spacing, what)


def between(
    annotation: Annotation, spacing: tuple[float, ...], structures: tuple[Structure, ...], axis: int
) -> Interpolation:
    """Work out the slices between all that show a structure or are complete, else between complete ones.

    Raises
    ------
    StudyError
        If there is no gap between two of them.
    """
    present = set(np.flatnonzero(np.bincount(annotation.labels.ravel(order="K"), minlength=256)))
    wanted = [one for one in structures if one.value in present] or list(structures)
    complete = known_slices(annotation, axis)
    drawn = {*complete, *drawn_slices(annotation, axis, [one.value for one in wanted])}
    try:
        return interpolate(annotation, spacing, wanted, axis, sorted(drawn))
    except StudyError:
        if len(complete) in (0, len(drawn)):
            raise StudyError(
                "There is nothing to fill: label two slices of this plane with others between them."
            ) from None
    return interpolate(annotation, spacing, wanted, axis, complete)


def cleanup_edit(
    annotation: Annotation, structure: Structure, spacing: tuple[float, ...], what: str, axis: int | None
) -> Edit:
    """Work out a clean-up, see `clean_up`."""
    if not np.any(annotation.labels == structure.value):
        raise StudyError(f"Nothing is labelled as {structure.name} yet.")
    if what == "largest":
        return keep_largest(annotation, structure)
    if what == "islands":
        return remove_islands(annotation, structure, spacing, ISLAND_MM3)
    if "holes" in what:
        return fill_holes(annotation, structure, axis)
    size = prod(spacing) ** (1 / 3) * (SMOOTHER if what == "smooth_more" else 1.0)
    return smooth(annotation, structure, spacing, round(size, 1))


def cleanup_sentence(edit: Edit, structure: Structure, spacing: tuple[float, ...], what: str) -> str:
    """Say in one sentence what a clean-up came to."""
    if not edit:
        return NOTHING_TO_DO[what].format(name=structure.name)
    return f"{edit.name}: {millilitres(edit.voxels * prod(spacing) / 1000)} changed."


def imported_labels(study: Study, case: OpenCase) -> Edit:
    """Return what the labels imported last say about what nobody has spoken about in the open case."""
    versions = (version.generation for version in study.versions(case.case_id) if version.reason == "import")
    imported: Annotation = study.annotation_version(case.case_id, next(versions))
    unknown = Selection(everything(imported.shape).box, case.annotation.known == Known.UNKNOWN)
    return difference(case.annotation, imported, unknown, "Import labels", "import")
