"""Scans and label maps brought into a study, one by one, each refused with a sentence or added whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_dycon.errors import DyconError, StudyError, VolumeError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.json_files import in_words
from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import Volume, read_volume, stem
from napari_dycon.study.annotations import Annotation
from napari_dycon.study.collecting import Found, collect
from napari_dycon.study.files import now, scan_reference, sha256_of
from napari_dycon.study.scans import intensity_facts
from napari_dycon.study.schema import CaseRecord, unique_id

if TYPE_CHECKING:
    from napari_dycon.study.study import Study

MOST_NEW_STRUCTURES = 32


@dataclass(frozen=True, slots=True)
class ImportEvent:
    """One file or DICOM series was dealt with.

    Attributes
    ----------
    path
        The file or folder.
    case
        The case it became; None where it was refused.
    problem
        Why it was refused, or was added without its labels; None where all is well.
    done, total
        Progress.
    """

    path: Path
    case: CaseRecord | None
    problem: str | None
    done: int
    total: int


def add_scan(study: Study, path: Path, labels: Path | None = None) -> CaseRecord:
    """Add one scan file, and its full label map if there is one.

    Parameters
    ----------
    study
        The study.
    path
        NIfTI, NRRD, MHA or MHD; it stays where it is.
    labels
        Label map on the same grid; every voxel of it counts as drawn. In a study without structures its label
        values become structures.

    Returns
    -------
    CaseRecord
        The new case; or the one of the same image, where that had no labels and gets them now, or where its
        file had moved here.

    Raises
    ------
    StudyError
        If the image is in the study already, a label value has no structure, or the study cannot be changed.
    VolumeError
        If a file is damaged, or the labels lie on another grid.
    """
    study.require_writable()
    path = path.absolute()
    twin = _same_image(study, path)
    if twin is not None:
        return _again(study, twin, path, labels)
    return _add(study, path, labels, stem(path))


def add_scans(study: Study, paths: list[Path], labels_dir: Path | None) -> Iterator[ImportEvent]:
    """Add scans from files, folders and DICOM folders; what cannot be used is skipped with its sentence.

    Label maps are matched by file name: the stem of the scan, also followed by ``_label``, ``_seg``,
    ``-label`` and the like. Without `labels_dir` they are looked for among the files themselves, and in
    ``labels`` beside ``images``.

    Parameters
    ----------
    study
        The study.
    paths
        Files and folders; folders are searched with their subfolders.
    labels_dir
        Folder of label maps; scans without one are added as unlabelled.

    Yields
    ------
    ImportEvent
        After each file or series; iteration may be ended at any of them.

    Raises
    ------
    StudyError
        If the study cannot be changed, or `labels_dir` is no folder.
    """
    study.require_writable()
    found = collect([path.absolute() for path in paths], labels_dir, study.path)
    for done, item in enumerate(found, start=1):
        try:
            case, problem = _import(study, item)
        except (DyconError, OSError) as error:
            case, problem = None, str(error)
        yield ImportEvent(item.path, case, problem, done, len(found))


def _import(study: Study, item: Found) -> tuple[CaseRecord | None, str | None]:
    """Add one scan; where only its labels are wrong, add it without them and say so."""
    if item.problem is not None:
        return None, item.problem
    if item.series is not None:
        return _import_series(study, item)
    try:
        return add_scan(study, item.path, item.labels), None
    except (StudyError, VolumeError) as error:
        if item.labels is None or _same_image(study, item.path) is not None:
            raise
        return add_scan(study, item.path), f"{error} The scan was added without labels."


def _import_series(study: Study, item: Found) -> tuple[CaseRecord, str | None]:
    """Convert a DICOM series into ``scans/`` and add that file."""
    from napari_dycon.io.dicom import convert_series

    assert item.series is not None
    case_id = unique_id(item.name, [case.id for case in study.cases])
    target = study.path / "scans" / f"{case_id}.nii.gz"
    target.parent.mkdir(parents=True, exist_ok=True)
    convert_series(item.series, target)
    twin = _same_image(study, target)
    try:
        if twin is not None:
            return _again(study, twin, target, item.labels), None
        return _add(study, target, item.labels, item.name), None
    except (StudyError, VolumeError) as error:
        if item.labels is None or twin is not None:
            raise
        return _add(study, target, None, item.name), f"{error} The scan was added without labels."
    finally:
        if target not in [study.scan_path(case.id) for case in study.cases]:
            target.unlink()


def _add(study: Study, path: Path, labels: Path | None, name: str) -> CaseRecord:
    volume = read_volume(path)
    digest = sha256_of(path)
    annotation = None if labels is None else _read_labels(study, labels, volume.geometry)
    with study.mutex:
        case_id = unique_id(name, [case.id for case in study.cases])
        record = _record(study.path, volume, digest, case_id, name)
        return study.add_case(record, annotation)


def _record(root: Path, volume: Volume, digest: str, case_id: str, name: str) -> CaseRecord:
    geometry, stat = volume.geometry, volume.path.stat()
    reference = scan_reference(root, volume.path)
    try:
        (reference + name).encode()
    except UnicodeEncodeError as error:
        raise VolumeError(
            f"The name of {reference!r} holds characters that cannot be stored; rename it."
        ) from error
    return _checked(
        id=case_id,
        name=name,
        scan=reference,
        shape=geometry.shape,
        spacing=geometry.spacing,
        orientation=geometry.orientation,
        voxel_volume_mm3=geometry.voxel_volume_mm3,
        sha256=digest,
        file_size=stat.st_size,
        file_mtime_ns=stat.st_mtime_ns,
        added=now(),
        intensity=intensity_facts(volume.array),
        notes=volume.notes,
    )


def _checked(**facts: Any) -> CaseRecord:
    try:
        return CaseRecord(**facts)
    except ValidationError as error:
        raise VolumeError(
            f"The scan cannot be described ({in_words(error)}); check it in the program that wrote it."
        ) from error


def _same_image(study: Study, path: Path) -> CaseRecord | None:
    """Case whose scan has the same bytes."""
    if not path.is_file():
        return None  # reading it says what is wrong
    sizes = {case.file_size for case in study.cases}
    if path.stat().st_size not in sizes and 0 not in sizes:
        return None
    digest = sha256_of(path)
    return next((case for case in study.cases if case.sha256 == digest), None)


def _again(study: Study, twin: CaseRecord, path: Path, labels: Path | None) -> CaseRecord:
    """Use what is new about an image that is in the study already: its place or its labels."""
    moved = not study.scan_path(twin.id).is_file()
    if moved:
        stat = path.stat()
        place = {"scan": scan_reference(study.path, path), "file_mtime_ns": stat.st_mtime_ns}
        study.replace_case(twin.model_copy(update=place))
    if labels is not None and twin.status == "unlabelled":
        annotation = _read_labels(study, labels, study.geometry(twin.id))
        return study.save_annotation(twin.id, annotation, "import")
    if not moved:
        raise StudyError(f"{path.name} is the same image as case {twin.id}; it was not added again.")
    return study.case(twin.id)


def _read_labels(study: Study, labels: Path, geometry: Geometry) -> Annotation:
    mask = read_mask(labels, geometry)
    counts = np.bincount(mask.ravel(), minlength=256)
    named = {structure.value for structure in study.structures}
    foreign = [int(value) for value in np.flatnonzero(counts) if value > 0 and int(value) not in named]
    if foreign and not named and len(foreign) <= MOST_NEW_STRUCTURES:
        for value in foreign:
            study.add_structure(f"structure {value}", value=value)
    elif foreign:
        raise StudyError(_foreign_values(labels, foreign, counts))
    return Annotation.full(mask)


def _foreign_values(labels: Path, foreign: list[int], counts: NDArray[np.intp]) -> str:
    listed = ", ".join(f"{value} ({counts[value]} voxels)" for value in foreign[:6])
    more = f" and {len(foreign) - 6} more" if len(foreign) > 6 else ""
    return (
        f"{labels.name} holds label values that no structure has: {listed}{more}; add a structure with "
        "that value, then "
        "import the labels again."
    )
