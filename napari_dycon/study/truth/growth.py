"""A piece of a structure from a few strokes, to be looked at and corrected by further strokes.

What lies in a box around the strokes is brought to a coarser grid of at most `MOST_VOXELS`, where a random
walker (see `walker`) decides; the probability is then brought back to the grid of the scan, which makes its
border smooth. What is expected of a voxel follows from its intensity, compared with that under the strokes,
from how far away they are, compared with how far they reach, and from a prediction where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.errors import StudyError
from napari_dycon.study.truth.annotations import BY_PERSON, Annotation, Known, NamedValue, is_one_of
from napari_dycon.study.truth.edits import Edit, plan
from napari_dycon.study.truth.regions import Box, Selection, bounding_box, extent, relative
from napari_dycon.study.truth.walker import walk

Mask = NDArray[np.bool_]
Volume = NDArray[np.float32]

MOST_VOXELS = 150_000
"""So many voxels the walker goes over: a fraction of a second on one core."""
MARGIN_MM = (15.0, 60.0)
"""Least and most room around the strokes inside."""
REACH = 0.6
"""How far a piece is expected to go beyond its strokes, as a share of how far these reach."""
LEAST_REACH_MM = 8.0
SOFTNESS = 0.25
"""Share of the reach within which the expectation falls."""
SHADES, SHADES_WIDE = 64, 2.0
"""Steps of intensity that are told apart, and how many of them a voxel of a stroke speaks for."""
TRUST = 0.95
"""How sure a prediction may be at most."""
DOUBT = 0.2
"""Least that is expected of a voxel where a prediction has a say too."""

NO_STROKE = "Draw a stroke inside the structure first: so far there are only strokes outside."
TAKEN = (
    "All of the stroke lies on what is labelled already, and that stays: draw beside it, or erase it first."
)
FLAT = "There is nothing to go by around the strokes: the scan has the same intensity everywhere there."


@dataclass(frozen=True, eq=False)
class Stroke:
    """Voxels of which a person says that they lie inside the piece, or outside."""

    where: Selection
    inside: bool


@dataclass(frozen=True, eq=False)
class Opinion:
    """What a model says of the scan.

    Attributes
    ----------
    prediction
        Label values ``(x, y, z)``.
    entropy
        From 0 to 255, ``(x, y, z)``; None where it is not known.
    """

    prediction: NDArray[np.uint8]
    entropy: NDArray[np.uint8] | None

    def probability(self, box: Box, value: int) -> Volume:
        """Return how probable one structure is in a box, from 0 to 1."""
        entropy = np.zeros(extent(box), np.uint8) if self.entropy is None else self.entropy[box]
        other = _minority(entropy)
        return np.where(self.prediction[box] == value, 1 - other, other)


@dataclass(frozen=True, eq=False)
class Growth:
    """A piece that is proposed; nothing is changed until its edit is applied.

    Attributes
    ----------
    box
        Where it lies.
    piece
        Voxels of the box that belong to it.
    inside, outside
        Voxels of the box that a person has said so of.
    value
        Label value of the structure.
    name
        For example ``"Grow left atrium"``.
    """

    box: Box
    piece: Mask
    inside: Mask
    outside: Mask
    value: int
    name: str

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Label values of the box, 0 outside the piece."""
        return self.piece.astype(np.uint8) * np.uint8(self.value)

    def edit(self, annotation: Annotation) -> Edit:
        """Return the edit that takes it over; what a person knows by now is left alone.

        Strokes are drawn. The rest counts as accepted: a person has looked at it, and a machine has made it.
        """

        def change(part: Annotation, where: Selection) -> None:
            here = relative(where.box, self.box)
            free = may_grow(part, self.value)
            for mask, label, known in (
                (self.piece[here] & ~self.outside[here], self.value, Known.ACCEPTED),
                (self.inside[here], self.value, Known.DRAWN),
                (self.outside[here], 0, Known.DRAWN),
            ):
                np.copyto(part.labels, np.uint8(label), where=mask & free)
                np.copyto(part.known, np.uint8(known), where=mask & free)

        return plan(annotation, Selection(self.box), change, self.name, "grow")


