"""Where readers differ: only what all of them know counts, and what most say is the measure."""

import numpy as np
import pytest

from napari_dycon.study.truth.annotations import Annotation, Known
from napari_dycon.study.truth.disagreement import disagreement_of

SHAPE = (5, 6, 7)


def drawn(*places, known=...):
    """Annotation with ``(index, value)`` labelled, known where said."""
    labels, of = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    for index, value in places:
        labels[index] = value
    of[known] = Known.DRAWN
    return Annotation(labels, of)


def test_two_readers_differ_where_both_know_and_say_something_else():
    lower = (slice(None), slice(None), slice(0, 4))
    first = drawn(((1, 2, 3), 1), ((1, 2, 5), 1), ((2, 2, 2), 1))
    second = drawn(((2, 2, 2), 3), known=lower)
    found = disagreement_of({"AB": first, "BK": second})
    assert found.readers == ("AB", "BK")
    assert found.compared == 5 * 6 * 4
    assert found.voxels == 2, "of the voxel at (1, 2, 5) the second has said nothing"
    assert found.said_at((1, 2, 3)) == (1, 0)
    assert found.said_at((2, 2, 2)) == (1, 3)
    assert found.said_at((1, 2, 5)) == found.said_at((0, 0, 0)) == found.said_at((2, 2, 3)) == ()
    assert found.by_slice(2).tolist() == [0, 0, 1, 1, 0, 0, 0]
    assert found.by_slice(0).tolist() == [0, 1, 1, 0, 0]


def test_of_several_readers_those_count_who_do_not_say_what_most_say():
    place, other = (1, 1, 1), (4, 5, 6)
    everyone = {
        "A": drawn((place, 1), (other, 1)),
        "B": drawn((place, 1), (other, 2)),
        "C": drawn((place, 3), (other, 1)),
        "D": drawn((other, 2)),
    }
    found = disagreement_of(everyone)
    assert found.voxels == 2
    assert found.dissenters[0, 0, 0] == 2
    assert found.dissenters[-1, -1, -1] == 2, "a tie: two of four are not with the others"
    assert found.said_at(place) == (1, 1, 3, 0)
    everyone["E"] = drawn(known=(slice(0, 1),))
    assert disagreement_of(everyone).voxels == 0, "the fifth knows none of these"


def test_do_not_care_is_no_opinion_and_agreement_leaves_nothing():
    first, second = drawn(((1, 1, 1), 1)), drawn()
    second.known[1, 1, 1] = Known.IGNORE
    found = disagreement_of({"A": first, "B": second})
    assert found.voxels == 0
    assert found.said_at((1, 1, 1)) == ()
    assert not found.by_slice(1).any()
    with pytest.raises(ValueError, match="two annotations"):
        disagreement_of({"A": first})
