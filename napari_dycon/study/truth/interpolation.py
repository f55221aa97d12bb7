"""Labels between labelled slices, from the shapes on both sides.

Each section of a structure is turned into its signed distance ``d`` (positive inside), compressed to
``d / (|d| + 2 g)`` with the gap ``g`` between the slices: what is much farther from a border than the gap is
wide says little about where the border runs inside it. Between two slices the compressed distance follows a
cubic Hermite curve whose slopes come from the slices beyond (Catmull and Rom, 1974); where it is positive,
the structure is. A structure that ends between two slices tapers off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import StudyError
from napari_dycon.study.truth.annotations import Annotation, Known, NamedValue
from napari_dycon.study.truth.distances import signed_distance
from napari_dycon.study.truth.edits import Edit, plan
from napari_dycon.study.truth.regions import Selection, bounding_box

TAPER = 0.75
"""Share of the gap after which a structure has vanished that only one of both slices shows."""

REACH = 2.0
"""Distance, in gaps, at which half of the compression has set in."""

MARGIN = 4

Plane = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Interpolation:
    """What would be filled in; nothing is changed until its edit is applied.

    Attributes
    ----------
    labels
        Label values ``(x, y, z)``, 0 outside `where`.
    where
        Voxels that would be set.
    axis
        Source axis along which the slices lie.
    slices
        Indices of the slices that would be filled.
    name
        For example ``"Interpolate left atrium, 14 slices"``.
    """

    labels: NDArray[np.uint8]
    where: NDArray[np.bool_]
    axis: int
    slices: tuple[int, ...]
    name: str

    def edit(self, annotation: Annotation) -> Edit:
        """Return the edit that takes it over; voxels that a person knows by now are left alone."""
        return fill(annotation, self.labels, self.where, self.name, "interpolate")


def fill(
    annotation: Annotation, labels: NDArray[np.uint8], where: NDArray[np.bool_], name: str, reason: str
) -> Edit:
    """Return the edit that makes voxels known as interpolated, but for what a person knows or accepted.

    Parameters
    ----------
    annotation
        What is known now.
    labels
        Label values ``(x, y, z)``.
    where
        Voxels to be set.
    name, reason
        See `Edit`.
    """
    box = bounding_box(where)
    if box is None:
        return Edit(name, reason)

    def change(part: Annotation, selection: Selection) -> None:
        wanted = where[selection.box] & _free(part.known)
        np.copyto(part.labels, labels[selection.box], where=wanted)
        np.copyto(part.known, np.uint8(Known.INTERPOLATED), where=wanted)

    return plan(annotation, Selection(box), change, name, reason)


def known_slices(annotation: Annotation, axis: int) -> list[int]:
    """Indices of the slices that are complete without interpolation."""
    others = tuple(other for other in range(3) if other != axis)
    return [int(index) for index in np.flatnonzero((~_free(annotation.known)).all(axis=others))]


def drawn_slices(annotation: Annotation, axis: int, values: Sequence[int]) -> list[int]:
    """Indices of the slices in which one of some structures is known without interpolation."""
    others = tuple(other for other in range(3) if other != axis)
    drawn = np.isin(annotation.labels, list(values)) & ~_free(annotation.known)
    return [int(index) for index in np.flatnonzero(drawn.any(axis=others))]


def best_axis(annotation: Annotation) -> int | None:
    """Source axis along which most slices are complete while others are not; None where there is none."""
    counts = [len(known_slices(annotation, axis)) for axis in range(3)]
    counts = [n if n < size else 0 for n, size in zip(counts, annotation.shape, strict=True)]
    return int(np.argmax(counts)) if max(counts) > 1 else None


def interpolate(
    annotation: Annotation,
    spacing: Sequence[float],
    structures: Sequence[NamedValue],
    axis: int | None = None,
    slices: Sequence[int] | None = None,
) -> Interpolation:
    """Work out the labels between known slices.

    Only gaps between two slices are filled of which at least one shows one of the structures, and in them
    only what is unknown or was interpolated before. Background is filled in too where all slices are
    complete and all structures that occur are asked for; else only the structures are.

    Parameters
    ----------
    annotation
        What is known.
    spacing
        Voxel size along the source axes, in mm.
    structures
        Which structures to interpolate.
    axis
        Source axis of the slices; the one with most complete slices by default.
    slices
        Slices to interpolate between; the complete ones by default (see also `drawn_slices`).

    Raises
    ------
    StudyError
        If no two slices are known, or no gap between them touches one of the structures.
    """
    axis = best_axis(annotation) if axis is None else axis
    if axis is None:
        raise StudyError("Mark at least two slices of one plane as complete, then fill the gap between them.")
    complete = known_slices(annotation, axis)
    chosen = sorted({*(complete if slices is None else slices)})
    stack = _Stack(annotation, axis, spacing, [structure.value for structure in structures], chosen)
    labels, filled = np.zeros_like(annotation.labels), list[int]()
    for index, plane in stack.between():
        np.moveaxis(labels, axis, 0)[index][stack.window] = plane
        filled.append(index)
    if not filled:
        raise StudyError(
            "There is no gap to fill: it needs two known slices with others between, one with the structure."
        )
    where = _voxels_to_fill(
        annotation, labels, axis, filled, stack.whole and set(chosen) <= set(complete), stack.values
    )
    labels[~where] = 0
    names = ", ".join(structure.name for structure in structures)
    plural = "" if len(filled) == 1 else "s"
    return Interpolation(
        labels, where, axis, tuple(filled), f"Interpolate {names}, {len(filled)} slice{plural}"
    )


class _Stack:
    """Sections of the structures in the known slices, seen along one axis."""

    def __init__(
        self,
        annotation: Annotation,
        axis: int,
        spacing: Sequence[float],
        values: list[int],
        slices: list[int],
    ) -> None:
        self.values = values
        self._slices = slices
        self._thickness = float(spacing[axis])
        self._spacing = [float(size) for other, size in enumerate(spacing) if other != axis]
        labels, known = (np.moveaxis(a, axis, 0)[slices] for a in (annotation.labels, annotation.known))
        sections = np.where(_free(known) | (known == Known.IGNORE), np.uint8(0), labels)
        self.whole = set(np.unique(sections).tolist()) <= {0, *values}
        sections = np.where(np.isin(sections, values), sections, np.uint8(0))
        box = bounding_box(sections > 0, (0, MARGIN, MARGIN))
        self.window = (slice(0, 0), slice(0, 0)) if box is None else box[1:]
        self._sections = {index: part[self.window] for index, part in zip(slices, sections, strict=True)}

    def between(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Label values in each slice of a gap, within the window."""
        for place, (first, second) in enumerate(zip(self._slices, self._slices[1:], strict=False)):
            if second - first > 1 and (self._sections[first].any() or self._sections[second].any()):
                around = self._slices[max(0, place - 1) : place + 3]
                yield from self._gap(first, second, around)

    def _gap(self, first: int, second: int, around: list[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        present = {int(v) for k in (first, second) for v in np.unique(self._sections[k]) if v}
        curves = {value: self._curve([value], first, second, around) for value in sorted(present)}
        outline = self._curve(sorted(present), first, second, around) if len(present) > 1 else None
        for index in range(first + 1, second):
            at = (index - first) / (second - first)
            heights = np.stack([curve.at(at) for curve in curves.values()])
            inside = (heights.max(axis=0) if outline is None else outline.at(at)) > 0
            nearest = np.array(list(curves), np.uint8)[heights.argmax(axis=0)]
            yield index, np.where(inside, nearest, np.uint8(0))

    def _curve(self, values: list[int], first: int, second: int, around: list[int]) -> _Curve:
        gap = self._thickness * (second - first)
        distances = {k: self._distance(k, values) for k in around}
        start, end = distances[first], distances[second]
        if start is None or end is None:
            known = end if start is None else start
            assert known is not None
            ended = known - known.max() / TAPER
            start, end = (ended, known) if start is None else (known, ended)
            before = after = None
        else:
            before = next((distances[k] for k in around if k < first), None)
            after = next((distances[k] for k in around if k > second), None)
        a, b = _compress(start, gap), _compress(end, gap)
        slope = b - a
        return _Curve(
            a,
            b,
            slope
            if before is None
            else _slope(b, _compress(before, gap), second - min(around), second - first),
            slope if after is None else _slope(_compress(after, gap), a, max(around) - first, second - first),
        )

    def _distance(self, index: int, values: list[int]) -> Plane | None:
        mask = np.isin(self._sections[index], values)
        return signed_distance(mask, self._spacing) if mask.any() else None


@dataclass(frozen=True, eq=False)
class _Curve:
    """Cubic Hermite curve of each voxel from one slice to the other; slopes per gap."""

    start: Plane
    end: Plane
    start_slope: Plane
    end_slope: Plane

    def at(self, t: float) -> Plane:
        """Height at `t` from 0 to 1."""
        rise = 3 * t**2 - 2 * t**3
        return np.asarray(
            (1 - rise) * self.start
            + rise * self.end
            + (t**3 - 2 * t**2 + t) * self.start_slope
            + (t**3 - t**2) * self.end_slope
        )


def _compress(distance: Plane, gap: float) -> Plane:
    return np.asarray(distance / (np.abs(distance) + np.float32(REACH * gap)))


def _slope(later: Plane, earlier: Plane, slices: int, gap: int) -> Plane:
    return np.asarray((later - earlier) * np.float32(gap / slices))


def _free(known: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((known == Known.UNKNOWN) | (known == Known.INTERPOLATED))


def _voxels_to_fill(
    annotation: Annotation,
    labels: NDArray[np.uint8],
    axis: int,
    filled: list[int],
    background: bool,
    values: list[int],
) -> NDArray[np.bool_]:
    """Free voxels of the filled slices; without background, those of the structures, now or before."""
    where = np.zeros_like(annotation.known, dtype=bool)
    np.moveaxis(where, axis, 0)[filled] = True
    where &= _free(annotation.known)
    if not background:
        earlier = (annotation.known == Known.INTERPOLATED) & np.isin(annotation.labels, values)
        where &= (labels > 0) | earlier
    return where
