"""A body in two exams: in the later one it lies elsewhere, turned, of another contrast, on another grid."""

from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_dycon.io.geometry import Geometry
from napari_dycon.io.volumes import Volume

ORGANS = (
    ((0, 0, 0), (48, 42, 38), 100),
    ((-15, -4, 0), (14, 18, 16), 220),
    ((18, 6, 5), (12, 10, 18), 40),
    ((0, 21, -10), (16, 8, 10), 160),
)
"""Middle and radii in mm, and brightness; the second one is the structure."""
TURN = Rotation.from_euler("xyz", (6, -4, 9), degrees=True).as_matrix()
SHIFT = np.array([9.0, -12.0, 6.0])

EARLIER_GRID = Geometry(
    (40, 36, 30), np.array([[3, 0, 0, -60], [0, 3, 0, -54], [0, 0, 3, -45], [0, 0, 0, 1]])
)
LATER_GRID = Geometry(
    (38, 40, 22), np.array([[-3.2, 0, 0, 68], [0, 0, 4.5, -60], [0, 3, 0, -52], [0, 0, 0, 1]])
)


def exam(grid, turn, shift, contrast, seed):
    """Return scan and label map of the body, turned about the origin and shifted in RAS mm."""
    places = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    places = (places @ grid.affine[:3, :3].T + grid.affine[:3, 3] - shift) @ turn
    scan = np.zeros(grid.shape, np.float32)
    for middle, radii, value in ORGANS:
        scan[(((places - middle) / radii) ** 2).sum(-1) < 1] = value
    labels = (scan == ORGANS[1][2]).astype(np.uint8)
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=grid.shape), 0.7)
    return (ndimage.gaussian_filter(scan, 0.6) / 220) ** contrast * 500 + 20 * noise, labels


def earlier():
    """The earlier exam: its scan, and its label map."""
    scan, labels = exam(EARLIER_GRID, np.eye(3), np.zeros(3), contrast=1.0, seed=0)
    return Volume(scan.astype(np.float32), EARLIER_GRID, Path("earlier.nii.gz")), labels


def later():
    """The later exam, with the label map that it should get."""
    scan, labels = exam(LATER_GRID, TURN, SHIFT, contrast=0.6, seed=1)
    return Volume(scan.astype(np.float32), LATER_GRID, Path("later.nii.gz")), labels


def dice(one, other):
    """Overlap of two masks."""
    return 2 * np.sum(one & other) / (np.sum(one) + np.sum(other))
