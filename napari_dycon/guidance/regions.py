"""A predicted structure with what is around it: where a slice of it is unsure, and in words why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.guidance.suggestions import Box
from napari_dycon.io.geometry import Geometry

BAND_MM = 10.0
"""Entropy counts in the predicted structure and so far around it."""
EDGE_MM = 3.0
ALIKE = 0.7
"""Neighbouring slices that are unsure to this share of one are nearly as unsure."""


@dataclass(frozen=True)
class Region:
    """A structure with its band, cut out of the volume; arrays have the shape of the cut-out.

    Attributes
    ----------
    offset : where the cut-out begins, in voxels of the scan
    unsure : entropy, 0 beyond the band and where something is known
    depth : distance to the edge of the predicted structure in mm, negative outside; 0 where none was found
    found : whether anything was predicted
    """

    offset: tuple[int, int, int]
    unsure: NDArray[np.float32]
    depth: NDArray[np.float64]
    found: bool

    @classmethod
    def around(
        cls, mask: NDArray[np.uint8], value: int, unsure: NDArray[np.float32], geometry: Geometry
    ) -> "Region | None":
        """Cut out; without a predicted voxel the whole volume counts. None where all is known or sure.

        What lies nearer to another structure, or in it, counts for that one.
        """
        inside = mask == value
        found = bool(inside.any())
        cut = _grown_box(inside, geometry) if found else (slice(None),) * 3
        inside, mask, unsure = inside[cut], mask[cut], unsure[cut]
        depth = np.zeros(inside.shape)
        if found:
            depth = _edt(inside, geometry) - _edt(~inside, geometry)
            own = depth >= -BAND_MM
            others = (mask > 0) & ~inside
            if others.any():
                own &= inside | (_edt(~others, geometry) >= -depth) & ~others
            unsure = np.where(own, unsure, np.float32(0))
        if not unsure.any():
            return None
        offset = tuple(int(window.start or 0) for window in cut)
        return cls((offset[0], offset[1], offset[2]), unsure, depth, found)

    def box(self, axis: int, local: int) -> Box:
        """Where on a slice of the cut-out it is most unsure, in voxels of the scan."""
        window = ndimage.find_objects(self._most_unsure(axis, local).astype(np.uint8))[0]
        ranges = [
            (int(part.start) + start, int(part.stop) + start)
            for part, start in zip(window, self.offset, strict=True)
        ]
        ranges[axis] = (local + self.offset[axis], local + self.offset[axis] + 1)
        return ranges[0], ranges[1], ranges[2]

    def what(self, axis: int, local: int) -> str:
        """Say what is unsure on a slice of the cut-out."""
        if not self.found:
            return "not found in this scan, unclear"
        depth = np.take(self.depth, [local], axis=axis)[self._most_unsure(axis, local)]
        middle = float(np.median(depth))
        if abs(middle) <= EDGE_MM:
            return "edge unclear"
        return "inside unclear" if middle > 0 else "extent unclear"

    def _most_unsure(self, axis: int, local: int) -> NDArray[np.bool_]:
        values = np.take(self.unsure, [local], axis=axis)
        return np.asarray((values >= 0.5 * values.max()) & (values > 0))


def extent(scores: NDArray[np.float64], local: int) -> str:
    """Say on how many neighbouring slices it is nearly as unsure."""
    blocks, _ = ndimage.label(scores >= ALIKE * scores[local])
    count = int(np.count_nonzero(blocks == blocks[local]))
    return f"over {count} slices" if count > 1 else "on this slice"


def nearest(index: int, labelled: Sequence[int], spacing: float, plane: str) -> str:
    """Say how far the nearest labelled slice is."""
    if not labelled:
        return f"no labelled {plane} slice in this scan yet"
    distance = min(abs(index - other) for other in labelled) * spacing
    return f"nearest labelled slice {distance:.0f} mm away"


def _grown_box(inside: NDArray[np.bool_], geometry: Geometry) -> tuple[slice, ...]:
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    margins = [math.ceil(BAND_MM / spacing) for spacing in geometry.spacing]
    return tuple(
        slice(max(0, window.start - margin), window.stop + margin)
        for window, margin in zip(box, margins, strict=True)
    )


def _edt(inside: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.float64]:
    if inside.all():
        return np.full(inside.shape, BAND_MM)
    return np.asarray(ndimage.distance_transform_edt(inside, sampling=geometry.spacing), dtype=np.float64)
