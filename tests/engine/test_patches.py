"""What one training step is given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_dycon.engine import patches
from napari_dycon.engine.augmentation import identity_warp, perturb, random_warp, sample_patch
from napari_dycon.engine.patches import PatchSampler, TrainingCase
from napari_dycon.engine.plan import Augmentation, Plan
from napari_dycon.learning.batch import IGNORE, UNKNOWN
from napari_dycon.learning.networks import NetworkSpec


def plan_with(**changes) -> Plan:
    network = NetworkSpec(classes=3, widths=(4, 8), strides=((2, 2, 2),))
    values = {"structure_values": (1, 2), "structure_names": ("a", "b"), "network": network}
    return Plan(**{**values, "spacing": (1.0, 1.0, 2.0), "patch_size": (16, 16, 8), **changes})


def case_with(target, unlabelled=False, seed=0):
    image = np.random.default_rng(seed).normal(size=(1, *target.shape)).astype(np.float16)
    return TrainingCase(image, target, unlabelled)


def blob(shape=(30, 28, 20), tiny=False):
    target = np.zeros(shape, np.uint8)
    target[8:20, 8:20, 5:12] = 1
    if tiny:
        target[26, 26, 18] = 2
    return target


def test_a_batch_depends_on_seed_and_iteration_alone():
    cases = [case_with(blob()), case_with(np.full((20, 20, 20), 255, np.uint8), True)]
    cases.append(TrainingCase(cases[1].image, None, True))
    one, other = PatchSampler(cases, plan_with(), 3), PatchSampler(cases, plan_with(), 3)
    one.batch(4)
    torch.rand(3)
    a, b = one.batch(9), other.batch(9)
    for name in ("image", "target", "weak", "strong"):
        assert torch.equal(getattr(a, name), getattr(b, name))
    assert not torch.equal(a.image, one.batch(10).image)
    assert not torch.equal(a.image, PatchSampler(cases, plan_with(), 4).batch(9).image)


def test_batches_made_ahead_are_the_same():
    sampler = PatchSampler([case_with(blob())], plan_with(), 0)
    ahead = sampler.batches(2, ahead=3)
    assert all(torch.equal(next(ahead).image, sampler.batch(i).image) for i in range(2, 7))


def test_every_labelled_patch_has_known_voxels():
    target = np.full((60, 60, 40), 255, np.uint8)
    target[30, 31, 20] = 1
    sampler = PatchSampler([case_with(target)], plan_with(), 0)
    for iteration in range(40):
        assert (sampler.batch(iteration).target < 254).flatten(1).any(1).all()


def test_a_tiny_structure_is_seen_as_often_as_a_large_one():
    sampler = PatchSampler([case_with(blob(tiny=True))], plan_with(augmentation=still()), 0)
    batches = [sampler.batch(iteration).target for iteration in range(60)]
    share = torch.cat([(target == 2).flatten(1).any(1) for target in batches]).float().mean()
    assert share > 0.2


def test_a_structure_of_one_case_is_found_among_many():
    cases = [case_with(blob()) for _ in range(19)] + [case_with(blob(tiny=True))]
    sampler = PatchSampler(cases, plan_with(augmentation=still()), 0)
    seen = [(sampler.batch(iteration).target == 2).any() for iteration in range(30)]
    assert sum(map(int, seen)) >= 5


def test_a_small_piece_is_seen_beside_a_large_one_of_the_same_structure():
    target = np.zeros((60, 60, 40), np.uint8)
    target[4:40, 4:40, 4:36] = 1
    target[54:57, 54:57, 35:38] = 1
    image = np.zeros((1, *target.shape), np.float16)
    image[0, 54:57, 54:57, 35:38] = 100
    sampler = PatchSampler(
        [TrainingCase(image, target, False)], plan_with(augmentation=still(), foreground_share=1.0), 0
    )
    seen = [(sampler.batch(i).image > 50).flatten(1).any(1).float().mean() for i in range(100)]
    assert 0.03 < np.mean(seen) < 0.3


def test_many_voxels_are_remembered_by_piece_too(monkeypatch):
    monkeypatch.setattr(patches, "REMEMBERED_VOXELS", 200)
    target = np.zeros((60, 60, 40), np.uint8)
    target[4:40, 4:40, 4:36] = 1
    target[54:57, 54:57, 35:38] = 1
    found = patches._centres(target[None].astype(np.float16), target, np.random.default_rng(0))
    drawn = [np.unravel_index(found[1].draw(np.random.default_rng(i)), target.shape) for i in range(400)]
    assert all(target[place] == 1 for place in drawn)
    assert 0.03 < np.mean([place[0] >= 54 for place in drawn]) < 0.3
    known = [np.unravel_index(found[-1].draw(np.random.default_rng(i)), target.shape) for i in range(400)]
    assert len(set(known)) > 100


def test_no_patch_is_spent_on_the_air_around_a_body():
    image = np.zeros((1, 80, 80, 40), np.float16)
    image[0, 50:70, 50:70, 10:30] = 1 + np.random.default_rng(0).random((20, 20, 20))
    target = np.zeros(image.shape[1:], np.uint8)
    target[55:57, 55:57, 15:17] = 1
    sampler = PatchSampler(
        [TrainingCase(image, target, False)], plan_with(augmentation=still(), foreground_share=0.0), 0
    )
    assert all((sampler.batch(i).image > 0).flatten(1).any(1).all() for i in range(40))
    assert any((sampler.batch(i).image == 0).any() for i in range(40))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="what is mapped is read from /proc")
def test_scans_that_are_read_from_files_do_not_gather_in_memory(tmp_path):
    def in_memory() -> float:
        status = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("RssFile")) / 2**10

    cases = []
    for number in range(4):
        for kind in (np.float16, np.uint8):
            shape = (1, 200, 200, 200) if kind is np.float16 else (200, 200, 200)
            np.save(tmp_path / f"{number}{np.dtype(kind)}.npy", np.ones(shape, kind))
        image, target = (
            np.load(tmp_path / f"{number}{kind}.npy", mmap_mode="r") for kind in ("float16", "uint8")
        )
        cases += [TrainingCase(image, target, False), TrainingCase(image, None, True)]
    before = in_memory()
    sampler = PatchSampler(cases, plan_with(), 0)
    for iteration in range(100):
        sampler.batch(iteration)
    assert in_memory() - before < 30


def test_nothing_is_learned_from_outside_the_scan():
    target = np.ones((10, 10, 6), np.uint8)
    cases = [case_with(target), TrainingCase(np.zeros((1, 10, 10, 6), np.float16), None, True)]
    batch = PatchSampler(cases, plan_with(augmentation=still()), 0).batch(0)
    patch = batch.target[0]
    assert (patch == 1).sum() == 600
    assert (patch == IGNORE).sum() == patch.numel() - 600
    assert batch.inside.shape == batch.weak[:, 0].shape
    assert (batch.inside[0].sum(), batch.blank[0].eq(UNKNOWN).sum()) == (600, 600)


def test_the_scan_within_a_warped_patch_is_where_its_labels_are():
    """An unlabelled scan and one labelled everywhere say the same of what lies outside."""
    image, target = np.zeros((1, 14, 12, 9), np.float16), np.ones((14, 12, 9), np.uint8)
    for seed in range(10):
        warp = random_warp(Augmentation(elastic_p=1.0), (1.0, 1.0, 2.0), np.random.default_rng(seed))
        _, labels, _ = sample_patch(image, target, (7, 6, 4), (16, 16, 16), warp)
        _, blank, _ = sample_patch(image, None, (7, 6, 4), (16, 16, 16), warp)
        assert set(blank.unique().tolist()) == {UNKNOWN, IGNORE}
        assert torch.equal(labels == 1, blank == UNKNOWN)


@pytest.mark.parametrize(("depth", "least"), [(3, 3), (5, 5), (7, 6), (8, 7), (9, 7)])
def test_a_scan_as_deep_as_a_patch_does_not_always_lie_in_the_same_place(depth, least):
    """Else a network learns which slices are labelled: with every second one, to see structures by turns."""
    target = np.ones((16, 16, depth), np.uint8)
    target[:, :, ::2] = 2
    cases = [case_with(target), TrainingCase(np.zeros((1, 16, 16, depth), np.float16), None, True)]
    sampler = PatchSampler(cases, plan_with(augmentation=still()), 0)
    batches = [sampler.batch(iteration) for iteration in range(40)]
    in_the_middle = {int(batch.target[0, 8, 8, 4]) for batch in batches}
    assert in_the_middle - {IGNORE} == {1, 2}
    for inside in (batch.target[0, 8, 8] != IGNORE for batch in batches):
        assert least <= int(inside.sum()) <= depth
    assert len({tuple(batch.inside[0, 8, 8].tolist()) for batch in batches}) > 1


def test_there_is_no_unlabelled_stream_without_unlabelled_scans():
    batch = PatchSampler([case_with(blob())], plan_with(), 0).batch(0)
    assert batch.weak is None
    assert batch.strong is None


def test_weak_and_strong_views_show_the_same_place():
    cases = [case_with(blob()), TrainingCase(case_with(blob(), seed=1).image, None, True)]
    quiet = {name: 0.0 for name in Augmentation.model_fields if name.endswith("_p")}
    geometric = {**quiet, "rotation_p": 1.0, "scale_p": 1.0}
    plan = plan_with(augmentation=Augmentation(**geometric))
    batch = PatchSampler(cases, plan, 0).batch(0)
    assert torch.equal(batch.weak, batch.strong)
    loud = plan_with(augmentation=Augmentation(**{**geometric, "noise_p": 1.0}))
    noisy = PatchSampler(cases, loud, 0).batch(0)
    assert torch.equal(noisy.weak, batch.weak)
    assert not torch.equal(noisy.weak, noisy.strong)


def test_no_known_voxel_is_an_error():
    with pytest.raises(ValueError, match="known"):
        PatchSampler([TrainingCase(np.zeros((1, 8, 8, 8), np.float16), None, True)], plan_with(), 0)


def still() -> Augmentation:
    names = [name for name in Augmentation.model_fields if name.endswith("_p")]
    return Augmentation(mirror=(False, False, False), **dict.fromkeys(names, 0.0))


def test_a_crop_without_augmentation_is_exact():
    image = np.random.default_rng(0).normal(size=(1, 20, 21, 22)).astype(np.float16)
    target = np.random.default_rng(1).integers(0, 3, image.shape[1:]).astype(np.uint8)
    patch, labels, _ = sample_patch(image, target, (9.5, 10.5, 8.5), (8, 8, 8), identity_warp())
    np.testing.assert_allclose(patch, image[:, 6:14, 7:15, 5:13].astype(np.float32), atol=2e-3)
    assert np.array_equal(labels, target[6:14, 7:15, 5:13])


def test_image_and_labels_move_together():
    """A scan that shows its own label map must still do so after any warp."""
    target = np.zeros((40, 36, 30), np.uint8)
    target[10:28, 12:25, 8:20] = 1
    random = np.random.default_rng(0)
    for _ in range(10):
        warp = random_warp(Augmentation(elastic_p=1.0), (1.0, 1.0, 2.0), random)
        patch, labels, _ = sample_patch(
            target[None].astype(np.float16), target, (19, 18, 14), (32, 32, 24), warp
        )
        known = labels < 254
        wrong = ((patch > 0.5) != (labels == 1)) & known
        assert wrong.float().mean() < 0.03


NO_GREYS = dict.fromkeys(("bias_p", "contrast_p", "gamma_p", "noise_p", "cutout_p"), 0.0)


class Extreme:
    """A random generator that always draws the most."""

    def random(self):
        return 0.0

    def uniform(self, low, high):
        return high


def test_rotation_respects_thick_slices():
    """90 degrees about x on 1 x 1 x 2 mm voxels: 8 voxels of y are 4 of z."""
    settings = Augmentation(mirror=(False,) * 3, rotation=(90.0, 0, 0), rotation_p=1, scale_p=0, elastic_p=0)
    warp = random_warp(settings, (1.0, 1.0, 2.0), Extreme())
    moved = warp.matrix @ np.array([0.0, 8.0, 0.0])
    np.testing.assert_allclose(np.abs(moved), [0, 0, 4], atol=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_thick_slices_are_never_mixed(axis):
    """A stack whose slices are of one grey each still is one after turning, zoom, displacement and blur."""
    greys = np.arange(1, 13, dtype=np.float16)
    scan = np.broadcast_to(greys.reshape([-1 if a == axis else 1 for a in range(3)]), (12, 12, 12)).copy()
    flat = tuple(other == axis for other in range(3))
    rotation = tuple(30.0 if across else 0.0 for across in flat)
    blurred = Augmentation(
        flat=flat, rotation=rotation, elastic_p=1, blur_p=1, low_resolution_p=1, **NO_GREYS
    )
    spacing = tuple(10.0 if across else 1.0 for across in flat)
    for seed in range(10):
        random = np.random.default_rng(seed)
        patch, _, _ = sample_patch(
            scan[None], None, (5.5, 5.5, 5.5), scan.shape, random_warp(blurred, spacing, random)
        )
        slices = perturb(patch, blurred, random)[0].movedim(axis, 0).flatten(1)
        found = slices[:, 0].round() if slices[0, 0] < slices[-1, 0] else slices[:, 0].flip(0).round()
        assert torch.allclose(slices, slices[:, :1].expand_as(slices), atol=1e-3)
        assert found.tolist() == greys.tolist()


def test_intensity_changes_leave_the_input_and_stay_finite():
    patch = torch.randn(1, 16, 18, 10)
    before = patch.clone()
    names = [name for name in Augmentation.model_fields if name.endswith("_p")]
    everything = Augmentation(**dict.fromkeys(names, 1.0))
    for seed in range(20):
        changed = perturb(patch, everything, np.random.default_rng(seed))
        assert changed.shape == patch.shape
        assert torch.isfinite(changed).all()
        assert not torch.equal(changed, patch)
    assert torch.equal(patch, before)
    assert torch.isfinite(perturb(torch.zeros(1, 8, 8, 8), everything, np.random.default_rng(0))).all()


def weighted(seed=0):
    """A scan whose label, weight and image say the same of every voxel."""
    target = blob()
    weight = np.where(target == 1, 0.5, 1).astype(np.float16)
    return TrainingCase((target == 1)[None].astype(np.float16), target, False, weight)


def test_weights_move_with_the_labels():
    sampler = PatchSampler([weighted()], plan_with(), 0)
    for iteration in range(12):
        batch = sampler.batch(iteration)
        inside = batch.target == 1
        assert batch.weight.dtype == torch.float32
        assert (batch.weight[inside] == 0.5).all() and (batch.weight[~inside] == 1).all()


def test_without_lesser_weights_there_are_none_and_batches_are_the_same():
    plain = PatchSampler([case_with(blob())], plan_with(), 0)
    weighed = PatchSampler(
        [replace(case_with(blob()), weight=np.ones((30, 28, 20), np.float16))], plan_with(), 0
    )
    lesser = PatchSampler([replace(case_with(blob()), weight=weighted().weight)], plan_with(), 0)
    for iteration in range(6):
        one, two, three = (sampler.batch(iteration) for sampler in (plain, weighed, lesser))
        assert one.weight is None and two.weight is None
        assert torch.equal(one.image, three.image) and torch.equal(one.target, three.target)


def test_a_patch_without_weights_weighs_one_beside_one_with_them():
    cases = [weighted(), case_with(blob())]
    batches = [PatchSampler(cases, plan_with(batch_labelled=4), 0).batch(i) for i in range(6)]
    patches = torch.cat([batch.weight for batch in batches if batch.weight is not None])
    lowest = patches.flatten(1).amin(1)
    assert set(lowest.tolist()) == {0.5, 1.0}


def filled(value, size=24):
    """A scan of one shade, labelled with one structure throughout."""
    image = np.full((1, size, size, size), value, np.float16)
    return image, np.full((size, size, size), value, np.uint8)


def also_by_the_model():
    """One scan labelled 1 by a person, and one that nobody labelled but the model, with 2."""
    image, made = filled(2)
    return [
        TrainingCase(*filled(1), False),
        TrainingCase(image, None, False, own=TrainingCase(image, made, False)),
    ]


def test_what_the_model_made_of_a_scan_goes_once_a_person_labels_it():
    sampler = PatchSampler(also_by_the_model(), plan_with(augmentation=still()), 0)
    image, drawn = filled(2)
    joined = sampler.with_cases({1: TrainingCase(image, np.zeros_like(drawn), False)})
    seen = {int(patch.min()) for i in range(6) for patch in joined.batch(i, (4, 0)).target}
    assert seen == {0, 1}


@pytest.mark.parametrize(("count", "own"), [(1, 0), (2, 1), (3, 1), (4, 1), (8, 2), (16, 4)])
def test_the_last_quarter_of_the_labelled_patches_is_what_the_model_labelled_by_itself(count, own):
    sampler = PatchSampler(also_by_the_model(), plan_with(augmentation=still()), 0)
    for iteration in range(3):
        target = sampler.batch(iteration, (count, 0)).target
        assert [int(patch.min()) for patch in target] == [1] * (count - own) + [2] * own


def test_what_a_person_drew_of_a_structure_that_the_model_never_predicts_is_still_looked_for():
    plan = plan_with(augmentation=still(), foreground_share=1.0)
    sampler = PatchSampler(also_by_the_model(), plan, 0)
    assert all(int(sampler.batch(i, (4, 0)).target[3].min()) == 2 for i in range(4))
