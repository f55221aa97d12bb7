import numpy as np
import pytest
from matplotlib.path import Path
from scipy import ndimage
from skimage.draw import polygon2mask

from napari_dycon.io.polygons import outline


def fill_by_winding(polygons, shape):
    """Pixels whose centre a polygon goes around, counted by an own sum of crossings to the right."""
    x, y = np.mgrid[: shape[0], : shape[1]] + 0.5
    winding = np.zeros(shape, int)
    for polygon in polygons:
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
            up, down = (y0 <= y) & (y1 > y), (y1 <= y) & (y0 > y)
            right = x0 > x if x0 == x1 else np.zeros(shape, bool)
            winding += (up & right).astype(int) - (down & right)
    return winding != 0


def fill_by_crossings(polygons, shape):
    centres = np.argwhere(np.ones(shape)) + 0.5
    inside = np.zeros(shape, bool)
    for polygon in polygons:
        inside ^= Path(polygon).contains_points(centres).reshape(shape)
    return inside


def fill_by_skimage(polygons, shape):
    inside = np.zeros(shape, bool)
    for polygon in polygons:
        inside |= polygon2mask(shape, polygon - 0.5)
    return inside


def region(seed):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.standard_normal((31, 23)), rng.uniform(0, 2.5))
    return smooth > np.quantile(smooth, rng.uniform(0.1, 0.9))


@pytest.mark.parametrize("fill", [fill_by_winding, fill_by_crossings, fill_by_skimage])
@pytest.mark.parametrize("seed", range(20))
def test_polygons_enclose_exactly_the_pixels_however_they_are_filled(seed, fill):
    drawn = region(seed)
    np.testing.assert_array_equal(fill(outline(drawn), drawn.shape), drawn)


def test_rings_in_rings_and_holes_beside_each_other():
    drawn = np.zeros((15, 15), bool)
    drawn[1:14, 1:14] = True
    drawn[3:12, 3:6] = False
    drawn[3:6, 8:12] = drawn[7:11, 8:12] = False
    drawn[8:10, 9:11] = True
    polygons = outline(drawn)
    assert len(polygons) == 2
    for fill in (fill_by_winding, fill_by_crossings, fill_by_skimage):
        np.testing.assert_array_equal(fill(polygons, drawn.shape), drawn)


def test_a_rectangle_has_four_corners_and_pixels_that_touch_at_a_corner_are_two():
    drawn = np.zeros((6, 6), bool)
    drawn[1:3, 1:4] = True
    assert sorted(map(tuple, outline(drawn)[0].tolist())) == [(1, 1), (1, 4), (3, 1), (3, 4)]
    drawn[3, 4] = True
    assert [len(polygon) for polygon in outline(drawn)] == [4, 4]


def test_holes_that_touch_at_a_corner_are_one_way_round():
    drawn = np.ones((6, 6), bool)
    drawn[2, 2] = drawn[3, 3] = False
    (polygon,) = outline(drawn)
    np.testing.assert_array_equal(fill_by_crossings([polygon], drawn.shape), drawn)


def test_nothing_has_no_outline():
    assert outline(np.zeros((4, 5), bool)) == []
