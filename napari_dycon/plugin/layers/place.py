"""Where in a case, and with what in hand, a person is; read from the viewer and set in it again."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from napari_dycon.plugin.layers.orientation import PLANE_ORDER, DisplayView
from napari_dycon.study.store.notebook import Place, Tools

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

PLANES: dict[tuple[int, ...], Literal["axial", "coronal", "sagittal"]] = {
    PLANE_ORDER["axial"]: "axial",
    PLANE_ORDER["coronal"]: "coronal",
    PLANE_ORDER["sagittal"]: "sagittal",
}
CLOSEST, FARTHEST = 1e-4, 1e6
FIRST_BRUSH = 0.03
"""Share of the shortest side of an axial slice."""


def place_of(viewer: "ViewerModel", display: DisplayView) -> Place | None:
    """Return what of a case is on screen; None where the view is one that cannot be come back to."""
    offset = viewer.dims.ndim - 3
    order = tuple(axis - offset for axis in viewer.dims.order[offset:])
    camera, voxel = viewer.scene.camera, [0, 0, 0]
    if order not in PLANES or not CLOSEST < camera.zoom < FARTHEST:
        return None
    for axis, (size, step) in enumerate(zip(display.shape, display.scale, strict=True)):
        index = min(max(round(viewer.dims.point[axis + offset] / step), 0), size - 1)
        source_axis, source_index = display.to_source(axis, index)
        voxel[source_axis] = source_index
    return Place(
        plane=PLANES[order],
        voxel=(voxel[0], voxel[1], voxel[2]),
        zoom=float(camera.zoom),
        centre=_three(camera.center[-3:]),
        angles=_three(camera.angles) if viewer.dims.ndisplay == 3 else None,
        canvas=_sides(viewer),
    )


def _three(values: Iterable[float]) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _sides(viewer: "ViewerModel") -> tuple[float, float]:
    height, width = (float(side) for side in viewer.canvas.size)
    return height, width


def _growth(place: Place, viewer: "ViewerModel") -> float:
    """Return by how much the view is larger now than it was, for as much of the scan to be in it."""
    if place.canvas is None:
        return 1.0
    return min(now / then for now, then in zip(_sides(viewer), place.canvas, strict=True))


def go_back_to(viewer: "ViewerModel", display: DisplayView, place: Place) -> None:
    """Show ``place`` again, as near as a scan that has changed its size allows."""
    offset = viewer.dims.ndim - 3
    viewer.dims.ndisplay = 2 if place.angles is None else 3
    viewer.dims.order = (*range(offset), *(axis + offset for axis in PLANE_ORDER[place.plane]))
    point = [0.0, 0.0, 0.0]
    for source_axis, source_index in enumerate(place.voxel):
        axis, index = display.to_display(source_axis, source_index)
        point[axis] = min(max(index, 0), display.shape[axis] - 1) * display.scale[axis]
    viewer.dims.set_point([axis + offset for axis in range(3)], point)
    camera = viewer.scene.camera  # last: turning the axes resets the view
    camera.center, camera.zoom = place.centre, place.zoom * _growth(place, viewer)
    if place.angles is not None:
        camera.angles = place.angles


def tools_of(layer: "Labels", value: int) -> Tools:
    """Return what is in the hand of a person who paints ``value`` on ``layer``."""
    return Tools(mode=str(layer.mode), brush_size=float(layer.brush_size), value=value)


def first_brush(display: DisplayView) -> float:
    """Return a brush for a scan nobody has painted on yet: a small part of the shortest side of a slice."""
    return max(1.0, round(FIRST_BRUSH * min(display.shape[1:])))


def take_up(layer: "Labels", tools: Tools) -> None:
    """Give a person the tools back; a mode that this napari does not know is left out."""
    layer.brush_size = tools.brush_size
    try:
        layer.mode = tools.mode
    except ValueError:
        layer.mode = "pan_zoom"
