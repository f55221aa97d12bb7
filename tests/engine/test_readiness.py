"""A model that has not learned yet says so; one that has is left alone, and knows its temperature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_dycon.engine import validation
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import CasePredicted, Note, PredictionFinished, StepFinished
from napari_dycon.engine.holdout import HoldOut
from napari_dycon.engine.inference import Predictor, predict
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.readiness import FILE, Quality, read_quality, write_quality
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.engine.validation import Validator
from napari_dycon.learning.networks import NetworkSpec
from tests.engine.conftest import TINY

LEARNING = {**TINY, "augmentation": {"rotation_p": 0}}


def quality(dice, guess, iteration=30, **more):
    return Quality(iteration=iteration, dice=dice, guess=guess, where="slices", held_out=True, **more)


def dice_of(found, truth):
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


@pytest.mark.parametrize("share", [0.002, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_mask_everywhere_or_nowhere_is_never_ready_however_large_the_structure(share, everywhere):
    truth = np.arange(10_000) < share * 10_000
    found = np.full_like(truth, everywhere)
    guess = dice_of(np.ones_like(truth), truth)
    verdict = quality({"organ": dice_of(found, truth)}, {"organ": guess})
    assert not verdict.ready
    assert verdict.sentence == (
        "The model is not ready yet: after 30 steps it does not tell organ from the background; train on."
    )


def test_a_rough_mask_is_ready():
    truth = np.arange(10_000) < 1000
    found = np.roll(truth, 450)
    assert 0.5 < dice_of(found, truth) < 0.6
    verdict = quality({"organ": dice_of(found, truth)}, {"organ": 0.18})
    assert verdict.ready and verdict.sentence == ""


def test_one_structure_is_enough_and_the_other_is_named():
    verdict = quality({"organ": 0.8, "nodule": 0.0}, {"organ": 0.1, "nodule": 0.02})
    assert verdict.ready
    assert verdict.sentence == "The model does not tell nodule from the background yet; train on."


def test_what_cannot_be_judged_is_not_held_against_a_model():
    verdict = quality({}, {})
    assert verdict.ready and verdict.sentence == ""


def test_what_is_known_belongs_to_one_step_and_damage_is_as_if_nothing_were(tmp_path):
    one = quality({"organ": 0.8}, {"organ": 0.1}, temperature=1.3)
    write_quality(tmp_path, one)
    assert read_quality(tmp_path, 30) == one
    assert read_quality(tmp_path, 31) is None
    for damage in ("", "[]", '{"iteration": 30}'):
        (tmp_path / FILE).write_text(damage)
        assert read_quality(tmp_path, 30) is None


def test_a_finished_run_keeps_what_held_out_labels_say_and_the_predictor_heeds_it(make_study, train):
    study = make_study(labelled=3)
    run = train(study, "supervised", iterations=60, overrides=LEARNING)[0].run
    folder = Path(study.run_dir(run))
    known = read_quality(folder, 60)
    assert known.held_out and known.ready and known.dice["organ"] > 0.6
    assert Predictor.load(study, run, "cpu").temperature == known.temperature != 1.0
    events = list(predict(study, run, device="cpu", threads=1, only_when_ready=True))
    assert len(events[-1].cases) == 4
    row = study.predictions.summary(run)[study.cases[3].id]
    assert row["ready"] and 0.3 < row["expected_dice"]["organ"] <= 1
    event = next(e for e in events if isinstance(e, CasePredicted) and e.case == study.cases[3].id)
    assert event.expected_dice == row["expected_dice"]


def test_without_held_out_labels_there_is_no_temperature(make_study, train):
    study = make_study()
    run = train(study, "supervised", iterations=3, holdout=False)[0].run
    assert read_quality(Path(study.run_dir(run)), 3) is None
    assert Predictor.load(study, run, "cpu").temperature == 1.0
    list(predict(study, run, [study.cases[0].id], device="cpu", threads=1))
    known = read_quality(Path(study.run_dir(run)), 3)
    assert not known.held_out and known.temperature is None
    assert known.where == "labelled voxels that it learned from"
    assert Predictor.load(study, run, "cpu").temperature == 1.0


def test_a_resumed_run_has_the_quality_and_temperature_of_an_uninterrupted_one(make_study, train):
    whole, parts = make_study(name="whole", labelled=3), make_study(name="parts", labelled=3)
    options = {"iterations": 20, "overrides": LEARNING}
    expected = train(whole, "supervised", **options)[0].run
    control = Control()
    trainer = Trainer(parts, "supervised", **options, threads=1, device="cpu", control=control)
    for event in trainer.run():
        if isinstance(event, StepFinished) and event.iteration == 13:
            control.stop()
    assert read_quality(Path(parts.run_dir(expected)), 13) is None
    train(parts, None, resume=True)
    files = [Path(study.run_dir(expected)) / FILE for study in (whole, parts)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_model_that_is_not_ready_predicts_nothing_unless_it_must(make_study, train):
    study = make_study()
    overrides = {**TINY, "fitted_head": False}
    run = train(study, "supervised", iterations=2, overrides=overrides)[0].run
    wary = list(predict(study, run, device="cpu", threads=1, only_when_ready=True))
    assert isinstance(wary[0], Note) and wary[0].level == "warning"
    assert wary[0].text.startswith("The model is not ready yet: after 2 steps")
    assert wary[1:] == [PredictionFinished(run, (), False)]
    assert study.predictions.mask(run, study.cases[0].id) is None
    forced = list(predict(study, run, device="cpu", threads=1))
    assert forced[0] == wary[0]
    assert len(forced[-1].cases) == 4
    assert not study.predictions.summary(run)[study.cases[0].id]["ready"]


def test_a_stopped_run_is_looked_at_once_before_it_first_predicts(make_study, train, monkeypatch):
    study, looks = make_study(labelled=3), []
    original = validation.Validator.run

    def run(self, *arguments, **named):
        looks.append(self)
        return original(self, *arguments, **named)

    control = Control()
    trainer = Trainer(
        study, "supervised", iterations=400, overrides=LEARNING, threads=1, device="cpu", control=control
    )
    for event in trainer.run():
        if isinstance(event, StepFinished) and event.iteration == 60:
            control.stop()
    monkeypatch.setattr(validation.Validator, "run", run)
    for _ in range(2):
        events = list(predict(study, trainer.run_id, device="cpu", threads=1, only_when_ready=True))
        assert len(events[-1].cases) == 4
    assert len(looks) == 1
    known = read_quality(Path(study.run_dir(trainer.run_id)), 60)
    assert known.held_out and known.ready


def test_a_stop_while_the_model_is_looked_at_is_heeded(make_study, train):
    study, control = make_study(), Control()
    run = train(study, "supervised", iterations=2, holdout=False)[0].run
    control.stop()
    events = list(predict(study, run, device="cpu", threads=1, control=control))
    assert events == [PredictionFinished(run, (), True)]
    assert not (Path(study.run_dir(run)) / FILE).exists()


def test_a_full_disk_costs_the_temperature_but_not_the_run(make_study, train, monkeypatch):
    from napari_dycon.engine import assessment
    from napari_dycon.errors import VolumeError

    def write(folder, found):
        raise VolumeError("The disk is full.")

    monkeypatch.setattr(assessment, "write_quality", write)
    study = make_study(labelled=3)
    events = train(study, "supervised", iterations=4)
    assert any("disk is full" in e.text for e in events if isinstance(e, Note))
    assert events[-1].reason == "budget" and study.active_run == events[0].run


@pytest.mark.parametrize("whole", [False, True])
def test_a_few_voxels_beyond_the_end_of_a_structure_are_no_case_without_skill(monkeypatch, whole):
    """Three slabs of slices, in the last of which the structure is no more; in whole cases that is a miss."""
    truth = np.zeros((20, 20, 20), np.uint8)
    truth[5:15, 5:15, :12] = 1
    found, holdout = truth.copy(), HoldOut(slices={f"case{n}": (2, (n, n + 1)) for n in (3, 6, 13)})
    found[5:7, 5:7, 12:16] = 1
    if whole:
        holdout = HoldOut(cases=tuple(holdout.slices))
    targets = {name: truth * np.uint8(not whole or name != "case13") for name in ("case3", "case6", "case13")}
    cases = [
        PreparedCase(name, np.zeros((1, *truth.shape), np.float16), target)
        for name, target in targets.items()
    ]
    plan = Plan(
        structure_values=(1,),
        structure_names=("anterior",),
        network=NetworkSpec(classes=2),
        spacing=(1, 1, 1),
        patch_size=(40, 40, 40),
    )

    def windows(networks, image, *arguments, **options):
        yield 1.0
        return torch.nn.functional.one_hot(torch.from_numpy(found).long(), 2).movedim(-1, 0)[None].float()

    monkeypatch.setattr(validation, "predict_windows", windows)
    quality = Validator(cases, holdout, plan).run([], 5, torch.device("cpu"), Control(), everything=False)
    assert (quality.dice["anterior"] > 0.9) != whole
    assert quality.ready


def test_a_structure_that_is_labelled_nowhere_is_not_said_to_need_more_training(make_study, train):
    study = make_study(labelled=3)
    study.add_structure("vessel")
    run = train(study, "supervised", iterations=2)[0].run
    known = read_quality(Path(study.run_dir(run)), 2)
    assert "vessel" not in known.dice and "vessel" not in known.sentence
