"""What is unsure about a structure on a slice, and in which words."""

import numpy as np
import pytest

from napari_dycon.guidance.regions import BAND_MM, Region, extent, nearest
from napari_dycon.io.geometry import Geometry

SHAPE = (48, 40, 30)
GEOMETRY = Geometry(SHAPE, np.diag([1.0, 1.0, 2.0, 1.0]))
ORGAN, NODE = 3, 7


def organ():
    mask = np.zeros(SHAPE, np.uint8)
    mask[16:32, 14:28, 10:20] = ORGAN
    return mask


def unsure(*places):
    values = np.zeros(SHAPE, np.float32)
    for place in places:
        values[place] = 0.8
    return values


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (np.s_[15:17, 14:28, 12:18], "edge unclear"),
        (np.s_[22:26, 19:23, 14:16], "inside unclear"),
        (np.s_[36:40, 18:24, 12:18], "extent unclear"),
    ],
)
def test_the_words_tell_the_edge_from_the_inside_and_from_what_lies_beyond(place, words):
    region = Region.around(organ(), ORGAN, unsure(place), GEOMETRY)
    local = (place[2].start + place[2].stop) // 2 - region.offset[2]
    assert region.what(2, local) == words
    box = region.box(2, local)
    assert [*box[:2]] == [(part.start, part.stop) for part in place[:2]]
    assert box[2] == (local + region.offset[2], local + region.offset[2] + 1)


def test_what_is_farther_than_the_band_counts_for_nothing():
    far = np.s_[32 + int(BAND_MM) + 2 :, :, :]
    assert Region.around(organ(), ORGAN, unsure(far), GEOMETRY) is None
    both = Region.around(organ(), ORGAN, unsure(far, np.s_[30:34, 20, 15]), GEOMETRY)
    assert np.count_nonzero(both.unsure) == 4


def test_what_lies_nearer_to_another_structure_counts_for_that_one():
    mask = organ()
    mask[38:42, 14:28, 10:20] = NODE
    values = unsure(np.s_[32:38, 20, 15])
    regions = [Region.around(mask, value, values, GEOMETRY) for value in (ORGAN, NODE)]
    assert [np.count_nonzero(region.unsure) for region in regions] == [3, 3]
    inside_node = unsure(np.s_[39:41, 20, 15])
    assert Region.around(mask, ORGAN, inside_node, GEOMETRY) is None


def test_a_structure_that_was_not_found_may_be_anywhere():
    region = Region.around(np.zeros(SHAPE, np.uint8), ORGAN, unsure(np.s_[0, 0, 0]), GEOMETRY)
    assert region.offset == (0, 0, 0) and region.what(0, 0) == "not found in this scan, unclear"
    assert Region.around(np.zeros(SHAPE, np.uint8), ORGAN, unsure(), GEOMETRY) is None


def test_neighbours_count_as_long_as_they_are_nearly_as_unsure():
    scores = np.array([1.0, 0.2, 0.75, 1.0, 0.7, 0.6, 1.0])
    assert extent(scores, 3) == "over 3 slices"
    assert extent(scores, 6) == "on this slice"


def test_the_nearest_labelled_slice_is_told_in_millimetres():
    assert nearest(10, [2, 13, 30], 2.5, "axial") == "nearest labelled slice 8 mm away"
    assert nearest(10, [], 2.5, "axial") == "no labelled axial slice in this scan yet"
