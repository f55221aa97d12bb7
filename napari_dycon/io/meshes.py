"""Surfaces of masks as closed triangle meshes, and the two forms of file that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening
from scipy.sparse import coo_array

from napari_dycon.errors import VolumeError
from napari_dycon.io.atomic import atomic_path, make_folder, require_space
from napari_dycon.io.geometry import LPS_TO_RAS, Geometry

SPACE = "SPACE=LPS"
"""What 3D Slicer looks for in a mesh; LPS is also what is read where nothing is said."""
ROUNDS = 10
SHRINK, SWELL = 0.5, -0.53
"""Taubin's lambda and mu; the pass-band ends at 1 / lambda + 1 / mu = 0.11."""

_STL = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_VERTEX = np.dtype([("place", "<f4", 3), ("colour", "u1", 3)])
_FACE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles in space.

    Attributes
    ----------
    vertices
        ``(n, 3)`` in mm.
    faces
        ``(m, 3)`` vertices of each triangle, anticlockwise as seen from outside.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]

    @property
    def corners(self) -> NDArray[np.float64]:
        """The corners of each triangle, ``(m, 3, 3)`` in mm."""
        return self.vertices[self.faces]

    @property
    def volume(self) -> float:
        """What it encloses, in cubic millimetres; negative where the triangles look inwards."""
        if not len(self.faces):
            return 0.0
        first, second, third = np.moveaxis(self.corners - self.vertices.mean(axis=0), 1, 0)
        return float(np.einsum("ij,ij->", first, np.cross(second, third)) / 6)

    @property
    def area(self) -> float:
        """Its surface in square millimetres."""
        first, second, third = np.moveaxis(self.corners, 1, 0)
        return float(np.linalg.norm(np.cross(second - first, third - first), axis=1).sum() / 2)


def surface(mask: NDArray[np.bool_], geometry: Geometry, rounds: int = ROUNDS) -> Mesh:
    """Lay a closed surface around a mask, in millimetres to the patient's left, posterior, superior.

    Marching cubes (Lewiner et al., Journal of Graphics Tools 2003) of the mask itself, so that a voxel that
    stands alone is seen; then smoothed as Taubin does (SIGGRAPH 1995), which takes the steps between voxels
    and leaves the volume. What is thinner than two voxels would shrink and is not smoothed. A mask that ends
    at the edge of the scan is closed there.

    Parameters
    ----------
    mask
        ``(x, y, z)`` in source order.
    geometry
        Its grid.
    rounds
        How often it is smoothed; 0 leaves the surface as it was found.

    Returns
    -------
    Mesh
        Without triangles where the mask is empty.
    """
    from skimage import measure

    inside = np.argwhere(mask)
    if not len(inside):
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    low, high = inside.min(axis=0), inside.max(axis=0) + 1
    part = np.pad(mask[tuple(map(slice, low, high))], 1)
    cubes: Any = measure.marching_cubes  # it has no types
    places, faces, _, _ = cubes(part.astype(np.float32), 0.5, allow_degenerate=False)
    lps = LPS_TO_RAS @ geometry.affine
    vertices = (places.astype(np.float64) + low - 1) @ lps[:3, :3].T + lps[:3, 3]
    mesh = Mesh(smooth(vertices, faces, rounds, ~_are_thin(part, places)), faces.astype(np.int64))
    return mesh if mesh.volume >= 0 else Mesh(mesh.vertices, mesh.faces[:, ::-1])


def _are_thin(part: NDArray[np.bool_], places: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which of the places on the edge of a part lie where it is less than two voxels thick."""
    thin = part & ~binary_opening(part, np.ones((2, 2, 2), bool))
    sides = (tuple(side(places).astype(int).T) for side in (np.floor, np.ceil))
    below, above = (thin[side] for side in sides)
    return np.asarray(below | above)


def smooth(
    vertices: NDArray[np.float64], faces: NDArray[np.integer], rounds: int, movable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Move vertices towards their neighbours and back, in turn, so that bumps go and size stays.

    Taubin, "A signal processing approach to fair surface design", SIGGRAPH 1995, with equal weights.
    """
    first, second = np.concatenate([faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]).T
    ends = np.concatenate([first, second]), np.concatenate([second, first])
    linked = coo_array((np.ones(len(ends[0])), ends), shape=(len(vertices),) * 2).tocsr()
    share = (movable / np.maximum(linked.sum(axis=1), 1))[:, None]
    for _ in range(rounds):
        for step in (SHRINK, SWELL):
            vertices = vertices + step * (share * (linked @ vertices) - movable[:, None] * vertices)
    return vertices


def write_stl(mesh: Mesh, out: Path) -> None:
    """Write a mesh as binary STL, whole or not at all; the header says ``SPACE=LPS``.

    Raises
    ------
    VolumeError
        If it cannot be written or does not read back.
    """
    corners = mesh.corners
    facets = np.zeros(len(corners), _STL)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facets["normal"] = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    facets["corners"] = corners
    header = f"napari-dycon, mm, {SPACE}".encode().ljust(80)
    _write(out, header + np.uint32(len(corners)).tobytes() + facets.tobytes())


def write_ply(mesh: Mesh, out: Path, colour: str) -> None:
    """Write a mesh as binary PLY, whole or not at all, each vertex in a colour such as ``#e6550d``.

    A comment in its head says ``SPACE=LPS``.

    Raises
    ------
    VolumeError
        If it cannot be written or does not read back.
    """
    vertices, faces = np.zeros(len(mesh.vertices), _VERTEX), np.zeros(len(mesh.faces), _FACE)
    vertices["place"], vertices["colour"] = mesh.vertices, tuple(bytes.fromhex(colour[1:]))
    faces["count"], faces["corners"] = 3, mesh.faces
    head = (
        "ply",
        "format binary_little_endian 1.0",
        "comment napari-dycon, mm",
        f"comment {SPACE}",
        f"element vertex {len(vertices)}",
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {part}" for part in ("red", "green", "blue")),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    )
    _write(out, "\n".join(head).encode("ascii") + vertices.tobytes() + faces.tobytes())


def _write(out: Path, content: bytes) -> None:
    make_folder(out.parent)
    require_space(out, len(content))
    with atomic_path(out) as temporary:
        temporary.write_bytes(content)
        if temporary.read_bytes() != content:
            raise VolumeError(f"{out.name} did not read back as it was written; check the disk.")
