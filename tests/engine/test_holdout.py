"""Which labelled voxels are kept from training."""

from __future__ import annotations

import numpy as np

from napari_dycon.engine.holdout import HoldOut, choose_holdout
from napari_dycon.engine.store import PreparedCase


def prepared(name, target):
    return PreparedCase(name, np.zeros(target.shape, np.float16), target)


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
    assert choose_holdout([PreparedCase("u", np.zeros((4, 4, 4), np.float16), None)], 0).empty


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
