"""Where voxels lie: shape and affine of a grid, and reorientation by axis permutation and flips alone.

Affines map source voxel indices ``(i, j, k)`` to RAS millimetres, as nibabel does. ITK and DICOM use LPS:
``A_ras = diag(-1, -1, 1, 1) @ A_lps``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
from nibabel import orientations
from numpy.typing import NDArray

PLANES = ("sagittal", "coronal", "axial")
"""Anatomical planes, in the order of the axis each is perpendicular to: R-L, P-A, I-S."""

DISPLAY_CODES = "LPI"
"""Where the axes lead on screen."""

LPS_TO_RAS: NDArray[np.float64] = np.diag([-1.0, -1.0, 1.0, 1.0])


_LATTICE_TOLERANCE = 0.1
_ROUNDED_MM = 1.001e-3
_LEAST_DETERMINANT = 1e-6
_ORDERS = ("first", "second", "third")


@dataclass(frozen=True, eq=False)
class Geometry:
    """The grid of a volume.

    Attributes
    ----------
    shape : tuple of int
        Voxels along the three source axes.
    affine : ndarray of float64, shape (4, 4)
        Source voxel index to RAS position in mm; read-only.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Freeze a private copy of the affine and check it.

        Raises
        ------
        ValueError
            If the affine is not finite and invertible, or the shape is not three positive integers.
        """
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not is_invertible(affine):
            raise ValueError("an affine must be a finite, invertible 4 x 4 matrix")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"a grid has three axes of at least one voxel, not {self.shape}")
        affine.setflags(write=False)
        x, y, z = (int(size) for size in self.shape)
        object.__setattr__(self, "shape", (x, y, z))
        object.__setattr__(self, "affine", affine)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along the source axes."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def orientation(self) -> str:
        """Direction in which each source index grows, as the closest axis codes, for example ``"LPS"``."""
        return "".join(orientations.aff2axcodes(self.affine))

    @property
    def tilt_degrees(self) -> float:
        """Largest angle in degrees between a source axis and the anatomical axis closest to it."""
        cosines = np.abs(self.affine[:3, :3]) / np.asarray(self.spacing)
        anatomical = _anatomical_axes(self)
        return float(np.degrees(np.arccos(min(1.0, *(cosines[anatomical[axis], axis] for axis in range(3))))))

    @property
    def skew_degrees(self) -> float:
        """Largest departure in degrees of two source axes from being perpendicular."""
        units = self.affine[:3, :3] / np.asarray(self.spacing)
        return float(np.degrees(np.arcsin(min(1.0, np.abs(units.T @ units - np.eye(3)).max()))))

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in cubic millimetres."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def corners(self) -> NDArray[np.float64]:
        """RAS positions in mm of the centres of the eight corner voxels, shape (8, 3)."""
        indices = np.array(list(product(*((0, size - 1) for size in self.shape))), dtype=np.float64)
        return np.asarray(indices @ self.affine[:3, :3].T + self.affine[:3, 3])

    def distance_mm(self, other: Geometry) -> float:
        """Largest distance in mm between corresponding corner voxels of two grids."""
        return float(np.linalg.norm(self.corners - other.corners, axis=1).max())

    def placement(self, other: Geometry) -> Placement | None:
        """Tell how the voxels of another grid lie on those of this one; None where they lie between.

        The axes may be stored in another order or direction, which the affines alone decide, and the other
        grid may be a part of this one. A tenth of a voxel is allowed at each corner, which no scan is
        shifted by on purpose, and affines rounded to three decimals.
        """
        linear = np.linalg.solve(self.affine, other.affine)[:3, :3]
        order = [int(np.argmax(np.abs(row))) for row in linear]
        if sorted(order) != [0, 1, 2]:
            return None
        turned = Reorientation(other, order, [linear[axis, source] < 0 for axis, source in enumerate(order)])
        start = np.rint(np.linalg.solve(self.affine, turned.affine)[:3, 3]).astype(int)
        if (start < 0).any() or (start + turned.shape > self.shape).any():
            return None
        shift = np.eye(4)
        shift[:3, 3] = start
        here = Geometry(turned.shape, self.affine @ shift)
        off = np.abs(np.linalg.solve(self.affine[:3, :3], (turned.geometry.corners - here.corners).T)).max()
        rounded = np.abs(turned.affine - here.affine).max() <= _ROUNDED_MM
        if off > _LATTICE_TOLERANCE and not (rounded and off < 0.5):
            return None
        return Placement(turned, (int(start[0]), int(start[1]), int(start[2])))

    def matches(self, other: Geometry, tolerance_mm: float = 0.01) -> bool:
        """Tell whether the other grid has the same shape and its corners within `tolerance_mm`."""
        return self.shape == other.shape and self.distance_mm(other) <= tolerance_mm


def is_invertible(affine: NDArray[np.float64]) -> bool:
    """Tell whether an affine is finite and spans a volume (no axis missing, no two axes parallel)."""
    return affine_fault(affine) is None


def affine_fault(affine: NDArray[np.float64]) -> str | None:
    """Say what keeps an affine from spanning a volume, with the axis and its value; None if nothing does."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
    for order, step, length in zip(_ORDERS, affine[:3, :3].T, lengths, strict=True):
        if not (np.isfinite(length) and length > 0):
            return f"the step along its {order} axis is {_place(step)} mm"
    if not np.isfinite(affine).all():
        return f"the position of its first voxel is {_place(affine[:3, 3])} mm"
    units = affine[:3, :3] / lengths
    if abs(np.linalg.det(units)) > _LEAST_DETERMINANT:
        return None
    one, other = max(combinations(range(3), 2), key=lambda pair: abs(units[:, pair[0]] @ units[:, pair[1]]))
    parallel = abs(units[:, one] @ units[:, other]) > 1 - _LEAST_DETERMINANT
    axes = f"its {_ORDERS[one]} and {_ORDERS[other]} axes are parallel, along {_place(units[:, one])}"
    return axes if parallel else "its three axes lie in one plane"


