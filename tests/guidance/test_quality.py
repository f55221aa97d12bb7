"""Expected quality against made-up patients whose truth is known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_dycon.guidance.quality import Check, Checks, Record, check_all, to_check, true_dice
from napari_dycon.study.truth.annotations import Annotation, Known
from tests.guidance.conftest import SHAPE, prediction


def check(number, expected, dice, patient=None, structure="organ", volumes=(10.0, 10.0)):
    return Check(f"case{number}", patient or f"p{number}", structure, expected, dice, *volumes)


def simulated(random, count, bias, spread):
    """Patients with a Dice of 0.6 to 0.95 of which the model expects a bias and an error more."""
    true = random.uniform(0.6, 0.95, count)
    return np.clip(true + bias + random.normal(0, spread, count), 0, 1), true


@pytest.mark.parametrize(("checked", "share"), [(4, 0.8), (9, 0.8), (9, 0.9), (19, 0.95)])
@pytest.mark.parametrize("bias", [0.0, 0.08])
def test_ranges_hold_the_share_of_new_cases_that_they_claim(checked, share, bias):
    random = np.random.default_rng(checked)
    inside = []
    for _ in range(600):
        expected, true = simulated(random, checked + 4, bias, 0.04)
        checks = Checks(
            check(i, e, t) for i, (e, t) in enumerate(zip(expected, true, strict=True)) if i < checked
        )
        for e, t in zip(expected[checked:], true[checked:], strict=True):
            low, high = checks.outlook("organ", e).ranges[share]
            inside.append(low <= t <= high)
    assert share - 0.05 <= np.mean(inside) <= share + 0.08


@pytest.mark.parametrize(
    ("checked", "given"), [(3, ()), (4, (0.8,)), (9, (0.8, 0.9)), (19, (0.8, 0.9, 0.95))]
)
def test_a_range_is_given_from_as_many_patients_on_as_it_takes(checked, given):
    outlook = Checks(check(i, 0.8, 0.8) for i in range(checked)).outlook("organ", 0.8)
    assert tuple(outlook.ranges) == given and outlook.checked == checked


def test_an_offset_counts_the_more_the_more_patients_show_it():
    for count in (1, 4, 12):
        outlook = Checks(check(i, 0.9, 0.8) for i in range(count)).outlook("organ", 0.7)
        assert outlook.dice == pytest.approx(0.7 - 0.1 * count / (count + 4))
        assert outlook.constant == pytest.approx(0.8)


def test_without_checks_it_is_what_the_model_says_and_called_a_guess():
    outlook = Checks().outlook("organ", 0.95)
    assert (outlook.dice, outlook.constant, outlook.word) == (0.95, None, "guess") and not outlook.may_leave


@pytest.mark.parametrize(
    ("dice", "word"), [(0.846, "good"), (0.844, "fair"), (0.696, "fair"), (0.69, "poor")]
)
def test_the_word_fits_the_figure_that_is_shown(dice, word):
    assert Checks(check(i, 0.8, 0.8) for i in range(9)).outlook("organ", dice).word == word


def test_scans_of_one_patient_are_one_check_and_its_worst_scan_counts():
    one = Checks(check(i, 0.8, 0.5 if i == 3 else 0.8, patient="p") for i in range(9))
    assert one.patients("organ") == 1 and not one.outlook("organ", 0.8).ranges
    both = Checks(check(10 * i + j, 0.8, 0.6 if j else 0.8, f"p{i}") for i in range(9) for j in range(2))
    best = Checks(check(i, 0.8, 0.8) for i in range(9))
    low, high = both.outlook("organ", 0.8).ranges[0.8]
    assert low <= 0.6 and high >= 0.8 and best.outlook("organ", 0.8).ranges[0.8] == (0.8, 0.8)


def test_each_structure_rests_on_its_own_checks():
    checks = Checks([check(0, 0.9, 0.5), check(0, 0.9, 0.9, structure="nodule")])
    assert checks.outlook("organ", 0.9).dice < checks.outlook("nodule", 0.9).dice == 0.9
    assert checks.outlook("other", 0.9).checked == 0


def test_a_case_may_be_left_when_every_structure_is_certainly_good():
    good = [
        check(i, 0.93, 0.93 + 0.01 * (-1) ** i, structure=s) for i in range(9) for s in ("organ", "nodule")
    ]
    checks = Checks(good)
    assert checks.may_leave({"organ": 0.95, "nodule": 0.94})
    assert not checks.may_leave({"organ": 0.95, "nodule": 0.85})
    assert not checks.may_leave({"organ": 0.95, "nodule": None}) and not checks.may_leave({})
    assert not Checks(good[:-2]).may_leave({"organ": 0.95, "nodule": 0.94})


def test_cases_that_may_be_left_are_good_where_that_is_simulated():
    random, left = np.random.default_rng(3), []
    for _ in range(300):
        expected, true = simulated(random, 40, 0.05, 0.03)
        checks = Checks(check(i, e, t) for i, (e, t) in enumerate(zip(expected[:12], true[:12], strict=True)))
        left += [
            t >= 0.85 for e, t in zip(expected[12:], true[12:], strict=True) if checks.may_leave({"organ": e})
        ]
    assert len(left) > 100 and np.mean(left) >= 0.9


def test_a_volume_has_a_range_in_proportion_once_four_patients_are_checked():
    few = Checks(check(i, 0.8, 0.8, volumes=(10.0, 11.0)) for i in range(3))
    assert few.volume_range("organ", 50.0) is None
    checks = Checks(check(i, 0.8, 0.8, volumes=(10.0, 11.0 + i)) for i in range(4))
    low, high = checks.volume_range("organ", 50.0)
    twice = checks.volume_range("organ", 100.0)
    assert 40 < low < 60 < high < 80 and twice == pytest.approx((2 * low, 2 * high))
    assert checks.volume_range("organ", 0.0) is None


def test_ranges_of_volumes_hold_the_share_that_they_claim():
    random, inside = np.random.default_rng(5), []
    for _ in range(500):
        predicted = random.uniform(20, 200, 10)
        true = predicted * np.exp(random.normal(0.1, 0.15, 10))
        checks = Checks(check(i, 0.8, 0.8, volumes=(predicted[i], true[i])) for i in range(9))
        low, high = checks.volume_range("organ", predicted[9])
        inside.append(low <= true[9] <= high)
    assert 0.74 <= np.mean(inside) <= 0.9


def test_errors_are_judged_without_the_patient_itself():
    record = Record.of([("a", 0.2), ("b", 0.0), ("c", 0.0), ("d", 0.0)])
    assert record.reach(0.8) == pytest.approx(0.2) and record.shift == pytest.approx(0.025)


# ---- truth -----------------------------------------------------------------------------------


def drawn(shifted=0):
    """The labels of the prediction, shifted along the first axis, all of them drawn."""
    return Annotation.full(np.roll(prediction(), shifted, axis=0))


def test_what_a_person_drew_is_truth():
    dice, found, there = true_dice(drawn(4), prediction(), 3)
    assert dice == pytest.approx(0.75) and found == there == 16 * 16 * 12
    assert true_dice(drawn(), prediction(), 5) is None


@pytest.mark.parametrize("how", [Known.ACCEPTED, Known.INTERPOLATED, Known.IGNORE, Known.UNKNOWN])
def test_what_was_accepted_or_filled_in_is_no_truth(how):
    annotation = drawn(4)
    annotation.known[14:28] = how
    assert true_dice(annotation, prediction(), 3) is None
    few = drawn(4)
    few.known[20, 12:14] = how
    before, after = true_dice(drawn(4), prediction(), 3), true_dice(few, prediction(), 3)
    assert after[1:] == (before[1] - 2 * 12, before[2] - 2 * 12)


def test_background_of_a_completed_case_is_truth():
    annotation = Annotation(np.zeros(SHAPE, np.uint8), np.full(SHAPE, Known.COMPLETED, np.uint8))
    assert true_dice(annotation, prediction(), 3) == (0.0, 16 * 16 * 12, 0)


@pytest.fixture
def completed(study):
    """All six cases are complete and were predicted; the run has learned from the first."""
    run, cases = study.active_run, [case.id for case in study.cases]
    for number, case in enumerate(cases):
        study.save_annotation(case, drawn(number), "complete")
        row = {"expected_dice": {"organ": 0.9, "nodule": None}, "volumes_ml": {}, "mean_entropy": 0.1}
        study.predictions.save_summary(run, {case: row})
    (study.run_dir(run) / "config.json").write_text(json.dumps({"trained_on": cases[:1]}))
    return study


def test_complete_cases_that_a_run_has_not_learned_from_are_checked(completed):
    checks = check_all(completed, completed.active_run)
    cases = [case.id for case in completed.cases]
    assert [c.case for c in checks.all] == cases[1:] and {c.structure for c in checks.all} == {"organ"}
    assert checks.dice(cases[4], "organ") == pytest.approx(0.75) and checks.dice(cases[0], "organ") is None
    assert checks.all[0].true_ml == pytest.approx(16 * 16 * 12 * 3 / 1000)
    assert check_all(completed, None).all == ()


def test_scans_of_a_patient_that_a_run_has_learned_from_check_nothing(completed):
    with completed.mutex:
        for case in completed.cases[1:3]:
            completed.replace_case(case.model_copy(update={"patient": completed.cases[0].patient}))
    assert len(to_check(completed, completed.active_run)) == 3


def test_nothing_is_claimed_where_it_is_not_known_what_a_run_has_learned_from(completed):
    for text in ("{", "[]", '{"trained_on": 3}'):
        (completed.run_dir(completed.active_run) / "config.json").write_text(text)
        assert to_check(completed, completed.active_run) == []


def test_cases_in_progress_and_early_predictions_check_nothing(completed):
    run, cases = completed.active_run, [case.id for case in completed.cases]
    completed.predictions.save_summary(run, {cases[2]: {"ready": False, "expected_dice": {"organ": 0.9}}})
    annotation = drawn()
    annotation.known[0] = Known.UNKNOWN
    completed.save_annotation(cases[3], annotation, "autosave")
    completed.predictions.drop_summary(run, cases[4])
    assert [case.id for case in to_check(completed, run)] == [cases[1], cases[5]]
