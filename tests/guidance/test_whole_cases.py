"""Cases that are read as a whole, because a slice would not help, or little is left."""

import numpy as np
import pytest

from napari_dycon.guidance.suggestions import suggest
from napari_dycon.guidance.whole_cases import whole_cases
from napari_dycon.study.truth.annotations import Annotation, Known
from tests.guidance.conftest import SHAPE, everywhere, prediction, save


@pytest.fixture
def predicted(study):
    for number, case in enumerate(study.cases):
        save(study, case.id, everywhere(0.5))
        note(study, case.id, organ=60.0 + number, nodule=2.0)
    return study


def note(study, case, dice=0.9, empty=False, **volumes):
    row = {"expected_dice": {"organ": dice, "nodule": 0.8}, "mean_entropy": 0.1, "empty": empty}
    study.predictions.save_summary(study.active_run, {case: {**row, "volumes_ml": volumes}})


def found(study):
    return {one.case.id: one.reason for one in whole_cases(study, study.active_run, study.cases)}


def test_where_all_is_as_usual_there_is_none(predicted):
    assert found(predicted) == {}
    assert {place.level for place in suggest(predicted)} == {"slice"}


def test_empty_absurd_and_poor_predictions_are_named_with_their_reason(predicted):
    note(predicted, "scan_0", empty=True, organ=0.0, nodule=0.0)
    note(predicted, "scan_1", organ=3.0, nodule=2.0)
    note(predicted, "scan_2", organ=900.0, nodule=2.0)
    note(predicted, "scan_3", 0.31, organ=60.0, nodule=2.0)
    reasons = found(predicted)
    assert list(reasons) == ["scan_0", "scan_1", "scan_2", "scan_3"]
    assert "nothing was found" in reasons["scan_0"] and "3 ml of organ" in reasons["scan_1"]
    assert "less than" in reasons["scan_2"] and "Dice of 0.31" in reasons["scan_3"]


def test_one_of_eight_places_is_such_a_case_and_its_slices_are_not_asked_for_beside_it(predicted):
    note(predicted, "scan_0", empty=True, organ=0.0, nodule=0.0)
    note(predicted, "scan_3", 0.31, organ=60.0, nodule=2.0)
    places = suggest(predicted, count=8)
    (whole,) = (place for place in places if place.level == "case")
    assert whole.case == "scan_0" and whole.box == tuple((0, size) for size in SHAPE)
    assert whole.seconds > 60 and whole.reason.startswith("nothing was found")
    assert len(places) == 8 and [place.case for place in places].count("scan_0") == 1
    assert [place.kind for place in places].count("random") == 1


def test_a_case_that_is_nearly_complete_is_to_be_finished(predicted):
    annotation = Annotation.full(prediction())
    annotation.known[:, :, 20:] = Known.UNKNOWN
    predicted.save_annotation("scan_4", annotation, "autosave")
    assert found(predicted) == {"scan_4": "nearly complete: 17 % is left to check"}


def test_a_case_that_was_begun_is_corrected_slice_by_slice(predicted):
    annotation = Annotation.empty(SHAPE)
    annotation.complete_slice(2, 8)
    predicted.save_annotation("scan_3", annotation, "complete")
    note(predicted, "scan_3", 0.31, organ=60.0, nodule=2.0)
    assert found(predicted) == {}


def test_a_structure_that_few_scans_have_is_not_missed_in_the_others(predicted):
    for number in range(6):
        note(predicted, f"scan_{number}", organ=60.0, nodule=5.0 * (number == 0))
    assert found(predicted) == {}


def test_a_case_that_cannot_be_read_is_not_suggested(predicted):
    note(predicted, "scan_0", empty=True, organ=0.0, nodule=0.0)
    predicted.scan_path("scan_0").unlink()
    assert "scan_0" not in {place.case for place in suggest(predicted)}
    assert np.all([place.level == "slice" for place in suggest(predicted)])
