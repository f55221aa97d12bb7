"""Predictions lie on the scan they belong to."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_dycon.engine import inference
from napari_dycon.engine.calibration import entropy, mutual_information, temper
from napari_dycon.engine.canvas import Canvas
from napari_dycon.engine.control import Control
from napari_dycon.engine.events import CasePredicted, Note, PredictionFinished, PredictionProgress
from napari_dycon.engine.inference import Predictor, predict
from napari_dycon.engine.plan import Augmentation, Plan, change_plan
from napari_dycon.engine.runs import build_method
from napari_dycon.engine.steps import finish
from napari_dycon.engine.windows import glance, predict_windows, window_starts
from napari_dycon.errors import TrainingError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.volumes import read_volume
from napari_dycon.learning.networks import NetworkSpec, Output
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.runs import ENTROPY, probability_map
from tests.conftest import oblique_affine
from tests.engine.conftest import TINY, save_scan


class Threshold(torch.nn.Module):
    """Says that bright voxels are class 1, without having learned anything."""

    def forward(self, x, *, project=False):
        return Output(torch.cat([-20 * x, 20 * x], dim=1), None)


class Bright:
    def __init__(self):
        self.network = Threshold()

    def committee(self):
        return [self.network, Threshold()]

    def deciders(self):
        return [self.network]


def bright_plan(**changes) -> Plan:
    network = NetworkSpec(classes=2, widths=(4, 8), strides=((2, 2, 2),))
    values = {"structure_values": (9,), "structure_names": ("bright",), "network": network}
    return Plan(**{**values, "spacing": (1.0, 1.0, 1.0), "patch_size": (16, 16, 16), **changes})


@pytest.mark.parametrize("permutation", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.3, 2.1)])
def test_a_prediction_covers_what_it_saw_in_every_orientation(tmp_path, permutation, spacing):
    image = np.zeros((26, 30, 22), np.float32)
    image[6:14, 15:27, 3:12] = 100
    affine = oblique_affine(17.0, spacing)[:, [*permutation, 3]]
    volume = read_volume(save_scan(tmp_path / "a.nii.gz", image, affine))
    prediction = Predictor(bright_plan(), Bright()).volume(volume)
    truth = image > 50
    found = prediction.mask == 9
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert dice > 0.9
    assert prediction.mask.dtype == np.uint8
    assert prediction.mask.flags.c_contiguous
    assert prediction.probabilities.shape == (2, *image.shape)
    np.testing.assert_allclose(prediction.probabilities.sum(axis=0), 1, atol=1e-4)
    assert 0 <= prediction.entropy.min() <= prediction.entropy.max() <= 1
    members = Predictor(bright_plan(), Bright()).members(volume)
    np.testing.assert_allclose(mutual_information(members), 0, atol=1e-5)


def test_committee_members_who_differ_show_as_disagreement(tmp_path):
    class Torn(Bright):
        def committee(self):
            opposite = Threshold()
            opposite.forward = lambda x, *, project=False: Output(torch.cat([20 * x, -20 * x], dim=1), None)
            return [self.network, opposite]

    image = np.where(np.indices((16, 16, 16))[0] < 8, 0, 100).astype(np.float32)
    volume = read_volume(save_scan(tmp_path / "a.nii.gz", image, np.eye(4)))
    prediction = Predictor(bright_plan(), Torn()).volume(volume)
    assert mutual_information(Predictor(bright_plan(), Torn()).members(volume)).mean() > 0.9
    assert prediction.entropy.mean() > 0.9
    assert (prediction.mask[9:] == 9).all()


class Soft(torch.nn.Module):
    """Three classes, none of them certain anywhere."""

    def __init__(self, sharpness):
        super().__init__()
        self.sharpness = sharpness

    def forward(self, x, *, project=False):
        return Output(self.sharpness * torch.cat([0.3 - x, 0.4 * x, x - 0.5], dim=1), None)


class Pair:
    """Two deciders and a third network that is only asked for its opinion."""

    def __init__(self):
        self.networks = [Soft(1.0), Soft(2.5), Soft(0.2)]

    def committee(self):
        return self.networks

    def deciders(self):
        return self.networks[:2]


def soft_predictor(temperature=1.0):
    network = NetworkSpec(classes=3, widths=(4, 8), strides=((2, 2, 2),))
    plan = bright_plan(network=network, structure_values=(9, 4), structure_names=("a", "b"))
    return Predictor(plan, Pair(), temperature=temperature)


@pytest.fixture
def soft_volume(tmp_path):
    image = np.random.default_rng(0).normal(size=(24, 20, 18)).astype(np.float32)
    return read_volume(save_scan(tmp_path / "a.nii.gz", image, oblique_affine(17.0, (0.7, 1.3, 2.1))))


@pytest.mark.parametrize("temperature", [0.3, 1.7, 8.0])
def test_a_temperature_changes_how_sure_a_model_is_but_not_its_mask(soft_volume, temperature):
    plain = soft_predictor().volume(soft_volume)
    tempered = soft_predictor(temperature).volume(soft_volume)
    assert set(np.unique(plain.mask)) == {0, 4, 9}
    np.testing.assert_array_equal(tempered.mask, plain.mask)
    np.testing.assert_allclose(tempered.probabilities.sum(axis=0), 1, atol=1e-5)
    direction = np.sign(temperature - 1)
    assert (direction * (tempered.entropy - plain.entropy) > -1e-5).all()
    assert direction * (tempered.entropy.mean() - plain.entropy.mean()) > 0.01
    expected = zip(tempered.expected_dice, plain.expected_dice, strict=True)
    assert all(direction * (before - after) > 0 for after, before in expected)


def test_maps_follow_from_the_networks_of_the_committee(soft_volume):
    predictor = soft_predictor(1.7)
    prediction, members = predictor.volume(soft_volume), predictor.members(soft_volume)
    assert members.shape == (3, 3, 24, 20, 18)
    assert predictor.deciding == [0, 1]
    own, shown = temper(members[:2].mean(axis=0), 1.7), temper(members.mean(axis=0), 1.7)
    np.testing.assert_allclose(prediction.probabilities, own, atol=1e-5)
    np.testing.assert_allclose(prediction.entropy, entropy(shown), atol=1e-5)
    np.testing.assert_array_equal(prediction.mask, np.array([0, 9, 4])[own.argmax(axis=0)])


def test_mask_and_maps_on_disk_have_the_scans_oblique_affine(make_study, train, tmp_path):
    study = make_study()
    affine = oblique_affine(17.0, (1.2, 1.2, 2.0))
    image = np.random.default_rng(0).integers(0, 300, (24, 20, 18)).astype(np.int16)
    record = importing.add_scan(study, save_scan(tmp_path / "tilted.nii.gz", image, affine))
    run = train(study, "supervised", iterations=3)[0].run
    events = list(predict(study, run, [record.id], device="cpu", threads=1, probabilities=True))
    source = nib.load(tmp_path / "tilted.nii.gz")
    paths = [study.predictions.path(run, record.id), study.predictions.map_path(run, record.id, ENTROPY)]
    paths += [study.predictions.map_path(run, record.id, probability_map(s.value)) for s in study.structures]
    for path in paths:
        saved = nib.load(path)
        assert saved.shape == image.shape
        assert saved.affine.tobytes() == source.affine.tobytes()
    assert isinstance(events[-1], PredictionFinished)
    row = study.predictions.summary(run)[record.id]
    assert set(row) == {"volumes_ml", "mean_entropy", "empty", "expected_dice", "cut", "ready"}
    voxels = int((study.predictions.mask(run, record.id) == 3).sum())
    assert row["volumes_ml"]["organ"] == pytest.approx(voxels * 1.2 * 1.2 * 2.0 / 1000, abs=2e-3)


def test_progress_comes_between_windows_and_a_stop_is_heeded(make_study, train):
    study = make_study()
    run = train(study, "supervised", iterations=2)[0].run
    control, events = Control(), []
    for event in predict(study, run, device="cpu", control=control, threads=1):
        events.append(event)
        if isinstance(event, PredictionProgress) and event.done == 1:
            control.stop()
    assert [e.case for e in events if isinstance(e, CasePredicted)] == [study.cases[0].id]
    assert events[-1] == PredictionFinished(run, (study.cases[0].id,), True)
    fractions = [e.fraction for e in events if isinstance(e, PredictionProgress)]
    assert fractions == sorted(fractions)
    assert study.predictions.mask(run, study.cases[1].id) is None


def test_a_scan_that_is_gone_does_not_stop_the_others(make_study, train, tmp_path):
    study = make_study()
    run = train(study, "supervised", iterations=2)[0].run
    Path(study.scan_path(study.cases[0].id)).unlink()
    events = list(predict(study, run, device="cpu", threads=1))
    assert any(e.text.startswith(study.cases[0].id) for e in events if isinstance(e, Note))
    assert len(events[-1].cases) == 3


def test_predicting_without_a_model_or_case_is_refused(make_study, train):
    study = make_study()
    run = train(study, "supervised", iterations=1)[0].run
    with pytest.raises(TrainingError, match="no case nobody"):
        list(predict(study, run, ["nobody"], device="cpu"))
    for path in (Path(study.run_dir(run)) / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(TrainingError, match="no checkpoint"):
        list(predict(study, run, device="cpu"))


@pytest.mark.parametrize(("shape", "patch"), [((20, 20, 20), (16, 16, 16)), ((50, 16, 33), (16, 16, 16))])
def test_windows_cover_everything_and_stay_inside(shape, patch):
    seen = np.zeros(shape, int)
    for start in window_starts(shape, patch, 0.5):
        window = tuple(slice(s, s + p) for s, p in zip(start, patch, strict=True))
        assert seen[window].shape == patch
        seen[window] += 1
    assert seen.min() >= 1


def test_windows_agree_with_predicting_at_once():
    plan = bright_plan(patch_size=(16, 16, 16))
    image = np.random.default_rng(0).normal(size=(1, 21, 30, 9)).astype(np.float16)
    steps = predict_windows([Threshold()], image, plan, "cpu")
    fractions = []
    while True:
        try:
            fractions.append(next(steps))
        except StopIteration as end:
            result = end.value
            break
    assert fractions[-1] == 1.0
    expected = torch.sigmoid(40 * torch.from_numpy(image[0].astype(np.float32)))
    torch.testing.assert_close(result[0, 1], expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("single", "left"), [((), 3), ((9,), 1)])
def test_far_pieces_are_taken_away_where_a_structure_is_always_one(tmp_path, single, left):
    image = np.zeros((30, 26, 22), np.float32)
    for place, side in ((4, 9), (17, 3), (24, 4)):
        image[place : place + side, 5 : 5 + side, 5 : 5 + side] = 100
    volume = read_volume(save_scan(tmp_path / "a.nii.gz", image, oblique_affine(17.0, (0.7, 1.3, 2.1))))
    mask = Predictor(bright_plan(single=single), Bright()).volume(volume).mask
    assert ndimage.label(mask)[1] == left
    assert mask[8, 9, 9] == 9


def test_pieces_too_small_to_be_one_are_taken_away(tmp_path):
    image = np.zeros((30, 26, 22), np.float32)
    for place, side in ((4, 9), (16, 3), (23, 5)):
        image[place : place + side, 5 : 5 + side, 5 : 5 + side] = 100
    volume = read_volume(save_scan(tmp_path / "a.nii.gz", image, np.diag([0.7, 1.3, 2.1, 1.0])))
    every = Predictor(bright_plan(), Bright()).volume(volume).mask
    for voxels, left in ((20, 3), (100, 2), (600, 1), (5000, 0)):
        specks = {9: voxels * 0.7 * 1.3 * 2.1, 5: 1e6}
        mask = Predictor(bright_plan(specks=specks), Bright()).volume(volume).mask
        assert ndimage.label(mask)[1] == left
        assert np.all(every[mask > 0] == mask[mask > 0])


class Counting(Threshold):
    """Counts how many windows it is shown."""

    def __init__(self):
        super().__init__()
        self.shown = 0

    def forward(self, x, *, project=False):
        self.shown += 1
        return super().forward(x)


def large_scan_with_two_small_structures():
    random = np.random.default_rng(0)
    image = np.full((150, 140, 100), -9, np.float16)
    image[10:140, 20:130, 8:90] = -1 - random.random((130, 110, 82))
    image[30:33, 40:43, 20:23] = 1
    image[118:123, 101:104, 79:82] = 1
    return image[None]


def test_a_large_scan_is_looked_at_closely_only_where_something_may_be():
    plan, network = bright_plan(), Counting()
    image = large_scan_with_two_small_structures()
    everywhere = len(window_starts(image.shape[1:], plan.patch_size, plan.overlap)) * len(plan.views)
    places = finish(glance([network], image, plan, "cpu"))
    found = finish(predict_windows([network], image, plan, "cpu", views=plan.views, places=places))
    np.testing.assert_array_equal(found[0].argmax(0).numpy(), image[0] > 0)
    torch.testing.assert_close(found.sum(1), torch.ones_like(found[:, 0]))
    assert network.shown < everywhere / 8
    rows = finish(predict_windows([network], image, plan, "cpu", places=places, rows=slice(25, 90)))
    np.testing.assert_allclose(rows[0, 1], found[0, 1, 25:90], atol=1e-5)


def test_the_air_around_a_body_is_not_looked_at():
    plan, network = bright_plan(), Counting()
    image = np.full((150, 140, 100), -9, np.float16)
    image[60:124, 60:110, 30:80] = -1 - np.random.default_rng(0).random((64, 50, 50))
    assert finish(glance([network], image[None], plan, "cpu")) == []
    assert 0 < network.shown <= 6 * 5 * 5


def test_a_small_scan_is_looked_at_everywhere_at_once():
    plan, network = bright_plan(), Counting()
    image = np.random.default_rng(0).normal(size=(1, 40, 32, 30)).astype(np.float16)
    assert finish(glance([network], image, plan, "cpu")) == window_starts(
        image.shape[1:], plan.patch_size, 0.5
    )
    assert network.shown == 0


class Lopsided(torch.nn.Module):
    """Believes what lies at low indices more."""

    def forward(self, x, *, project=False):
        ramp = sum(
            torch.linspace(1, -1, n).reshape([-1, *[1] * (4 - a)]) for a, n in enumerate(x.shape[2:], 2)
        )
        return Output(torch.cat([-x, x + ramp], dim=1), None)


@pytest.mark.parametrize("mirror", [(True, True, True), (True, False, False), (False, False, False)])
def test_the_mean_over_mirrored_views_takes_sides_as_little_as_training_did(mirror):
    plan = bright_plan(augmentation=Augmentation(mirror=mirror))
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 16)).astype(np.float16)

    def probability(scan, views):
        return finish(predict_windows([Lopsided()], scan, plan, "cpu", views=views)).numpy()[0, 1]

    found = probability(image, plan.views)
    single = [
        np.flip(probability(np.flip(image, [1 + axis for axis in view]).copy(), ((),)), view)
        for view in plan.views
    ]
    np.testing.assert_allclose(found, np.mean(single, axis=0), atol=1e-6)
    assert len(plan.views) == 1 + sum(mirror)
    assert change_plan(plan, {"averaged": False}).views == ((),)


def test_a_final_mask_is_the_mean_over_views(tmp_path):
    class Seesaw(Bright):
        def committee(self):
            return [self.network]

    method = Seesaw()
    method.network = Lopsided()
    image = np.zeros((16, 16, 16), np.float32)
    image[0, 0, 0] = 1
    volume = read_volume(save_scan(tmp_path / "a.nii.gz", image, np.diag([-1.0, -1.0, 1.0, 1.0])))
    alone = change_plan(bright_plan(), {"augmentation": {"mirror": (True, False, False)}, "averaged": False})
    ways = [Predictor(change_plan(alone, {"averaged": on}), method).volume(volume) for on in (False, True)]
    asymmetry = [float(np.abs(p - p[::-1])[:, 1:].max()) for p in (way.probabilities[1] for way in ways)]
    assert asymmetry[0] > 0.2
    assert asymmetry[1] < 1e-3


def test_a_models_committee_is_teacher_and_student():
    method = build_method("mean_teacher", bright_plan())
    assert len(Predictor(bright_plan(), method)._committee) == 2


@pytest.mark.parametrize(
    "predictor", [soft_predictor(1.7), Predictor(bright_plan(spacing=(2.0, 1.0, 1.0)), Bright())]
)
def test_a_scan_in_parts_that_fit_into_little_memory_gives_the_same(monkeypatch, tmp_path, predictor):
    image = np.random.default_rng(0).normal(size=(70, 20, 18)).astype(np.float32)
    volume = read_volume(save_scan(tmp_path / "a.nii.gz", image, oblique_affine(17.0, (1.1, 1.3, 2.1))))
    whole, parts = predictor.volume(volume), []
    monkeypatch.setattr(inference, "free_memory", lambda: 4_000_000)
    original = inference.predict_windows

    def counted(*arguments, rows, **options):
        parts.append(rows)
        return original(*arguments, rows=rows, **options)

    monkeypatch.setattr(inference, "predict_windows", counted)
    again = predictor.volume(volume)
    assert len(parts) > 1 and max(rows.stop - rows.start for rows in parts) < 40
    np.testing.assert_array_equal(again.mask, whole.mask)
    np.testing.assert_allclose(again.entropy, whole.entropy, atol=1e-5)
    np.testing.assert_allclose(again.probabilities, whole.probabilities, atol=1e-5)
    assert again.expected_dice == pytest.approx(whole.expected_dice, rel=1e-5)


@pytest.mark.parametrize("structures", [1, 20, 60])
def test_the_parts_of_a_large_scan_fit_into_memory_however_many_structures_there_are(structures):
    values = tuple(range(1, structures + 1))
    plan = bright_plan(
        network=NetworkSpec(classes=structures + 1, widths=(4, 8), strides=((2, 2, 2),)),
        structure_values=values,
        structure_names=tuple(map(str, values)),
        patch_size=(160, 160, 96),
    )
    geometry = Geometry((512, 512, 300), np.diag([0.7, 0.7, 1.0, 1.0]))
    memory = 4 * 2**30
    canvas = Canvas(plan, 1.0, geometry, (256, 256, 160), keep=False)
    blocks = canvas.blocks(2, memory)
    assert blocks[0].start == 0 and blocks[-1].stop == geometry.shape[0]
    thickest = max(rows.stop - rows.start for rows in blocks)
    accumulated = 4 * 2 * (structures + 1) * (thickest / 2 + 2) * 256 * 160
    slabs = [slab for rows in blocks for slab in canvas.slabs(rows, memory)]
    assert [slab.start for slab in slabs[1:]] == [slab.stop for slab in slabs[:-1]]
    assert slabs[0].start == 0 and slabs[-1].stop == geometry.shape[0]
    assert accumulated + 4 * 8 * max(slab.stop - slab.start for slab in slabs) * 512 * 300 < memory
    assert len(blocks) <= 8


def test_a_prediction_takes_two_gigabytes_of_many_and_less_when_these_were_too_many(monkeypatch, tmp_path):
    monkeypatch.setattr(inference, "free_memory", lambda: 2**40)
    original, asked = Canvas.blocks, []

    def blocks(canvas, groups, memory):
        asked.append(memory)
        return original(canvas, groups, memory)

    monkeypatch.setattr(Canvas, "blocks", blocks)
    volume = read_volume(save_scan(tmp_path / "a.nii.gz", np.zeros((20, 20, 20), np.float32)))
    predictor = Predictor(bright_plan(), Bright())
    predictor.volume(volume)
    predictor.smaller().volume(volume)
    assert asked == [pytest.approx(2 * 2**30), pytest.approx(2**29)]


def out_of_memory(monkeypatch, failing):
    """Memory runs out as often as `failing` says, in every case of that number."""
    original = inference.predict_windows

    def windows(networks, image, plan, *arguments, **options):
        if failing(plan):
            raise MemoryError
        return (yield from original(networks, image, plan, *arguments, **options))

    monkeypatch.setattr(inference, "predict_windows", windows)


def test_where_memory_runs_out_a_scan_is_predicted_once_more_in_smaller_windows(
    make_study, train, monkeypatch
):
    study = make_study(cases=2)
    large = {**TINY, "patch_size": (32, 32, 32)}
    run = train(study, "supervised", iterations=2, overrides=large)[0].run
    out_of_memory(monkeypatch, lambda plan: max(plan.patch_size) > 31 and plan.patch_size[0] > 16)
    events = list(predict(study, run, device="cpu", threads=1))
    assert len(events[-1].cases) == 2 and not events[-1].left_out


def test_a_scan_that_does_not_fit_into_memory_fails_alone(make_study, train, monkeypatch):
    study, calls = make_study(cases=3), []
    run = train(study, "supervised", iterations=2)[0].run

    def second_case(plan):
        calls.append(plan)
        return len(calls) in (2, 3)

    out_of_memory(monkeypatch, second_case)
    end = list(predict(study, run, device="cpu", threads=1))[-1]
    assert end.cases == (study.cases[0].id, study.cases[2].id)
    assert "not enough memory" in end.left_out[study.cases[1].id]
