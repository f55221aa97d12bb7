"""Midway a model labels what nobody labelled, learns on from it, and leaves nothing of it behind."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_dycon.engine import self_training
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import Note, ScanLabelled, StepFinished
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.prepared import PreparedCase
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.engine.runs import RunFolder
from napari_dycon.engine.self_training import OwnLabels, affordable, label_scans
from napari_dycon.io.atomic import in_plain_words
from napari_dycon.learning.batch import IGNORE, UNKNOWN
from napari_dycon.learning.networks import NetworkSpec
from napari_dycon.study.truth.annotations import Annotation, Known
from tests.engine.conftest import TINY, ball_case, numbers
from tests.engine.test_inference import Threshold, bright_plan

HALF = {**TINY, "method_settings": {"self_training": 0.5}}


def plan_with(**changes) -> Plan:
    network = NetworkSpec(classes=2, widths=(4, 8), strides=((2, 2, 2),))
    values = {"structure_values": (9,), "structure_names": ("a",), "network": network, "averaged": False}
    return Plan(**{**values, "spacing": (1, 1, 1), "patch_size": (16, 16, 16), **changes})


def prepared(name: str, shape=(16, 16, 16)) -> PreparedCase:
    return PreparedCase(name, np.zeros((1, *shape), np.float16), None)


@pytest.fixture(autouse=True)
def _every_scan_is_affordable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of a few steps could hardly afford any."""
    monkeypatch.setattr(self_training, "SHARE", 1000.0)


def labels_of(events: list) -> list[str]:
    return [event.case for event in events if isinstance(event, ScanLabelled)]


def stopped_after(study, step: int) -> list:
    control, seen = Control(), []
    trainer = Trainer(study, iterations=8, overrides=HALF, threads=1, device="cpu", control=control)
    for event in trainer.run():
        seen.append(event)
        if isinstance(event, StepFinished) and event.iteration == step:
            control.stop()
    return seen


def test_midway_the_unlabelled_scans_are_labelled_and_teach_like_the_others(make_study, train):
    study = make_study(cases=5, labelled=2)
    events = train(study, iterations=10, overrides=HALF)
    unlabelled = {record.id for record in study.cases if record.known_fraction == 0}
    assert set(labels_of(events)) == unlabelled
    place = events.index(next(event for event in events if isinstance(event, ScanLabelled)))
    steps = [i for i, event in enumerate(events) if isinstance(event, StepFinished)]
    assert sum(i < place for i in steps) == 5
    late = [events[i].losses for i in steps if i > place]
    assert not any("pseudo" in losses for losses in late)
    assert any("pseudo" in events[i].losses for i in steps if i < place)
    assert not list(study.run_dir("001-dycon").glob("own_labels*"))
    assert all(study.annotation(case).known_fraction == 0 for case in unlabelled)


def test_at_one_nothing_is_labelled(make_study, train):
    never = {**TINY, "method_settings": {"self_training": 1.0}}
    assert not labels_of(train(make_study(), iterations=8, overrides=never))
    assert not labels_of(train(make_study(name="all", labelled=4), iterations=8, overrides=HALF))


def test_the_published_method_never_does(make_study, train):
    assert not labels_of(train(make_study(), "dycon_paper", iterations=8))


@pytest.mark.parametrize("step", [3, 4, 5, 7])
def test_a_run_stopped_before_or_after_goes_on_bit_by_bit(make_study, train, step):
    expected = numbers(train(make_study(name="whole"), iterations=8, overrides=HALF))
    parts = make_study(name="parts")
    first = stopped_after(parts, step)
    torch.rand(5)
    second = train(parts, resume=True)
    assert numbers(first) + numbers(second) == expected
    assert len(labels_of(first) + labels_of(second)) == 2


def test_a_stop_while_scans_are_labelled_is_a_stop(make_study, train):
    expected = numbers(train(make_study(name="whole"), iterations=8, overrides=HALF))
    study, control, seen = make_study(name="parts"), Control(), []
    trainer = Trainer(study, iterations=8, overrides=HALF, threads=1, device="cpu", control=control)
    for event in trainer.run():
        seen.append(event)
        if isinstance(event, ScanLabelled):
            control.stop()
    assert seen[-1].reason == "stopped" and len(numbers(seen)) == 4
    assert numbers(seen) + numbers(train(study, resume=True)) == expected


