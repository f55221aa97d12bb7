"""Scans and label maps brought into a study, one by one, each refused with a sentence or added whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from napari_dycon.errors import DyconError, StudyError, VolumeError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.json_files import in_words
from napari_dycon.io.masks import read_labels
from napari_dycon.io.volumes import Volume, is_volume, read_volume, stem
from napari_dycon.study.exchange import channels
from napari_dycon.study.exchange.channels import Endings
from napari_dycon.study.exchange.collecting import Collected, Found, collect
from napari_dycon.study.exchange.frames import Volumes, unfold
from napari_dycon.study.exchange.label_values import (
    Foreign,
    ForeignValuesError,
    Key,
    meanings,
    without_structure,
)
from napari_dycon.study.exchange.packed import Unpacking, unpack_archives
from napari_dycon.study.store import naming
from napari_dycon.study.store.files import now, scan_reference, sha256_of
from napari_dycon.study.store.identity import content_of
from napari_dycon.study.store.scans import intensity_facts, lies_as, looks_like_labels
from napari_dycon.study.store.schema import CaseRecord, ImageRecord
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

MOST_NEW_STRUCTURES = 32
MOST_NAMED = 3

Outcome = Literal["added", "labelled", "joined", "found again", "already there", "refused"]
"""What became of a file: a scan that was there got labels or further images, or its new place was found."""


class SameImageError(StudyError):
    """The scan is in the study already, and there is nothing new about it."""

    def __init__(self, message: str, case: CaseRecord) -> None:
        super().__init__(message)
        self.case = case


@dataclass(frozen=True, slots=True)
class CollectingScans:
    """Folders are being searched for scans; nothing was added yet."""


@dataclass(frozen=True, slots=True)
class ImportEvent:
    """One file or DICOM series was dealt with.

    Attributes
    ----------
    path
        The file or folder.
    case
        The case it became or belongs to; None where it was refused.
    problem
        Why it was refused, or was added without its labels; None where all is well.
    done, total
        Progress.
    outcome
        What became of it.
    notes
        What is odd but usable.
    pairs
        ``(scan, label map)`` that could belong together; a person has to say so (see `add_labels`).
    foreign
        Values of its labels that are no structure; a person may say what they are (see `explain_labels`).
    """

    path: Path
    case: CaseRecord | None
    problem: str | None
    done: int
    total: int
    outcome: Outcome = "added"
    notes: tuple[str, ...] = ()
    pairs: tuple[tuple[Path, Path], ...] = ()
    foreign: Foreign | None = None


@dataclass(frozen=True, slots=True)
class _Result:
    case: CaseRecord | None
    outcome: Outcome
    problem: str | None = None
    notes: tuple[str, ...] = ()
    foreign: Foreign | None = None


def add_scan(study: Study, path: Path | str, labels: Path | str | None = None) -> CaseRecord:
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
    path = Path(path).absolute()
    scan = _read(study, Found(path, path.parent, stem(path), named=True), path)
    record, *_ = _take(study, scan, None if labels is None else Path(labels))
    return record


def add_scans(
    study: Study,
    paths: Iterable[Path | str],
    labels_dir: Path | str | None = None,
    endings: Endings | None = None,
    only: Collection[str] | None = None,
    values: Mapping[int, int] | None = None,
    frames: Volumes | None = None,
) -> Iterator[CollectingScans | ImportEvent]:
    """Add scans from files, folders and DICOM folders; what cannot be used is skipped with its sentence.

    A label map belongs to the scan with the same path below the folders given, its file name also followed by
    ``_label``, ``_seg``, ``-label`` and the like (see `pairing`). Without `labels_dir` they are looked for
    among the files themselves, and in ``labels`` beside ``images``.

    Parameters
    ----------
    study
        The study.
    paths
        Files and folders; folders are searched with their subfolders.
    labels_dir
        Folder of label maps; scans without one are added as unlabelled. Or the label map of a single scan, or
        a ZIP archive of DICOM-SEG and RTSTRUCT, which may be that of the scans.
    endings
        What file names of several images of a case end in, by channel, first that of the scan to draw on; by
        default as in the import before. Without any each file is a case.
    only
        Keys of the scans that are wanted, as `listing` gives them; all by default.
    values
        Which structure's value a value of the labels means, see `label_values`.
    frames
        What the volumes of a 4D NIfTI are: ``"cases"`` of one patient, ``"channels"`` of one case, or
        ``"out"`` to pass it over; without it such a file is refused.

    Yields
    ------
    CollectingScans
        First of all.
    ImportEvent
        After each file or series, and for each label map that belongs to no scan; iteration may be ended at
        any of them.

    Raises
    ------
    StudyError
        If the study cannot be changed, or `labels_dir` is no folder.
    VolumeError
        If `labels_dir` is an archive that cannot be unpacked.
    """
    study.require_writable()
    yield CollectingScans()
    labels = None if labels_dir is None else Path(labels_dir).absolute()
    with unpack_archives([Path(path).absolute() for path in paths], labels) as unpacking:
        found = collect(
            unpacking.paths, unpacking.labels, files_from_dicom(study), endings or study.record.endings, only
        )
        scans = tuple(replace(item, values=values or {}) for item in found.scans)
        with unfold(study, scans, frames, endings or study.record.endings) as (unfolded, told):
            found = replace(found, scans=unfolded)
            for event in _add_all(study, found, unpacking.problems, told):
                yield replace(
                    event,
                    path=unpacking.origin(event.path),
                    problem=event.problem and unpacking.say(event.problem),
                    foreign=_that_stays(event.foreign, unpacking),
                    notes=tuple(map(unpacking.say, event.notes)),
                )


def _that_stays(foreign: Foreign | None, unpacking: Unpacking) -> Foreign | None:
    """Ask about no file that is gone with the archive it came from."""
    stays = foreign is not None and unpacking.origin(foreign.labels) == foreign.labels
    return foreign if stays else None


def _add_all(
    study: Study, found: Collected, problems: Iterable[tuple[Path, str]], endings: Endings
) -> Iterator[ImportEvent]:
    if endings and any(item.images or item.base for item in found.scans):
        channels.declare(study, endings)
    refused = [*problems, *((path, _without_scan(path)) for path in found.unused_labels)]
    total = len(found.scans) + len(refused)
    for done, item in enumerate(found.scans, start=1):
        result = _import_safely(study, item)
        pairs = item.pairs if item.doubt or result.case is None else ()
        yield replace(_event(item.source, result, done, total), pairs=pairs)
    for done, (path, problem) in enumerate(refused, start=len(found.scans) + 1):
        yield ImportEvent(path, None, problem, done, total, "refused")


def add_labels(study: Study, pairs: Sequence[tuple[Path, Path]]) -> Iterator[ImportEvent]:
    """Give scans the label maps that a person says are theirs, each ``(scan, label map)``.

    Yields
    ------
    ImportEvent
        After each scan; one that is not in the study yet is added.

    Raises
    ------
    StudyError
        If the study cannot be changed.
    """
    study.require_writable()
    for done, (scan, labels) in enumerate(pairs, start=1):
        item = Found(scan, scan.parent, stem(scan), labels=labels, named=True)
        yield _event(scan, _import_safely(study, item), done, len(pairs))


def _event(path: Path, result: _Result, done: int, total: int) -> ImportEvent:
    said = result.case, result.problem, done, total, result.outcome, result.notes
    return ImportEvent(path, *said, foreign=result.foreign)


def explain_labels(
    study: Study, foreign: Sequence[tuple[str, Foreign]], meant: Mapping[Key, int | str]
) -> Iterator[ImportEvent]:
    """Give cases the labels that were not taken over, now that a person says what their values are.

    Parameters
    ----------
    study
        The study.
    foreign
        Each case, and what of its labels no structure had.
    meant
        The structure's value of each, 0 for the background, or the name of a structure, which is made where
        there is none.

    Yields
    ------
    ImportEvent
        After each case; one that somebody has labelled meanwhile stays as it is.

    Raises
    ------
    StudyError
        If the study cannot be changed, or there can be no such structure.
    """
    study.require_writable()
    values = {
        key: _structure_named(study, said, key[1]) if isinstance(said, str) else said
        for key, said in meant.items()
    }
    for done, (case_id, one) in enumerate(foreign, start=1):
        said = {value: values[key] for value, key in one.keys.items() if key in values}
        yield _event(one.labels, _explain(study, case_id, one.labels, said), done, len(foreign))


def _explain(study: Study, case_id: str, labels: Path, said: Mapping[int, int]) -> _Result:
    try:
        annotation, notes = _read_labels(study, labels, study.geometry(case_id), said)
        case = study.case(case_id)
        if case.status != "unlabelled":
            return _Result(case, "already there", f"{case.name} has labels already, which stay.")
        return _Result(study.save_annotation(case_id, annotation, "import"), "labelled", None, notes)
    except (DyconError, OSError) as error:
        return _Result(None, "refused", str(error))


def _structure_named(study: Study, name: str, value: int) -> int:
    """Return the label of the structure of that name; a new one has the value of the files if it is free."""
    there = {naming.fold(one.name): one.value for one in study.structures}
    if naming.fold(name.strip()) in there:
        return there[naming.fold(name.strip())]
    taken = {one.value for one in study.structures} | study.record.retired.keys()
    return study.add_structure(name, value=None if value == 0 or value in taken else value).value


def files_from_dicom(study: Study) -> frozenset[Path]:
    """Files that were made from DICOM: scans and further images that are where they were."""
    images = ((case.id, name, case.of(name)) for case in study.cases for name in ("", *case.images))
    found = set()
    for case_id, name, image in images:
        with suppress(StudyError):  # a path of another system
            path = study.scan_path(case_id, name) if image.source == "dicom" else None
            found |= {path} if path is not None and path.is_file() else set()
    return frozenset(found)


def _without_scan(path: Path) -> str:
    if not is_volume(path):
        return (
            f"The DICOM file {path.name} refers to none of the series that were found; import it with the "
            "series that it was made on, or name it for one scan."
        )
    return (
        f"The label file {path.name} belongs to none of the scans; give it the name of its scan, and where "
        "scans lie in folders, the same folder."
    )


def _import_safely(study: Study, item: Found) -> _Result:
    """Deal with one file; whatever happens to it, the next one has its turn."""
    try:
        return _with_images(study, item, _import(study, item))
    except SameImageError as known:
        return _with_images(study, item, _Result(known.case, "already there", item.doubt))
    except (DyconError, OSError) as error:
        return _Result(None, "refused", str(error))
    except MemoryError:
        sentence = (
            f"There is not enough memory to read {item.path.name}; close other programs and import it again."
        )
        return _Result(None, "refused", sentence)
    except Exception as error:  # noqa: BLE001 - one file's fault must not end the others' import
        kind = type(error).__name__
        return _Result(
            None, "refused", f"{item.path.name} could not be read ({kind}: {error}); export it again."
        )


def _with_images(study: Study, item: Found, result: _Result) -> _Result:
    """Join the further images of a case to its scan; what is wrong with one is told, the others stay."""
    if result.case is None or not study.record.channels:
        return result
    case, problems, joined = result.case, [result.problem] if result.problem else [], 0
    for name, image in item.images.items():
        channel = channels.named_as_in(study, name)
        try:
            joined += _join(study, case, channel, image)
        except (DyconError, OSError) as error:
            problems.append(f"{error} The case was added without its {channel} image.")
    case = study.case(case.id)
    notes = channels.missing(study, case)
    outcome = "joined" if joined and result.outcome == "already there" else result.outcome
    return _Result(case, outcome, " ".join(problems) or None, (*result.notes, *notes), result.foreign)


def _join(study: Study, case: CaseRecord, channel: str, item: Found) -> bool:
    """Add an image to a case; tell whether it is new there. A series is converted beside the scan."""
    if item.series is None:
        return _join_file(study, case, channel, item, item.path)
    from napari_dycon.io.dicom import convert_series
    from napari_dycon.io.dicom_identity import identity_path, read_identity, write_identity

    name = naming.case_id(item.series.key, study.cases, secret=study.secret).removeprefix("case-")
    target = study.path / "scans" / f"{case.id}.{name}.nii.gz"
    if target in files_from_dicom(study):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    convert_series(item.series, target)
    try:
        write_identity(target, read_identity(item.series))
        return _join_file(study, case, channel, item, target)
    finally:
        if target not in files_from_dicom(study):
            target.unlink()
            identity_path(target).unlink(missing_ok=True)


def _join_file(study: Study, case: CaseRecord, channel: str, item: Found, file: Path) -> bool:
    scan = _read(study, item, file)
    there = study.case(case.id).images.get(channel)
    if there is not None and there.content == scan.content:
        return False
    channels.join(study, case.id, channel, scan.volume, ImageRecord.model_validate(_image_facts(study, scan)))
    return True


def _import(study: Study, item: Found) -> _Result:
    """Add one scan; where only its labels are wrong, add it without them and say so."""
    if item.problem is not None:
        return _Result(None, "refused", item.problem)
    if item.series is not None:
        return _import_series(study, item)
    return _import_file(study, item, item.path)


def _import_file(study: Study, item: Found, file: Path) -> _Result:
    scan = _read(study, item, file)
    labels_alone = item.series is None and scan.twin is None and looks_like_labels(scan.volume.array)
    if labels_alone and not item.named:
        return _Result(None, "refused", _label_map_among_scans(item))
    notes = (*scan.volume.notes, *_doubts(item, labels_alone))
    try:
        record, outcome, of_labels = _take(study, scan, item.labels)
    except SameImageError:
        raise
    except (StudyError, VolumeError) as error:
        if item.labels is None:
            raise
        foreign = error.foreign if isinstance(error, ForeignValuesError) else None
        if scan.twin is not None:
            return _Result(scan.twin, "already there", str(error), notes, foreign)
        record, *_ = _take(study, scan, None)
        return _Result(record, "added", f"{error} The scan was added without labels.", notes, foreign)
    return _Result(record, outcome, item.doubt, (*notes, *of_labels))


def _label_map_among_scans(item: Found) -> str:
    what = f"{item.path.name} looks like a label map, not like a scan, and was not added."
    if item.pairs:
        scans = " or ".join(str(scan) for scan, _ in item.pairs[:MOST_NAMED])
        return f"{what} If it belongs to {scans}, import that scan again with --labels {item.path}."
    return (
        f"{what} To use it as labels, import its scan again with --labels {item.path}. If it is a scan, "
        "import it alone."
    )


def _doubts(item: Found, labels_alone: bool) -> Iterator[str]:
    if labels_alone:
        yield f"{item.path.name} looks like a label map; it was added as a scan, since it was named alone."
    elif item.labels_by_name:
        yield f"{item.path.name} is called like a label map; it was added as a scan, since it holds none."


def _import_series(study: Study, item: Found) -> _Result:
    """Convert a DICOM series into ``scans/`` and add that file, with whose it is kept beside it."""
    from napari_dycon.io.dicom import convert_series
    from napari_dycon.io.dicom_identity import identity_path, read_identity, write_identity

    assert item.series is not None
    case_id = naming.case_id(item.series.key, study.cases, secret=study.secret)
    target = study.path / "scans" / f"{case_id}.nii.gz"
    target.parent.mkdir(parents=True, exist_ok=True)
    convert_series(item.series, target)
    try:
        write_identity(target, read_identity(item.series))
        result = _import_file(study, item, target)
        _keep_identity(study, result.case, target)
        return _Result(result.case, result.outcome, result.problem, (*item.series.notes, *result.notes))
    except SameImageError as known:
        _keep_identity(study, known.case, target)
        raise
    finally:
        if target not in files_from_dicom(study):
            target.unlink()
            identity_path(target).unlink(missing_ok=True)


def _keep_identity(study: Study, case: CaseRecord | None, converted: Path) -> None:
    """Give an older case from DICOM what was not kept then: whose it is."""
    from napari_dycon.io.dicom_identity import identity_path

    if case is not None and case.source == "dicom":
        kept = identity_path(study.scan_path(case.id))
        if not kept.exists():
            identity_path(converted).rename(kept)


@dataclass(frozen=True, slots=True)
class _Scan:
    """A scan that was read, and the case that holds the same image already."""

    item: Found
    volume: Volume
    sha256: str
    content: str
    twin: CaseRecord | None


def _read(study: Study, item: Found, file: Path) -> _Scan:
    volume = read_volume(file)
    sha256, content = sha256_of(file), content_of(volume)
    same = (case for case in study.cases if sha256 == case.sha256 or content == case.content)
    return _Scan(item, volume, sha256, content, next(same, None))


Taken = tuple[CaseRecord, Outcome, tuple[str, ...]]
"""A case, what became of it, and sentences about its labels."""


def _take(study: Study, scan: _Scan, labels: Path | None) -> Taken:
    if scan.twin is not None:
        return _again(study, scan, scan.twin, labels)
    annotation, notes = None, tuple[str, ...]()
    if labels is not None:
        annotation, notes = _read_labels(study, labels, scan.volume.geometry, scan.item.values)
    with study.mutex:
        return study.add_case(_record(study, scan), annotation), "added", notes


def _record(study: Study, scan: _Scan) -> CaseRecord:
    item, volume = scan.item, scan.volume
    reference = scan_reference(study.path, volume.path)
    name = _distinct(item, study.cases)
    try:
        (reference + name).encode()
    except UnicodeEncodeError as error:
        raise VolumeError(
            f"The name of {reference!r} holds characters that cannot be stored; rename it."
        ) from error
    case_id = naming.case_id(name, study.cases) if item.series is None else stem(volume.path)
    facts = _image_facts(study, scan)
    return _check_record(id=case_id, name=name, patient=_patient(study, item), **facts)


def _image_facts(study: Study, scan: _Scan) -> dict[str, Any]:
    """What an `ImageRecord` says of an image."""
    volume, series = scan.volume, scan.item.series
    geometry, stat = volume.geometry, volume.path.stat()
    return {
        "scan": scan_reference(study.path, volume.path),
        "source": "file" if series is None else "dicom",
        "shape": geometry.shape,
        "spacing": geometry.spacing,
        "orientation": geometry.orientation,
        "voxel_volume_mm3": geometry.voxel_volume_mm3,
        "sha256": scan.sha256,
        "content": scan.content,
        "file_size": stat.st_size,
        "file_mtime_ns": stat.st_mtime_ns,
        "added": now(),
        "intensity": intensity_facts(volume.array),
        "notes": (*(series.notes if series else ()), *volume.notes),
    }


def _check_record(**facts: Any) -> CaseRecord:
    try:
        return CaseRecord(**facts)
    except ValidationError as error:
        raise VolumeError(
            f"The scan cannot be described ({in_words(error)}); check it in the program that wrote it."
        ) from error


def _distinct(item: Found, cases: tuple[CaseRecord, ...]) -> str:
    """Name of a new case; with its folder in front where a case of that name is there already."""
    taken = {naming.fold(case.name) for case in cases}
    longer = f"{item.source.parent.name}/{item.name}"
    return longer if naming.fold(item.name) in taken and item.source.parent.name else item.name


def _patient(study: Study, item: Found) -> str:
    if item.series is not None:
        from napari_dycon.io.dicom import patient_id

        found = patient_id(item.series)
        return naming.patient_pseudonym(found, study.secret) if found else ""
    subject = naming.patient_of(item.source.relative_to(item.root.parent).as_posix())
    return subject or (naming.patient_pseudonym(item.patient, study.secret) if item.patient else "")


def _again(study: Study, scan: _Scan, twin: CaseRecord, labels: Path | None) -> Taken:
    """Use what is new about an image that is in the study already: its place or its labels."""
    path, outcome = scan.volume.path, None
    if scan.item.series is None and _is_lost(study, twin):
        if not lies_as(twin, scan.volume):
            raise StudyError(
                f"{scan.item.path.name} is the scan of case {twin.name} stored along other axes, so its "
                "labels do not fit; bring back the file as it was when it was imported."
            )
        stat = path.stat()
        place = {
            "scan": scan_reference(study.path, path),
            "file_size": stat.st_size,
            "file_mtime_ns": stat.st_mtime_ns,
            "sha256": scan.sha256,
            "content": scan.content,
        }
        study.replace_case(study.case(twin.id).model_copy(update=place))
        outcome = "found again"
    if labels is not None and twin.status == "unlabelled":
        annotation, notes = _read_labels(study, labels, study.geometry(twin.id), scan.item.values)
        if study.case(twin.id).status == "unlabelled":  # nobody has painted meanwhile
            return study.save_annotation(twin.id, annotation, "import"), "labelled", notes
    if labels is not None and all(version.reason != "import" for version in study.versions(twin.id)):
        raise StudyError(
            f"{twin.name} has labels already, which stay; those of {labels.name} were not taken over. Remove "
            "the case and import it anew to have them instead."
        )
    if outcome is None:
        raise SameImageError(
            f"{scan.item.path.name} is the same image as case {twin.name}; it was not added again.", twin
        )
    return study.case(twin.id), "found again", ()


def _is_lost(study: Study, case: CaseRecord) -> bool:
    """Tell whether the file of a case is gone, or another scan lies in its place."""
    try:
        return not study.has_scan(case.id) or study.scan_has_changed(case.id)
    except VolumeError:  # another file, and damaged
        return True


def _read_labels(
    study: Study, labels: Path, geometry: Geometry, said: Mapping[int, int]
) -> tuple[Annotation, tuple[str, ...]]:
    """Read a full label map, values translated to the structures of the study, and what is odd about it."""
    found = read_labels(labels, geometry)
    counts = np.bincount(found.array.ravel(), minlength=256)
    values = [int(value) for value in np.flatnonzero(counts) if value > 0]
    if not study.structures and len(values) <= MOST_NEW_STRUCTURES:
        for value in values:
            _add_structure(study, value, found.names)
    meant = meanings(study.structures, values, found.names, said)
    foreign = [value for value, structure in meant.items() if structure is None]
    if foreign:
        voxels = {value: int(counts[value]) for value in foreign}
        told = without_structure(foreign, found.names, voxels, study.structures)
        text = f"{labels.name} holds {told}, then import the labels again."
        named = {value: found.names[value] for value in foreign if value in found.names}
        raise ForeignValuesError(text, Foreign(labels, voxels, named))
    table = np.zeros(256, np.uint8)
    for value, structure in meant.items():
        table[value] = structure or 0
    return Annotation.full(table[found.array]), found.notes


def _add_structure(study: Study, value: int, names: Mapping[int, str]) -> None:
    """Give a value of a file a structure; segments of one name share it, and what has no name gets none."""
    name = names.get(value, "" if names else f"structure {value}")
    if name and naming.fold(name) not in {naming.fold(structure.name) for structure in study.structures}:
        study.add_structure(name, value=value)
