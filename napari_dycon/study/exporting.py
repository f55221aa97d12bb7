"""Masks and volumes of a study for use elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import StudyError
from napari_dycon.io.exports import export_mask, volumes_csv
from napari_dycon.study.annotations import Annotation, Known
from napari_dycon.study.schema import CaseRecord

if TYPE_CHECKING:
    from napari_dycon.study.study import Study

Origin = Literal["annotation", "prediction"]
NOTHING = "There is nothing to export yet: label a case, or train and predict first."
NOT_READY = (
    "There is nothing to export yet: the model was not ready when it predicted. Train on and predict "
    "again, or label a case."
)


@dataclass(frozen=True, slots=True)
class ExportStep:
    """One case has been dealt with, or at last the table.

    Attributes
    ----------
    path
        The file that was written; None for a case about which nothing is known or predicted.
    done, total
        Cases that have been dealt with, and in all.
    """

    path: Path | None
    done: int
    total: int


def export(
    study: Study, out: Path, case_ids: Sequence[str] | None, run: str | None, not_ready: bool = False
) -> list[Path]:
    """Write masks and the table, see `export_steps`; return their files, last the table."""
    steps = export_steps(study, out, case_ids, run, not_ready)
    return [step.path for step in steps if step.path is not None]


def export_steps(
    study: Study,
    out: Path,
    case_ids: Sequence[str] | None,
    run: str | None,
    not_ready: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[ExportStep]:
    """Write one mask per case on the grid of its scan, and ``volumes.csv``.

    A mask is the annotation where the case is complete or was not predicted; else the prediction, with every
    voxel that a person knows on top. Cases about which nothing is known or predicted are left out.

    Parameters
    ----------
    study
        The study.
    out
        Folder; made where it does not exist.
    case_ids
        Which cases; all by default.
    run
        Whose predictions; the active run's by default.
    not_ready
        Write also predictions that a model made that was not ready yet (see `left_out`).
    stopped
        Asked before each case; where it says yes, the table of what was written so far ends the export.

    Yields
    ------
    ExportStep
        One a case, and last the table.

    Raises
    ------
    StudyError
        If there is nothing to export, or the folder belongs to the study.
    VolumeError
        If the disk is full or write-protected, or a mask would replace its scan.
    """
    if out.resolve() in {
        study.path.resolve() / name for name in ("", "annotations", "predictions", "history", "scans")
    }:
        raise StudyError(f"{out} belongs to the study itself; choose another folder to export to.")
    run = study.active_run if run is None else run
    early = [] if not_ready else left_out(study, case_ids, run)
    wanted = _wanted(study, case_ids)
    written, rows, done = False, list[dict[str, object]](), 0
    for case in wanted:
        if stopped():
            break
        found, path, done = _mask(study, case, None if case.id in early else run), None, done + 1
        if found is not None:
            path, written = out / f"{case.id}.nii.gz", True
            export_mask(found[0], study.scan_path(case.id), path)
            rows.extend(_rows(study, case, *found))
        yield ExportStep(path, done, len(wanted))
    if written:
        volumes_csv(rows, out / "volumes.csv")
        yield ExportStep(out / "volumes.csv", done, len(wanted))
    elif done == len(wanted):
        raise StudyError(NOT_READY if early else NOTHING)


def left_out(study: Study, case_ids: Sequence[str] | None, run: str | None) -> list[str]:
    """Cases whose prediction is exported only when asked for: the model that made it was not ready yet."""
    run = study.active_run if run is None else run
    early = set() if run is None else study.unready_predictions(run)
    wanted = _wanted(study, case_ids)
    return [case.id for case in wanted if case.id in early and case.status != "complete"]


def early_sentence(count: int) -> str:
    """What to tell the user about predictions that were exported though they came too early."""
    masks = "1 mask comes" if count == 1 else f"{count} masks come"
    return (
        f"{masks} from a model that was not ready yet: train on and predict again before you use such masks."
    )


def left_out_sentence(count: int) -> str:
    """What to tell the user about predictions that were not exported."""
    masks = "The prediction of 1 case was" if count == 1 else f"The predictions of {count} cases were"
    return f"{masks} left out: the model was not ready yet. Train on and predict again."


def _wanted(study: Study, case_ids: Sequence[str] | None) -> Sequence[CaseRecord]:
    return study.cases if case_ids is None else [study.case(case_id) for case_id in case_ids]


def _mask(study: Study, case: CaseRecord, run: str | None) -> tuple[NDArray[np.uint8], Origin] | None:
    prediction = None
    if case.status != "complete" and run is not None:
        prediction = study.prediction(run, case.id)
    if prediction is not None:
        return merged(study.annotation(case.id), prediction), "prediction"
    if case.status == "unlabelled":
        return None
    annotation = study.annotation(case.id)
    return merged(annotation, np.zeros_like(annotation.labels)), "annotation"


def merged(annotation: Annotation, prediction: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay what is known over a prediction; voxels to be ignored keep the prediction."""
    spoken = (annotation.known != Known.UNKNOWN) & (annotation.known != Known.IGNORE)
    return np.where(spoken, annotation.labels, prediction)


def _rows(
    study: Study, case: CaseRecord, mask: NDArray[np.uint8], origin: Origin
) -> Iterator[dict[str, object]]:
    counts = np.bincount(mask.ravel(), minlength=256)
    for structure in study.structures:
        voxels = int(counts[structure.value])
        yield {
            "case": case.id,
            "structure": structure.name,
            "voxels": voxels,
            "volume_ml": voxels * case.voxel_ml,
            "source": origin,
            "known_percent": 100.0 * case.known_fraction,
        }
