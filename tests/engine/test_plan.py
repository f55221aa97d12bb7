"""Plans for studies of every kind, on every machine."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from napari_dycon.engine import setup
from napari_dycon.engine.fingerprint import CaseFingerprint, Fingerprint, fingerprint_study
from napari_dycon.engine.intensity import Intensity, normalise
from napari_dycon.engine.plan import Machine, Plan, change_plan, make_plan, smaller_patch
from napari_dycon.errors import TrainingError
from napari_dycon.learning.methods.base import get_method
from napari_dycon.learning.networks import build_network
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.preflight import MOST_CPU_VOXELS
from napari_dycon.study.truth.annotations import Annotation
from tests.engine.conftest import TINY, save_scan

CPU = Machine(device="cpu", memory=16 * 2**30, cores=4)
GPU = Machine(device="cuda", memory=24 * 2**30, cores=8, bfloat16=True)
MPS = Machine(device="mps", memory=16 * 2**30, cores=8)


def study_of(shape, spacing=(1.0, 1.0, 1.0), names=("organ",), cases=5):
    return Fingerprint(
        cases=tuple(
            CaseFingerprint(case=f"c{i}", shape=shape, spacing=spacing, known_fraction=0)
            for i in range(cases)
        ),
        structures=tuple((i + 1, name) for i, name in enumerate(names)),
    )


@pytest.mark.parametrize("machine", [CPU, GPU, MPS], ids=lambda m: m.device)
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((96, 71, 44), (1.25, 1.25, 1.25)),
        ((35, 50, 35), (1.0, 1.0, 1.0)),
        ((512, 512, 90), (0.7, 0.7, 5.0)),
        ((20, 256, 256), (6.0, 0.9, 0.9)),
        ((5, 9, 7), (1.0, 1.0, 1.0)),
        ((400, 30, 30), (0.5, 0.5, 0.5)),
        ((1000, 1000, 1000), (0.1, 0.1, 0.1)),
    ],
)
def test_every_plan_can_be_built_and_fits(shape, spacing, machine):
    plan = make_plan(study_of(shape, spacing), machine)
    extent = np.array(shape) * spacing
    size = extent / plan.spacing
    divisor = build_network(plan.network.model_copy(update={"widths": (4,) * len(plan.network.widths)})).spec
    assert all(side % d == 0 for side, d in zip(plan.patch_size, divisor.divisor, strict=True))
    assert all(side <= max(16, n + 1) for side, n in zip(plan.patch_size, size, strict=True))
    if machine.device == "cpu":
        assert math.prod(size) <= 1.05 * 96 * 96 * 64
        assert math.prod(plan.patch_size) <= 96 * 64 * 40


def test_only_small_scans_begin_at_full_resolution_on_a_cpu():
    small, large = (make_plan(study_of(shape), CPU).network for shape in ((35, 50, 35), (96, 71, 44)))
    assert small.strides[0] == (1, 1, 1)
    assert large.strides[0] == (2, 2, 2)


def test_a_patch_fits_a_network_set_by_hand():
    strides = [[2, 2, 2], [2, 2, 2], [2, 2, 2]]
    wishes = {"network": {"strides": strides, "widths": [4, 8, 16, 32]}}
    plan = make_plan(study_of((48, 35, 22)), CPU, wishes)
    assert plan.patch_size == (48, 32, 16)
    assert make_plan(study_of((48, 35, 22)), CPU, {"patch_size": (32, 32, 16)}).patch_size == (32, 32, 16)
    thick = make_plan(study_of((216, 256, 9), (1.5, 1.5, 10.0)), CPU, {**wishes, "patch_size": (64, 64, 8)})
    assert build_network(thick.network)(torch.zeros(1, 1, 64, 64, 8)).logits.shape[2:] == (64, 64, 8)


def test_thick_slices_are_halved_later_and_turned_less():
    plan = make_plan(study_of((256, 256, 20), (0.9, 0.9, 6.0)), GPU)
    assert plan.network.strides[:2] == ((1, 1, 1), (2, 2, 1))
    assert plan.network.strides[-1][2] == 2 or plan.network.divisor[2] < plan.network.divisor[0]
    assert plan.augmentation.rotation[2] > plan.augmentation.rotation[0]


@pytest.mark.parametrize("axis", [0, 2])
def test_a_stack_of_thick_slices_is_taken_whole_and_seen_from_afar(axis):
    """A cine stack of the heart: no padding across ten slices, and as deep a network as for a cube."""
    shape, spacing = [(216, 256, 9), (1.5, 1.5, 10.0)]
    turned = [tuple(np.roll(sizes, axis - 2).tolist()) for sizes in (shape, spacing)]
    plan = make_plan(study_of(*turned), CPU)
    kernels = [kernel[axis] for kernel in plan.network.kernels]
    assert plan.patch_size[axis] in (8, 10)
    assert math.prod(plan.network.divisor) >= 8**3
    assert kernels[0] == 1
    assert kernels[-1] == 3
    assert list(plan.augmentation.flat) == [other == axis for other in range(3)]
    assert [angle == 0 for angle in plan.augmentation.rotation] == [other != axis for other in range(3)]


def test_one_slice_is_a_scan():
    plan = make_plan(study_of((200, 200, 1), (1.0, 1.0, 5.0)), CPU)
    assert plan.patch_size[2] == 1
    assert (
        build_network(plan.network)(torch.zeros(1, 1, *plan.patch_size)).logits.shape[2:] == plan.patch_size
    )


def test_precision_and_size_follow_the_machine():
    fingerprint = study_of((190, 140, 88), (0.625, 0.625, 0.625))
    cpu, gpu, mps = (make_plan(fingerprint, machine) for machine in (CPU, GPU, MPS))
    old_card = make_plan(fingerprint, GPU.model_copy(update={"bfloat16": False}))
    assert (cpu.precision, gpu.precision, mps.precision) == ("32-true", "bf16-mixed", "32-true")
    assert old_card.precision == "16-mixed"
    assert math.prod(gpu.patch_size) > math.prod(cpu.patch_size)
    assert gpu.spacing == (0.625, 0.625, 0.625)
    assert min(cpu.spacing) > 0.625


def test_left_and_right_twins_are_never_swapped():
    twins = make_plan(study_of((64, 64, 64), names=("left kidney", "right kidney")), CPU)
    assert twins.augmentation.mirror == (False, False, False)
    neighbours = make_plan(study_of((64, 64, 64), names=("head", "tail")), CPU)
    assert neighbours.augmentation.mirror == (True, False, False)
    alone = make_plan(study_of((64, 64, 64), names=("atrium",)), CPU)
    assert alone.augmentation.mirror == (True, True, True)
    one_side = make_plan(study_of((64, 64, 64), names=("left atrium",)), CPU)
    assert one_side.augmentation.mirror == (False, True, True)


def test_a_plan_is_data():
    plan = make_plan(
        study_of((64, 64, 64)), CPU, {"network": {"widths": (4, 8, 16, 32)}, "batch_labelled": 1}
    )
    assert plan.network.widths == (4, 8, 16, 32)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    with pytest.raises(ValidationError):
        plan.batch_labelled = 3


@pytest.mark.parametrize("wish", [{"speed": 3}, {"network": {"width": 3}}, {"batch_labelled": 0}])
def test_an_override_that_does_not_fit_is_named(wish):
    with pytest.raises(TrainingError, match=next(iter(wish))):
        change_plan(make_plan(study_of((64, 64, 64)), CPU), wish)


def test_a_patch_that_must_shrink_keeps_fitting_the_network():
    plan = make_plan(study_of((96, 71, 44), (1.25, 1.25, 1.25)), CPU)
    smaller = smaller_patch(plan)
    assert math.prod(smaller.patch_size) <= math.prod(plan.patch_size) / 2
    assert all(s % d == 0 for s, d in zip(smaller.patch_size, plan.network.divisor, strict=True))
    assert smaller_patch(plan.model_copy(update={"patch_size": (16, 16, 16)})) is None


def test_nothing_to_plan_for_is_said():
    with pytest.raises(TrainingError, match="no scans"):
        make_plan(Fingerprint(cases=(), structures=((1, "a"),)), CPU)
    with pytest.raises(TrainingError, match="no structures"):
        make_plan(study_of((64, 64, 64), names=()), CPU)


def test_a_study_is_described_on_canonical_axes(make_study):
    fingerprint = fingerprint_study(make_study())
    assert fingerprint.median_spacing == pytest.approx((1.2, 1.2, 2.0))
    assert fingerprint.median_extent == pytest.approx((24 * 1.2, 20 * 1.2, 18 * 2.0))
    assert fingerprint.structures == ((3, "organ"), (7, "node"))
    assert fingerprint.intensity.kind == "mr"


def test_hounsfield_units_are_recognised_by_their_values(make_study, tmp_path):
    from napari_dycon.study.truth.annotations import Annotation
    from tests.engine.conftest import ball_case, save_scan

    study = make_study(cases=0)
    image, labels = ball_case(0)
    hounsfield = np.where(labels > 0, image, -1000).astype(np.int16)
    hounsfield[0] = 900
    record = importing.add_scan(study, save_scan(tmp_path / "ct.nii.gz", hounsfield))
    study.save_annotation(record.id, Annotation.full(labels), "import")
    intensity = fingerprint_study(study).intensity
    assert intensity.kind == "ct"
    low, high = np.percentile(hounsfield[labels > 0], (0.5, 99.5))
    assert low - 201 < intensity.low < low - 49 and high + 49 < intensity.high < high + 201
    assert low < intensity.mean < high


def test_two_networks_get_half_the_patch_on_a_card_and_the_same_on_a_cpu():
    fingerprint = study_of((256, 256, 160))
    for machine in (GPU, GPU.model_copy(update={"memory": 8 * 2**30}), MPS):
        one, two, four = (
            math.prod(make_plan(fingerprint, machine, networks=count).patch_size) for count in (1, 2, 4)
        )
        assert 0.35 * one < two <= max(64**3, 0.55 * one)
        assert four <= two < one
    assert make_plan(fingerprint, CPU) == make_plan(fingerprint, CPU, networks=4)


def test_many_structures_get_a_patch_that_fits_into_memory():
    def voxels(count, machine):
        names = tuple(f"part {number}" for number in range(count))
        return math.prod(make_plan(study_of((256, 256, 160), names=names), machine, networks=2).patch_size)

    small = CPU.model_copy(update={"memory": 8 * 2**30})
    assert voxels(1, CPU) == voxels(6, CPU) == voxels(6, small)
    assert voxels(60, small) < voxels(20, small)
    assert 48 * 2 * 60 * 4 * voxels(60, small) < 0.3 * small.memory
    assert voxels(60, GPU) < voxels(6, GPU)


@pytest.mark.parametrize("method", ["cps", "uc_seg", "dual_network"])
def test_a_method_with_two_networks_says_so(method):
    kind = get_method(method)
    assert kind.networks_at_once({}) == kind.networks_at_once({"partner": "unet"}) == 2
    assert kind.networks_at_once({"partner": "vnet"}) == 4
    assert get_method("dycon").networks_at_once({}) == 1


def test_the_plan_of_a_training_counts_the_networks_of_its_method(make_study, train, monkeypatch):
    asked = []

    def spy(fingerprint, machine, overrides=None, networks=1.0):
        asked.append(networks)
        return make_plan(fingerprint, machine, overrides, networks)

    monkeypatch.setattr(setup, "make_plan", spy)
    study = make_study()
    for method in ("dycon", "cps"):
        train(study, method, iterations=1)
    train(study, "cps", iterations=1, overrides={**TINY, "method_settings": {"partner": "vnet"}})
    assert asked == [1, 2, 4]


def test_another_network_is_trained_by_its_name_or_refused_with_settings_that_fit(make_study, train):
    network = {**TINY["network"], "kind": "segresnet"}
    narrow = {**TINY, "network": {**network, "widths": (8, 8)}}
    with pytest.raises(TrainingError, match=r"Set network\.widths=\[8,16\]; network\.strides=\[\[2,2,2\]\]"):
        train(make_study(), "dycon", iterations=1, overrides=narrow)
    assert train(make_study(name="fits"), "dycon", iterations=2, overrides={**TINY, "network": network})


def test_a_small_structure_keeps_the_grid_fine_as_far_as_can_be_afforded():
    shape, step = (512, 512, 400), 0.7
    large = study_of(shape, (step, step, step))
    for machine, most in ((CPU, MOST_CPU_VOXELS), (GPU, 4 * 256 * 256 * 160)):
        usual = make_plan(large, machine).spacing
        for size in (60.0, 5.0, 2.0):
            spacing = make_plan(large.model_copy(update={"smallest": size}), machine).spacing
            assert spacing[0] <= usual[0]
            voxels = math.prod(n * step / s for n, s in zip(shape, spacing, strict=True))
            assert spacing[0] <= max(step, size / 3) or (voxels <= most * 1.01 and voxels > 0.9 * most)
        assert make_plan(large.model_copy(update={"smallest": 60.0}), machine).spacing == usual


@pytest.mark.parametrize("size", [3.0, 5.0, 8.0])
def test_a_lesion_in_a_large_ct_stays_three_voxels_wide_without_a_graphics_card(size):
    large = study_of((512, 512, 300), (0.75, 0.75, 1.0)).model_copy(update={"smallest": size})
    assert max(make_plan(large, CPU).spacing) <= max(1.0, size / 3) * 1.01


def test_where_all_is_small_patches_are_small_and_many():
    large = study_of((512, 512, 300), (0.75, 0.75, 1.0)).model_copy(update={"smallest": 5.0})
    usual = make_plan(large, CPU)
    tiny = make_plan(large.model_copy(update={"largest": 6.0}), CPU)
    assert tiny.patch_size == (40, 40, 40) and tiny.spacing == usual.spacing
    assert (tiny.batch_labelled, tiny.batch_unlabelled) == (6, 6)
    assert math.prod(tiny.patch_size) * 6 <= math.prod(usual.patch_size) * 2
    assert make_plan(large.model_copy(update={"largest": 3.0}), CPU).patch_size == (32, 32, 32)
    assert make_plan(large.model_copy(update={"largest": 60.0}), CPU) == usual
    own = make_plan(large.model_copy(update={"largest": 6.0}), CPU, {"batch_labelled": 3})
    assert (own.batch_labelled, own.batch_unlabelled) == (3, 6)


def test_the_smallest_of_many_lesions_counts_and_not_the_largest(make_study, tmp_path):
    study = make_study(cases=0)
    image, labels = np.zeros((60, 60, 40), np.int16), np.zeros((60, 60, 40), np.uint8)
    image[0, 0, 0] = 1
    for number, side in enumerate((8, 2, 2, 2)):
        labels[5 + 12 * number : 5 + 12 * number + side, 5 : 5 + side, 5 : 5 + side] = 7
    labels[50, 50, 30] = 7
    record = importing.add_scan(study, save_scan(tmp_path / "a.nii.gz", image, np.diag([1.0, 1, 1, 1])))
    study.save_annotation(record.id, Annotation.full(labels), "import")
    found = fingerprint_study(study)
    assert (found.smallest, found.largest) == (pytest.approx(2.0), pytest.approx(8.0))
    assert found.specks == {}
    other = importing.add_scan(study, save_scan(tmp_path / "b.nii.gz", image + 1, np.diag([1.0, 1, 1, 1])))
    study.save_annotation(other.id, Annotation.full(labels), "import")
    assert fingerprint_study(study).specks == {7: pytest.approx(2.0)}
    assert make_plan(fingerprint_study(study), CPU).specks == {7: pytest.approx(2.0)}


def test_the_window_of_a_ct_shows_a_small_dark_lesion_against_what_lies_around_it(make_study, tmp_path):
    random = np.random.default_rng(0)
    labels = np.zeros((40, 40, 30), np.uint8)
    labels[5:35, 5:35, 5:25] = 3
    labels[20:24, 20:24, 12:16] = 7
    values = {0: -100.0, 3: 98.0, 7: 55.0}
    image = np.select([labels == value for value in values], list(values.values()))
    image = np.rint(image + 18 * random.normal(size=image.shape)).astype(np.int16)
    image[:2], image[-2:] = -1000, 900
    study = make_study(cases=0)
    record = importing.add_scan(study, save_scan(tmp_path / "ct.nii.gz", image))
    study.save_annotation(record.id, Annotation.full(labels), "import")
    intensity = fingerprint_study(study).intensity
    shown = normalise(image.astype(np.float32), intensity)
    cut = (shown == shown.min()) | (shown == shown.max())
    assert cut[labels > 0].mean() < 0.002
    lesion = shown[labels == 7]
    edge = shown.min()
    assert lesion.min() - edge > lesion.std()


def test_a_bright_lesion_of_an_mr_is_not_cut_to_what_is_around_it(make_study, tmp_path):
    random = np.random.default_rng(0)
    labels = np.zeros((60, 60, 40), np.uint8)
    labels[30:33, 30:33, 20:23] = 7
    image = 300 + 50 * random.normal(size=labels.shape)
    image[:6, :6, :40] += 150
    image[labels == 7] += 350
    study = make_study(cases=0)
    record = importing.add_scan(study, save_scan(tmp_path / "mr.nii.gz", image.astype(np.int16)))
    study.save_annotation(record.id, Annotation.full(labels), "import")
    intensity = fingerprint_study(study).intensity
    shown = normalise(image.astype(np.float32), intensity)
    assert intensity.kind == "mr"
    assert np.median(shown[labels == 7]) > shown[labels == 0].max()
    image[labels == 7] = 300
    again = make_study(cases=0, name="usual")
    record = importing.add_scan(again, save_scan(tmp_path / "usual.nii.gz", image.astype(np.int16)))
    again.save_annotation(record.id, Annotation.full(labels), "import")
    assert fingerprint_study(again).intensity == Intensity()
