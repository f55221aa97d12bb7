"""Which slices of a scan a person can be asked for, and which show nearly the same."""

import numpy as np
import pytest

from napari_dycon.guidance.slices import Spot, choose, free_slices, in_widest_gap, labelled_axes, too_close
from napari_dycon.io.geometry import Geometry
from napari_dycon.study.truth.annotations import Annotation

SHAPE = (20, 16, 12)


def grid(*spacing):
    return Geometry(SHAPE, np.diag([*spacing, 1.0]))


@pytest.mark.parametrize(
    ("apart", "spacing", "same"),
    [(0, 50.0, True), (2, 1.0, True), (3, 1.0, False), (2, 9.9, True), (2, 10.0, False), (1, 20.0, False)],
)
def test_slices_show_the_same_up_to_three_slices_or_two_centimetres(apart, spacing, same):
    assert too_close(5, 5 + apart, spacing) is too_close(5 + apart, 5, spacing) is same


@pytest.mark.parametrize(
    ("spacing", "axes"),
    [
        ((1.0, 1.0, 1.0), (0, 1, 2)),
        ((1.0, 1.0, 4.0), (0, 1, 2)),
        ((1.0, 1.0, 4.1), (2,)),
        ((6.0, 1.0, 1.0), (0,)),
        ((6.0, 1.0, 6.0), (0, 1, 2)),
    ],
)
def test_thick_slices_are_asked_for_and_no_cuts_across_them(spacing, axes):
    assert labelled_axes(grid(*spacing)) == axes


def test_what_is_complete_and_its_neighbours_are_not_asked_for():
    annotation = Annotation.empty(SHAPE)
    annotation.complete_slice(2, 5)
    found = list(free_slices("a", annotation, grid(1.0, 1.0, 2.0)))
    assert [spot.index for spot in found if spot.axis == 2] == [0, 1, 2, 8, 9, 10, 11]
    assert [spot.index for spot in found if spot.axis == 0] == list(range(SHAPE[0]))
    assert {spot.spacing for spot in found if spot.axis == 2} == {2.0}


def test_the_first_ones_that_do_not_overlap_are_chosen():
    def spot(index, case="a", axis=0):
        return Spot(case, axis, index, 1.0)

    offered = [spot(5), spot(6), spot(6, case="b"), spot(6, axis=1), spot(8), spot(20)]
    assert choose(offered, 3) == [spot(5), spot(6, case="b"), spot(6, axis=1)]
    assert choose(offered, 3, chosen=[spot(6, case="b"), spot(10)]) == [spot(5), spot(6, axis=1), spot(20)]


def test_the_widest_gap_is_halved_along_the_axis_with_the_fewest_slices():
    one = grid(1.0, 1.0, 2.0)
    labelled = {0: [9], 1: [], 2: []}
    assert in_widest_gap("a", labelled, one) == Spot("a", 1, 7, 1.0)
    assert in_widest_gap("a", labelled, one, first=2) == Spot("a", 2, 5, 2.0)
    assert in_widest_gap("a", {0: [3, 9]}, one).index == 14
    assert in_widest_gap("a", {2: list(range(12))}, one) is None
    assert in_widest_gap("a", {1: [*range(13), 15], 2: list(range(12))}, one) == Spot("a", 1, 13, 1.0)
