"""Structures inside structures in one label map."""

import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io.nesting import Nest, largest_first, snug

NAMES = {1: "tumour", 2: "oedema", 3: "core", 4: "vessel"}
EVERYWHERE = (slice(None), slice(None), slice(None))


def block(low, high):
    region = np.zeros((12, 6, 4), bool)
    region[low:high] = True
    return region


def put_together(**blocks):
    """Put blocks, by the names of `NAMES`, into one map, in pieces of a slice each."""
    values = {name: value for value, name in NAMES.items()}
    regions = {values[name]: block(*ends) for name, ends in blocks.items()}
    nest = Nest("rt.dcm", NAMES, (12, 6, 4))
    for value in largest_first({value: int(region.sum()) for value, region in regions.items()}):
        cuts = [((*EVERYWHERE[:2], slice(n, n + 1)), regions[value][..., n : n + 1]) for n in range(4)]
        nest.put(value, [snug(*cut) for cut in cuts])
    return nest.labels[:, 0, 0].tolist(), nest.notes()


@pytest.mark.parametrize("order", [("tumour", "oedema", "core"), ("core", "tumour", "oedema")])
def test_what_is_inside_wins_in_whatever_order_and_depth(order):
    ends = {"tumour": (4, 6), "core": (3, 7), "oedema": (1, 9)}
    labels, notes = put_together(**{name: ends[name] for name in order})
    assert labels == [0, 2, 2, 3, 1, 1, 3, 2, 2, 0, 0, 0]
    assert notes[0].startswith("rt.dcm: 'core' lies inside 'oedema', which is what is left around.")
    assert notes[1].startswith("rt.dcm: 'tumour' lies inside 'core'")


def test_several_inside_one_are_one_sentence():
    labels, (note,) = put_together(oedema=(0, 9), core=(1, 4), tumour=(5, 7))
    assert labels == [2, 3, 3, 3, 2, 1, 1, 2, 2, 0, 0, 0]
    assert "'core' and 'tumour' lie inside 'oedema'" in note


def test_what_is_apart_is_not_told():
    assert put_together(oedema=(0, 4), core=(4, 6)) == ([2, 2, 2, 2, 3, 3, 0, 0, 0, 0, 0, 0], ())


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ({"oedema": (0, 6), "core": (4, 8)}, "'oedema' and 'core' overlap in 48 voxels, and none is inside"),
        ({"oedema": (0, 6), "core": (6, 10), "tumour": (5, 7)}, "'tumour' and 'oedema' overlap"),
        ({"oedema": (0, 4), "core": (0, 4)}, "'oedema' and 'core' overlap: nothing of the first"),
    ],
)
def test_any_other_overlap_is_refused_by_names(blocks, words):
    with pytest.raises(VolumeError, match=words):
        put_together(**blocks)


def test_an_empty_piece_is_nothing():
    (box, region) = snug((slice(3, 5), slice(None), slice(2, 3)), np.zeros((2, 6, 1), bool))
    assert region.size == 0 and box[0] == slice(3, 3)