def may_grow(part: Annotation, value: int) -> Mask:
    """Tell where a structure may grow: where no person has spoken, and no other one was accepted."""
    closed = is_one_of(part.known, (*BY_PERSON, Known.IGNORE))
    other = (part.known != Known.UNKNOWN) & (part.labels != 0) & (part.labels != value)
    return np.asarray(~closed & ~other)


@dataclass(frozen=True, eq=False)
class Given:
    """What holds in a box whatever the piece is, as masks of the box.

    Attributes
    ----------
    free
        Where the structure may grow.
    own
        What a person has drawn of the structure.
    inside, outside
        What strokes say.
    """

    box: Box
    structure: NamedValue
    free: Mask
    own: Mask
    inside: Mask
    outside: Mask

    def settle(self, found: Mask, by: str = "") -> Growth:
        """Return what of a mask of the box becomes the piece: what strokes touch, and where it may grow.

        Parameters
        ----------
        found
            Voxels that belong to the structure, as a source of pieces has it.
        by
            Name of that source, where it is not the usual one.
        """
        piece = (found | self.inside) & self.free & ~self.outside
        piece = _parts_at(piece | self.own, self.inside & self.free) & self.free
        name = f"Grow {self.structure.name}" + (f" ({by})" if by else "")
        said = (self.inside & self.free, self.outside & self.free)
        return Growth(self.box, piece, *said, self.structure.value, name)


def look_at(annotation: Annotation, structure: NamedValue, strokes: Sequence[Stroke], box: Box) -> Given:
    """Find out what holds in a box.

    Raises
    ------
    StudyError
        If no stroke inside lies where the structure may grow.
    """
    seen = annotation.cut(box).copy()
    free = may_grow(seen, structure.value)
    inside, outside = _paint(strokes, box)
    if not (inside & free).any():
        raise StudyError(TAKEN)
    own = is_one_of(seen.known, BY_PERSON) & (seen.labels == structure.value)
    return Given(box, structure, free, own, inside, outside)


def box_inside(strokes: Sequence[Stroke]) -> Box:
    """Return the bounds of the strokes inside.

    Raises
    ------
    StudyError
        If there is none.
    """
    boxes = [stroke.where.box for stroke in strokes if stroke.inside and stroke.where.voxels]
    if not boxes:
        raise StudyError(NO_STROKE)
    low = np.min([[part.start for part in box] for box in boxes], axis=0)
    high = np.max([[part.stop for part in box] for box in boxes], axis=0)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z


def grow(
    image: NDArray[np.generic],
    spacing: Sequence[float],
    annotation: Annotation,
    structure: NamedValue,
    strokes: Sequence[Stroke],
    opinion: Opinion | None = None,
    look_up: Callable[[], None] = lambda: None,
) -> Growth:
    """Propose the piece that some strokes are about.

    Parameters
    ----------
    image
        Intensities ``(x, y, z)``.
    spacing
        Voxel size along the axes, in mm.
    annotation
        What is known: what a person has drawn of the structure is inside, everything else that is known is
        outside.
    structure
        What grows.
    strokes
        In the order in which they were drawn; the later one counts where two meet.
    opinion
        What a model says of the scan, if one does.
    look_up
        Called every now and then; it may raise to end the work.

    Raises
    ------
    StudyError
        If there is no stroke inside, all of it lies on something else, or there is nothing to go by.
    """
    box = _box(strokes, spacing, annotation.shape)
    given = look_at(annotation, structure, strokes, box)
    look_up()
    part = np.nan_to_num(np.asarray(image[box], np.float32))
    said = None if opinion is None else opinion.probability(box, structure.value)
    if said is None and np.ptp(part) == 0:
        raise StudyError(FLAT)
    look_up()
    seeds, barred = (given.inside & given.free) | given.own, (given.outside | ~given.free) & ~given.own
    probability = _decide(part, spacing, seeds, barred, _edges(box, annotation.shape), said, look_up)
    return given.settle(probability > 0.5)


