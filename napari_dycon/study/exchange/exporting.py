"""Masks and volumes of a study for use elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic import dataclasses as checked

from napari_dycon.errors import DyconError, StudyError
from napari_dycon.hints import NOT_BY_HAND, Hint
from napari_dycon.io.atomic import atomic_files
from napari_dycon.io.exports import volumes_csv
from napari_dycon.io.json_files import write_json
from napari_dycon.io.masks import values_at_edge
from napari_dycon.study.exchange.formats import USUAL, Format, formats, structures_in
from napari_dycon.study.store import naming
from napari_dycon.study.store.files import OWN_FOLDERS
from napari_dycon.study.store.schema import MOST_STRUCTURES, CaseRecord, Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known

Origin = Literal["annotation", "prediction"]

TABLE = "volumes.csv"
PSEUDONYMS = "pseudonyms.json"
_LISTED = 3


@checked.dataclass(frozen=True)
class ExportRequest:
    """What is to be exported.

    Parameters
    ----------
    out
        Folder; made where it does not exist.
    cases
        Which cases; all by default.
    run
        Whose predictions; the active run's by default.
    not_ready
        Write also predictions that a model made that was not ready yet (see `cases_left_out`).
    overwrite
        Replace masks and a table that are there already.
    pseudonyms
        Call files and rows by names that say nothing; which is whose is kept in the study.
    form
        Name of a registered format. Those of DICOM name the patient, and need scans that came from DICOM.
    """

    out: Annotated[Path, NOT_BY_HAND]
    cases: Annotated[tuple[str, ...] | None, NOT_BY_HAND] = None
    run: Annotated[str | None, NOT_BY_HAND] = None
    not_ready: Annotated[bool, Field(title="Predictions that came too early")] = False
    overwrite: Annotated[bool, NOT_BY_HAND] = False
    pseudonyms: Annotated[bool, Field(title="Neutral names")] = False
    form: Annotated[str, Field(title="Format"), Hint(choices=lambda: formats.names())] = USUAL


@dataclass(frozen=True, slots=True)
class CaseExported:
    """One case was dealt with.

    Attributes
    ----------
    case
        The case.
    path, origin
        The mask that was written, the first where there are several, and where it comes from; None where
        nothing was written.
    problem
        Why not; None where nothing is known or predicted of the case.
    done, total
        Progress.
    """

    case: str
    path: Path | None
    origin: Origin | None
    problem: str | None
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Exported:
    """The end of an export.

    Attributes
    ----------
    out
        Folder that was written to.
    masks
        Each mask and where it comes from.
    table
        ``volumes.csv``.
    problems
        Case, and why it was not exported.
    left_out
        Cases whose prediction came too early and was not written.
    early
        Cases whose prediction came too early and was written.
    stopped
        Whether it was stopped before it had come to all cases.
    noun
        What one of its files is.
    """

    out: Path
    masks: tuple[tuple[Path, Origin], ...]
    table: Path
    problems: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()
    early: tuple[str, ...] = ()
    stopped: bool = False
    noun: str = "mask"

    @property
    def summary(self) -> str:
        """How many masks of which kind were written where, in one sentence."""
        drawn = sum(origin == "annotation" for _, origin in self.masks)
        kinds = (_count(drawn, "annotation"), _count(len(self.masks) - drawn, "prediction"))
        if not self.masks:
            return "Nothing was exported."
        masks = _count(len(self.masks), self.noun)
        written = f"{masks} ({' and '.join(filter(None, kinds))}) and {TABLE} are in {self.out}."
        return f"The export was stopped. {written}" if self.stopped else written


def export(
    study: Study, request: ExportRequest, stopped: Callable[[], bool] = lambda: False
) -> Iterator[CaseExported | Exported]:
    """Write one mask per case on the grid of its scan, and ``volumes.csv``.

    A mask is the annotation where the case is complete or was not predicted; else the prediction, with every
    voxel that a person knows on top. Cases about which nothing is known or predicted are left out. Masks are
    called like their scans. A case that fails is told, and the others are written.

    Parameters
    ----------
    study, request
        What to export.
    stopped
        Asked before each case; where it says yes, the table of what was written so far ends the export.

    Yields
    ------
    CaseExported
        After each case.
    Exported
        At the end.

    Raises
    ------
    StudyError
        If there is nothing to export, the folder belongs to the study, or files would be overwritten
        that were not asked to be.
    VolumeError
        If the table cannot be written.
    """
    form = formats.get(request.form)
    _require_usable(form, request)
    _require_own_folder(study, request.out)
    run = study.active_run if request.run is None else request.run
    too_early = tuple(cases_left_out(study, request.cases, run))
    skipped = () if request.not_ready else too_early
    cases = [case for case in _cases_to_export(study, request.cases) if _is_known(study, case, run, skipped)]
    if not cases:
        raise StudyError(_nothing(skipped))
    names = _names(study, request.pseudonyms)
    _require_room(study, request, names, cases)
    items = _items(study)
    masks: list[tuple[Path, Origin]] = []
    written: list[str] = []
    rows: list[dict[str, object]] = []
    problems: list[tuple[str, str]] = []
    for done, case in enumerate(cases, start=1):
        if stopped():
            break
        files = _files(form, names[case.id], items)
        paths, origin, problem = [request.out / file for file in files], None, None
        try:
            _require_unchanged(study, case)
            mask, origin = _mask(study, case, None if case.id in skipped else run)
            paths = _write(form, mask, study.scan_path(case.id), study.structures, items, paths)
        except (DyconError, OSError) as error:
            problem, origin = str(error), None
            problems.append((case.id, problem))
        else:
            written.append(case.id)
            masks.extend((path, origin) for path in paths)
            files = [file if request.out / file in paths else "" for file in files]
            rows.extend(_rows(study, case, mask, origin, files, names, request.pseudonyms))
        yield CaseExported(case.id, paths[0] if origin and paths else None, origin, problem, done, len(cases))
    table = request.out / TABLE
    if masks:
        volumes_csv(rows, table)
    failed = {case for case, _ in problems}
    early = tuple(case for case in too_early if request.not_ready and case not in failed)
    cut_off = len(written) + len(problems) < len(cases)
    yield Exported(request.out, tuple(masks), table, tuple(problems), skipped, early, cut_off, form.noun)


def export_all(study: Study, request: ExportRequest) -> Exported:
    """Export to the end, see `export`."""
    *_, end = export(study, request)
    assert isinstance(end, Exported)
    return end


def cases_left_out(study: Study, case_ids: Sequence[str] | None, run: str | None) -> list[str]:
    """Cases whose prediction is exported only when asked for: the model that made it was not ready yet."""
    run = study.active_run if run is None else run
    early = set() if run is None else study.predictions.unready(run)
    wanted = _cases_to_export(study, case_ids)
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


def existing(study: Study, request: ExportRequest) -> list[Path]:
    """Files that an export would overwrite."""
    names = _names(study, request.pseudonyms)
    return _in_the_way(study, request, [names[case.id] for case in _cases_to_export(study, request.cases)])


def merge(annotation: Annotation, prediction: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay what is known over a prediction; voxels to be ignored keep the prediction."""
    spoken = (annotation.known != Known.UNKNOWN) & (annotation.known != Known.IGNORE)
    return np.where(spoken, annotation.labels, prediction)


