"""Paired differences of curves that are known."""

import pytest

from napari_dycon.benchmark.simulation.comparison import (
    Curve,
    compare,
    difference_table,
    effort_saved,
    mean_height,
)

SLICES = (8, 16, 24)


def curve(seed, *dice, effort=(100.0, 200.0, 300.0), spread=0.0):
    """Three scans whose mean is `dice`."""
    scans = {f"scan {k}": tuple(value + k * spread for value in dice) for k in (-1, 0, 1)}
    return Curve(seed, SLICES, effort, scans)


def test_the_mean_height_is_that_of_straight_lines_as_far_as_asked():
    assert mean_height((8, 16, 24), (0.0, 1.0, 1.0), 24) == pytest.approx(0.75)
    assert mean_height((8, 16, 24), (0.0, 1.0, 1.0), 12) == pytest.approx(0.25)


def test_a_strategy_that_is_always_two_points_better_is_found_so():
    chance = [curve(seed, 0.7, 0.74 + seed / 100, 0.8, spread=0.1) for seed in (0, 1)]
    better = [curve(seed, 0.72, 0.76 + seed / 100, 0.82, spread=0.1) for seed in (0, 1)]
    (found,) = compare({"random_foreground": chance, "ours": better})
    assert (found.strategy, found.baseline, found.seeds) == ("ours", "random_foreground", 2)
    for interval in (found.by_slices, found.by_effort, found.last):
        assert interval.mean == interval.low == interval.high == pytest.approx(0.02)


def test_seeds_and_scans_that_disagree_make_the_interval_wide():
    chance = [curve(seed, 0.7, 0.7, 0.7) for seed in (0, 1, 2)]
    mixed = [curve(seed, 0.7, 0.7, 0.7 + shift) for seed, shift in ((0, 0.1), (1, -0.08), (2, 0.01))]
    (found,) = compare({"random_foreground": chance, "ours": mixed})
    assert found.last.low < -0.04 < 0.01 < found.last.mean < 0.02 < 0.06 < found.last.high


def test_only_seeds_of_both_are_compared_and_without_the_baseline_nothing():
    chance = [curve(0, 0.7, 0.7, 0.7)]
    own = [curve(0, 0.7, 0.7, 0.8), curve(1, 0.1, 0.1, 0.1)]
    (found,) = compare({"random_foreground": chance, "ours": own})
    assert found.seeds == 1 and found.last.mean == pytest.approx(0.1)
    assert compare({"even": chance, "ours": own}) == []


def test_over_effort_curves_are_compared_as_far_as_both_go():
    chance = curve(0, 0.7, 0.8, 0.9)
    dear = curve(0, 0.7, 0.8, 0.9, effort=(100.0, 300.0, 500.0))
    (found,) = compare({"random_foreground": [chance], "dear": [dear]})
    assert found.by_slices.mean == 0
    assert found.by_effort.mean == pytest.approx(-0.05)
    assert found.effort_saved == pytest.approx(1 - 500 / 300)


def test_effort_is_saved_where_the_last_dice_of_the_baseline_is_reached_sooner():
    chance = curve(0, 0.7, 0.75, 0.8)
    assert effort_saved([(curve(0, 0.7, 0.9, 0.95), chance)]) == pytest.approx(0.5)
    assert effort_saved([(curve(0, 0.7, 0.8, 0.7), chance)]) == pytest.approx(1 / 3)
    assert effort_saved([(curve(0, 0.7, 0.75, 0.79), chance)]) is None


def test_differences_are_told_in_points_with_their_interval():
    chance, own = [curve(0, 0.7, 0.74, 0.8)], [curve(0, 0.7, 0.76, 0.81)]
    lines = difference_table(compare({"random_foreground": chance, "ours": own}))
    assert lines[1][0] == "ours"
    assert lines[1][3] == "+1.0 (+1.0 to +1.0)"
