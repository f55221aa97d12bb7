"""Outlines of a region of pixels as polygons along the edges of its pixels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Point = tuple[int, int]


def outline(region: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return polygons that enclose exactly the pixels of a region.

    Pixels that touch at a corner alone are in polygons of their own. A hole is joined to what surrounds it by
    a channel without width (a *keyhole*), so that each polygon has one boundary, and every way to fill it,
    even-odd or by winding, gives the same pixels.

    Parameters
    ----------
    region : ndarray of bool, shape (x, y)

    Returns
    -------
    list of ndarray, shape (n, 2)
        Corners between pixels: pixel ``(x, y)`` reaches from ``(x, y)`` to ``(x + 1, y + 1)``. The first is
        not repeated at the end.
    """
    loops = _loops(region)
    outer = [loop for loop in loops if _doubled_area(loop) > 0]
    owner = {point: loop for loop in outer for point in loop}
    for hole in sorted((loop for loop in loops if _doubled_area(loop) < 0), key=min):
        _join(hole, owner)
    return [np.array(_without_straight_points(loop)) for loop in outer]


def _join(hole: list[Point], owner: dict[Point, list[Point]]) -> None:
    """Cut a channel from the leftmost corner of a hole to the boundary on its left."""
    start = min(hole)
    x, y = start[0] - 1, start[1]
    while (x, y) not in owner:
        x -= 1
    around, first = owner[x, y], hole.index(start)
    place = around.index((x, y)) + 1
    around[place:place] = [*hole[first:], *hole[:first], start, (x, y)]
    owner.update(dict.fromkeys(hole, around))


def _loops(region: NDArray[np.bool_]) -> list[list[Point]]:
    """Closed ways along the edges, inside on the right: clockwise outside, the other way around holes."""
    leaving: dict[Point, list[Point]] = {}
    for point, step in _edges(region):
        leaving.setdefault(point, []).append(step)
    left = {(point, step): None for point, steps in leaving.items() for step in steps}
    found = []
    while left:
        point, step = next(iter(left))
        loop = []
        while (point, step) in left:
            del left[point, step]
            loop.append(point)
            point = (point[0] + step[0], point[1] + step[1])
            right, steps = (-step[1], step[0]), leaving[point]
            step = right if right in steps else steps[0]  # where two pixels meet, stay with this one
        found.append(loop)
    return found


def _edges(region: NDArray[np.bool_]) -> Iterator[tuple[Point, Point]]:
    """Edges between inside and outside: where each begins, and its direction."""
    padded = np.pad(region, 1)
    sides = (
        ((0, 0), (1, 0), padded[1:-1, :-2]),
        ((1, 0), (0, 1), padded[2:, 1:-1]),
        ((1, 1), (-1, 0), padded[1:-1, 2:]),
        ((0, 1), (0, -1), padded[:-2, 1:-1]),
    )
    for corner, step, neighbour in sides:
        for x, y in (np.argwhere(region & ~neighbour) + corner).tolist():
            yield (x, y), step


def _doubled_area(loop: list[Point]) -> int:
    turned = zip(loop, [*loop[1:], loop[0]], strict=True)
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in turned)


def _without_straight_points(loop: list[Point]) -> list[Point]:
    around = zip([loop[-1], *loop[:-1]], loop, [*loop[1:], loop[0]], strict=True)
    return [here for before, here, after in around if _direction(before, here) != _direction(here, after)]


def _direction(one: Point, other: Point) -> Point:
    return (other[0] > one[0]) - (other[0] < one[0]), (other[1] > one[1]) - (other[1] < one[1])