def _require_usable(form: Format, request: ExportRequest) -> None:
    if form.identifies and request.pseudonyms:
        raise StudyError(
            f"Nothing was exported: {request.form} names the patient, as DICOM must, and neutral names were "
            "asked for; choose another format, or go without neutral names."
        )
    if form.needs and find_spec(form.needs) is None:
        raise StudyError(
            f"Nothing was exported: {request.form} needs the package {form.needs}, which is not installed "
            f"(pip install {form.needs})."
        )


class _Item(NamedTuple):
    """A structure or a whole, as a structure, and the label values that it has in masks."""

    named: Structure
    parts: tuple[int, ...]


def _items(study: Study) -> list[_Item]:
    """Structures in their order, then wholes, coloured as their first part, with a value that no mask has."""
    items = [_Item(structure, (structure.value,)) for structure in study.structures]
    for place, whole in enumerate(study.record.wholes, start=1):
        color = study.structure(whole.parts[0]).color
        named = Structure.model_construct(value=MOST_STRUCTURES + place, name=whole.name, color=color)
        items.append(_Item(named, whole.parts))
    return items


def _files(form: Format, stem: str, items: Sequence[_Item]) -> list[str]:
    """Name the files of a case: one, or one a structure or whole in their order."""
    if not form.apart:
        return [f"{stem}{form.suffix}"]
    stems = naming.structure_stems([item.named for item in items])
    return [f"{stem}_{stems[item.named.value]}{form.suffix}" for item in items]


def _write(
    form: Format,
    mask: NDArray[np.uint8],
    scan: Path,
    structures: Sequence[Structure],
    items: Sequence[_Item],
    paths: Sequence[Path],
) -> list[Path]:
    """Write all files of a case or none; return those that there are now."""
    if not form.apart:
        form.write(mask, scan, structures, paths[0])
        return list(paths)
    found = {structure.value for structure in structures_in(mask, structures, paths[0])}
    pairs = zip(items, paths, strict=True)
    wanted = [(item, path) for item, path in pairs if form.empty or found & set(item.parts)]
    with atomic_files(paths[0].parent) as folder:
        for item, path in wanted:
            inside = np.isin(mask, item.parts).astype(np.uint8)
            form.write(inside, scan, [item.named], folder / path.name)
    written = [path for _, path in wanted]
    for path in set(paths) - set(written):
        path.unlink(missing_ok=True)  # of an earlier export
    return written


