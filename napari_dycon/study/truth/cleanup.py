"""Tidying up one structure: largest piece, islands, holes, smooth surface.

Every function says what would change, as an edit; nothing is changed until it is applied. A voxel keeps how
it was known, except that what was unknown or background by completing is drawn where the structure grows. A
structure never grows into another one, and voxels to be ignored are left alone. Work is done within the
bounding box of the structure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.study.truth.annotations import Annotation, Known, NamedValue, Region
from napari_dycon.study.truth.distances import signed_distance
from napari_dycon.study.truth.edits import Edit, Patch
from napari_dycon.study.truth.regions import (
    Selection,
    bounding_box,
    relative,
    select,
    shift,
    slowest_axis,
)

Mask = NDArray[np.bool_]
Where = Region | Selection | None

REACH = 3.0
"""How far beyond a structure smoothing looks, in standard deviations."""

RIDGE = 0.5
"""A voxel is in the middle of its part if no neighbour is deeper by more than this share of a voxel."""


def keep_largest(annotation: Annotation, structure: NamedValue, where: Where = None) -> Edit:
    """Remove all pieces but the largest; pieces are connected through faces."""

    def largest(mask: Mask) -> Mask:
        pieces, sizes = _pieces(mask)
        return np.asarray(pieces == 1 + int(np.argmax(sizes)))

    return _edit(annotation, structure, where, f"Keep largest piece of {structure.name}", largest)


def remove_islands(
    annotation: Annotation,
    structure: NamedValue,
    spacing: Sequence[float],
    below_mm3: float,
    where: Where = None,
) -> Edit:
    """Remove pieces smaller than a volume in mm3; pieces are connected through faces.

    `spacing` is the voxel size in mm along the source axes.
    """

    def large(mask: Mask) -> Mask:
        pieces, sizes = _pieces(mask)
        return np.asarray(np.concatenate([[False], sizes * prod(spacing) >= below_mm3])[pieces])

    return _edit(annotation, structure, where, f"Remove islands of {structure.name}", large)


def fill_holes(
    annotation: Annotation, structure: NamedValue, axis: int | None = None, where: Where = None
) -> Edit:
    """Fill what a structure encloses on all sides, or in every slice along a source axis if one is given."""
    links = ndimage.generate_binary_structure(3, 1)
    if axis is not None:
        np.moveaxis(links, axis, 0)[[0, 2]] = False

    def fill(mask: Mask) -> Mask:
        outside, count = ndimage.label(np.pad(~mask, 1, constant_values=True), links)
        free = np.zeros(count + 1, bool)
        for side in {0, 1, 2} - {axis}:
            free[np.moveaxis(outside, side, 0)[[0, -1]]] = True
        return np.asarray(~free[outside][1:-1, 1:-1, 1:-1] | mask)

    return _edit(annotation, structure, where, f"Fill holes of {structure.name}", fill)


def smooth(
    annotation: Annotation,
    structure: NamedValue,
    spacing: Sequence[float],
    size_mm: float,
    method: Literal["gaussian", "median"] = "gaussian",
    where: Where = None,
) -> Edit:
    """Smooth the surface without losing thin parts: the middle of each part always stays.

    Parameters
    ----------
    annotation, structure
        What is smoothed; where the structure is not known counts as outside it.
    spacing
        Voxel size in mm along the source axes.
    size_mm
        Gaussian: standard deviation in mm by which the signed distance is smoothed. Median: width of the box
        in mm within which the majority decides.
    method
        Which of both.
    where
        Part that may change.
    """

    def even(mask: Mask) -> Mask:
        depth = signed_distance(mask, spacing)
        if method == "median":
            width = [2 * round(size_mm / size / 2) + 1 for size in spacing]
            result = ndimage.uniform_filter(mask.astype(np.float32), width, mode="nearest") > 0.5
        else:
            result = ndimage.gaussian_filter(depth, [size_mm / s for s in spacing], mode="nearest") > 0
        return np.asarray(result | _thin(mask & ~result, depth, RIDGE * min(spacing)))

    margin = [int(np.ceil(REACH * size_mm / size)) + 1 for size in spacing]
    return _edit(annotation, structure, where, f"Smooth {structure.name}, {size_mm:g} mm", even, margin)


def _edit(
    annotation: Annotation,
    structure: NamedValue,
    where: Where,
    name: str,
    clean: Callable[[Mask], Mask],
    margin: Sequence[int] = (0, 0, 0),
) -> Edit:
    """Clean the structure within a selection and compare; the surroundings are seen up to the margin."""
    edit = Edit(name, "clean up")
    selection = select(annotation.shape, where)
    chosen = annotation.cut(selection.box)
    local = bounding_box(_mask_of(chosen, structure.value), margin)
    if local is None:
        return edit
    box = shift(local, selection.box)
    before = annotation.cut(box)
    after, mask = before.copy(), _mask_of(before, structure.value)
    wanted = clean(mask)
    allowed = before.known != Known.IGNORE
    if selection.mask is not None:
        allowed &= selection.mask[local]
    grown = wanted & ~mask & allowed & ((before.labels == 0) | (before.known == Known.UNKNOWN))
    after.labels[grown] = structure.value
    after.known[grown & np.isin(before.known, (Known.UNKNOWN, Known.COMPLETED))] = Known.DRAWN
    after.labels[mask & ~wanted & allowed] = 0
    for part in Selection(box).slabs(axis=slowest_axis(annotation.labels)):
        inner = relative(part.box, box)
        edit.add(Patch.between(part.box, before.cut(inner), after.cut(inner)))
    return edit


def _thin(lost: Mask, depth: NDArray[np.float32], slope: float) -> Mask:
    """What of the lost voxels is the middle of a thin part, with its foot, and no mere bump.

    In the middle no neighbour is deeper; a bump has deep voxels within two steps, all of a thin part has not.
    """
    middle = lost & (ndimage.maximum_filter(depth, size=3) - depth < slope)
    far = middle & (ndimage.maximum_filter(depth, size=5) - depth < slope)
    pieces, count = ndimage.label(middle, np.ones((3, 3, 3)))
    kept = np.zeros(count + 1, bool)
    kept[pieces[far]] = True
    return np.asarray(kept[pieces])


def _mask_of(part: Annotation, value: int) -> Mask:
    said = (part.known != Known.UNKNOWN) & (part.known != Known.IGNORE)
    return np.asarray((part.labels == value) & said)


def _pieces(mask: Mask) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Pieces numbered from 1, and the voxels of each."""
    pieces, count = ndimage.label(mask)
    return pieces, np.bincount(pieces.ravel(), minlength=count + 1)[1:]
