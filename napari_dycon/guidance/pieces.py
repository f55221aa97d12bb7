"""Pieces of a prediction that lie apart and of which the model is not sure, to be accepted or rejected."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.guidance.predicted import Predicted
from napari_dycon.guidance.slices import labelled_axes
from napari_dycon.guidance.suggestions import Box, Suggestion
from napari_dycon.guidance.worth import expected_errors, piece_seconds
from napari_dycon.io.geometry import plane_of_axis
from napari_dycon.study.store.place_log import REGION
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.truth.annotations import Known
from napari_dycon.study.truth.regions import bounding_box
from napari_dycon.wording import millilitres

LEAST_VOXELS = 27
MAIN_SHARE = 0.5
"""A piece that is more than so much of its structure is the structure itself."""
LEAST_ERROR = 0.1
"""Of a piece that is worth a question, so many voxels are expected to be wrong."""
MOST_OF_A_CASE = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """A doubtful piece as a suggestion, and the volume in mm³ that is expected to be wrong in it."""

    suggestion: Suggestion
    wrong_mm3: float


def doubtful_pieces(predicted: Predicted) -> list[Piece]:
    """Return the pieces of a case about which nothing is known yet, those with the most errors first."""
    found = [piece for structure in predicted.study.structures for piece in _pieces(predicted, structure)]
    return sorted(found, key=lambda piece: -piece.wrong_mm3)[:MOST_OF_A_CASE]


def _pieces(predicted: Predicted, structure: Structure) -> Iterator[Piece]:
    inside = predicted.mask == structure.value
    cut = bounding_box(inside)
    if cut is None:
        return
    numbered, count = ndimage.label(inside[cut])
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(numbered)
    for number in np.flatnonzero((sizes >= LEAST_VOXELS) & (sizes <= MAIN_SHARE * sizes.sum())):
        local = boxes[number]
        piece = numbered[local] == number + 1
        start = [part.start + outer.start for part, outer in zip(local, cut, strict=True)]
        box = tuple(slice(low, low + size) for low, size in zip(start, piece.shape, strict=True))
        if (predicted.annotation.known[box][piece] == Known.UNKNOWN).all():
            errors = expected_errors(predicted.entropy[box][piece])
            if errors.mean() >= LEAST_ERROR:
                yield _describe(predicted, structure, piece, start, float(errors.sum()))


def _describe(
    predicted: Predicted, structure: Structure, piece: NDArray[np.bool_], start: list[int], errors: float
) -> Piece:
    geometry = predicted.geometry
    sums = {axis: piece.sum(axis=_others(axis)) for axis in labelled_axes(geometry)}
    axis = max(sums, key=lambda one: sums[one].max() * geometry.voxel_volume_mm3 / geometry.spacing[one])
    local = int(sums[axis].argmax())
    voxel = _central_voxel(piece, axis, local)
    x, y, z = ((low, low + size) for low, size in zip(start, piece.shape, strict=True))
    box: Box = (x, y, z)
    wrong, seconds = errors * geometry.voxel_volume_mm3, piece_seconds()
    volume = np.count_nonzero(piece) * geometry.voxel_volume_mm3 / 1000
    what = f"{millilitres(volume)} of {structure.name} apart from the rest, and the model is not sure"
    place = Suggestion(
        case=predicted.case.id,
        plane=plane_of_axis(geometry, axis),
        axis=axis,
        index=local + start[axis],
        box=box,
        structure=structure.value,
        structure_name=structure.name,
        score=0.0,
        reason=f"{what}: accept or reject it",
        level=REGION,
        voxel=(voxel[0] + start[0], voxel[1] + start[1], voxel[2] + start[2]),
        seconds=seconds,
        gain=wrong / geometry.spacing[axis] / seconds,
    )
    return Piece(place, wrong)


def _central_voxel(piece: NDArray[np.bool_], axis: int, index: int) -> tuple[int, int, int]:
    """The voxel of a piece on one of its slices that is nearest to the middle of the piece there."""
    found = np.argwhere(np.take(piece, [index], axis=axis))
    middle = found.mean(axis=0)
    nearest = found[((found - middle) ** 2).sum(axis=1).argmin()]
    nearest[axis] = index
    x, y, z = map(int, nearest)
    return x, y, z


def _others(axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(3) if other != axis)
