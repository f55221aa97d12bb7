"""What no label ever looked like is taken away from a prediction."""

from __future__ import annotations

import numpy as np

from napari_dycon.engine.plan import Plan
from napari_dycon.engine.tidiness import tidy
from napari_dycon.learning.networks import NetworkSpec


def plan_with(**changes) -> Plan:
    network = NetworkSpec(classes=4, widths=(4, 8), strides=((2, 2, 2),))
    values = {"structure_values": (3, 5, 9), "structure_names": ("a", "b", "c"), "network": network}
    return Plan(**{**values, "spacing": (1, 1, 1), "patch_size": (16, 16, 16), **changes})


def test_what_is_far_from_most_of_its_group_is_taken_away_and_what_touches_it_stays():
    plan = plan_with(joint=((5, 9),))
    mask = np.zeros((30, 20, 20), np.uint8)
    mask[2:8, 2:8, 2:8], mask[8:10, 2:8, 2:8], mask[10:12, 2:8, 2:8] = 5, 9, 5
    mask[20:24, 4:8, 4:8], mask[26:28, 4:8, 4:8], mask[15:18, 15:18, 15:18] = 9, 5, 3
    expected = np.where(np.isin(mask, (5, 9)) & (np.arange(30) >= 12)[:, None, None], 0, mask)
    tidy(mask, plan, 1.0)
    np.testing.assert_array_equal(mask, expected)
    tidy(empty := np.zeros((4, 4, 4), np.uint8), plan, 1.0)
    assert not empty.any()


def test_pieces_are_measured_in_mm3_each_by_its_structure():
    mask = np.zeros((20, 20, 20), np.uint8)
    mask[:2, :2, :2], mask[5:8, 5:8, 5:8], mask[12:14, 12:14, 12:14] = 3, 3, 9
    tidy(mask, plan_with(specks={3: 5.0}), 0.5)
    assert np.bincount(mask.ravel())[[3, 9]].tolist() == [27, 8]
    tidy(mask, plan_with(specks={3: 13.6, 5: 1.0, 9: 4.0}), 0.5)
    assert np.bincount(mask.ravel(), minlength=10)[[3, 9]].tolist() == [0, 8]


def test_a_piece_is_as_large_as_its_structure_is_likely():
    mask, reach = np.zeros((20, 20, 20), np.uint8), np.zeros((20, 20, 20), np.uint8)
    mask[3, 3, 3], mask[12, 12, 12] = 3, 3
    reach[2:5, 2:5, 2:5], reach[17:, 17:, 17:], reach[10:15, 10:15, 13:15] = 3, 3, 9
    tidy(mask, plan_with(specks={3: 20.0, 9: 20.0}), 1.0, reach)
    assert np.argwhere(mask).tolist() == [[3, 3, 3]]