def test_labels_that_went_missing_are_made_again(make_study, train):
    study = make_study()
    first = stopped_after(study, 6)
    OwnLabels(RunFolder(study.run_dir("001-dycon")).path).drop()
    second = train(study, resume=True)
    assert len(labels_of(second)) == len(labels_of(first)) == 2
    assert second[-1].reason == "budget" and second[-1].iteration == 8


def test_a_full_disk_costs_the_labels_and_not_the_training(make_study, train, monkeypatch):
    def write(path: Path, content: bytes) -> None:
        with in_plain_words(path):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(self_training, "write_bytes_atomic", write)
    events = train(make_study(), iterations=8, overrides=HALF)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any("did not label scans by itself" in text and "could not be kept" in text for text in notes)
    assert events[-1].reason == "budget" and len(numbers(events)) == 8


def test_held_out_patients_are_not_labelled(make_study, train):
    study = make_study(cases=10, labelled=8)
    events = train(study, iterations=8, overrides=HALF)
    held = RunFolder(study.run_dir("001-dycon")).config().holdout
    assert held.cases and not set(held.cases) & set(labels_of(events))


def test_what_a_person_knows_stays_and_weights_with_it(tmp_path):
    image = np.zeros((16, 16, 16), np.float16)
    image -= 1
    image[4:12, 4:12, 4:12] = 1
    image, known = image[None], np.full(image.shape, UNKNOWN, np.uint8)
    known[:, :, 5], known[5, 5, 6], known[6, 6, 6] = 0, IGNORE, 1
    weight = np.full(known.shape, 0.5, np.float16)
    case = PreparedCase("a", image, known, weight=weight)
    store = OwnLabels(tmp_path / "run")
    (tmp_path / "run").mkdir()
    plan = bright_plan()
    steps = label_scans([Threshold()], [case], {"a": known}, plan, torch.device("cpu"), Control(), store)
    assert [event.case for event in steps] == ["a"]
    found = store.read()["a"]
    asked = known == UNKNOWN
    np.testing.assert_array_equal(found.target[~asked], known[~asked])
    np.testing.assert_array_equal(found.target[asked], (image[0] > 0)[asked])
    np.testing.assert_array_equal(found.weight, np.where(asked, 1, 0.5))
    store.drop()
    assert store.read() is None


def test_what_is_half_written_does_not_count(tmp_path):
    store = OwnLabels(tmp_path)
    store.write("a", self_training.Filled(np.ones((2, 2, 2), np.uint8), None))
    assert store.read() is None
    store.close(["a", "b"])
    assert store.read() is None
    store.close(["a"])
    assert store.read()["a"].target.tolist() == np.ones((2, 2, 2)).tolist()


def test_as_many_scans_as_cost_little_beside_the_steps(monkeypatch):
    monkeypatch.setattr(self_training, "SHARE", 0.15)
    cases = [prepared(f"c{i}", (48, 48, 48)) for i in range(50)]
    windows = 5**3
    for steps in (100, 1000, 3000):
        chosen = affordable(cases, plan_with(), 0, steps)
        cost = windows * len(chosen)
        assert cost <= max(windows, 0.15 * steps * 2 * 3) < cost + windows or len(chosen) == 50
    assert len(affordable(cases, plan_with(), 0, 1)) == 1
    assert affordable(cases, plan_with(), 0, 3000) == affordable(cases, plan_with(), 0, 3000)
    some = [[c.case for c in affordable(cases, plan_with(), seed, 1000)] for seed in (0, 1)]
    assert some[0] != some[1]


def test_a_few_slices_are_completed_to_a_whole_scan(make_study, train):
    study = make_study(cases=4, labelled=0)
    for index, record in enumerate(study.cases[:2]):
        _, labels = ball_case(index)
        known = np.zeros(labels.shape, np.uint8)
        known[:, :, 6:12:2] = Known.DRAWN
        study.save_annotation(
            record.id, Annotation(np.where(known, labels, 0).astype(np.uint8), known), "import"
        )
    events = train(study, iterations=8, overrides=HALF)
    assert set(labels_of(events)) == {record.id for record in study.cases}
