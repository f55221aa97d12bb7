"""What an expert sets reaches the training, and what cannot be does not."""

import json

import pytest

from napari_dycon.engine.plan import Plan
from napari_dycon.engine.request import Request
from napari_dycon.plugin.controllers.expert import METHOD, PLAN


@pytest.fixture
def expert(opened):
    """The settings of DyCON, once they are known."""
    expert = opened.session.expert
    expert.look("dycon")
    opened.wait(lambda: bool(expert.sections), seconds=60)
    return expert


def trained_with(opened, engine):
    opened.session.training.train("dycon", 1)
    opened.rest()
    return engine.overrides


def test_nothing_is_set_unless_somebody_does(opened, engine, expert):
    assert expert.changes("dycon") == []
    assert trained_with(opened, engine) == {}


def test_what_is_set_reaches_the_training_of_that_method_and_fits_a_plan(opened, engine, expert):
    expert.change(PLAN, "learning_rate", "3e-4")
    expert.change("augmentation", "noise_p", 0.0)
    expert.change(METHOD, "start", 0.5)
    expert.change(METHOD, "anchors", 256)  # the default
    wishes = trained_with(opened, engine)
    assert wishes == {
        "learning_rate": 3e-4,
        "augmentation": {"noise_p": 0.0},
        "method_settings": {"start": 0.5},
    }
    assert Request.model_validate_json(Request(overrides=wishes).model_dump_json()).overrides == wishes
    assert set(wishes) <= set(Plan.model_fields)
    assert expert.changes("dycon") == ["learning_rate = 0.0003", "augmentation.noise_p = 0", "start = 0.5"]
    assert expert.changes("supervised") == ["learning_rate = 0.0003", "augmentation.noise_p = 0"]
    assert METHOD not in expert.overrides("supervised")
    expert.reset(PLAN, "learning_rate")
    assert "learning_rate" not in expert.overrides("dycon")
    expert.change("augmentation", "noise_p", 0.3)
    expert.change(METHOD, "start", 0.2)
    assert expert.overrides("dycon") == {}, "what is as it was is not set"


def test_what_is_refused_keeps_training_from_starting_until_it_is_mended(opened, engine, expert, notes):
    expert.change(PLAN, "learning_rate", "0.01")
    expert.change(PLAN, "learning_rate", "-1")
    assert expert.refusals(PLAN) == {"learning_rate": ("-1", "Learning rate must be greater than 0.")}
    opened.session.training.train("dycon", 1)
    assert opened.session.tasks.state.kind == "idle"
    assert "Learning rate must be greater than 0." in notes[-1][1]
    expert.change(PLAN, "learning_rate", "")
    assert trained_with(opened, engine) == {}


def test_a_refusal_of_another_method_is_in_nobodys_way(expert):
    expert.change(METHOD, "beta_first", "0")
    assert list(expert.refusals(METHOD)) == [""]
    assert expert.overrides("supervised") == {}
    expert.change(METHOD, "beta_last", "0")
    assert not expert.refusals(METHOD)
    assert expert.overrides("dycon") == {"method_settings": {"beta_first": 0.0, "beta_last": 0.0}}


def test_what_the_newest_run_was_told_can_be_told_again(opened, expert, study_path):
    assert not expert.can_repeat
    run = study_path / "runs" / "002-dycon"
    run.mkdir(parents=True)
    told = {"patch_size": [16, 16, 8], "method_settings": {"start": 0.5}, "single": [1]}
    (run / "config.json").write_text(json.dumps({"overrides": told}), encoding="utf-8")
    (run / "plan.json").write_text(json.dumps({"spacing": [1, 1, 2]}), encoding="utf-8")
    expert.look("dycon")
    opened.wait(lambda: expert.can_repeat)
    assert (expert.last_run, expert.sections[1].planned["spacing"]) == ("002-dycon", [1, 1, 2])
    expert.change(PLAN, "learning_rate", "0.01")
    expert.repeat_last()
    assert expert.overrides("dycon") == {"patch_size": (16, 16, 8), "method_settings": {"start": 0.5}}


def test_another_study_begins_without_settings(opened, expert):
    expert.change(PLAN, "learning_rate", "0.01")
    opened.session.close()
    assert expert.changes("dycon") == []
    assert expert.sections == ()
