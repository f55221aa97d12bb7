"""Predictions against completed cases, compared in the background and only when something is new."""

import json

import numpy as np
import pytest

from napari_dycon.plugin.background import checked
from napari_dycon.plugin.background.checked import CheckedBy
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation


@pytest.fixture
def study(study_path):
    with Study.open(study_path) as study:
        run = study.new_run("dycon")
        (study.run_dir(run) / "config.json").write_text(json.dumps({"trained_on": []}))
        study.set_active_run(run)
        yield study


def predict(study, case, mask):
    study.predictions.save(study.active_run, case, mask, np.zeros(mask.shape, np.float32))
    row = {"expected_dice": {study.structures[0].name: 0.9}}
    study.predictions.save_summary(study.active_run, {case: row})


def cube(study, case, start):
    mask = np.zeros(study.case(case).shape, np.uint8)
    mask[start : start + 4, 2:4, 1:2] = study.structures[0].value
    return mask


def test_what_is_completed_or_predicted_anew_is_checked_again_and_nothing_else(qtbot, study, monkeypatch):
    looked, changes = [], []
    real = checked.check_case
    monkeypatch.setattr(
        checked, "check_case", lambda study, run, case: looked.append(case.id) or real(study, run, case)
    )
    by = CheckedBy(lambda: changes.append(1))
    for case in ("alpha", "beta"):
        predict(study, case, cube(study, case, 2))
        study.save_annotation(case, Annotation.full(cube(study, case, 3)), "complete")
    by.open_study(study)
    qtbot.waitUntil(lambda: len(by.checks.all) == 2)
    name = study.structures[0].name
    assert by.checks.dice("alpha", name) == pytest.approx(0.75) and looked == ["alpha", "beta"]
    by.look()
    qtbot.wait(200)
    assert looked == ["alpha", "beta"] and len(changes) == 1
    study.save_annotation("beta", Annotation.full(cube(study, "beta", 2)), "complete")
    by.look()
    qtbot.waitUntil(lambda: by.checks.dice("beta", name) == 1.0)
    assert looked == ["alpha", "beta", "beta"]
    by.close()
    assert by.checks.all == ()
