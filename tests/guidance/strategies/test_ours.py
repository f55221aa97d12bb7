import numpy as np
import pytest

from napari_dycon.engine.control import Control
from napari_dycon.engine.steps import finish
from napari_dycon.guidance.suggestions import Wanted, strategies, suggest, suggesting
from napari_dycon.study.truth.annotations import Annotation
from tests.guidance.conftest import SHAPE, SPACING, everywhere, prediction, save


def test_the_place_that_is_unsure_comes_first_with_a_reason_in_words(study):
    entropy = np.zeros(SHAPE)
    entropy[26:30, 14:22, 11:14] = 0.9
    save(study, "scan_2", entropy)
    first = suggest(study, count=4)[0]
    assert first.case == "scan_2"
    assert first.structure_name == "organ"
    assert first.structure == 3
    assert first.reason.startswith("organ edge unclear over ")
    for (start, stop), (low, high) in zip(first.box, ((26, 30), (14, 22), (11, 14)), strict=True):
        assert low <= start < stop <= high
    assert first.box[first.axis] == (first.index, first.index + 1)


def test_uncertainty_far_from_every_structure_is_not_suggested(study):
    entropy = np.zeros(SHAPE)
    entropy[:3, :3, :2] = 1.0
    save(study, "scan_1", entropy)
    assert all("middle" in place.reason for place in suggest(study))


def test_complete_slices_and_their_neighbours_are_left_alone(study):
    save(study, "scan_4", everywhere(0.8))
    free = suggest(study, count=8)
    assert {place.case for place in free} == {"scan_4"}
    annotation = Annotation.empty(SHAPE)
    for place in free:
        annotation.complete_slice(place.axis, place.index)
    study.save_annotation("scan_4", annotation, "complete")
    again = [place for seed in range(6) for place in finish(suggesting(study, count=8, seed=seed)).places]
    assert again
    for place in again:
        assert not annotation.slice_is_complete(place.axis, place.index)
        for index in annotation.complete_slices(place.axis):
            assert abs(index - place.index) >= 3 or abs(index - place.index) * SPACING[place.axis] >= 20
    assert any("nearest labelled slice" in place.reason for place in again)


def test_what_a_person_has_drawn_counts_as_answered(study):
    entropy = everywhere(0.8)
    save(study, "scan_0", entropy)
    annotation = Annotation.empty(SHAPE)
    annotation.known[entropy > 0] = 1
    study.save_annotation("scan_0", annotation, "autosave")
    assert all("unclear" not in place.reason for place in suggest(study))


def test_no_case_takes_more_than_two_places(study):
    for case in study.cases:
        save(study, case.id, everywhere(0.9 if case.id == "scan_3" else 0.3))
    places = suggest(study, count=8)
    assert len(places) == 8
    cases = [place.case for place in places]
    assert max(cases.count(case) for case in set(cases)) == 2
    assert places[0].case == "scan_3"


def test_small_structures_are_not_drowned_by_large_ones(study):
    for case in study.cases:
        save(study, case.id, everywhere(0.9))
    names = [place.structure_name for place in suggest(study, count=8)]
    assert names.count("nodule") >= 2


def test_a_share_is_random_and_the_answer_is_stable(study):
    for case in study.cases:
        save(study, case.id, everywhere(0.5))
    places = suggest(study, count=8)
    assert sum("random check" in place.reason for place in places) == 1
    assert places == suggest(study, count=8)


def test_a_structure_that_was_not_found_is_said_to_be_missing(study):
    mask = prediction()
    mask[mask == 3] = 0
    entropy = np.zeros(SHAPE)
    entropy[12:20, 10:20, 8:12] = 0.7
    save(study, "scan_5", entropy, mask)
    organs = [p for p in suggest(study, count=4) if p.case == "scan_5" and p.structure == 3]
    assert organs
    assert "not found in this scan" in organs[0].reason


def test_complete_cases_are_never_suggested(study):
    for case in study.cases:
        save(study, case.id, everywhere(0.5))
    study.save_annotation("scan_0", Annotation.full(prediction()), "complete")
    assert "scan_0" not in {place.case for place in suggest(study, count=12)}


