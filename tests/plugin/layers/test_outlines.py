"""Lines between voxels: around every label, one line where edges are in line, hatches within."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dycon.plugin.layers.outlines import MISSED, hatches, outlines

SLICES = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3))


def edges(labels):
    """Every edge between two voxels of different labels, with the higher of them."""
    framed = np.pad(labels, 1)
    for row in range(framed.shape[0] - 1):
        for column in range(framed.shape[1] - 1):
            here, right, below = framed[row, column], framed[row, column + 1], framed[row + 1, column]
            if here != right:
                yield (column, row - 1, column, row), max(here, right)
            if here != below:
                yield (column - 1, row, column, row), max(here, below)


def pieces(ends, values):
    """The same lines in parts of one voxel."""
    for ((x, y), (right, bottom)), value in zip(ends.astype(int).tolist(), values, strict=True):
        assert (x == right) != (y == bottom)
        for step in range(max(right - x, bottom - y)):
            across, down = (step, 0) if y == bottom else (0, step)
            wide, high = (1, 0) if y == bottom else (0, 1)
            yield (x + across, y + down, x + across + wide, y + down + high), value


@settings(max_examples=60, deadline=None)
@given(SLICES)
def test_lines_run_where_labels_meet_and_nowhere_else(labels):
    found = list(pieces(*outlines(labels)))
    assert sorted(found) == sorted(edges(labels))


def test_a_straight_side_is_one_line():
    labels = np.zeros((40, 50), np.uint8)
    labels[10:30, 5:45] = 2
    ends, values = outlines(labels)
    assert sorted(map(tuple, ends.reshape(-1, 4))) == [
        (5, 10, 5, 30),
        (5, 10, 45, 10),
        (5, 30, 45, 30),
        (45, 10, 45, 30),
    ]
    assert list(values) == [2] * 4


@pytest.mark.parametrize("draw", [outlines, hatches])
def test_an_empty_slice_has_no_lines(draw):
    ends, values = draw(np.zeros((5, 6), np.uint8))
    assert ends.shape == (0, 2, 2)
    assert len(values) == 0


def test_what_is_missed_is_hatched_the_other_way():
    labels = np.zeros((12, 20), np.uint16)
    labels[:, :8], labels[:, 12:] = 1, MISSED + 1
    ends, values = hatches(labels)
    slope = np.sign((ends[:, 1, 1] - ends[:, 0, 1]) / (ends[:, 1, 0] - ends[:, 0, 0]))
    assert set(slope[values == 1]) == {-1}, "y grows downwards: these rise"
    assert set(slope[values == MISSED + 1]) == {1}
    for (x, y), (right, bottom) in ends:
        assert (right - x, abs(bottom - y)) == (1, 1)
        assert labels[int(min(y, bottom)), int(x)] > 0, "each piece lies within its voxel"
