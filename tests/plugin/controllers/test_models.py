"""Models: the one before on one key, what changed since, and any of them made the active one."""

import numpy as np
import pytest

from napari_dycon.engine.readiness import Quality, write_quality
from napari_dycon.plugin.actions import MODEL_BEFORE, NO_MODEL_BEFORE

FIRST, SECOND = "001-dycon", "002-dycon"


def predict(study, run, case, last, unsure):
    mask = np.zeros(study.case(case).shape, np.uint8)
    mask[2:last, 3:12, 1:9] = 1
    study.predictions.save(run, case, mask, np.full(mask.shape, unsure, np.float32))
    row = {"volumes_ml": {}, "mean_entropy": unsure, "empty": False, "ready": True}
    study.predictions.save_summary(run, {case: row})


@pytest.fixture
def trained(opened):
    """Two runs: both predicted alpha, the first one beta too."""
    study = opened.study
    for run in (FIRST, SECOND):
        (study.path / "runs" / run).mkdir(parents=True)
    predict(study, FIRST, "alpha", 10, 0.41)
    predict(study, FIRST, "beta", 9, 0.5)
    predict(study, SECOND, "alpha", 8, 0.34)
    quality = {"iteration": 7, "dice": {"atrium": 0.75}, "guess": {"atrium": 0.2}, "where": "slices"}
    write_quality(study.run_dir(FIRST), Quality(held_out=True, **quality))
    study.set_active_run(SECOND)
    opened.open("gamma")
    opened.open("alpha")
    opened.rest()
    return opened


def outlined(opened):
    return np.count_nonzero(np.asarray(opened.layer("prediction").data))


def test_before_and_after_on_one_key(trained):
    models = trained.session.training.models
    now, before = 6 * 9 * 8, 8 * 9 * 8
    assert outlined(trained) == now
    trained.session.actions.ask("before")
    assert models.looking_back
    assert outlined(trained) == before
    assert FIRST in models.text
    trained.session.actions.ask("before")
    assert outlined(trained) == now


def test_what_changed_since_the_last_model_is_said(trained):
    text = trained.session.training.models.text
    assert text.startswith("unsure 41 → 34 %")
    assert f"{2 * 9 * 8:,} voxels changed here since {FIRST}" in text
    assert text.endswith(f"predicted by {SECOND}")


def test_nothing_is_accepted_from_the_model_before_by_mistake(trained, notes):
    trained.session.actions.ask("before")
    trained.session.actions.ask("accept_slice")
    trained.rest()
    assert not trained.layer("annotation").data.any()
    assert notes[-1] == ("info", MODEL_BEFORE)


def test_another_case_begins_with_the_last_model(trained, notes):
    trained.session.actions.ask("before")
    trained.open("gamma")
    trained.open("alpha")
    trained.rest()
    assert not trained.session.training.models.looking_back
    assert outlined(trained) == 6 * 9 * 8


def test_where_no_model_before_has_predicted_the_key_says_so(trained, notes):
    predict(trained.study, SECOND, "gamma", 8, 0.2)
    trained.open("gamma")
    trained.rest()
    trained.session.actions.ask("before")
    assert notes[-1] == ("info", NO_MODEL_BEFORE)


def test_any_model_can_be_made_the_active_one(trained, notes):
    models = trained.session.training.models
    assert [(row.run, row.active) for row in models.rows] == [(SECOND, True), (FIRST, False)]
    assert models.rows[1].text == f"{FIRST}, Dice 0.75 held out, 2 cases predicted"
    models.choose(FIRST)
    trained.rest()
    assert trained.study.active_run == FIRST
    assert outlined(trained) == 8 * 9 * 8
    assert [row.active for row in models.rows] == [False, True]
    assert models.before is None
    trained.open("beta")
    models.choose(SECOND)
    trained.rest()
    assert outlined(trained) == 0
    assert "has not predicted this case" in notes[-1][1]