def test_before_any_training_slices_are_spread_over_cases_and_planes(study):
    study.set_active_run(None)
    study.save_annotation("scan_0", Annotation.full(prediction()), "import")
    places = suggest(study, count=8)
    assert len(places) == 8
    assert {place.case for place in places[:5]} == {f"scan_{number}" for number in range(1, 6)}
    assert len({place.index for place in places if place.plane == "axial"}) > 2
    assert {place.plane for place in places} == {"axial", "coronal"}
    assert all(place.box[place.axis] == (place.index, place.index + 1) for place in places)


def test_a_model_that_was_not_ready_does_not_guide(study):
    for case in study.cases:
        save(study, case.id, everywhere(0.9))
    guided = suggest(study, count=4)
    assert any("unclear" in place.reason for place in guided)
    summary = study.predictions.summary(study.active_run)
    early = {case: {**row, "ready": False} for case, row in summary.items()}
    study.predictions.save_summary(study.active_run, early)
    places = suggest(study, count=4)
    assert places == suggest(study, None, count=4) and len(places) == 4
    assert all("middle" in place.reason for place in places)
    one = study.cases[2].id
    study.predictions.save_summary(study.active_run, {one: summary[one]})
    assert {place.case for place in suggest(study, count=4)} == {one}


@pytest.mark.parametrize("predicted", [True, False])
def test_a_case_that_cannot_be_read_is_left_out_and_named(study, predicted):
    if predicted:
        for number in range(6):
            save(study, f"scan_{number}", everywhere(0.5))
    study.scan_path("scan_2").unlink()
    found = finish(suggesting(study, study.active_run, count=12))
    assert found.places and "scan_2" not in {place.case for place in found.places}
    assert list(found.left_out) == ["scan_2"] and "put it back" in found.left_out["scan_2"]


def test_looking_for_places_tells_how_far_it_is_and_can_be_stopped(study):
    for number in range(6):
        save(study, f"scan_{number}", everywhere(0.5))
    control = Control()
    steps = suggesting(study, study.active_run, 8, control)
    looked = [next(steps), next(steps)]
    assert [event.done for event in looked] == [1, 2] and looked[0].total >= 5
    control.stop()
    assert {place.case for place in finish(steps).places} <= {event.case for event in looked}


def test_every_case_has_its_turn_before_any_has_a_second(study):
    for number, case in enumerate(study.cases):
        save(study, case.id, everywhere(0.9 if number == 3 else 0.4))
    for seed in range(3):
        places = finish(suggesting(study, count=6, seed=seed)).places
        assert len({place.case for place in places}) == 6


def test_a_slice_with_much_unsure_comes_before_one_with_a_small_spot_that_is_more_so(study):
    entropy = np.zeros(SHAPE)
    entropy[14:26, 12:24, 8] = 0.5
    entropy[20, 18, 14] = 1.0
    save(study, "scan_1", entropy)
    for seed in range(3):
        first = finish(suggesting(study, count=1, seed=seed)).places[0]
        assert (first.plane, first.index, first.score) == ("axial", 8, 1.0)


def test_what_is_unsure_counts_for_the_structure_that_is_nearest(study):
    entropy = np.zeros(SHAPE)
    entropy[30:34, 28:32, 9:15] = 0.8
    save(study, "scan_1", entropy)
    places = [p for seed in range(3) for p in finish(suggesting(study, count=4, seed=seed)).places]
    assert {place.structure_name for place in places} == {"nodule"}


def test_chance_gives_way_as_the_rounds_go_on(study):
    for number, case in enumerate(study.cases):
        save(study, case.id, everywhere(0.3 + 0.1 * number))

    def spread(round_number):
        asked = [Wanted(1, round_number, seed) for seed in range(8)]
        steps = (strategies.get("ours")(study, study.active_run, wanted, Control()) for wanted in asked)
        return len({finish(step).places for step in steps})

    assert spread(5) < spread(1)


@pytest.mark.parametrize("few", [2, 3])
def test_a_random_check_is_left_room_for_where_scans_are_few(study, few):
    for number in range(few):
        save(study, f"scan_{number}", everywhere(0.5))
    for number in range(few, 6):
        study.save_annotation(f"scan_{number}", Annotation.full(prediction()), "complete")
    places = suggest(study, count=8)
    assert [place.kind for place in places] == ["chosen"] * (2 * few - 1) + ["random"]
