"""Surfaces of masks: closed, of the right size, where the scan lies, looking outwards."""

import numpy as np
import pytest

from napari_dycon.io.geometry import LPS_TO_RAS, Geometry
from napari_dycon.io.meshes import Mesh, surface, write_ply, write_stl

STL = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")])


def ball(radius, spacing, flipped=False):
    """A sphere on a tilted grid: mask, geometry, and its centre in LPS."""
    turned = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turned *= np.sign(np.linalg.det(turned))
    affine = np.eye(4)
    affine[:3, :3] = turned * spacing * (np.array([-1, 1, 1]) if flipped else 1)
    affine[:3, 3] = 40, -70, 500
    count = [int(2 * radius / step) + 6 for step in spacing]
    middle = np.array(count) / 2 - 0.4
    away = (np.indices(count).T - middle) * spacing
    mask = (np.linalg.norm(away, axis=-1) <= radius).T
    return mask, Geometry(mask.shape, affine), (LPS_TO_RAS @ affine @ [*middle, 1])[:3]


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(("radius", "spacing"), [(12, (1, 1, 1)), (14, (0.8, 0.9, 1.5))])
def test_a_sphere_has_its_size_and_place_on_a_tilted_grid_and_looks_outwards(radius, spacing, flipped):
    mask, geometry, middle = ball(radius, spacing, flipped)
    mesh = surface(mask, geometry)
    assert mesh.volume == pytest.approx(mask.sum() * geometry.voxel_volume_mm3, rel=0.003)
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)
    assert mesh.area == pytest.approx(4 * np.pi * radius**2, rel=0.04)
    away = mesh.vertices - middle
    np.testing.assert_allclose(np.linalg.norm(away, axis=1), radius, atol=0.6 * max(spacing))
    first, second, third = np.moveaxis(mesh.corners, 1, 0)
    outwards = np.cross(second - first, third - first)
    assert (np.einsum("ij,ij->i", outwards, (first + second + third) / 3 - middle) >= -1e-9).all()


def test_smoothing_takes_the_steps_and_leaves_the_volume():
    mask, geometry, _ = ball(12, (1, 1, 1))
    rough, smoothed = surface(mask, geometry, 0), surface(mask, geometry)
    assert smoothed.area < 0.95 * rough.area
    assert smoothed.volume == pytest.approx(rough.volume, rel=0.005)


def test_a_surface_is_closed_at_the_edge_of_the_scan_and_around_a_hole():
    mask = np.ones((9, 8, 7), bool)
    mask[3:6, 3:5, 3:5] = False
    mesh = surface(mask, Geometry(mask.shape, np.eye(4)), 0)
    edges = np.sort(np.concatenate([mesh.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    assert mask.sum() * 0.9 < mesh.volume < mask.sum() + 4  # corners are cut, inside and outside


def test_what_is_thin_does_not_shrink_away_and_nothing_has_no_surface():
    mask = np.zeros((30, 12, 12), bool)
    assert len(surface(mask, Geometry(mask.shape, np.eye(4))).faces) == 0
    mask[2, 2, 2] = True
    mesh = surface(mask, Geometry(mask.shape, np.eye(4)))
    np.testing.assert_allclose(mesh.vertices.mean(axis=0), [-2, -2, 2], atol=1e-6)
    assert mesh.volume == pytest.approx(1 / 6)
    mask[2:28, 2, 2] = mask[2:10, 2:10, 2:10] = True  # a vessel that leaves something thick
    rough, smoothed = (surface(mask, Geometry(mask.shape, np.eye(4)), rounds) for rounds in (0, 10))
    in_vessel = rough.vertices[:, 0] < -12
    np.testing.assert_array_equal(smoothed.vertices[in_vessel], rough.vertices[in_vessel])
    assert smoothed.area < 0.99 * rough.area


def test_files_hold_the_triangles_in_the_space_that_they_name(tmp_path):
    mask, geometry, _ = ball(6, (1, 1, 2))
    mesh = surface(mask, geometry)
    write_stl(mesh, tmp_path / "a.stl")
    content = (tmp_path / "a.stl").read_bytes()
    facets = np.frombuffer(content[84:], STL)
    assert b"SPACE=LPS" in content[:80] and not content.startswith(b"solid")
    assert int.from_bytes(content[80:84], "little") == len(facets) == len(mesh.faces)
    np.testing.assert_allclose(facets["corners"], mesh.corners, atol=1e-4)
    first, second, third = np.moveaxis(mesh.corners, 1, 0)
    across = np.cross(second - first, third - first)
    assert (np.einsum("ij,ij->i", facets["normal"], across) >= 0).all()
    write_ply(mesh, tmp_path / "a.ply", "#ff8000")
    head, _, body = (tmp_path / "a.ply").read_bytes().partition(b"end_header\n")
    assert b"comment SPACE=LPS" in head and f"element vertex {len(mesh.vertices)}\n".encode() in head
    vertices = np.frombuffer(body, [("place", "<f4", 3), ("colour", "u1", 3)], len(mesh.vertices))
    np.testing.assert_allclose(vertices["place"], mesh.vertices, atol=1e-4)
    assert (vertices["colour"] == [255, 128, 0]).all()
    faces = np.frombuffer(body[vertices.nbytes :], [("count", "u1"), ("corners", "<i4", 3)])
    np.testing.assert_array_equal(faces["corners"], mesh.faces)


def test_a_mesh_that_is_turned_inside_out_has_a_volume_below_nought():
    mask, geometry, _ = ball(5, (1, 1, 1))
    mesh = surface(mask, geometry)
    assert Mesh(mesh.vertices, mesh.faces[:, ::-1]).volume == pytest.approx(-mesh.volume)
