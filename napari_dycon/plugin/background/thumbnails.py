"""Pictures of the places that are suggested, made in the background."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.engine.control import Control
from napari_dycon.errors import DyconError
from napari_dycon.guidance.suggestions import Suggestion
from napari_dycon.io.volumes import Volume
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.plugin.layers.open_case import contrast_limits
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.plugin.layers.styles import SKETCH_COLOUR
from napari_dycon.study.study import Study

SIDE = 192
"""Pixels of a picture's side: twice what it is shown with, for fine screens."""
AROUND_MM = 20.0
"""So much is shown around the box and the structures, where the slice is larger."""
LINE = 2


@dataclass(frozen=True, slots=True)
class PlacePictured:
    """The picture of a place, uint8 ``(row, column, rgb)``, and which slice it is, counted from 1."""

    place: Suggestion
    picture: NDArray[np.uint8]
    number: int
    count: int


def pictures(study: Study, places: Sequence[Suggestion]) -> EventSource[PlacePictured]:
    """Picture places in turn; one whose scan cannot be read is left out, for that is said elsewhere."""

    def source(control: Control) -> Iterator[PlacePictured]:
        for case in dict.fromkeys(place.case for place in places):
            wanted = [place for place in places if place.case == case]
            with suppress(DyconError, OSError, MemoryError):
                volume, limits, run = study.volume(case), None, study.active_run
                mask = None if run is None else study.predictions.mask(run, case)
                for place in wanted:
                    if control.stopped:
                        return
                    limits = contrast_limits(volume.array) if limits is None else limits
                    colours = {structure.value: structure.color for structure in study.structures}
                    yield picture_of(place, volume, mask, colours, limits)

    return source


def picture_of(
    place: Suggestion,
    volume: Volume,
    mask: NDArray[np.uint8] | None,
    colours: Mapping[int, str],
    limits: tuple[float, float],
) -> PlacePictured:
    """Picture the slice of a place as the viewer shows it, with contours of the prediction and the box."""
    display = DisplayView(volume.geometry)
    axis, index = display.to_display(place.axis, place.index)
    rows, columns = (other for other in range(3) if other != axis)
    labels = None if mask is None else display.apply(mask)[_at(axis, index)]
    window = _Window.around(display, place, labels, (rows, columns))
    low, high = limits
    grey = window.sample(display.apply(volume.array)[_at(axis, index)].astype(np.float32), order=1)
    shade = np.rint(255 * np.clip((grey - low) / (high - low), 0, 1))
    picture = np.repeat(shade[..., np.newaxis], 3, axis=2).astype(np.uint8)
    if labels is not None:
        _draw_contours(picture, window.sample(labels, order=0), colours)
    _draw_box(picture, *window.corners(place, display, (rows, columns)))
    return PlacePictured(place, picture, index + 1, display.shape[axis])


@dataclass(frozen=True)
class _Window:
    """The part of a slice that is pictured: a square, its corner and its side in mm, and the pixel sizes."""

    corner: NDArray[np.float64]
    side: float
    scale: NDArray[np.float64]

    @classmethod
    def around(
        cls, display: DisplayView, place: Suggestion, labels: NDArray[np.uint8] | None, axes: tuple[int, int]
    ) -> "_Window":
        scale = np.array([display.scale[axis] for axis in axes])
        size = np.array([display.shape[axis] for axis in axes]) * scale
        low, high = _box(place, display, axes)
        if labels is not None and labels.any():
            found = ndimage.find_objects((labels > 0).astype(np.uint8))[0]
            low = np.minimum(low, [part.start for part in found])
            high = np.maximum(high, [part.stop for part in found])
        low, high = low * scale - AROUND_MM, high * scale + AROUND_MM
        side = float(min((high - low).max(), size.max()))
        corner = (low + high - side) / 2
        return cls(np.where(size > side, np.clip(corner, 0, size - side), (size - side) / 2), side, scale)

    def sample(self, values: NDArray[Any], order: Literal[0, 1]) -> NDArray[Any]:
        """Return the part of a slice in the picture's pixels; black beyond the scan."""
        step = self.side / SIDE
        middle = (np.arange(SIDE) + 0.5) * step
        places = [(start + middle) / size - 0.5 for start, size in zip(self.corner, self.scale, strict=True)]
        grid = np.meshgrid(*places, indexing="ij")
        return np.asarray(ndimage.map_coordinates(values, grid, order=order, mode="constant"))

    def corners(
        self, place: Suggestion, display: DisplayView, axes: tuple[int, int]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the first and the last row and column of the box in the picture's pixels."""
        low, high = _box(place, display, axes)
        ends = ((edge * self.scale - self.corner) * SIDE / self.side for edge in (low, high))
        first, last = (np.clip(np.rint(end), 0, SIDE - 1).astype(np.intp) for end in ends)
        return first, last


def _box(
    place: Suggestion, display: DisplayView, axes: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where the box begins and ends along two display axes, in voxels from the edge of the scan."""
    low, high = np.zeros(3), np.zeros(3)
    for source_axis, (first, last) in enumerate(place.box):
        axis, one = display.to_display(source_axis, first)
        _, other = display.to_display(source_axis, last - 1)
        low[axis], high[axis] = min(one, other), max(one, other) + 1
    return low[list(axes)], high[list(axes)]


def _draw_contours(picture: NDArray[np.uint8], labels: NDArray[Any], colours: Mapping[int, str]) -> None:
    for value, colour in colours.items():
        inside = labels == value
        picture[inside & ~ndimage.binary_erosion(inside, iterations=LINE)] = _bytes(colour)


def _draw_box(picture: NDArray[np.uint8], first: NDArray[np.intp], last: NDArray[np.intp]) -> None:
    (top, left), (bottom, right) = first, last
    inside = np.zeros(picture.shape[:2], bool)
    inside[top : bottom + 1, left : right + 1] = True
    inner = np.zeros_like(inside)
    inner[top + LINE : bottom + 1 - LINE, left + LINE : right + 1 - LINE] = True
    picture[inside & ~inner] = _bytes(SKETCH_COLOUR)


def _bytes(colour: str) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(colour[1:7]), np.uint8)


def _at(axis: int, index: int) -> tuple[slice | int, ...]:
    return tuple(index if other == axis else slice(None) for other in range(3))
