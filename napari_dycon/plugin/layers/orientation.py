"""The one place that turns volumes in source order into what napari shows, and back.

napari draws the last two axes of an array with rows running down and columns running right. With the
voxel axes ordered and directed as left, posterior, inferior ("LPI") and transposed to ``(z, y, x)``

* axial slices show anterior up and the patient's left on the right of the screen,
* coronal slices (axis order z, x) show superior up and the patient's left on the right,
* sagittal slices (axis order z, y) show superior up and anterior on the left.

Right, up and towards the viewer are then left, anterior and inferior, a right-handed frame like the
patient's own, so in 3D the volume is not mirrored when the camera's depth axis points ``towards``.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_dycon.io.geometry import DISPLAY_CODES, Geometry, Reorientation, plane_of_axis

AXIS_LABELS = ("z", "y", "x")
UNITS = ("mm", "mm", "mm")
CAMERA_ORIENTATION = ("towards", "down", "right")
PLANE_ORDER = {
    "axial": (0, 1, 2),
    "coronal": (1, 0, 2),
    "sagittal": (2, 0, 1),
}


@dataclass(frozen=True)
class DisplayView:
    """The display order ``(z, y, x)`` of one grid.

    Every array it returns shares memory with the one it was given, so painting in the view edits the
    array in source order.
    """

    geometry: Geometry

    @cached_property
    def _turn(self) -> Reorientation:
        return Reorientation.to(self.geometry, DISPLAY_CODES)

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Return the ``(z, y, x)`` display view of an ``(x, y, z)`` array in source order."""
        return self._turn.apply(array).transpose()

    def invert(self, array: np.ndarray) -> np.ndarray:
        """Return the ``(x, y, z)`` source view of a ``(z, y, x)`` display array."""
        return self._turn.invert(array.transpose())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along ``(z, y, x)``."""
        x, y, z = self._turn.shape
        return z, y, x

    @property
    def scale(self) -> tuple[float, float, float]:
        """Voxel size in mm along ``(z, y, x)``."""
        x, y, z = (float(size) for size in self._turn.spacing)
        return z, y, x

    def to_display(self, source_axis: int, index: int) -> tuple[int, int]:
        """Return ``(display axis, display index)`` of a slice given in source order."""
        axis, index = self._turn.index_to_target(source_axis, index)
        return 2 - axis, int(index)

    def to_source(self, display_axis: int, index: int) -> tuple[int, int]:
        """Return ``(source axis, source index)`` of a slice given in display order."""
        axis, index = self._turn.index_to_source(2 - display_axis, index)
        return axis, int(index)

    def indices_to_source(self, indices: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        """Return source indices ``(x, y, z)`` of voxels given by display indices ``(z, y, x)``."""
        source: dict[int, np.ndarray] = {}
        for display_axis, values in enumerate(indices):
            axis, mirrored = self._turn.indices_to_source(2 - display_axis, values)
            source[axis] = mirrored
        return source[0], source[1], source[2]

    def part_to_source(
        self, box: tuple[slice, ...], mask: np.ndarray
    ) -> tuple[tuple[slice, slice, slice], np.ndarray]:
        """Return box and mask of a part in source order; given in display order, mask of the box's shape."""
        source: dict[int, slice] = {}
        for display_axis, part in enumerate(box):
            axis, first = self.to_source(display_axis, part.start)
            _, last = self.to_source(display_axis, part.stop - 1)
            source[axis] = slice(min(first, last), max(first, last) + 1)
        return (source[0], source[1], source[2]), self.invert(mask)

    def plane_of(self, display_axis: int) -> str:
        """Return the plane perpendicular to ``display_axis``: axial, coronal or sagittal."""
        return plane_of_axis(self.geometry, self.to_source(display_axis, 0)[0])
