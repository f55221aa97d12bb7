"""The strategies that ours is compared with: each by what it promises."""

from dataclasses import replace

import numpy as np
import pytest

from napari_dycon.engine.control import Control
from napari_dycon.engine.steps import finish
from napari_dycon.guidance.noise import beta
from napari_dycon.guidance.slices import SLICES_APART, labelled_axes
from napari_dycon.guidance.suggestions import Wanted, strategies, suggest
from napari_dycon.io.geometry import Geometry
from napari_dycon.study.truth.annotations import Annotation
from tests.guidance.conftest import NODULE, ORGAN, SHAPE, everywhere, prediction, save, scene

BY_PREDICTION = ("ours", "clasp_pe", "volume_entropy", "slice_entropy", "random_foreground")
ALL = (*BY_PREDICTION, "random", "even")


def places(study, strategy, **wanted):
    asked = replace(Wanted(), **wanted)
    return finish(strategies.get(strategy)(study, study.active_run, asked, Control())).places


@pytest.fixture(scope="module")
def unsure(tmp_path_factory):
    """A study that no test changes: every scan is unsure along the edges, the last one most."""
    with scene(tmp_path_factory.mktemp("unsure")) as study:
        for number, case in enumerate(study.cases):
            save(study, case.id, everywhere(0.3 + 0.1 * number))
        yield study


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A study that no test changes: three slices of every scan are complete."""
    annotation = Annotation.empty(SHAPE)
    for axis, index in ((2, 4), (2, 12), (1, 18)):
        annotation.complete_slice(axis, index)
    with scene(tmp_path_factory.mktemp("begun")) as study:
        for case in study.cases:
            save(study, case.id, everywhere(0.5))
            study.save_annotation(case.id, annotation, "complete")
        yield study


def test_all_are_registered():
    assert set(ALL) <= set(strategies.names())


@pytest.mark.parametrize("strategy", ALL)
def test_each_names_different_slices_that_are_not_complete(begun, strategy):
    annotation = begun.annotation("scan_0")
    found = places(begun, strategy)
    assert len({(place.case, place.axis, place.index) for place in found}) == 8
    for place in found:
        assert not annotation.slice_is_complete(place.axis, place.index)
        assert place.box[place.axis] == (place.index, place.index + 1)
        assert place.reason and place.structure in (3, 7)


@pytest.mark.parametrize("strategy", ALL)
def test_each_says_the_same_again(unsure, strategy):
    assert places(unsure, strategy, seed=3) == places(unsure, strategy, seed=3)


@pytest.mark.parametrize("strategy", ["random", "random_foreground", "clasp_pe", "even"])
def test_chance_follows_the_seed(unsure, strategy):
    found = [places(unsure, strategy, seed=seed) for seed in range(3)]
    assert found[0] != found[1] != found[2]


def test_without_a_ready_model_they_go_where_the_first_slices_lie(study):
    summary = study.predictions.summary(study.active_run)
    early = {case: {**row, "ready": False} for case, row in summary.items()}
    study.predictions.save_summary(study.active_run, early)
    for strategy in BY_PREDICTION:
        assert all("middle" in place.reason for place in places(study, strategy))
    study.set_active_run(None)
    first = suggest(study, None, 4)
    for strategy in BY_PREDICTION:
        assert suggest(study, None, 4, strategy) == [replace(place, strategy=strategy) for place in first]


def test_a_scan_that_is_gone_is_left_out_by_each(study):
    save(study, "scan_1", everywhere(0.5))
    study.scan_path("scan_5").unlink()
    for strategy in ALL:
        found = finish(strategies.get(strategy)(study, study.active_run, Wanted(), Control()))
        assert found.places and list(found.left_out) == ["scan_5"], strategy


def test_random_foreground_goes_through_what_was_predicted_and_random_anywhere(unsure):
    def through(strategy):
        mask = prediction() > 0
        found = [place for seed in range(6) for place in places(unsure, strategy, seed=seed)]
        return np.mean([np.take(mask, place.index, axis=place.axis).any() for place in found])

    assert through("random_foreground") == 1
    assert 0.3 < through("random") < 0.95


def test_even_takes_every_case_in_turn_and_the_middle_first(unsure):
    found = places(unsure, "even", count=6)
    assert {place.case for place in found} == {case.id for case in unsure.cases}
    assert all(place.index == (SHAPE[place.axis] - 1) // 2 for place in found)
    assert len({place.axis for place in found}) > 1
    eighteen = places(unsure, "even", count=18)
    assert {(place.case, place.axis) for place in eighteen} == {
        (case.id, axis) for case in unsure.cases for axis in range(3)
    }


def test_volume_entropy_stays_in_the_most_unsure_scan(unsure):
    found = places(unsure, "volume_entropy")
    assert {place.case for place in found} == {"scan_5"}
    assert {place.axis for place in found} == {0, 1, 2}


def test_slice_entropy_takes_the_most_unsure_slices(study):
    entropy = np.zeros(SHAPE)
    entropy[:, :, 8] = 0.9
    save(study, "scan_1", entropy)
    first, second = places(study, "slice_entropy", count=2)
    assert (first.case, first.axis, first.index) == ("scan_1", 2, 8)
    assert first.score == pytest.approx(0.9, abs=0.01)
    assert (second.axis, second.index) != (2, 8)


def test_clasp_pe_gives_every_structure_its_share(study):
    for case in study.cases:
        entropy = np.zeros(SHAPE)
        entropy[ORGAN] = 0.9
        entropy[NODULE] = 0.3
        save(study, case.id, entropy)
    late = places(study, "clasp_pe", count=12, round=9)
    through = [np.take(prediction() == 7, place.index, axis=place.axis).any() for place in late]
    assert [place.structure for place in late[:8]] == [3, 7] * 4
    assert all(through[1:8:2])


def test_clasp_pe_leaves_less_to_chance_with_every_round(study):
    for case in study.cases:
        save(study, case.id, everywhere(0.9 if case.id == "scan_3" else 0.1))

    def share(round_number):
        found = [p for seed in range(4) for p in places(study, "clasp_pe", round=round_number, seed=seed)]
        return np.mean([place.case == "scan_3" for place in found])

    assert share(5) > 0.9 > share(1)


def test_the_sharpness_of_clasp_pe_rises_exponentially_and_stays():
    assert [round(beta(number)) for number in (1, 2, 3, 4, 5, 6, 50)] == [1, 3, 10, 32, 100, 100, 100]


def test_neighbours_are_not_both_asked_for(unsure):
    for strategy in ("random_foreground", "slice_entropy", "clasp_pe"):
        found = places(unsure, strategy, count=30)
        for place in found:
            others = [o.index for o in found if (o.case, o.axis) == (place.case, place.axis) and o != place]
            assert all(abs(place.index - other) >= SLICES_APART for other in others)


def test_thick_slices_are_labelled_as_they_are():
    def grid(*spacing):
        return Geometry((10, 10, 10), np.diag([*spacing, 1.0]))

    assert labelled_axes(grid(1.0, 1.0, 3.0)) == (0, 1, 2)
    assert labelled_axes(grid(1.0, 8.0, 1.0)) == (1,)
    assert labelled_axes(grid(1.0, 8.0, 8.0)) == (0, 1, 2)
