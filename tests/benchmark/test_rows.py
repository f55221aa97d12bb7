"""Rows of a benchmark: kept by what they measure, summed up over seeds."""

import json

import pytest

from napari_dycon.benchmark.rows import Row, add_row, finite, load_rows, mean_of, summary_table
from napari_dycon.errors import DyconError


def row(**changes):
    return Row(
        **{
            "method": "dycon",
            "seed": 0,
            "labelled": 4,
            "slices": None,
            "iterations": 100,
            "seconds": 50.0,
            "iterations_per_second": 2.0,
            "peak_memory_mb": 900.0,
            "missed": 1,
            "mean_dice": 0.8,
            "mean_jaccard": 0.7,
            "mean_hd95_mm": None,
            "mean_asd_mm": 1.5,
            "cases": [],
            "device": "cpu",
            "budget": "100 iterations",
            "overrides": {},
            "data": "hearts",
            **changes,
        }
    )


def test_what_is_not_defined_counts_for_nothing():
    assert mean_of([None, 0.2, 0.4]) == pytest.approx(0.3)
    assert mean_of([None]) is mean_of([]) is None
    assert [finite(value) for value in (0.5, float("nan"), float("inf"), None)] == [0.5, None, None, None]


def test_a_measurement_is_what_is_measured_and_not_what_came_out():
    assert row().key == row(mean_dice=0.1, seconds=1.0).key == row(overrides={}).key
    assert row(overrides={"a": 1, "b": 2}).key == row(overrides={"b": 2, "a": 1}).key
    changes = ({"seed": 1}, {"slices": 3}, {"device": "cuda"}, {"variant": "plain"}, {"overrides": {"a": 1}})
    assert len({row().key, *(row(**change).key for change in changes)}) == 6


def test_rows_are_added_to_a_file_and_none_is_replaced(tmp_path):
    path = tmp_path / "result.json"
    assert load_rows(None) == load_rows(path) == {}
    add_row(None, row())
    for one in (row(), row(seed=1, mean_dice=0.9), row(mean_dice=0.1)):
        add_row(path, one)
    assert [one.mean_dice for one in load_rows(path).values()] == [0.8, 0.9]


def test_what_a_later_version_adds_to_a_row_is_kept(tmp_path):
    path = tmp_path / "result.json"
    path.write_text(json.dumps({"rows": [{**row().model_dump(mode="json"), "colour": "red"}]}))
    add_row(path, row(seed=1))
    assert [one.get("colour") for one in json.loads(path.read_text())["rows"]] == ["red", None]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": 3}', '{"rows": [{"method": "dycon"}]}'])
def test_another_file_is_not_taken_for_a_result_and_stays(tmp_path, text):
    path = tmp_path / "thesis.json"
    path.write_text(text)
    with pytest.raises(DyconError, match=r"thesis.json is not a benchmark result"):
        add_row(path, row())
    assert path.read_text() == text


def test_seeds_are_summed_up_and_what_differs_has_a_line_of_its_own():
    rows = [row(), row(seed=1, mean_dice=0.9, missed=2), row(variant="plain"), row(overrides={"spacing": 2})]
    header, both, plain, coarse = summary_table(rows)
    assert dict(zip(header, both, strict=True)) == {
        "method": "dycon",
        "seeds": "2",
        "Dice %": "85.00 ± 7.07",
        "Jaccard %": "70.00 ± 0.00",
        "HD95 mm": "-",
        "ASD mm": "1.50 ± 0.00",
        "missed": "3",
        "iterations": "100",
        "seconds": "50",
    }
    assert plain[:3] == ("dycon plain", "1", "80.00")
    assert coarse[0] == "dycon spacing=2"