def _require_own_folder(study: Study, out: Path) -> None:
    inside = {study.path.resolve() / name for name in ("", *OWN_FOLDERS)}
    resolved = out.resolve()
    if any(folder in (resolved, *resolved.parents) for folder in inside - {study.path.resolve()}) or (
        resolved == study.path.resolve()
    ):
        raise StudyError(f"{out} belongs to the study itself; choose another folder to export to.")
    if out.exists() and not out.is_dir():
        raise StudyError(f"{out} is a file; choose a folder to export to.")


def _require_room(
    study: Study, request: ExportRequest, names: Mapping[str, str], cases: Sequence[CaseRecord]
) -> None:
    """Refuse to write over what is there unless asked to, and over a scan always."""
    found = _in_the_way(study, request, [names[case.id] for case in cases])
    scans = {path.resolve() for path in study.scan_files()}
    for path in found:
        if path.resolve() in scans:
            raise StudyError(f"Nothing was exported: {path} is the scan itself; choose another folder.")
    if found and not request.overwrite:
        more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        listed = ", ".join(path.name for path in found[:_LISTED]) + more
        raise StudyError(
            f"Nothing was exported: {request.out} holds {listed} already. Choose another folder, or add "
            "--overwrite to replace what is there."
        )


def _in_the_way(study: Study, request: ExportRequest, stems: Sequence[str]) -> list[Path]:
    out, form = request.out, formats.get(request.form)
    if not out.is_dir():
        return []
    there = {naming.fold(path.name): path for path in out.iterdir()}
    wanted = [*(file for stem in stems for file in _files(form, stem, _items(study))), TABLE]
    return [there[naming.fold(name)] for name in wanted if naming.fold(name) in there]


def _names(study: Study, pseudonyms: bool) -> dict[str, str]:
    """What the file of each case is called; pseudonyms are noted in the study."""
    if not pseudonyms:
        return naming.file_stems(study.cases)
    study.keep_secret()
    names = naming.pseudonyms(study.cases, study.secret)
    if not study.read_only:
        write_json(study.path / PSEUDONYMS, {names[case.id]: case.name for case in study.cases})
    return names


def _nothing(skipped: Sequence[str]) -> str:
    if skipped:
        return (
            "There is nothing to export yet: the model was not ready when it predicted. Train on and predict "
            "again, or label a case."
        )
    return "There is nothing to export yet: label a case, or train and predict first."


def _cases_to_export(study: Study, case_ids: Sequence[str] | None) -> Sequence[CaseRecord]:
    return study.cases if case_ids is None else [study.case(case_id) for case_id in case_ids]


def _is_known(study: Study, case: CaseRecord, run: str | None, skipped: Sequence[str]) -> bool:
    """Tell whether there is anything to export of a case, from what is there and without reading it."""
    if case.status != "unlabelled":
        return True
    return run is not None and case.id not in skipped and study.predictions.path(run, case.id).is_file()


def _require_unchanged(study: Study, case: CaseRecord) -> None:
    if study.scan_has_changed(case.id):
        raise StudyError(
            f"The scan of {case.name} has changed since it was imported ({study.scan_path(case.id)} now "
            "shows another one), so no mask was written for it; put the first one back, or import this one "
            "under another name."
        )


def _mask(study: Study, case: CaseRecord, run: str | None) -> tuple[NDArray[np.uint8], Origin]:
    prediction = None
    if case.status != "complete" and run is not None:
        prediction = study.predictions.mask(run, case.id)
    if prediction is not None:
        return merge(study.annotation(case.id), prediction), "prediction"
    annotation = study.annotation(case.id)
    return merge(annotation, np.zeros_like(annotation.labels)), "annotation"


def _rows(
    study: Study,
    case: CaseRecord,
    mask: NDArray[np.uint8],
    origin: Origin,
    files: Sequence[str],
    names: Mapping[str, str],
    pseudonyms: bool,
) -> Iterator[dict[str, object]]:
    counts, at_edge = np.bincount(mask.ravel(), minlength=256), values_at_edge(mask)
    hidden = pseudonyms or case.source == "dicom"
    alone = case.patient == case.id
    patient = naming.patient_pseudonym(case.patient, study.secret) if pseudonyms else case.patient
    for place, (structure, parts) in enumerate(_items(study)):
        voxels = int(counts[list(parts)].sum())
        yield {
            "case": names[case.id] if pseudonyms else case.id,
            "file": files[min(place, len(files) - 1)],
            "name": names[case.id] if hidden else case.name,
            "patient": names[case.id] if alone and pseudonyms else patient,
            "structure": structure.name,
            "voxels": voxels,
            "volume_ml": voxels * case.voxel_ml,
            "cut_at_edge": "yes" if at_edge & set(parts) else "no",
            "source": origin,
            "known_percent": 100.0 * case.known_fraction,
        }


def _count(number: int, noun: str) -> str:
    return "" if number == 0 else f"1 {noun}" if number == 1 else f"{number} {noun}s"
