"""Rows of a simulation: kept by what they measure, told as curves and in a table."""

import json

import pytest

from napari_dycon.benchmark.simulation.rows import Results, Row, curves, summary_table
from napari_dycon.errors import DyconError


def row(number=0, **changes):
    return Row(
        **{
            "strategy": "ours",
            "seed": 0,
            "round": number,
            "slices": 8 * number,
            "clicks": 4,
            "effort_seconds": 60.0 * number,
            "contour_mm": 100.0,
            "seconds": 9.0,
            "iterations": 100,
            "mean_dice": 0.5 + 0.1 * number,
            "worst_dice": 0.25,
            "dice": {"a": 0.5, "b": None},
            "setting": {"rounds": 2},
            **changes,
        }
    )


def test_a_row_that_is_measured_again_takes_the_place_of_the_first(tmp_path):
    path = tmp_path / "result.json"
    results = Results(path)
    for one in (row(), row(1), row(1, mean_dice=0.9)):
        results.add(one)
    again = Results(path)
    assert again.get(row(1).key).mean_dice == 0.9
    assert again.get(row(2).key) is again.get(row(seed=1).key) is again.get(row(setting={}).key) is None
    assert [one["round"] for one in json.loads(path.read_text())["rows"]] == [0, 1]


def test_without_a_file_rows_are_kept_in_memory():
    results = Results(None)
    results.add(row())
    assert results.get(row().key) == row()


def test_a_damaged_file_is_refused_and_stays(tmp_path):
    path = tmp_path / "result.json"
    path.write_text('{"rows": [{"strategy": "ours"}]}')
    with pytest.raises(DyconError, match="not the result of a simulation"):
        Results(path)
    assert "ours" in path.read_text()


def test_a_curve_has_its_rounds_in_order_and_no_scan_without_a_structure():
    rows = [row(2, dice={"a": 0.7, "b": None}), row(0), row(1, dice={"a": None, "b": None}), row(seed=1)]
    found = curves(rows)
    assert [curve.seed for curve in found["ours"]] == [0, 1]
    assert found["ours"][0].dice == {"a": (0.5, 0.0, 0.7)}
    assert (found["ours"][0].slices, found["ours"][0].effort) == ((0, 8, 16), (0.0, 60.0, 120.0))


def test_the_table_has_the_mean_over_seeds_and_the_worst_scan_of_all():
    rows = [row(), row(1), row(seed=1), row(1, seed=1, mean_dice=0.8, worst_dice=0.125)]
    lines = summary_table([*rows, row(strategy="even", mean_dice=None, worst_dice=None)])
    assert lines[0] == (
        *("strategy", "seeds", "round 0", "round 1", "worst", "slices", "contour mm", "effort min"),
    )
    assert lines[1] == ("ours", "2", "50.0", "70.0", "12.5", "8", "100", "1.0")
    assert lines[2] == ("even", "1", "-", "-", "-", "-", "-", "-")
