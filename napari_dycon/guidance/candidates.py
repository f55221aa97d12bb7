"""Slices of predicted cases that could be asked for, kept beside the prediction once they were found."""

import hashlib
import json
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_dycon.engine.events import CasePredicted
from napari_dycon.errors import DyconError
from napari_dycon.guidance.pieces import doubtful_pieces
from napari_dycon.guidance.predicted import Predicted
from napari_dycon.guidance.regions import Region, extent, nearest
from napari_dycon.guidance.slices import labelled_axes, too_close
from napari_dycon.guidance.suggestions import Suggestion
from napari_dycon.guidance.worth import expected_errors, slice_seconds
from napari_dycon.io.geometry import plane_of_axis
from napari_dycon.io.json_files import parse_json, write_checked
from napari_dycon.study.store.place_log import Level
from napari_dycon.study.store.runs import ENTROPY
from napari_dycon.study.store.schema import CaseRecord, Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Known, slice_of

RECIPE = 3
"""Raised whenever other candidates are found than before, so that those on disk are not used."""
CHANGED = 0.25
"""Where the model before said something else on so much of what is predicted on a slice, that is told."""
SINCE = ", changed since the last model"
_Event = TypeVar("_Event")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A slice or region that could be suggested.

    Attributes
    ----------
    suggestion : with a score of 0
    spacing : between neighbouring slices, in mm
    gain : unsure area on a slice in mm²; of a region the volume in mm³ that is expected to be wrong
    """

    suggestion: Suggestion
    spacing: float
    gain: float


def candidates(study: Study, run: str, case: CaseRecord) -> list[Candidate]:
    """Return the slices and regions of a case that could be asked for; none where it was not predicted.

    They are read from ``predictions/RUN/CASE.slices.json`` unless the scan, its prediction, what is known of
    it or the structures have changed since.
    """
    path = study.predictions.path(run, case.id).with_name(f"{case.id}.slices.json")
    stamp = _stamp(study, run, case)
    found = _read(path, stamp, case.id)
    if found is None:
        predicted = Predicted.read(study, run, case)
        found = [] if predicted is None else list(_found(predicted, _mask_before(study, run, case)))
        if predicted is not None and not study.read_only:
            with suppress(DyconError):  # found again the next time
                content = {"stamp": stamp, "slices": [_row(candidate) for candidate in found]}
                write_checked(path, json.dumps(content).encode(), parse_json)
    return found


def note_candidates(study: Study, run: str, events: Iterator[_Event]) -> Generator[_Event, None, None]:
    """Pass on the events of a prediction, and find the candidates of each case that was predicted."""
    cases = {case.id: case for case in study.cases}
    for event in events:
        yield event
        if isinstance(event, CasePredicted) and event.case in cases:
            with suppress(DyconError, OSError, MemoryError):  # said when suggestions are asked for
                candidates(study, run, cases[event.case])


def _stamp(study: Study, run: str, case: CaseRecord) -> str:
    """Text that changes with everything that candidates are found from."""
    geometry = study.geometry(case.id)
    before = run_before(study, run, case.id)
    earlier = () if before is None else (study.predictions.path(before, case.id),)
    own = (study.predictions.path(run, case.id), study.predictions.map_path(run, case.id, ENTROPY))
    files = (*own, *earlier)
    structures = [(structure.value, structure.name) for structure in study.structures]
    parts = (
        RECIPE,
        geometry.shape,
        geometry.affine.tolist(),
        [_state_of(path) for path in files],
        study.annotation_stamp(case.id),
        structures,
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _state_of(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except FileNotFoundError:
        return 0, 0
    return state.st_size, state.st_mtime_ns


def _row(candidate: Candidate) -> list[Any]:
    place = candidate.suggestion
    about = (place.structure, place.structure_name, place.reason)
    worth = (place.level, place.voxel, place.seconds, place.gain, candidate.spacing, candidate.gain)
    return [place.plane, place.axis, place.index, place.box, *about, *worth]


def _read(path: Path, stamp: str, case: str) -> list[Candidate] | None:
    """Read candidates; None where there are none, others are meant, or the file is damaged."""
    try:
        content = parse_json(path.read_bytes())
        if content["stamp"] != stamp:
            return None
        return [_candidate(case, *row) for row in content["slices"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _candidate(
    case: str,
    plane: str,
    axis: int,
    index: int,
    box: list[list[int]],
    structure: int,
    name: str,
    reason: str,
    level: Level,
    voxel: list[int] | None,
    seconds: float,
    pace: float,
    spacing: float,
    gain: float,
) -> Candidate:
    (first, second, third) = ((int(start), int(stop)) for start, stop in box)
    where = (case, plane, int(axis), int(index), (first, second, third))
    inside = None if voxel is None else (int(voxel[0]), int(voxel[1]), int(voxel[2]))
    about = (structure, name, 0.0, reason)
    worth = (float(seconds), float(pace))
    place = Suggestion(*where, *about, level, inside, *worth)
    return Candidate(place, float(spacing), float(gain))


def run_before(study: Study, run: str, case_id: str) -> str | None:
    """Return the newest run older than `run` that has predicted a case; None where there is none."""
    runs = study.runs()
    older = runs[: runs.index(run)] if run in runs else []
    found = (one for one in reversed(older) if study.predictions.path(one, case_id).is_file())
    return next(found, None)


def _mask_before(study: Study, run: str, case: CaseRecord) -> NDArray[np.uint8] | None:
    before = run_before(study, run, case.id)
    try:
        return None if before is None else study.predictions.mask(before, case.id)
    except (DyconError, OSError):  # then nothing is said of it
        return None


def _found(predicted: Predicted, earlier: NDArray[np.uint8] | None) -> Iterator[Candidate]:
    free = predicted.annotation.known == Known.UNKNOWN
    unsure = np.where(free, predicted.entropy, np.float32(0))
    for structure in predicted.study.structures:
        region = Region.around(predicted.mask, structure.value, unsure, predicted.geometry)
        if region is not None:
            yield from _slices(region, structure, predicted, earlier)
    for piece in doubtful_pieces(predicted):
        place = piece.suggestion
        yield Candidate(place, predicted.geometry.spacing[place.axis], piece.wrong_mm3)


def _slices(
    region: Region, structure: Structure, predicted: Predicted, earlier: NDArray[np.uint8] | None
) -> Iterator[Candidate]:
    errors, inside = expected_errors(region.unsure), region.depth > 0
    for axis in labelled_axes(predicted.geometry):
        plane = plane_of_axis(predicted.geometry, axis)
        spacing, labelled = predicted.geometry.spacing[axis], predicted.annotation.complete_slices(axis)
        pixel = predicted.geometry.voxel_volume_mm3 / spacing
        gains, wrong = _sums(region.unsure, axis) * pixel, _sums(errors, axis) * pixel
        changed = _changed_much(predicted, structure, axis, earlier)
        in_plane = [size for other, size in enumerate(predicted.geometry.spacing) if other != axis]
        for local in map(int, np.flatnonzero(gains > 0)):
            index = local + region.offset[axis]
            if any(too_close(index, other, spacing) for other in labelled):
                continue
            what = f"{structure.name} {region.what(axis, local)} {extent(gains, local)}"
            at = slice_of(axis, local)
            seconds = slice_seconds(inside[at], region.unsure[at], in_plane)
            place = Suggestion(
                case=predicted.case.id,
                plane=plane,
                axis=axis,
                index=index,
                box=region.box(axis, local),
                structure=structure.value,
                structure_name=structure.name,
                score=0.0,
                reason=f"{what}{SINCE if changed[index] else ''}; {nearest(index, labelled, spacing, plane)}",
                seconds=round(seconds, 1),
                gain=round(float(wrong[local]) / seconds, 4),
            )
            yield Candidate(place, spacing, float(gains[local]))


def _changed_much(
    predicted: Predicted, structure: Structure, axis: int, earlier: NDArray[np.uint8] | None
) -> NDArray[np.bool_]:
    """Tell of every slice whether much of a structure there is another than the model before had said."""
    if earlier is None:
        return np.zeros(predicted.mask.shape[axis], bool)
    now, then = predicted.mask == structure.value, earlier == structure.value
    free = predicted.annotation.known == Known.UNKNOWN
    others = tuple(other for other in range(3) if other != axis)
    flips, either = (np.count_nonzero(part & free, axis=others) for part in (now ^ then, now | then))
    return np.asarray((flips > 0) & (flips >= CHANGED * either))


def _sums(values: NDArray[np.floating], axis: int) -> NDArray[np.float64]:
    """Sum over every slice along an axis."""
    others = tuple(other for other in range(3) if other != axis)
    return np.asarray(values.sum(axis=others, dtype=np.float64))
