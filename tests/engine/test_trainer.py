"""Training as its callers see it: events, refusals, pausing, stopping, going on."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_dycon.engine import optimisation, trainer, validation
from napari_dycon.engine.checkpoints import CheckpointFolder
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import (
    CheckpointSaved,
    Note,
    RunFinished,
    RunStarted,
    ScanPreparation,
    StepFinished,
    Validated,
    from_json,
)
from napari_dycon.engine.inference import predict
from napari_dycon.engine.recorder import read_events
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.engine.runs import RunFolder
from napari_dycon.errors import TrainingError, VolumeError
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from tests.engine.conftest import ball_case, save_scan

TINY = {
    "patch_size": (16, 16, 16),
    "network": {"widths": (8, 16), "strides": ((2, 2, 2),), "projection": 16},
    "overlap": 0.25,
}


def losses(events):
    return [event.losses for event in events if isinstance(event, StepFinished)]


def weights(study, run):
    return RunFolder(study.run_dir(run)).checkpoints.load().part("method")


def same_weights(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_tells_its_story_and_leaves_it_on_disk(make_study, train):
    study = make_study()
    events = train(study, iterations=6)
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].reason == "budget"
    assert [e.iteration for e in events if isinstance(e, StepFinished)] == [1, 2, 3, 4, 5, 6]
    assert study.active_run == events[0].run == "001-dycon"
    folder = Path(study.run_dir("001-dycon"))
    lines = (folder / "events.jsonl").read_text().splitlines()
    assert [from_json(line) for line in lines] == read_events(folder)
    assert [json.loads(line)["event"] for line in lines] == [type(e).__name__ for e in events]
    assert (folder / "metrics.csv").read_text().startswith("iteration,seconds,name,value\n1,")
    assert json.loads((folder / "config.json").read_text())["method"] == "dycon"
    assert json.loads((folder / "plan.json").read_text())["structure_values"] == [3, 7]


def test_training_learns_the_bright_ball(make_study, train):
    study = make_study(cases=4, labelled=3)
    events = train(study, "supervised", iterations=60, overrides={**TINY, "augmentation": {"rotation_p": 0}})
    assert [e for e in events if isinstance(e, Validated)][-1].dice["organ"] > 0.6


@pytest.mark.parametrize("method", ["supervised", "mean_teacher", "dycon"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_by_bit(make_study, train, method):
    whole, parts = make_study(name="whole"), make_study(name="parts")
    expected = train(whole, method, iterations=8)
    control = Control()
    first = []
    for event in Trainer(
        parts, method, iterations=8, overrides=TINY, threads=1, device="cpu", control=control
    ).run():
        first.append(event)
        if isinstance(event, StepFinished) and event.iteration == 5:
            control.stop()
    assert first[-1].reason == "stopped"
    torch.rand(7)  # whatever else used random numbers meanwhile
    second = train(parts, method, resume=True)
    assert losses(first) + losses(second) == losses(expected)
    assert same_weights(weights(parts, first[-1].run), weights(whole, expected[0].run))


def test_resuming_after_a_crash_forgets_steps_after_the_checkpoint(make_study, train):
    study = make_study()
    generator = Trainer(study, iterations=6, overrides=TINY, threads=1, device="cpu").run()
    for event in generator:
        if isinstance(event, StepFinished) and event.iteration == 3:
            break
    generator.close()
    folder = Path(study.run_dir("001-dycon"))
    stale = StepFinished(4, 0.6, {"supervised": 9.0}, 1, 1, 1).to_json()
    with (folder / "events.jsonl").open("a") as file:
        file.write(stale + "\n" + stale[:20])
    train(study, resume=True)
    steps = [e for e in read_events(folder) if isinstance(e, StepFinished)]
    assert [e.iteration for e in steps] == [1, 2, 3, 4, 5, 6]
    assert all(e.losses["supervised"] < 9 for e in steps)


def test_closing_the_generator_saves_a_checkpoint(make_study):
    study = make_study()
    generator = Trainer(study, iterations=50, overrides=TINY, threads=1, device="cpu").run()
    for event in generator:
        if isinstance(event, StepFinished) and event.iteration == 2:
            break
    generator.close()
    assert RunFolder(study.run_dir("001-dycon")).checkpoints.load().iteration == 2


def test_a_pause_saves_and_costs_no_budget(make_study):
    study, control, rest = make_study(), Control(), 2.0
    events, started = [], time.perf_counter()
    for event in Trainer(
        study,
        "supervised",
        iterations=5,
        overrides=TINY,
        threads=1,
        device="cpu",
        control=control,
        holdout=False,
    ).run():
        events.append(event)
        if isinstance(event, StepFinished) and event.iteration == 2:
            control.pause()
            threading.Timer(rest, control.resume).start()
    assert [e.iteration for e in events if isinstance(e, CheckpointSaved)] == [2, 5]
    assert events[-1].reason == "budget"
    assert time.perf_counter() - started - events[-1].seconds >= 0.95 * rest


def test_a_budget_in_minutes_ends_and_drives_the_progress(make_study, train):
    events = train(make_study(), iterations=None, minutes=0.03, holdout=False)
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert events[-1].reason == "budget"
    assert events[-1].seconds >= 1.8
    assert steps[-1].progress == 1.0
    assert steps[0].progress < 1.0 or len(steps) == 1


def test_a_stop_ends_a_paused_run(make_study):
    study, control = make_study(), Control()
    control.pause()
    threading.Timer(0.3, control.stop).start()
    events = list(
        Trainer(study, iterations=5, overrides=TINY, threads=1, device="cpu", control=control).run()
    )
    assert events[-1].reason == "stopped"
    assert study.active_run is None


def test_a_stop_while_scans_are_prepared_leaves_no_run(make_study):
    study, control = make_study(), Control()
    control.stop()
    events = list(Trainer(study, iterations=5, overrides=TINY, control=control).run())
    assert [type(event) for event in events] == [ScanPreparation, RunFinished]
    assert events[-1].reason == "stopped"
    assert study.runs() == []


@pytest.mark.parametrize("at", [0, 1, 3])
def test_preparation_tells_how_far_it_is_and_can_be_stopped(make_study, at):
    study, control, seen = make_study(), Control(), []
    for event in Trainer(study, iterations=5, overrides=TINY, control=control).run():
        seen.append(event)
        if len(seen) > at:
            control.stop()
    assert all(isinstance(event, ScanPreparation) and event.total == 4 for event in seen[:-1])
    assert len(seen) == at + 2 and [event.done for event in seen[1:-1]] == list(range(at))
    assert seen[-1].reason == "stopped" and not study.runs()


@pytest.mark.parametrize("fault", ["gone", "replaced", "cut", "empty"])
def test_training_and_prediction_go_on_without_a_scan_and_say_why(make_study, train, fault):
    study = make_study(labelled=3)
    bad = study.cases[1].id
    path = study.scan_path(bad)
    if fault == "gone":
        path.unlink()
    elif fault == "replaced":
        save_scan(path, ball_case(77)[0])
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:500])
    else:
        path.write_bytes(b"")
    events = train(study, "supervised", iterations=1)
    assert list(events[0].left_out) == [bad] and bad in events[0].left_out[bad]
    run = RunFolder(study.run_dir(events[0].run))
    assert bad not in run.config().trained_on and read_events(run.path)[0].left_out == events[0].left_out
    end = list(predict(study, events[0].run, device="cpu", threads=1))[-1]
    assert len(end.cases) == 3 and list(end.left_out) == [bad]


def test_when_no_scan_is_left_every_reason_is_given(make_study, train):
    study = make_study()
    for record in study.cases[:2]:
        study.scan_path(record.id).unlink()
    with pytest.raises(TrainingError) as raised:
        train(study)
    assert all(record.id in str(raised.value) for record in study.cases[:2])


def test_training_again_starts_from_the_last_model(make_study, train):
    study = make_study()
    train(study, "supervised", iterations=40)
    first = losses(train(study, "dycon", iterations=2))[0]["supervised"]
    anew = losses(train(study, "dycon", iterations=2, warm_start=False))[0]["supervised"]
    assert first < 0.8 * anew
    assert RunFolder(study.run_dir("002-dycon")).config().continued_from == "001-supervised"


def test_training_again_is_judged_on_voxels_that_no_earlier_round_saw(make_study, train):
    study = make_study(cases=5, labelled=2)
    first = RunFolder(study.run_dir(train(study, iterations=1)[0].run)).config()
    record = study.cases[3]
    labels = make_labels(study, record.id)
    study.save_annotation(record.id, Annotation.full(labels), "complete")
    second = RunFolder(study.run_dir(train(study, iterations=1, seed=5)[0].run)).config()
    assert first.holdout.slices.items() <= second.holdout.slices.items()
    assert set(second.holdout.slices) - set(first.holdout.slices) == {record.id}
    assert len(second.trained_on) == 3


def test_a_structure_added_later_keeps_what_was_learned(make_study, train):
    study = make_study(labelled=3)
    train(study, "supervised", iterations=40, holdout=False)
    before = RunFolder(study.run_dir("001-supervised")).method()[1].deciders()[0]
    study.add_structure("vessel", value=1)
    events = train(study, "supervised", iterations=1, holdout=False, overrides={})
    assert any("vessel" in note for note in events[0].notes)
    assert events[0].plan["structure_values"] == [3, 7, 1]
    after = RunFolder(study.run_dir("002-supervised")).method()[1].deciders()[0]
    x = torch.randn(1, 1, 16, 16, 16)
    old, new = before(x).logits, after(x).logits
    assert new.shape[1] == 4
    torch.testing.assert_close(new[:, :3], old, atol=0.3, rtol=0.3)


def test_a_loss_that_is_not_finite_rolls_back_once_and_then_stops(make_study, monkeypatch):
    study = make_study()
    poison = {3, 6}
    original = optimisation.Optimisation.step

    def step(self, batch, iteration, progress):
        if iteration in poison:
            batch.image[:] = torch.nan
        return original(self, batch, iteration, progress)

    monkeypatch.setattr(optimisation.Optimisation, "step", step)
    training = Trainer(study, "supervised", iterations=10, overrides=TINY, threads=1, device="cpu")
    events = []
    with pytest.raises(TrainingError, match="unstable again at step 7"):
        for event in training.run():
            events.append(event)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes[0].startswith("Training became unstable at step 4")
    assert events[-1].reason == "failed"
    assert 5 in [e.iteration for e in events if isinstance(e, StepFinished)]


def test_one_bad_step_leaves_a_finite_model(make_study, monkeypatch, train):
    study = make_study()
    original = optimisation.Optimisation.step

    def step(self, batch, iteration, progress):
        if iteration == 3:
            batch.image[:] = torch.inf
        return original(self, batch, iteration, progress)

    monkeypatch.setattr(optimisation.Optimisation, "step", step)
    events = train(study, "supervised", iterations=6)
    assert events[-1].reason == "budget"
    assert all(torch.isfinite(w).all() for w in weights(study, events[0].run).values())


def test_memory_running_out_shrinks_the_patch_once(make_study, monkeypatch):
    study = make_study(shape=(40, 40, 34))
    original = optimisation.Optimisation.step

    def step(self, batch, iteration, progress):
        if batch.image[0].numel() > 16 * 32 * 32:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return original(self, batch, iteration, progress)

    monkeypatch.setattr(optimisation.Optimisation, "step", step)
    overrides = {**TINY, "patch_size": (32, 32, 32)}
    events = list(Trainer(study, "supervised", iterations=3, overrides=overrides, threads=1).run())
    assert any("Memory ran out" in e.text for e in events if isinstance(e, Note))
    assert events[-1].reason == "budget"
    assert np.prod(RunFolder(study.run_dir("001-supervised")).plan().patch_size) <= 16 * 32 * 32


def test_what_nobody_labelled_cannot_influence_training(make_study, train):
    clean, garbage = make_study(name="clean", cases=5), make_study(name="garbage", cases=5)
    random = np.random.default_rng(5)
    for record in garbage.cases[2:]:
        annotation = Annotation.empty(record.shape)
        annotation.labels[:] = random.choice([0, 3, 7], record.shape)
        garbage.save_annotation(record.id, annotation, "import")
    partial = garbage.annotation(garbage.cases[0].id)
    partial.known[:, :, ::2] = 0
    expected_partial = Annotation(np.where(partial.known > 0, partial.labels, 0), partial.known)
    clean.save_annotation(clean.cases[0].id, expected_partial, "import")
    partial.labels[partial.known == 0] = 7
    garbage.save_annotation(garbage.cases[0].id, partial, "import")
    first = train(clean, "dycon", iterations=8, holdout=False)
    second = train(garbage, "dycon", iterations=8, holdout=False)
    assert losses(first) == losses(second)
    assert "pseudo" in losses(first)[-1]
    assert same_weights(weights(clean, "001-dycon"), weights(garbage, "001-dycon"))


def test_a_few_labelled_slices_are_enough_to_train(make_study, train):
    study = make_study(labelled=0)
    for record in study.cases[:2]:
        labels = make_labels(study, record.id)
        annotation = Annotation.empty(record.shape)
        for index in (6, 9, 12):
            annotation.labels[:, :, index] = labels[:, :, index]
            annotation.complete_slice(2, index)
        study.save_annotation(record.id, annotation, "complete")
    events = train(study, "dycon", iterations=6)
    assert events[-1].reason == "budget"
    assert any("quality cannot be measured" in note for note in events[0].notes)


def make_labels(study: Study, case: str):
    image = study.volume(case).array
    return np.where(image > 210, 7, np.where(image > 150, 3, 0)).astype(np.uint8)


def test_many_complete_cases_hold_out_whole_cases(make_study, train):
    study = make_study(cases=10, labelled=10)
    events = train(study, "supervised", iterations=2)
    assert [e.where for e in events if isinstance(e, Validated)][-1] == "2 held-out cases"


def test_scans_smaller_than_the_patch_are_padded(make_study, train):
    study = make_study(shape=(11, 24, 9))
    events = train(study, "dycon", iterations=3)
    assert events[-1].reason == "budget"


def test_no_labels_is_refused_in_one_sentence(make_study, train):
    study = make_study(labelled=0)
    with pytest.raises(TrainingError, match="Nothing to learn from yet"):
        train(study)
    assert study.runs() == []


def test_an_empty_study_is_refused(tmp_path, train):
    with (
        Study.create(tmp_path / "s", [Structure(value=1, name="a")]) as study,
        pytest.raises(TrainingError, match=r"no scans|at least one|Nothing to learn"),
    ):
        train(study)


def test_a_constant_scan_is_left_out_and_said(make_study, train, tmp_path):
    from tests.engine.conftest import save_scan

    study = make_study()
    importing.add_scan(study, save_scan(tmp_path / "flat.nii.gz", np.full((24, 20, 18), 42, np.int16)))
    events = train(study, "dycon", iterations=3)
    assert any("flat" in note for note in events[0].notes)
    assert events[-1].reason == "budget"


def test_a_scan_that_is_gone_is_left_out_and_said(make_study, train):
    study = make_study(cases=4, labelled=2)
    gone = study.cases[1].id
    Path(study.scan_path(gone)).unlink()
    events = train(study, "dycon", iterations=2)
    assert any(gone in note for note in events[0].notes)
    assert events[-1].reason == "budget"


def test_a_study_that_is_open_elsewhere_is_trained_all_the_same_bit_by_bit(make_study, train):
    alone, study = make_study(name="alone"), make_study()
    expected = train(alone, iterations=4)
    with Study.open(study.path) as second:
        assert second.read_only
        events = train(second, iterations=4)
        assert losses(events) == losses(expected)
        assert same_weights(weights(alone, "001-dycon"), weights(study, events[-1].run))
        assert any("has this study open" in e.text for e in events if isinstance(e, Note))
        assert second.active_run is None and study.active_run is None
    assert study.adopt_runs() == study.active_run == "001-dycon"


def test_a_run_that_cannot_be_made_active_is_not_lost(make_study, train, monkeypatch):
    study = make_study()

    def fail(self, run):
        raise VolumeError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(Study, "set_active_run", fail)
        events = train(study, iterations=2)
    assert (
        events[-1].reason == "budget" and isinstance(events[-2], Note) and "disk is full" in events[-2].text
    )
    assert study.active_run is None
    study.close()
    with Study.open(study.path) as again:
        assert again.active_run == events[-1].run


def test_two_trainings_of_one_run_are_refused_with_a_sentence(make_study, train):
    study = make_study()
    first = Trainer(study, iterations=6, overrides=TINY, threads=1, device="cpu").run()
    for event in first:
        if isinstance(event, StepFinished) and event.iteration == 2:
            break
    with (
        Study.open(study.path, read_only=True) as second,
        pytest.raises(TrainingError, match=r"Run 001-dycon cannot be trained now: it is in use by .*process"),
    ):
        train(second, None, resume=True, run_id="001-dycon")
    assert [e.iteration for e in first if isinstance(e, StepFinished)] == [3, 4, 5, 6]


def test_a_study_whose_structures_are_being_changed_is_not_trained_from_beside(make_study, train):
    study = make_study()
    with Study.open(study.path, read_only=True) as second:
        study.add_structure("vessel")
        with pytest.raises(TrainingError, match="are being changed"):
            train(second)
    assert study.runs() == []


def test_invalid_voxels_are_repaired_and_said(make_study, train, tmp_path):
    from tests.engine.conftest import ball_case, save_scan

    study = make_study()
    image = ball_case(9)[0].astype(np.float32)
    image[3:5, 4, 5] = np.nan
    image[0, 0, 0] = np.inf
    importing.add_scan(study, save_scan(tmp_path / "holes.nii.gz", image))
    events = train(study, "dycon", iterations=6)
    assert any("holes" in note and "3 " in note for note in events[0].notes)
    assert all(np.isfinite(list(step.values())).all() for step in losses(events))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "above zero"),
        ({"iterations": 3, "minutes": 1.0}, "as minutes or as iterations"),
        ({"device": "cuda:7"}, "not available"),
        ({"overrides": {"patch_sise": 3}}, "patch_sise"),
        ({"overrides": {"method_settings": {"warmth": 1}}}, "warmth"),
        ({"resume": True}, "no unfinished training"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_made(make_study, train, options, message):
    study = make_study()
    with pytest.raises(TrainingError, match=message):
        train(study, **options)
    assert study.runs() == []


def test_an_unknown_method_is_refused(make_study, train):
    with pytest.raises(TrainingError, match="no learning method 'magic'"):
        train(make_study(), "magic")


def test_a_damaged_checkpoint_costs_only_one_generation(make_study, train):
    study = make_study()
    train(study, "supervised", iterations=4)
    folder = Path(study.run_dir("001-supervised")) / "checkpoints"
    checkpoint = CheckpointFolder(folder).load()
    CheckpointFolder(folder).save(
        type(checkpoint)(5, checkpoint.tensors, {**checkpoint.state, "seconds": 1.0})
    )
    newest = folder / "00000005.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    events = train(study, None, resume=True, iterations=6, run_id="001-supervised")
    assert [e.iteration for e in events if isinstance(e, StepFinished)] == [5, 6]
    assert any("checkpoint is damaged" in note for note in events[0].notes)


def test_a_full_disk_on_the_way_does_not_end_the_training(make_study, train, monkeypatch):
    from napari_dycon.engine import checkpoints

    study, failing = make_study(), [True]
    original = checkpoints.write_bytes_atomic

    def write(path, content):
        if failing:
            failing.pop()
            raise VolumeError("The disk is full.")
        original(path, content)

    monkeypatch.setattr(checkpoints, "write_bytes_atomic", write)
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    events = train(study, "supervised", iterations=3)
    assert any("disk is full" in e.text for e in events if isinstance(e, Note))
    assert events[-1].reason == "budget"
    assert RunFolder(study.run_dir(events[0].run)).checkpoints.load().iteration == 3


def test_a_plan_with_another_network_starts_anew(make_study, train):
    study = make_study()
    train(study, "supervised", iterations=2)
    wider = {**TINY, "network": {**TINY["network"], "widths": (8, 24)}}
    events = train(study, "supervised", iterations=2, overrides=wider)
    assert any("another network" in note for note in events[0].notes)
    assert RunFolder(study.run_dir(events[0].run)).config().continued_from is None


def test_a_failing_library_is_reported_with_its_step(make_study, monkeypatch, train):
    study = make_study()

    def step(self, batch, iteration, progress):
        raise RuntimeError("shapes differ\nmany lines of detail")

    monkeypatch.setattr(optimisation.Optimisation, "step", step)
    with pytest.raises(TrainingError, match=r"failed at step 1: shapes differ$"):
        train(study)
    assert read_events(Path(study.run_dir("001-dycon")))[-1].reason == "failed"


def test_a_run_whose_weights_do_not_fit_this_version_cannot_go_on_and_says_so(make_study, train):
    study = make_study()
    run = train(study, "supervised", iterations=3)[0].run
    plan = study.run_dir(run) / "plan.json"
    text = json.loads(plan.read_text())
    text["network"]["projection"] += 8
    plan.write_text(json.dumps(text))
    with pytest.raises(TrainingError, match=f"{run} was made by another version"):
        train(study, "supervised", iterations=6, resume=True, run_id=run, overrides={})


def test_resume_without_an_unfinished_run_says_so_and_how_to_train_on(make_study, train):
    study = make_study()
    train(study, "supervised", iterations=3)
    for budget in (None, 6):
        with pytest.raises(TrainingError, match=r"no unfinished training .* continues from the last model"):
            train(study, None, resume=True, iterations=budget)
    assert study.runs() == ["001-supervised"]


def test_resume_passes_over_finished_runs_to_the_last_unfinished_one(make_study, train):
    study, control = make_study(), Control()
    options = {"iterations": 6, "overrides": TINY, "threads": 1, "device": "cpu"}
    for event in Trainer(study, "supervised", **options, control=control).run():
        if isinstance(event, StepFinished) and event.iteration == 3:
            control.stop()
    train(study, "supervised", iterations=3)
    events = train(study, None, resume=True)
    assert events[0].run == "001-supervised" and events[-1].reason == "budget"
    with pytest.raises(TrainingError, match="no unfinished training"):
        train(study, None, resume=True)


@pytest.mark.parametrize(
    ("method", "options", "said"),
    [
        ("bcp", {}, "method supervised, not bcp"),
        (None, {"seed": 4}, "seed 0, not 4"),
        (None, {"overrides": {**TINY, "learning_rate": 0.5}}, "learning_rate 0.001, not 0.5"),
        (None, {"overrides": {"method_settings": {"alpha": 1}}}, "method_settings"),
        (None, {"overrides": {"patch_size": (8, 8, 8)}}, "patch_size"),
    ],
)
def test_a_run_does_not_go_on_in_another_way_than_it_began(make_study, method, options, said):
    study, control = make_study(), Control()
    fixed = {"overrides": TINY, "threads": 1, "device": "cpu", "control": control}
    for event in Trainer(study, "supervised", iterations=6, **fixed).run():
        if isinstance(event, StepFinished) and event.iteration == 3:
            control.stop()
    with pytest.raises(TrainingError, match=said):
        list(Trainer(study, method, resume=True, **{**fixed, "control": Control(), **options}).run())


def test_the_scans_of_a_patient_stay_together_in_a_run(make_study, train):
    study = make_study(cases=10, labelled=10)
    for record in study.cases:
        patient = f"patient-{int(record.id.rsplit('-', 1)[1]) // 2}"
        study.replace_case(record.model_copy(update={"patient": patient}))
    run = train(study, "supervised", iterations=1)[0].run
    config = RunFolder(study.run_dir(run)).config()
    patients = {record.id: record.patient for record in study.cases}
    held = {patients[case] for case in config.holdout.cases}
    assert len(config.holdout.cases) == 2 and len(held) == 1
    assert not held & {patients[case] for case in config.trained_on}


def test_looks_at_the_quality_leave_the_time_to_the_training(make_study, train, monkeypatch):
    """Of a short training on large scans, twenty looks would take most."""
    original, study = validation.Validator.run, make_study(labelled=3)

    def slow(*arguments, **options):
        time.sleep(0.5)
        return original(*arguments, **options)

    monkeypatch.setattr(validation.Validator, "run", slow)
    events = train(study, "supervised", iterations=20)
    looks = [event.iteration for event in events if isinstance(event, Validated)]
    assert looks[-1] == 20
    assert 2 <= len(looks) < 10


@pytest.mark.parametrize("times", [1, 2, 99])
def test_memory_that_runs_out_in_validation_never_ends_a_run(make_study, train, monkeypatch, times):
    study, calls = make_study(labelled=3), []
    original = validation.predict_windows

    def windows(*arguments, **options):
        calls.append(arguments)
        if len(calls) <= times:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return (yield from original(*arguments, **options))

    monkeypatch.setattr(validation, "predict_windows", windows)
    large = {**TINY, "patch_size": (32, 32, 16)}
    events = train(study, "supervised", iterations=4, overrides=large)
    assert events[-1].reason == "budget" and study.active_run == events[0].run
    told = [event for event in events if isinstance(event, Note) and "quality was measured" in event.text]
    assert bool(told) == (times > 1)
    assert any(isinstance(event, Validated) for event in events) == (times < 99)


@pytest.mark.parametrize("error", [RuntimeError("device lost"), TrainingError("no"), MemoryError()])
def test_whatever_fails_at_the_end_is_said_by_the_last_event(make_study, train, monkeypatch, error):
    study = make_study(labelled=3)

    def fail(*arguments):
        raise error

    monkeypatch.setattr(trainer, "propose", fail)
    with pytest.raises(TrainingError):
        train(study, "supervised", iterations=2)
    last = read_events(Path(study.run_dir("001-supervised")))[-1]
    assert isinstance(last, RunFinished) and last.reason == "failed"