def _place(vector: NDArray[np.float64]) -> str:
    return "({})".format(", ".join(f"{value:.4g}" for value in vector))


def plane_axis(geometry: Geometry, plane: str) -> int:
    """Source axis perpendicular to an anatomical plane (the closest one on an oblique grid).

    Raises
    ------
    ValueError
        If `plane` is not one of `PLANES`.
    """
    return _anatomical_axes(geometry).index(PLANES.index(plane))


def plane_of_axis(geometry: Geometry, axis: int) -> str:
    """Anatomical plane of the slices perpendicular to a source axis."""
    return PLANES[_anatomical_axes(geometry)[axis]]


def _anatomical_axes(geometry: Geometry) -> list[int]:
    """For each source axis the RAS axis (0 R-L, 1 P-A, 2 I-S) closest to it; a permutation."""
    return [int(axis) for axis in orientations.io_orientation(geometry.affine)[:, 0]]


class Reorientation:
    """Pure axis permutation and flips between source order and an axis-code order such as RAS.

    Nothing is resampled: `apply` and `invert` return views that share memory with their input, and act on
    the last three axes, so that ``(C, x, y, z)`` works as well.
    """

    def __init__(self, geometry: Geometry, order: Sequence[int], flipped: Sequence[bool]) -> None:
        """Take target axis ``t`` from source axis ``order[t]``, reversed where ``flipped[t]``."""
        self.source = geometry
        self._order = tuple(order)
        self._flipped = tuple(flipped)

    @classmethod
    def to(cls, geometry: Geometry, codes: str = "RAS") -> Reorientation:
        """Reorientation from a source grid to the grid whose axes are closest to `codes`.

        Parameters
        ----------
        geometry : Geometry
            The source grid.
        codes : str
            Where each target index grows to: one letter each of L/R, P/A, I/S.
        """
        current = orientations.io_orientation(geometry.affine)
        wanted = orientations.axcodes2ornt(tuple(codes))
        order = [int(np.flatnonzero(current[:, 0] == axis)[0]) for axis in wanted[:, 0]]
        flipped = [bool(current[source, 1] != sign) for source, sign in zip(order, wanted[:, 1], strict=True)]
        return cls(geometry, order, flipped)

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """View of a source array (..., x, y, z) in target order."""
        lead = array.ndim - 3
        view = array.transpose(*range(lead), *(lead + axis for axis in self._order))
        return np.asarray(view[self._slices()])

    def invert(self, array: NDArray[Any]) -> NDArray[Any]:
        """View of a target array in source order (..., x, y, z)."""
        lead = array.ndim - 3
        view = np.asarray(array[self._slices()])
        return view.transpose(*range(lead), *(lead + self.axis_of_source(axis) for axis in range(3)))

    def _slices(self) -> tuple[Any, ...]:
        return (..., *(slice(None, None, -1) if flip else slice(None) for flip in self._flipped))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along the target axes."""
        x, y, z = (self.source.shape[axis] for axis in self._order)
        return x, y, z

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along the target axes."""
        x, y, z = (self.source.spacing[axis] for axis in self._order)
        return x, y, z

    @property
    def affine(self) -> NDArray[np.float64]:
        """Target voxel index to RAS mm, shape (4, 4)."""
        to_source = np.eye(4)
        to_source[:3, :3] = 0
        for target, (source, flip) in enumerate(zip(self._order, self._flipped, strict=True)):
            to_source[source, target] = -1 if flip else 1
            to_source[source, 3] = self.source.shape[source] - 1 if flip else 0
        return np.asarray(self.source.affine @ to_source)

    @property
    def geometry(self) -> Geometry:
        """The target grid."""
        return Geometry(self.shape, self.affine)

    def axis_of_source(self, axis: int) -> int:
        """Target axis that runs along a source axis."""
        return self._order.index(axis)

    def axis_of_target(self, axis: int) -> int:
        """Source axis that runs along a target axis."""
        return self._order[axis]

    def index_to_target(self, source_axis: int, index: int) -> tuple[int, int]:
        """Target axis and index of the slice `index` along a source axis."""
        axis = self.axis_of_source(source_axis)
        return axis, self._mirror_index(axis, index)

    def index_to_source(self, target_axis: int, index: int) -> tuple[int, int]:
        """Source axis and index of the slice `index` along a target axis."""
        return self._order[target_axis], self._mirror_index(target_axis, index)

    def indices_to_source(self, target_axis: int, indices: np.ndarray) -> tuple[int, np.ndarray]:
        """Source axis and indices of the slices, or places, `indices` along a target axis."""
        flipped, last = self._flipped[target_axis], self.shape[target_axis] - 1
        return self._order[target_axis], last - indices if flipped else indices

    def _mirror_index(self, target_axis: int, index: int) -> int:
        return self.shape[target_axis] - 1 - index if self._flipped[target_axis] else index


@dataclass(frozen=True)
class Placement:
    """Where the voxels of one grid lie in another: turned to its axes, from the voxel `start` on."""

    turned: Reorientation
    start: tuple[int, int, int]

    def is_whole(self, geometry: Geometry) -> bool:
        """Tell whether all of the other grid is covered."""
        return self.turned.shape == geometry.shape

    def put(self, array: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
        """Return the array on the other grid, C-contiguous, 0 beyond its own extent."""
        turned = self.turned.apply(array)
        if self.is_whole(geometry):
            return np.ascontiguousarray(turned)
        whole = np.zeros(geometry.shape, array.dtype)
        x, y, z = (
            slice(start, start + size) for start, size in zip(self.start, self.turned.shape, strict=True)
        )
        whole[x, y, z] = turned
        return whole


def slice_number(geometry: Geometry, axis: int, index: int) -> int:
    """Return the number, from one, by which people know the slice `index` of a source axis.

    Slices count in the order in which they are shown, from right to left, front to back and top to bottom,
    however the file stores them.
    """
    return Reorientation.to(geometry, DISPLAY_CODES).index_to_target(axis, index)[1] + 1
