"""What is known in lesser ways teaches less, and is never what quality is measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import RunFinished, StepFinished, Validated
from napari_dycon.engine.optimisation import Optimisation
from napari_dycon.engine.readiness import read_quality
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.engine.runs import RunFolder
from napari_dycon.study.truth.annotations import Annotation, Known
from tests.engine.conftest import TINY, ball_case, numbers

INTERPOLATED = [4, 5, 7, 8, 10, 11]


@pytest.fixture
def weights(monkeypatch) -> list[torch.Tensor | None]:
    """The weights of every batch that is learned from."""
    seen: list[torch.Tensor | None] = []
    step = Optimisation.step

    def spy(self, batch, iteration, progress):
        seen.append(batch.weight)
        return step(self, batch, iteration, progress)

    monkeypatch.setattr(Optimisation, "step", spy)
    return seen


def know(study, kind: Known, slices=INTERPOLATED, cases=2):
    """Slices of the labelled cases are known in a lesser way."""
    for record in study.cases[:cases]:
        annotation = study.annotation(record.id)
        annotation.known[:, :, slices] = kind
        study.save_annotation(record.id, annotation, "complete")


def lowest(weights):
    return {float(weight.min()) for weight in weights if weight is not None}


def test_interpolated_slices_weigh_half_from_the_first_run_on(make_study, train, weights):
    study = make_study()
    know(study, Known.INTERPOLATED)
    train(study, iterations=3)
    assert lowest(weights) == {0.5}
    weights.clear()
    train(study, iterations=3)
    assert RunFolder(study.run_dir(study.active_run)).config().continued_from == "001-dycon"
    assert lowest(weights) == {0.5}


def test_without_interpolated_voxels_no_batch_has_weights(make_study, train, weights):
    study = make_study()
    know(study, Known.ACCEPTED)
    train(study, iterations=4)
    assert weights == [None] * 4


def test_interpolated_labels_teach_otherwise_than_drawn_ones(make_study, train):
    drawn, filled = make_study(name="drawn"), make_study(name="filled")
    know(filled, Known.INTERPOLATED)
    options = {"iterations": 3, "holdout": False}
    assert numbers(train(drawn, "supervised", **options)) != numbers(train(filled, "supervised", **options))


@pytest.mark.parametrize("method", ["dycon", "uc_seg"])
def test_a_resumed_run_with_weights_equals_an_uninterrupted_one(make_study, train, weights, method):
    whole, parts = make_study(name="whole"), make_study(name="parts")
    for study in (whole, parts):
        know(study, Known.INTERPOLATED)
    expected = train(whole, method, iterations=6)
    control, first = Control(), []
    for event in Trainer(
        parts, method, iterations=6, overrides=TINY, threads=1, device="cpu", control=control
    ).run():
        first.append(event)
        if isinstance(event, StepFinished) and event.iteration == 3:
            control.stop()
    weights.clear()
    second = train(parts, method, resume=True)
    assert lowest(weights) == {0.5}
    assert numbers(first) + numbers(second) == numbers(expected)


def accepted_garbage(study, case):
    """A prediction that is wrong everywhere was accepted, all of it."""
    _, labels = ball_case(0)
    annotation = Annotation.empty(labels.shape)
    annotation.accept(np.where(labels == 0, 3, 0).astype(np.uint8))
    study.save_annotation(case, annotation, "accept")


def test_quality_does_not_depend_on_what_was_accepted(make_study, train):
    """Accepted slices turned into garbage are learned from, but never measured on."""
    scores = []
    for name in ("sound", "garbage"):
        study = make_study(cases=6, labelled=3, name=name)
        events = train(study, "supervised", iterations=3, overrides={**TINY, "learning_rate": 1e-9})
        run = events[0].run
        for record in study.cases[3:] if name == "garbage" else ():
            accepted_garbage(study, record.id)
        events = train(study, "supervised", iterations=3, overrides={**TINY, "learning_rate": 1e-9})
        scores.append([event.dice for event in events if isinstance(event, Validated)][-1])
        assert (
            RunFolder(study.run_dir(run)).config().holdout
            == RunFolder(study.run_dir(study.active_run)).config().holdout
        )
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_a_model_is_not_judged_by_accepted_predictions_alone(make_study, train):
    study = make_study(cases=3, labelled=0)
    for record in study.cases:
        accepted_garbage(study, record.id)
    events = train(study, "supervised", iterations=3)
    assert isinstance(events[-1], RunFinished) and events[-1].reason == "budget"
    assert any("cannot be measured" in note for note in events[0].notes)
    assert not [event for event in events if isinstance(event, Validated)]
    assert read_quality(Path(study.run_dir(events[0].run)), 3) is None