def _box(strokes: Sequence[Stroke], spacing: Sequence[float], shape: tuple[int, int, int]) -> Box:
    """Return the strokes inside and room around them."""
    box = box_inside(strokes)
    first, last = np.array([[part.start, part.stop] for part in box]).T
    reach = float(((last - first) * np.asarray(spacing)).max())
    room = np.ceil(np.clip(REACH * reach + LEAST_REACH_MM, *MARGIN_MM) / np.asarray(spacing)).astype(int)
    low, high = np.maximum(first - room, 0), np.minimum(last + room, shape)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z


def _paint(strokes: Sequence[Stroke], box: Box) -> tuple[Mask, Mask]:
    """Return which voxels of a box were said to be inside, and which outside."""
    said = np.zeros(extent(box), np.uint8)
    for stroke in strokes:
        where, inner = stroke.where, _overlap(stroke.where.box, box)
        if inner is None:
            continue
        here, there = said[relative(inner, box)], relative(inner, where.box)
        mask = True if where.mask is None else where.mask[there]
        np.copyto(here, np.uint8(1 if stroke.inside else 2), where=mask)
    return said == 1, said == 2


def _overlap(first: Box, second: Box) -> Box | None:
    x, y, z = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return (x, y, z) if all(part.start < part.stop for part in (x, y, z)) else None


def _decide(
    image: Volume,
    spacing: Sequence[float],
    inside: Mask,
    outside: Mask,
    edges: Mask,
    said: Volume | None,
    look_up: Callable[[], None],
) -> Volume:
    """Let the walker go on a coarser grid, and return the probability on that of the scan."""
    steps = _steps(image.shape, spacing)
    size = tuple(step * part for step, part in zip(steps, spacing, strict=True))
    coarse = _means(image, steps)
    seeds, barred = _any(inside, steps), _any(outside, steps)
    barred &= ~seeds
    expected = _likeness(coarse, seeds, barred) * _nearness(seeds, size)
    if said is not None:
        expected = _join(expected.clip(DOUBT, 1), _means(said, steps))
    look_up()
    walls = (barred | _faces(edges, coarse.shape)) & ~seeds
    return _fine(walk(coarse, size, seeds, walls, expected, look_up), steps, image.shape)


def _likeness(image: Volume, inside: Mask, outside: Mask) -> Volume:
    """Return how probable the inside is by intensity: that under the strokes against that of the box."""
    low, high = np.percentile(image, (0.5, 99.5))
    shades = ((image - low) / max(float(high - low), 1e-6) * (SHADES - 1)).clip(0, SHADES - 1).astype(np.intp)
    around = _histogram(shades)
    if outside.any():
        around = (around + _histogram(shades[outside])) / 2
    within = _histogram(shades[inside])
    least = 0.01 / SHADES
    share = (within + least) / (within + around + 2 * least)
    return np.asarray(share.astype(np.float32)[shades])


def _histogram(shades: NDArray[np.intp]) -> NDArray[np.float64]:
    counts = np.bincount(shades.ravel(), minlength=SHADES).astype(np.float64)
    return np.asarray(ndimage.gaussian_filter1d(counts, SHADES_WIDE) / counts.sum())


def _nearness(inside: Mask, spacing: tuple[float, ...]) -> Volume:
    """Return 1 at the strokes, falling where it is farther away than a piece is expected to go."""
    distance = ndimage.distance_transform_edt(~inside, sampling=spacing).astype(np.float32)
    box = bounding_box(inside)
    assert box is not None
    size = max(count * step for count, step in zip(extent(box), spacing, strict=True))
    reach = max(REACH * size, LEAST_REACH_MM)
    return np.asarray(1 / (1 + np.exp((distance - reach) / (SOFTNESS * reach))))


