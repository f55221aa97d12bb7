"""When a person may be told that enough is labelled: only when three signs agree."""

import pytest

from napari_dycon.engine.readiness import FILE, Quality
from napari_dycon.guidance.brought import works
from napari_dycon.guidance.quality import Check, Checks
from napari_dycon.guidance.stopping import (
    held_out,
    held_out_sign,
    mended_sign,
    stopping,
    unread_sign,
)
from napari_dycon.io.json_files import write_model
from napari_dycon.study.truth.annotations import Annotation
from tests.guidance.conftest import prediction
from tests.guidance.test_brought import done


def checks(dice=0.95, count=12, structures=("organ", "nodule")):
    return Checks(
        Check(f"c{n}", f"p{n}", name, dice, dice, 10.0, 10.0) for n in range(count) for name in structures
    )


def entries(mended=1.0, count=8):
    return [done(n, mm2=mended) for n in range(count)]


def measure(study, *dice, where="held-out slices"):
    for number, value in enumerate(dice):
        run = study.active_run if not number else study.new_run("dycon")
        folder = study.run_dir(run)
        quality = {"dice": {"organ": value}, "guess": {"organ": 0.1}, "where": where, "held_out": True}
        write_model(folder / FILE, Quality(iteration=10, **quality))
    study.set_active_run(run)
    row = {"expected_dice": {"organ": 0.95, "nodule": 0.95}, "volumes_ml": {}, "mean_entropy": 0.1}
    study.predictions.save_summary(run, {case.id: row for case in study.cases})


def test_where_all_signs_agree_it_is_said(study):
    measure(study, 0.90, 0.901, 0.899)
    found = stopping(study, entries(), checks())
    assert found.advised and found.sentence == "You can probably stop labelling."
    assert "1.0 % of the structures" in found.details and "0.900, 0.901, 0.899" in found.details
    assert "6 of 6 unread cases" in found.details


@pytest.mark.parametrize(
    ("dice", "mended", "places", "checked", "which"),
    [
        ((0.90, 0.90, 0.93), 1.0, 8, 12, "held_out"),
        ((0.90, 0.93, 0.90), 1.0, 8, 12, "held_out"),
        ((0.90, 0.90), 1.0, 8, 12, "held_out"),
        ((0.90, 0.90, 0.90), 6.0, 8, 12, "mended"),
        ((0.90, 0.90, 0.90), 1.0, 7, 12, "mended"),
        ((0.90, 0.90, 0.90), 1.0, 8, 7, "unread"),
    ],
)
def test_where_one_does_not_nothing_is_said(study, dice, mended, places, checked, which):
    measure(study, *dice)
    found = stopping(study, entries(mended, places), checks(count=checked))
    assert not found.advised and found.sentence == ""
    assert {name for name in ("held_out", "mended", "unread") if not getattr(found, name).holds} == {which}


def test_only_the_last_chosen_places_count():
    early = [done(n, mm2=50.0) for n in range(8)]
    late = [done(20 + n, mm2=1.0) for n in range(8)]
    random = [done(40 + n, "random", 50.0) for n in range(8)]
    chosen = [work for work in works([*early, *late, *random]) if work.kind == "chosen"]
    assert mended_sign(chosen[-8:]).holds and not mended_sign(chosen[:8]).holds


def test_mending_where_nothing_should_be_is_no_sign_to_stop():
    empty = works([done(n, mm2=3.0, covered=0) for n in range(8)])
    assert not mended_sign(empty).holds


def test_models_are_compared_on_the_same_held_out_labels_only(study):
    measure(study, 0.7, 0.8, where="held-out slices")
    first = study.active_run
    assert held_out(study) == [0.7, 0.8]
    run = study.new_run("dycon")
    study.set_active_run(run)
    assert held_out(study) == [0.7, 0.8]
    quality = {"dice": {"organ": 0.9}, "guess": {"organ": 0.1}, "where": "2 held-out patients"}
    write_model(study.run_dir(run) / FILE, Quality(iteration=1, held_out=True, **quality))
    assert held_out(study) == [0.9]
    study.set_active_run(first)
    assert held_out(study) == [0.7, 0.8]
    assert not held_out_sign([]).holds


def test_cases_that_were_not_predicted_are_not_expected_to_be_good(study):
    good = {"organ": 0.95, "nodule": 0.95}
    assert unread_sign([good] * 9 + [{}], checks()).holds
    assert not unread_sign([good] * 8 + [{}] * 2, checks()).holds
    assert not unread_sign([good], Checks()).holds
    assert not unread_sign([], checks()).holds
    study.save_annotation("scan_0", Annotation.full(prediction()), "complete")
    assert "0 of 5" in stopping(study, [], checks()).details
