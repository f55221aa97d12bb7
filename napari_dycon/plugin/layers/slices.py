"""Which slice of the case a person works on, and the way to others."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_dycon.plugin.layers import styles
from napari_dycon.plugin.layers.orientation import PLANE_ORDER
from napari_dycon.plugin.layers.stage import Stage

if TYPE_CHECKING:
    from napari_dycon.guidance.suggestions import Suggestion


class Slices:
    """The place in the case that is shown.

    Parameters
    ----------
    stage
        Has the layers.

    Attributes
    ----------
    place_in_use
        Display axis and position in mm of the slice worked on in a further plane; None for the viewer's own.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.place_in_use: tuple[int, float] | None = None

    def voxel_at(self, point: Sequence[float]) -> tuple[float, ...] | None:
        """Return the display coordinates in voxels of a point in mm; None where no case is shown."""
        layer = self._stage.layer(styles.SCAN)
        return None if layer is None else tuple(layer.world_to_data(point))[-3:]

    def current_slice(self) -> tuple[int, int] | None:
        """Return ``(source axis, source index)`` of the slice the person works on, or None in 3D."""
        layer, place, display = self._stage.layer(styles.SCAN), self.slice_place(), self._stage.display
        if layer is None or display is None or place is None:
            return None
        axis, position = place
        index = round((position - float(layer.translate[axis])) / float(layer.scale[axis]))
        return display.to_source(axis, min(max(index, 0), layer.data.shape[axis] - 1))

    def slice_place(self) -> tuple[int, float] | None:
        """Return display axis and position in mm of the slice the person works on, or None in 3D."""
        return self.place_in_use or self._place_on_screen()

    def _place_on_screen(self) -> tuple[int, float] | None:
        """Return display axis and position in mm of the viewer's slice, or None in 3D."""
        if not self._stage.there or self._stage.viewer.dims.ndisplay != 2:
            return None
        dims = self._stage.viewer.dims
        offset = dims.ndim - 3
        axis = next((axis - offset for axis in dims.not_displayed if axis >= offset), None)
        return None if axis is None else (axis, float(dims.point[offset:][axis]))

    def view_place(self) -> object:
        """Return something that changes whenever napari slices its layers anew."""
        dims = self._stage.viewer.dims
        return dims.point, dims.order, dims.ndisplay

    def plane_on_screen(self) -> tuple[str, int]:
        """Return the plane on screen (axial, coronal, sagittal) and napari's number of the slice."""
        current, display = self.current_slice(), self._stage.display
        assert current is not None and display is not None, "there is no slice in 3D"
        axis, index = display.to_display(*current)
        return display.plane_of(axis), index

    def show_plane(self, plane: str) -> None:
        """Turn the viewer to 2D slices of ``plane``, superior (or anterior) up."""
        dims = self._stage.viewer.dims
        offset = dims.ndim - 3
        dims.ndisplay = 2
        dims.order = tuple(range(offset)) + tuple(axis + offset for axis in PLANE_ORDER[plane])

    def go_to(self, place: "Suggestion") -> None:
        """Show the slice of a suggestion in its plane, with its box in the middle."""
        display = self._stage.display
        assert display is not None, "a case must be shown before one can go anywhere in it"
        self.show_plane(place.plane)
        viewer, scale = self._stage.viewer, display.scale
        centre = [0.0, 0.0, 0.0]
        for source_axis, (first, last) in enumerate(place.box):
            middle = place.index if source_axis == place.axis else (first + last) // 2
            middle = middle if place.voxel is None else place.voxel[source_axis]
            axis, index = display.to_display(source_axis, middle)
            centre[axis] = index * scale[axis]
        viewer.dims.set_point([axis + viewer.dims.ndim - 3 for axis in range(3)], centre)
        viewer.scene.camera.center = tuple(centre[axis] for axis in PLANE_ORDER[place.plane])

    def edges_of(self, place: "Suggestion") -> tuple[tuple[float, float, float], ...]:
        """Return where the box of a suggestion begins and ends, ``(z, y, x)`` in mm."""
        display = self._stage.display
        assert display is not None, "a case must be shown before anything lies in it"
        low, high = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
        for source_axis, (first, last) in enumerate(place.box):
            axis, one = display.to_display(source_axis, first)
            _, other = display.to_display(source_axis, last - 1)
            low[axis] = (min(one, other) - 0.5) * display.scale[axis]
            high[axis] = (max(one, other) + 0.5) * display.scale[axis]
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])

    def centre(self) -> None:
        """Show the middle of the case, and all of it."""
        display, viewer = self._stage.display, self._stage.viewer
        assert display is not None
        offset = viewer.dims.ndim - 3
        middle = [size // 2 * step for size, step in zip(display.shape, display.scale, strict=True)]
        viewer.dims.set_point([axis + offset for axis in range(3)], middle)
        viewer.reset_view()
