"""Strokes as napari reports them, as boxes with masks."""

from types import SimpleNamespace

import numpy as np
import pytest

from napari_dycon.io.geometry import Geometry
from napari_dycon.plugin.layers.orientation import DisplayView
from napari_dycon.plugin.layers.strokes import merge_strokes, strokes
from napari_dycon.study.truth.regions import Selection
from tests.plugin.manifest.test_reader import ORIENTATIONS, anatomical_phantom

SHAPE = (6, 9, 8)


def atom(box, value, mask=None):
    """One step of a brush as napari keeps it."""
    shape = [part.stop - part.start for part in box]
    return SimpleNamespace(slice_key=box, mask=mask, old_values=np.zeros(shape), new_value=value)


def spread(box, mask):
    volume = np.zeros(SHAPE, bool)
    volume[box] = mask
    return volume


def test_a_stroke_is_every_voxel_that_any_of_its_steps_changed_and_no_other():
    rng = np.random.default_rng(0)
    boxes = [
        tuple(slice(a, a + 1 + n) for a, n in zip(rng.integers(0, 5, 3), (0, 3, 2), strict=True))
        for _ in range(9)
    ]
    masks = [rng.random([part.stop - part.start for part in box]) < 0.6 for box in boxes]
    steps = [atom(box, 1 + n % 2, mask) for n, (box, mask) in enumerate(zip(boxes, masks, strict=True))]
    found = {value: spread(box, mask) for box, mask, value in merge_strokes(strokes(steps))}
    assert set(found) == {1, 2}
    for value, volume in found.items():
        wanted = np.zeros(SHAPE, bool)
        for box, mask in list(zip(boxes, masks, strict=True))[value - 1 :: 2]:
            wanted[box] |= mask
        assert np.array_equal(volume, wanted)


def test_whole_boxes_and_plain_indices_are_strokes_too():
    indices = (np.array([0, 5]), np.array([8, 2]), np.array([1, 7]))
    whole = (slice(1, 3), slice(0, 2), slice(4, 8))
    ((box, mask, value),) = merge_strokes(strokes([(indices, np.zeros(2), np.uint8(3)), atom(whole, 3)]))
    wanted = np.zeros(SHAPE, bool)
    wanted[indices] = wanted[whole] = True
    assert value == 3
    assert np.array_equal(spread(box, mask), wanted)


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_a_part_of_the_display_is_found_in_the_source_whatever_its_axes(codes):
    image, _ = anatomical_phantom(codes)
    source = np.asarray(image.dataobj)
    display = DisplayView(Geometry(source.shape, image.affine))
    box = (slice(1, 3), slice(0, 4), slice(2, 7))
    mask = np.random.default_rng(1).random((2, 4, 5)) < 0.5
    there = Selection(*display.part_to_source(box, mask))
    shown = np.zeros(display.shape, bool)
    shown[box] = mask
    assert np.array_equal(there.full_mask(source.shape), display.invert(shown))
