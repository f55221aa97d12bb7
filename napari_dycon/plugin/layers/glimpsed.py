"""From a glimpse on the grid of a plan to a slice of the scan."""

import numpy as np

from napari_dycon.engine.events import Glimpse
from napari_dycon.engine.viewpoint import unpack
from napari_dycon.io.geometry import Geometry, Reorientation


def slice_of(glimpse: Glimpse, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of a glimpse, and where they are, both ``(x, y, z)`` in source order.

    The labels are there on every slice of that axis, and neither array takes the memory of a volume.
    """
    turn = Reorientation.to(geometry, "RAS")
    axis, labels = glimpse.axis, unpack(glimpse.labels, glimpse.shape)
    sides = [size for place, size in enumerate(turn.shape) if place != axis]
    rows, columns = (
        ((np.arange(size) + 0.5) * had / size).astype(int)
        for size, had in zip(sides, labels.shape, strict=True)
    )
    plane = np.expand_dims(labels[np.ix_(rows, columns)], axis)
    here = np.zeros([turn.shape[axis] if place == axis else 1 for place in range(3)], bool)
    here.flat[min(int(glimpse.at * turn.shape[axis]), turn.shape[axis] - 1)] = True
    values, place = (np.broadcast_to(array, turn.shape) for array in (plane, here))
    return turn.invert(values), turn.invert(place)
