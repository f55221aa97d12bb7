import numpy as np
import pytest

from napari_dycon.guidance.brought import compare, works
from tests.study.store.test_place_log import entry


def done(number, kind="chosen", mm2=6.0, seconds=20.0, run="001-dycon", **changes):
    counts = {"changed": round(mm2), "changed_mm2": mm2, "covered": 100, "looked": 400}
    said = {"kind": kind, "seconds": seconds, "run": run, **counts, **changes}
    return entry(f"{kind}-{number}", when=f"2026-01-02T03:{number:02d}:00+00:00", **said)


def study(chosen, random):
    return [done(n, mm2=mm2) for n, mm2 in enumerate(chosen)] + [
        done(n, "random", mm2) for n, mm2 in enumerate(random)
    ]


def test_before_any_place_nothing_is_said():
    assert compare([]).sentence == "" and compare([entry(outcome="skipped")]).sentence == ""


def test_until_there_are_enough_it_is_said_how_many_are_needed():
    found = compare(study([6.0] * 11, [2.0] * 3))
    assert not found.enough and found.details == ""
    assert "8 of 8 chosen and 3 of 4 random" in found.sentence


def test_what_chosen_and_random_places_mended_is_said_with_intervals():
    found = compare(study([5.0, 7.0] * 5, [2.0, 3.0] * 3))
    assert found.sentence == "Suggested places: 6.0 mm² mended a slice, random ones 2.5."
    assert found.chosen.low < 6 < found.chosen.high and found.more[0] > 0
    assert "chosen places mended more" in found.details and "18 mm² a minute" in found.details
    assert found.to_dict()["chosen"]["places"] == 10


def test_a_difference_that_may_be_chance_is_said_to_be():
    found = compare(study(np.linspace(0, 12, 9), np.linspace(0, 11, 5)))
    assert found.more[0] < 0 < found.more[1] and "that may be chance" in found.details


def test_the_interval_covers_the_difference_as_often_as_it_says():
    rng, hits = np.random.default_rng(1), 0
    for _ in range(60):
        low, high = compare(study(rng.normal(9, 2, 24).clip(0), rng.normal(7, 2, 24).clip(0))).more
        hits += low <= 2 <= high
    assert hits >= 51  # 57 expected


def test_visits_to_one_slice_are_one_place_and_those_under_another_model_are_others():
    first, second = done(1, mm2=3.0, outcome="corrected"), done(1, mm2=2.0)
    (work,) = works([first, second])
    assert (work.changed_mm2, work.changed, work.covered, work.seconds) == (5.0, 5, 100, 40.0)
    assert len(works([first, second, done(1, run="002-dycon")])) == 2
    assert works([done(1, seconds=None), second])[0].seconds is None


@pytest.mark.parametrize(
    "other", [{"level": "region"}, {"outcome": "skipped"}, {"changed": None, "changed_mm2": None}]
)
def test_only_slices_that_a_prediction_guided_to_are_compared(other):
    assert works([done(1, **other)]) == []
