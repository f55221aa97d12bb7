"""Which labelled voxels are kept from training."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dycon.engine.holdout import HoldOut, choose_holdout
from napari_dycon.engine.prepared import PreparedCase


def prepared(name, target):
    return PreparedCase(name, np.zeros((1, *target.shape), np.float16), target)


def complete(name, seed=0):
    target = np.zeros((20, 22, 24), np.uint8)
    target[5:15, 5:15, 6:18] = 1
    return prepared(name, target)


def sparse(name, indices):
    full = complete(name).target
    target = np.full_like(full, 255)
    target[:, list(indices)] = full[:, list(indices)]
    return prepared(name, target)


def test_of_many_complete_cases_a_fifth_is_held_out():
    cases = [complete(f"c{i}") for i in range(10)]
    holdout = choose_holdout(cases, seed=0)
    assert len(holdout.cases) == 2
    assert holdout == choose_holdout(cases, seed=0)
    assert {choose_holdout(cases, seed).cases for seed in range(8)} != {holdout.cases}
    for case in cases:
        held = case.case in holdout.cases
        assert (holdout.training_target(case) is None) == held
        assert (holdout.validation_target(case) is None) == (not held)


def test_of_few_cases_slices_are_held_out_and_training_never_sees_them():
    cases = [complete(f"c{i}") for i in range(3)]
    holdout = choose_holdout(cases, seed=1)
    assert not holdout.cases
    share = []
    for case in cases:
        training, validation = holdout.training_target(case), holdout.validation_target(case)
        if validation is None:
            continue
        known, tested = training != 255, validation != 255
        assert not (known & tested).any()
        axis, held = holdout.slices[case.case]
        others = tuple(a for a in range(3) if a != axis)
        hidden = set(np.flatnonzero((~known & ~tested).any(axis=others)).tolist())
        beside = {index + step for index in held for step in (-1, 1)} - set(held)
        assert hidden == {index for index in beside if 0 <= index < case.target.shape[axis]}
        assert (validation == 1).any()
        share.append(tested.mean())
    assert 0.05 < np.mean(share) < 0.2


def test_sparse_slices_are_held_out_along_their_own_axis():
    cases = [sparse(f"c{i}", (2, 6, 10, 14, 18)) for i in range(4)]
    holdout = choose_holdout(cases, seed=0)
    assert sum(len(indices) for _, indices in holdout.slices.values()) == 2
    for axis, indices in holdout.slices.values():
        assert axis == 1
        assert set(indices) <= {6, 10, 14}


def test_a_structure_is_never_held_out_entirely():
    cases = [complete(f"c{i}") for i in range(9)]
    for case in cases:
        case.target[case.target == 1] = 0
    cases[4].target[3:5, 3:5, 3:5] = 2
    for seed in range(10):
        holdout = choose_holdout(cases, seed)
        assert "c4" not in holdout.cases


def test_too_little_is_left_whole():
    assert choose_holdout([sparse("a", (3, 9))], 0).empty
    assert choose_holdout([PreparedCase("u", np.zeros((1, 4, 4, 4), np.float16), None)], 0).empty


def test_a_holdout_survives_being_written():
    holdout = choose_holdout([complete("a"), complete("b")], 0)
    assert HoldOut.model_validate_json(holdout.model_dump_json()) == holdout
    assert "held-out slices of" in holdout.where


def test_what_was_held_out_stays_so_and_what_was_learned_is_never_tested_on():
    cases = [complete(f"c{i}") for i in range(9)]
    first = choose_holdout(cases[:4], seed=0)
    seen = {f"c{i}" for i in range(4)}
    for seed in range(5):
        second = choose_holdout(cases, seed, first, seen)
        assert second.slices == first.slices
        assert len(second.cases) == 2
        assert not set(second.cases) & seen
        assert " and " in second.where
    assert choose_holdout(cases[:4], 3, HoldOut(), seen).empty


def partly(name, target, judged, weight=None):
    image = np.zeros((1, *target.shape), np.float16)
    return PreparedCase(name, image, target, weight=weight, judged=judged)


def accepted(name):
    """Complete, but nobody drew any of it."""
    target = complete(name).target
    return partly(name, target, np.full_like(target, 255))


def test_a_case_known_by_acceptance_alone_is_never_held_out_but_learned_from():
    drawn = [complete(f"c{i}") for i in range(10)]
    cases = [*drawn, *(accepted(f"a{i}") for i in range(10))]
    for seed in range(10):
        holdout = choose_holdout(cases, seed)
        assert len(holdout.cases) == 2
        assert all(name.startswith("c") for name in holdout.cases)
    everything = HoldOut(cases=("a0",))
    assert everything.validation_target(cases[10]) is None
    assert (choose_holdout(cases, 0).training_target(cases[10]) == 1).any()
    assert choose_holdout([accepted(f"a{i}") for i in range(10)], 0).empty


def test_accepted_cases_do_not_make_enough_cases_to_hold_whole_ones_out():
    cases = [complete("c0"), complete("c1"), *(accepted(f"a{i}") for i in range(10))]
    holdout = choose_holdout(cases, 0)
    assert not holdout.cases and set(holdout.slices) <= {"c0", "c1"} and holdout.slices


def test_what_was_held_out_and_is_known_by_acceptance_alone_now_is_learned_from():
    cases = [complete("c0"), complete("c1"), accepted("a0")]
    again = choose_holdout(cases, 0, HoldOut(cases=("a0",)), {"c0", "c1"})
    assert again.empty
    assert again.training_target(cases[2]) is not None


def test_of_a_corrected_prediction_neither_accepted_nor_corrected_slices_are_held_out():
    target = complete("m").target
    judged = np.full_like(target, 255)
    judged[:, :, [2, 5, 8, 11, 14]] = target[:, :, [2, 5, 8, 11, 14]]  # drawn slices
    judged[6:9, 6:9, 12] = target[6:9, 6:9, 12]  # a correction on an accepted slice
    cases = [partly(f"m{i}", target, judged) for i in range(4)]
    for seed in range(10):
        holdout = choose_holdout(cases, seed)
        assert holdout.slices
        for case in cases:
            for axis, indices in filter(None, [holdout.slices.get(case.case)]):
                assert axis == 2 and set(indices) <= {2, 5, 8, 11, 14}
            checked = holdout.validation_target(case)
            assert checked is None or ((checked == 255) | (checked == judged)).all()


def interpolated(name):
    """Every sixth slice along z drawn, all between them interpolated."""
    target = complete(name).target
    judged, weight = np.full_like(target, 255), np.full(target.shape, 0.5, np.float16)
    drawn = [0, 6, 12, 18]
    judged[:, :, drawn], weight[:, :, drawn] = target[:, :, drawn], 1
    target[:, :, 19:], weight[:, :, 19:] = 255, 1
    return partly(name, target, judged, weight)


def test_interpolated_slices_are_not_held_out_and_those_made_from_held_out_ones_not_learned_from():
    cases = [interpolated(f"i{i}") for i in range(4)]
    holdout = choose_holdout(cases, 3)
    assert holdout.slices
    for case in cases:
        training = holdout.training_target(case)
        axis, indices = holdout.slices.get(case.case, (2, ()))
        assert axis == 2 and set(indices) <= {6, 12}
        for index in indices:
            assert (training[:, :, index - 5 : index + 6] == 255).all()
            assert (training[:, :, [index - 6, index + 6]] < 254).all()
        if not indices:
            assert np.array_equal(training, case.target)


def test_a_held_out_slice_of_which_nothing_is_left_is_not_looked_at():
    case = sparse("a", (3, 9))
    assert HoldOut(slices={"a": (1, (5,))}).validation_target(case) is None
    assert HoldOut(slices={"a": (1, (3,))}).validation_target(case) is not None


def of(patient, name, seed=0):
    whole = complete(name, seed)
    return PreparedCase(name, whole.image, whole.target, patient=patient)


def unlabelled(patient, name):
    return PreparedCase(name, np.zeros((1, 20, 22, 24), np.float16), None, patient=patient)


def sides(holdout, cases):
    """Patients whose labels are trained on, and those whose labels are tested on."""
    trained = {case.person for case in cases if holdout.training_target(case) is not None}
    return trained, {case.person for case in cases if holdout.validation_target(case) is not None}


@pytest.mark.parametrize("scans", [2, 3])
def test_two_scans_of_a_patient_are_never_on_both_sides(scans):
    cases = [of(f"p{i // scans}", f"c{i}") for i in range(scans * 6)]
    seen = set()
    for seed in range(10):
        holdout = choose_holdout(cases, seed)
        trained, tested = sides(holdout, cases)
        assert holdout.cases and not trained & tested
        assert all(not holdout.holds(case) for case in cases if case.person in trained)
        seen |= tested
    assert len(seen) > 2


def test_an_unlabelled_scan_of_a_held_out_patient_is_not_trained_on_either():
    cases = [*(of(f"p{i}", f"c{i}") for i in range(10)), *(unlabelled(f"p{i}", f"u{i}") for i in range(10))]
    holdout = choose_holdout(cases, 0)
    held = {case.case for case in cases if holdout.holds(case)}
    assert len(held) == 4 and {name[1:] for name in held} == {name[1:] for name in holdout.cases}
    assert holdout.where == "2 held-out cases"


def test_a_patient_with_most_of_the_scans_is_not_held_out_whole():
    cases = [of("often", f"c{i}") for i in range(8)] + [of(f"p{i}", f"d{i}") for i in range(2)]
    for seed in range(5):
        assert set(sides(choose_holdout(cases, seed), cases)[1]) <= {"p0", "p1"}


@pytest.mark.parametrize("count", [3, 9])
def test_of_one_patient_alone_slices_are_held_out_and_the_same_ones_of_each_scan(count):
    cases = [of("only", f"c{i}") for i in range(count)]
    for seed in range(5):
        holdout = choose_holdout(cases, seed)
        assert not holdout.cases and set(holdout.slices) == {case.case for case in cases}
        assert len(set(holdout.slices.values())) == 1
        for case in cases:
            hidden, tested = holdout.training_target(case) == 255, holdout.validation_target(case) != 255
            assert tested.any() and not (tested & ~hidden).any()


def test_the_same_part_is_held_out_of_a_sibling_with_more_slices():
    finer = PreparedCase(
        "fine", np.zeros((1, 20, 22, 48), np.float16), complete("c").target.repeat(2, 2), patient="p"
    )
    holdout = HoldOut(slices={"c": (2, (6, 7))}).with_siblings([of("p", "c"), finer, of("q", "d")])
    assert holdout.slices == {"c": (2, (6, 7)), "fine": (2, (12, 13, 14, 15))}


def test_a_scan_that_is_added_later_follows_its_patient():
    cases = [of(f"p{i}", f"c{i}") for i in range(10)]
    first = choose_holdout(cases, 0)
    seen = {case.case for case in cases if first.training_target(case) is not None}
    held, learned = first.cases[0], sorted(seen)[0]
    late = [of(f"p{held[1:]}", "late"), of(f"p{learned[1:]}", "later")]
    assert first.holds(late[0]) and not first.holds(late[1])
    again = choose_holdout([*cases, *late], 0, first, seen)
    assert set(again.cases) == {*first.cases, "late"}
    old = HoldOut(cases=first.cases)
    assert set(choose_holdout([*cases, *late], 0, old, seen).cases) == {*first.cases, "late"}
    both = choose_holdout(cases, 0, old, {*seen, held})
    assert held not in both.cases
