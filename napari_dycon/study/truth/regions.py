"""Parts of a scan that a person points at: all of it, a slice, a box, a polygon, a connected piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_dycon.study.truth.annotations import Region, slice_of

VOXELS_AT_A_TIME = 1 << 21

Box = tuple[slice, slice, slice]
"""Bounds of a part, whole numbers within the volume."""


@dataclass(frozen=True, eq=False)
class Selection:
    """A part of a volume.

    Attributes
    ----------
    box
        Where it lies.
    mask
        Which voxels of the box belong to it, bool of the box's shape; None for all of them.
    """

    box: Box
    mask: NDArray[np.bool_] | None = None

    @property
    def voxels(self) -> int:
        """Number of selected voxels."""
        if self.mask is not None:
            return int(np.count_nonzero(self.mask))
        return int(np.prod(extent(self.box)))

    def slabs(self, voxels: int = VOXELS_AT_A_TIME, axis: int = 0) -> Iterator[Selection]:
        """Cut it along an axis into parts of about `voxels` voxels."""
        sizes = extent(self.box)
        thickness = max(1, voxels * sizes[axis] // max(1, sizes[0] * sizes[1] * sizes[2]))
        for start in range(0, sizes[axis], thickness):
            local = [slice(None)] * 3
            local[axis] = slice(start, min(start + thickness, sizes[axis]))
            part = [*self.box]
            first = part[axis].start
            part[axis] = slice(first + start, first + local[axis].stop)
            mask = None if self.mask is None else self.mask[tuple(local)]
            yield Selection((part[0], part[1], part[2]), mask)

    def full_mask(self, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
        """Return it as a mask of the whole volume."""
        mask = np.zeros(shape, bool)
        mask[self.box] = True if self.mask is None else self.mask
        return mask


def everything(shape: tuple[int, int, int]) -> Selection:
    """Select the whole volume."""
    x, y, z = shape
    return Selection((slice(0, x), slice(0, y), slice(0, z)))


def one_slice(shape: tuple[int, int, int], axis: int, index: int) -> Selection:
    """Select one slice; `axis` and `index` in source order.

    Raises
    ------
    ValueError
        If there is no such slice.
    """
    if not 0 <= axis < 3 or not 0 <= index < shape[axis]:
        raise ValueError(f"there is no slice {index} along axis {axis} in a scan of {shape}")
    return select(shape, slice_of(axis, index))


def cuboid(shape: tuple[int, int, int], corner: Sequence[float], opposite: Sequence[float]) -> Selection:
    """Select the voxels whose centres lie between two corners, in voxel coordinates, corners included.

    What lies outside the volume is left out; the box may be empty then.
    """
    low = np.ceil(np.minimum(corner, opposite)).clip(0, shape).astype(int)
    high = (np.floor(np.maximum(corner, opposite)) + 1).clip(low, np.maximum(low, shape)).astype(int)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return Selection((x, y, z))


def polygon(shape: tuple[int, int, int], axis: int, index: int, vertices: ArrayLike) -> Selection:
    """Select the voxels of a slice whose centres lie in a polygon.

    Parameters
    ----------
    shape
        Voxels of the volume.
    axis, index
        The slice, in source order.
    vertices
        ``(n, 2)`` voxel coordinates along the two other axes in source order; centres are whole numbers.
        The polygon is closed by itself; where it crosses itself, the even-odd rule holds. Centres on an edge
        belong to one side of it, so polygons that share an edge share no voxel.

    Raises
    ------
    ValueError
        If there are fewer than three vertices, or no such slice.
    """
    points = np.asarray(vertices, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError("a polygon needs at least three vertices of two finite coordinates each")
    plane = one_slice(shape, axis, index)
    rows, columns = (count for other, count in enumerate(shape) if other != axis)
    inside = np.expand_dims(_inside(points, rows, columns), axis)
    return _tighten(Selection(plane.box, inside))


def connected_piece(values: NDArray[np.uint8], voxel: Sequence[int]) -> Selection:
    """Select the piece of one value, connected through faces, that a voxel belongs to.

    Parameters
    ----------
    values
        Label values ``(x, y, z)``, for example a prediction.
    voxel
        Index of the voxel, in source order.
    """
    x, y, z = voxel
    box = bounding_box(values == values[x, y, z])
    assert box is not None
    pieces, _ = ndimage.label(values[box] == values[x, y, z])
    piece = pieces[x - box[0].start, y - box[1].start, z - box[2].start]
    return _tighten(Selection(box, pieces == piece))


def select(shape: tuple[int, int, int], region: Region | Selection | None) -> Selection:
    """Bring every way to name a part of a volume into one form: None is all of it.

    Raises
    ------
    ValueError
        If a mask has another shape than the volume.
    """
    if region is None:
        return everything(shape)
    if isinstance(region, Selection):
        return region
    if isinstance(region, np.ndarray):
        if region.shape != shape:
            raise ValueError(f"mask {region.shape} and volume {shape} differ in size")
        return _tighten(Selection(everything(shape).box, region.astype(bool, copy=False)))
    parts = [*region, *(slice(None),) * (3 - len(region))]
    x, y, z = (_bound(part, count) for part, count in zip(parts, shape, strict=True))
    return Selection((x, y, z))


def extent(box: Box) -> tuple[int, int, int]:
    """Voxels of a box along its axes."""
    x, y, z = (max(0, part.stop - part.start) for part in box)
    return x, y, z


def bounding_box(mask: NDArray[np.bool_], margin: int | Sequence[int] = 0) -> Box | None:
    """Smallest box around the true voxels of a mask, wider by a margin in voxels; None if there are none."""
    box: list[slice] = []
    view = mask
    for axis, wider in enumerate(np.broadcast_to(margin, 3)):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(view.any(axis=others))
        if found.size == 0:
            return None
        first, last = int(found[0]), int(found[-1])
        view = np.moveaxis(np.moveaxis(view, axis, 0)[first : last + 1], 0, axis)
        box.append(slice(max(0, first - int(wider)), min(mask.shape[axis], last + 1 + int(wider))))
    return box[0], box[1], box[2]


def voxels_at(indices: Sequence[ArrayLike]) -> Selection:
    """Select voxels by three arrays of indices, as for NumPy indexing."""
    x, y, z = (np.asarray(axis, dtype=np.intp) for axis in indices)
    if x.size == 0:
        return Selection((slice(0, 0), slice(0, 0), slice(0, 0)))
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in (x, y, z))
    mask = np.zeros([part.stop - part.start for part in box], bool)
    mask[x - box[0].start, y - box[1].start, z - box[2].start] = True
    return Selection((box[0], box[1], box[2]), mask)


def slowest_axis(array: NDArray[Any]) -> int:
    """Axis along which an array is best cut: the last one in the order of NIfTI files, else the first."""
    return 2 if array.strides[2] > array.strides[0] else 0


def shift(box: Box, by: Box) -> Box:
    """Bounds within the volume of a box that is counted from the start of another box."""
    x, y, z = (slice(a.start + b.start, a.stop + b.start) for a, b in zip(box, by, strict=True))
    return x, y, z


def relative(box: Box, to: Box) -> Box:
    """Bounds of a box counted from the start of another one; the reverse of `shift`."""
    x, y, z = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, to, strict=True))
    return x, y, z


def contains(outer: Box, inner: Box) -> bool:
    """Tell whether one box lies in another."""
    return all(a.start >= b.start and a.stop <= b.stop for a, b in zip(inner, outer, strict=True))


def _bound(part: slice | int, count: int) -> slice:
    if isinstance(part, slice):
        start, stop, step = part.indices(count)
        if step != 1:
            raise ValueError("a region has no gaps: its slices have no step")
        return slice(start, max(start, stop))
    return slice(part, part + 1) if part >= 0 else slice(count + part, count + part + 1)


def _tighten(selection: Selection) -> Selection:
    assert selection.mask is not None
    box = bounding_box(selection.mask)
    if box is None:
        x, y, z = (slice(part.start, part.start) for part in selection.box)
        return Selection((x, y, z), np.zeros((0, 0, 0), bool))
    return Selection(shift(box, selection.box), selection.mask[box].copy())


def _inside(points: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.bool_]:
    """Rasterise a polygon: along each row, a centre is inside after an odd number of crossed edges."""
    crossings = np.zeros((rows, columns + 1), np.uint8)
    for (row, column), (next_row, next_column) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = sorted((row, next_row))
        crossed = np.arange(max(0, np.ceil(low)), min(rows, np.ceil(high)), dtype=int)
        if crossed.size:
            where = column + (crossed - row) * (next_column - column) / (next_row - row)
            crossings[crossed, np.ceil(where).clip(0, columns).astype(int)] ^= 1
    return np.bitwise_xor.accumulate(crossings, axis=1)[:, :columns].astype(bool)
