"""What a person has skipped is not suggested again, nor what shows nearly the same."""

import pytest

from napari_dycon.guidance.first import spread
from napari_dycon.guidance.skips import Skips
from napari_dycon.guidance.suggestions import Suggestion, suggest
from napari_dycon.study.store.place_log import PlaceEntry, add_place
from tests.guidance.conftest import everywhere, save


def note(study, place, outcome="skipped"):
    where = {name: getattr(place, name) for name in ("case", "level", "plane", "axis", "index", "box")}
    entry = PlaceEntry(when="2026-01-02T03:04:05+00:00", structure=place.structure, outcome=outcome, **where)
    add_place(study.path, entry)


@pytest.mark.parametrize("strategy", ["ours", "slice_entropy", "random_foreground"])
def test_a_skipped_slice_and_its_neighbours_give_way_to_others(study, strategy):
    for case in study.cases:
        save(study, case.id, everywhere(0.8))
    first = suggest(study, count=4, strategy=strategy)[0]
    note(study, first)
    again = suggest(study, count=4, strategy=strategy)
    assert again
    for place in again:
        same = (place.case, place.axis) == (first.case, first.axis)
        assert not same or abs(place.index - first.index) >= 3
    note(study, first, "done")
    assert first in suggest(study, count=4, strategy=strategy)


def test_ours_asks_for_as_many_as_before(study):
    for case in study.cases:
        save(study, case.id, everywhere(0.8))
    for place in suggest(study, count=8):
        note(study, place)
    assert len(suggest(study, count=8)) == 8


def test_before_any_training_the_next_scan_takes_the_turn(study):
    study.set_active_run(None)
    first = suggest(study, count=3)
    assert [place.case for place in first] == ["scan_3", "scan_1", "scan_4"]
    assert {(place.kind, place.run, place.strategy) for place in first} == {("first", None, "ours")}
    note(study, first[0])
    again = suggest(study, count=3)
    assert [place.case for place in again] == ["scan_1", "scan_4", "scan_0"]


def test_suggestions_say_by_whom_they_were_chosen(study):
    for case in study.cases:
        save(study, case.id, everywhere(0.8))
    places = suggest(study, count=8)
    assert {(place.strategy, place.run) for place in places} == {("ours", "001-dycon")}
    assert [place.kind for place in places].count("random") == 1
    assert all(("random check" in place.reason) == (place.kind == "random") for place in places)


def region(box, case="scan_1", level="region"):
    return Suggestion(case, "axial", 2, box[2][0], box, 3, "organ", 0.5, "", level)


def test_a_region_is_skipped_where_it_overlaps_and_a_case_as_a_whole(study):
    note(study, region(((2, 6), (2, 6), (4, 8))))
    note(study, region(((0, 40), (0, 36), (0, 24)), "scan_2", "case"))
    skips = Skips.of(study)
    assert skips.hide(region(((5, 9), (4, 9), (7, 9))), 3.0)
    assert not skips.hide(region(((6, 9), (4, 9), (7, 9))), 3.0)
    assert not skips.hide(region(((5, 9), (4, 9), (7, 9)), level="slice"), 3.0)
    assert skips.hide(region(((0, 4), (0, 3), (0, 2)), "scan_2", "case"), 3.0)
    assert not skips.hide(region(((0, 4), (0, 3), (0, 2)), "scan_2"), 3.0)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 8, 37, 64])
def test_however_few_scans_are_taken_they_come_from_all_over_the_list(count):
    cases = list(range(count))
    order = spread(cases)
    assert sorted(order) == cases
    for few in (4, 8):
        if count >= 4 * few:
            parts = {place * few // count for place in order[:few]}
            assert len(parts) >= few - 1
