import numpy as np
import pytest

from napari_dycon.guidance.annotator import Costs
from napari_dycon.guidance.worth import case_seconds, expected_errors, in_words, piece_seconds, slice_seconds


def test_errors_are_those_of_the_probability_behind_the_entropy():
    for wrong in (0.01, 0.1, 0.3, 0.5):
        entropy = -(wrong * np.log2(wrong) + (1 - wrong) * np.log2(1 - wrong))
        assert expected_errors(np.float32([entropy]))[0] == pytest.approx(wrong, abs=0.005)
    assert list(expected_errors(np.float32([0, 1]))) == [0, 0.5]


def test_a_slice_costs_what_it_takes_to_find_it_and_to_draw_its_doubtful_contour():
    inside, unsure = np.zeros((40, 40), bool), np.zeros((40, 40), np.float32)
    inside[10:30, 10:30] = True
    costs = Costs()
    assert slice_seconds(inside, unsure, (1, 1)) == costs.slice
    unsure[:, :20] = 1.0
    half = slice_seconds(inside, unsure, (1, 1))
    assert half == pytest.approx(costs.slice + costs.click + costs.millimetre * 0.7 * 40 * np.pi / 4, abs=1)
    assert slice_seconds(inside, unsure, (2, 2)) > half > piece_seconds()
    assert slice_seconds(np.zeros_like(inside), unsure, (1, 1)) > costs.slice + costs.click


def test_times_are_said_in_words():
    assert [in_words(s) for s in (0, 1, 18.3, 62, 140, 700)] == [
        *("", "about 5 s", "about 20 s", "about 60 s"),
        *("about 2 min", "about 12 min"),
    ]
    assert case_seconds(20) == 10 * case_seconds(2)
