"""An image of the same body on another grid, brought to that of the scan."""

from pathlib import Path

import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.regridding import on_the_grid_of
from napari_dycon.io.volumes import Volume
from tests.conftest import oblique_affine


def field(geometry: Geometry) -> np.ndarray:
    """A value that is linear in the place in mm, so that linear interpolation is exact."""
    index = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), axis=-1)
    place = index @ geometry.affine[:3, :3].T + geometry.affine[:3, 3]
    return (place @ [1.0, -2.0, 0.5] + 7).astype(np.float32)


def image(geometry: Geometry, array: np.ndarray | None = None) -> Volume:
    return Volume(field(geometry) if array is None else array, geometry, Path("flair.nii.gz"))


def turned(spacing, shape, degrees=17.0, moved=(0.0, 0.0, 0.0)) -> Geometry:
    affine = oblique_affine(degrees, spacing)
    affine[:3, 3] += moved
    return Geometry(shape, affine)


@pytest.mark.parametrize("degrees", [0.0, 17.0, -40.0])
def test_another_spacing_and_direction_show_the_same_at_the_same_place(degrees):
    grid = turned((0.8, 1.1, 2.5), (12, 10, 8))
    centre = grid.affine @ [5.5, 4.5, 3.5, 1]
    other = turned((1.3, 0.7, 1.0), (40, 60, 60), degrees)
    affine = other.affine.copy()
    affine[:3, 3] += (centre - affine @ [19.5, 29.5, 29.5, 1])[:3]
    found = on_the_grid_of(grid, image(Geometry(other.shape, affine)))
    np.testing.assert_allclose(found, field(grid), atol=1e-3)


def test_the_same_grid_is_not_interpolated():
    grid = turned((0.8, 1.1, 2.5), (12, 10, 8))
    noise = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    np.testing.assert_array_equal(on_the_grid_of(grid, image(grid, noise)), noise)


def test_outside_of_the_image_is_its_lowest_value():
    grid = turned((1.0, 1.0, 1.0), (10, 10, 10), 0.0)
    half = Geometry((10, 10, 5), grid.affine)
    found = on_the_grid_of(grid, image(half, np.full(half.shape, 3, np.int16) - np.eye(10, 10)[:, :, None]))
    assert (found[:, :, 5:] == 2).all() and found[:, :, :5].max() == 3


def test_values_that_are_not_finite_spoil_nothing_around_them():
    grid = turned((0.8, 1.1, 2.5), (12, 10, 8))
    other = turned((0.8, 1.1, 2.5), (12, 10, 8), moved=(0.3, 0.0, 0.0))
    broken = field(other)
    broken[5, 5, 4] = np.nan
    assert np.isfinite(on_the_grid_of(grid, image(other, broken))).all()


def test_an_image_of_another_place_is_refused():
    grid = turned((0.8, 1.1, 2.5), (12, 10, 8))
    with pytest.raises(VolumeError, match=r"flair\.nii\.gz shows another place"):
        on_the_grid_of(grid, image(turned((0.8, 1.1, 2.5), (12, 10, 8), moved=(200.0, 0.0, 0.0))))