def _join(first: Volume, second: Volume) -> Volume:
    """Join two independent probabilities of the same."""
    second = second.clip(1 - TRUST, TRUST)
    both, neither = first * second, (1 - first) * (1 - second)
    return np.asarray(both / np.maximum(both + neither, 1e-6))


def _minority(entropy: NDArray[np.uint8]) -> Volume:
    """Return the probability of what a model does not say, of two, from its entropy in 255ths of a bit."""
    p = np.linspace(1e-6, 0.5, 4096)
    bits = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return np.asarray(np.interp(np.arange(256) / 255, bits, p), np.float32)[entropy]


def _parts_at(piece: Mask, strokes: Mask) -> Mask:
    """Return the connected parts of a piece that the strokes touch."""
    parts, count = ndimage.label(piece)
    kept = np.zeros(count + 1, bool)
    kept[np.unique(parts[strokes])] = True
    kept[0] = False
    return np.asarray(kept[parts])


def _edges(box: Box, shape: tuple[int, int, int]) -> Mask:
    """Tell of both ends of each axis whether the scan goes on there."""
    return np.array([(part.start > 0, part.stop < size) for part, size in zip(box, shape, strict=True)])


def _faces(edges: Mask, shape: tuple[int, ...]) -> Mask:
    """Return the outermost voxels where the scan goes on: the piece ends in the box."""
    faces = np.zeros(shape, bool)
    for axis, ends in enumerate(edges):
        for end, goes_on in zip((0, -1), ends, strict=True):
            if goes_on and shape[axis] > 2:
                faces[(slice(None),) * axis + (end,)] = True
    return faces


# ---- the coarser grid ------------------------------------------------------------------------


def _steps(shape: Sequence[int], spacing: Sequence[float]) -> tuple[int, ...]:
    """Return how many voxels along each axis become one, thin ones first, so that few enough are left."""
    wanted = min(spacing)
    while True:
        steps = tuple(max(1, round(wanted / size)) for size in spacing)
        if prod(-(-count // step) for count, step in zip(shape, steps, strict=True)) <= MOST_VOXELS:
            return steps
        wanted *= 1.1


def _blocks(array: NDArray[np.generic], steps: Sequence[int], mode: str) -> NDArray[np.generic]:
    short = [(0, -count % step) for count, step in zip(array.shape, steps, strict=True)]
    whole = np.pad(array, short, mode="edge" if mode == "edge" else "constant")
    sizes = [part for count, step in zip(whole.shape, steps, strict=True) for part in (count // step, step)]
    return whole.reshape(sizes)


def _means(array: Volume, steps: Sequence[int]) -> Volume:
    return np.asarray(_blocks(array, steps, "edge").mean(axis=(1, 3, 5)), np.float32)


def _any(mask: Mask, steps: Sequence[int]) -> Mask:
    return np.asarray(_blocks(mask, steps, "constant").any(axis=(1, 3, 5)))


def _fine(coarse: Volume, steps: Sequence[int], shape: Sequence[int]) -> Volume:
    """Interpolate between the middles of the coarse voxels, axis by axis, and only around the piece."""
    around = bounding_box(coarse > 0.5, 1)
    fine = np.zeros(shape, np.float32)
    if around is None:
        return fine
    starts = [part.start * step for part, step in zip(around, steps, strict=True)]
    stops = [min(part.stop * step, count) for part, step, count in zip(around, steps, shape, strict=True)]
    part = coarse
    for axis, (step, start, stop) in enumerate(zip(steps, starts, stops, strict=True)):
        place = ((np.arange(start, stop) + 0.5) / step - 0.5).clip(0, coarse.shape[axis] - 1)
        lower = np.floor(place).astype(np.intp)
        share = (place - lower).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        upper = np.minimum(lower + 1, coarse.shape[axis] - 1)
        part = part.take(lower, axis) * (1 - share) + part.take(upper, axis) * share
    fine[tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))] = part
    return fine
