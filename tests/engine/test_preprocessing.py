"""What a network is shown, whatever the file holds."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dycon.engine import store
from napari_dycon.engine.fingerprint import fingerprint_study
from napari_dycon.engine.intensity import Intensity, normalise
from napari_dycon.engine.plan import Machine, Plan, make_plan
from napari_dycon.engine.preprocessing import prepare_image, prepare_target
from napari_dycon.engine.store import CaseStore
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.volumes import read_volume
from napari_dycon.learning.networks import NetworkSpec
from napari_dycon.study.exchange import importing
from napari_dycon.study.store import preflight, scans
from napari_dycon.study.truth.annotations import Annotation, Known
from tests.engine.conftest import ball_case, save_scan

CPU = Machine(device="cpu", memory=16 * 2**30, cores=2)


@pytest.fixture
def plan(make_study):
    return make_plan(fingerprint_study(make_study()), CPU)


def test_mr_does_not_depend_on_the_scanners_scale():
    image = np.random.default_rng(0).gamma(2, 30, (20, 20, 20)).astype(np.float32)
    image[:5] = 0
    a, b = normalise(image, Intensity()), normalise(image * 7.5, Intensity())
    np.testing.assert_allclose(a, b, atol=1e-4)
    assert abs(a[5:].mean()) < 0.05
    assert a.max() < 6


def test_ct_keeps_hounsfield_units_comparable():
    intensity = Intensity(kind="ct", low=-100, high=300, mean=100, std=50)
    image = np.array([[[-1000, 100, 150, 3000]]], np.float32)
    assert normalise(image, intensity).ravel().tolist() == [-4, 0, 1, 4]


@pytest.mark.parametrize("value", [0.0, 42.0, -7e5])
def test_a_constant_scan_becomes_zero(value):
    assert not normalise(np.full((4, 4, 4), value, np.float32), Intensity()).any()


def test_a_scan_of_two_values_keeps_both():
    image = np.zeros((8, 8, 8), np.float32)
    image[2:5] = 100
    assert len(np.unique(normalise(image, Intensity()))) == 2


def test_invalid_voxels_are_replaced_and_said(tmp_path, plan):
    image = ball_case(0)[0].astype(np.float32)
    image[1, 2, 3] = np.nan
    image[4, 5, 6] = -np.inf
    prepared = prepare_image(read_volume(save_scan(tmp_path / "a.nii", image)), plan)
    assert np.isfinite(prepared.array).all()
    assert prepared.notes[0].startswith("2 invalid voxels were replaced by")


def test_scan_and_labels_land_on_the_same_canonical_grid(tmp_path, plan):
    image, labels = ball_case(0)
    affine = np.array([[0, 0, 2.0, 5], [-1.2, 0, 0, 9], [0, -1.2, 0, 2], [0, 0, 0, 1]])
    volume = read_volume(save_scan(tmp_path / "turned.nii", image, affine))
    prepared = prepare_image(volume, plan).array[0]
    target = prepare_target(Annotation.full(labels), volume.geometry, plan)
    assert prepared.shape == target.shape
    assert prepared[target > 0].mean() > prepared[target == 0].mean() + 1


def test_a_cached_scan_equals_a_fresh_one_and_new_labels_are_seen(make_study, monkeypatch):
    study = make_study()
    plan = make_plan(fingerprint_study(study), CPU)
    case = study.cases[0].id
    fresh = CaseStore(study, plan).prepare(case)
    files = sorted(path.name for path in (study.path / "cache").iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(type(study), "volume", None)
        again = CaseStore(study, plan.model_copy(update={"cache_bytes": 0})).prepare(case)
    assert np.array_equal(fresh.image, again.image)
    assert np.array_equal(fresh.target, again.target)
    annotation = study.annotation(case)
    annotation.labels[0, 0, 0] = 3
    study.save_annotation(case, annotation, "complete")
    changed = CaseStore(study, plan).prepare(case)
    assert (changed.target != fresh.target).any()
    assert len(list((study.path / "cache").iterdir())) == len(files)


def test_a_damaged_cache_is_made_again(make_study):
    study = make_study()
    plan = make_plan(fingerprint_study(study), CPU)
    case = study.cases[0].id
    fresh = CaseStore(study, plan).prepare(case)
    for path in (study.path / "cache").iterdir():
        path.write_bytes(b"\x80\x04garbage")
    assert np.array_equal(CaseStore(study, plan).prepare(case).image, fresh.image)


def test_labels_at_unknown_voxels_change_nothing(plan):
    geometry = Geometry((24, 20, 18), np.diag([-1.2, -1.2, 2.0, 1.0]))
    labels = ball_case(0)[1]
    known = np.zeros_like(labels)
    known[:, :, 5:12] = 1
    garbage = np.where(known > 0, labels, 7).astype(np.uint8)
    a = prepare_target(Annotation(labels, known), geometry, plan)
    b = prepare_target(Annotation(garbage, known.copy()), geometry, plan)
    assert np.array_equal(a, b)


def striped(shape=(24, 20, 18)):
    """Drawn where z is even, interpolated where it is odd, in the lower half; accepted in the upper one."""
    labels = ball_case(0, shape)[1]
    known = np.full(shape, Known.DRAWN, np.uint8)
    known[:, :, 1::2] = Known.INTERPOLATED
    known[shape[0] // 2 :] = Known.ACCEPTED
    return Annotation(labels, known)


def test_weight_and_truth_come_on_the_grid_of_the_target(make_study):
    study = make_study()
    case = study.cases[0].id
    study.save_annotation(case, striped(), "complete")
    for spacing in ((1.2, 1.2, 2.0), (1.2, 1.2, 1.0), (2.4, 1.2, 2.0)):
        plan = make_plan(fingerprint_study(study), CPU, {"spacing": spacing})
        found = CaseStore(study, plan).prepare(case)
        assert found.weight.shape == found.judged.shape == found.target.shape
        assert found.truth is found.judged
        seen = found.judged < 254
        assert np.array_equal(found.judged[seen], found.target[seen])
        half = found.target.shape[0] // 2
        accepted = np.zeros_like(seen)
        accepted[: half - 1] = True  # the scan's x axis points left
        assert (found.target[accepted] < 254).all() and not seen[accepted].any()
        assert (found.weight[accepted] == 1).all()
        columns = found.weight[half + 1 :]
        assert columns.min() == 0.5 and columns.max() == 1


def test_where_slices_are_averaged_so_are_their_weights(make_study):
    study = make_study()
    case = study.cases[0].id
    study.save_annotation(case, striped(), "complete")
    plan = make_plan(fingerprint_study(study), CPU, {"spacing": (1.2, 1.2, 4.0)})
    weight = CaseStore(study, plan).prepare(case).weight
    np.testing.assert_allclose(weight[-6:, :, 1:-1], 0.75, atol=0.01)


def test_what_a_person_drew_has_neither_weights_nor_another_truth(make_study):
    study = make_study()
    plan = make_plan(fingerprint_study(study), CPU)
    found = CaseStore(study, plan).prepare(study.cases[0].id)
    assert found.weight is None and found.judged is None and found.truth is found.target
    kinds = {path.name.split(".")[1] for path in (study.path / "cache").iterdir()}
    assert kinds == {"image", "target"}
    nothing = CaseStore(study, plan).prepare(study.cases[3].id)
    assert nothing.truth is None and nothing.weight is None


def test_weights_are_cached_and_follow_the_annotation(make_study, monkeypatch):
    study = make_study()
    plan = make_plan(fingerprint_study(study), CPU)
    case = study.cases[0].id
    study.save_annotation(case, striped(), "complete")
    fresh = CaseStore(study, plan).prepare(case)
    with monkeypatch.context() as patch:
        patch.setattr(store, "prepare_weight", None)
        patch.setattr(store, "prepare_target", None)
        again = CaseStore(study, plan.model_copy(update={"cache_bytes": 0})).prepare(case)
    assert np.array_equal(fresh.weight, again.weight) and np.array_equal(fresh.judged, again.judged)
    annotation = striped()
    annotation.known[:, :, 1] = Known.DRAWN
    study.save_annotation(case, annotation, "complete")
    assert (CaseStore(study, plan).prepare(case).weight != fresh.weight).any()


OWN = Intensity()
HOUNSFIELD = Intensity(kind="ct", low=80, high=160, mean=120, std=15)


def tissue(scale=1.0, offset=0.0):
    image, labels = ball_case(0)
    return (scale * image + offset).astype(np.float32), labels


def shown(tmp_path, image, intensity=OWN):
    plan = Plan(
        structure_values=(3,),
        structure_names=("organ",),
        network=NetworkSpec(classes=2),
        spacing=(1.2, 1.2, 2.0),
        patch_size=(16, 16, 16),
        intensity=intensity,
    )
    return prepare_image(
        read_volume(save_scan(tmp_path / "scan.nii", image, np.diag([1.2, 1.2, 2, 1]))), plan
    )


@pytest.mark.parametrize("intensity", [OWN, HOUNSFIELD])
@pytest.mark.parametrize(
    "change",
    [
        lambda image: 6 * image,
        lambda image: image / 1e9,
        lambda image: (image - image.mean()) / image.std(),
        lambda image: np.where(np.indices(image.shape)[0] < 7, -32768, image),
        lambda image: np.where(np.indices(image.shape)[0] < 7, 65535, image),
        lambda image: np.where(np.indices(image.shape)[0] < 3, -2e6, np.where(image > 250, 3e7, image)),
        lambda image: np.where(np.random.default_rng(1).random(image.shape) < 0.003, 1e9, image),
        lambda image: np.where(np.random.default_rng(1).random(image.shape) < 0.003, 1e30 * image, image),
        lambda image: np.where(np.indices(image.shape)[0] == 0, -1.7e38, image),
    ],
    ids=["mr", "tiny", "z-scores", "pad-low", "pad-high", "both", "sparse", "sparse-huge", "lowest"],
)
def test_no_scan_is_squashed_into_one_value_by_its_units_padding_or_outliers(tmp_path, change, intensity):
    image, labels = tissue()
    prepared = shown(tmp_path, change(image).astype(np.float32), intensity).array[0].astype(np.float32)
    organ, around = prepared[8:][labels[8:] > 0], prepared[8:][labels[8:] == 0]
    assert organ.mean() - around.mean() > 0.4
    assert organ.mean() - around.mean() > 2 * around.std()


def test_what_was_cut_is_said(tmp_path):
    image = tissue()[0]
    image[0] = 65535
    (note,) = shown(tmp_path, image).notes
    assert note.startswith("Values far from all others") and "65535" in note
    assert not shown(tmp_path, tissue()[0]).notes


def test_a_small_object_on_an_empty_background_is_seen(tmp_path):
    image = np.zeros((40, 40, 40), np.float32)
    image[10:14, 10:14, 10:14] = 300 + np.arange(64).reshape(4, 4, 4)
    assert np.ptp(shown(tmp_path, image).array.astype(float)) > 1
    image[10:14, 10:14, 10:14] = 0
    image[3, 3, 3] = 5
    assert np.ptp(shown(tmp_path, image).array.astype(float)) > 1


def test_ct_scans_share_a_window_and_an_mr_among_them_has_its_own(make_study, tmp_path):
    study = make_study(cases=0)
    for number in range(5):
        image, labels = ball_case(number)
        if number < 3:
            image = np.where(labels > 0, image, -1000)
            image[:3] = 900
        record = importing.add_scan(
            study, save_scan(tmp_path / f"scan{number}.nii.gz", (3 * image).astype(np.int16))
        )
        study.save_annotation(record.id, Annotation.full(labels), "import")
    plan = make_plan(fingerprint_study(study), CPU)
    assert plan.intensity.kind == "ct"
    cases = CaseStore(study, plan)
    for record in study.cases:
        assert len(np.unique(cases.prepare(record.id).image)) > 50
    said = [problem.message for problem in study.preflight() if "CT" in problem.message]
    assert len(said) == 1 and "scan3" in said[0] and "scan4" in said[0]
    assert not [p for p in preflight.check(study, [r.id for r in study.cases[:3]]) if "CT" in p.message]


def test_a_part_of_a_ct_without_air_and_bone_keeps_the_common_window():
    soft = np.random.default_rng(0).integers(-90, 150, (12, 12, 12)).astype(np.float32)
    window = Intensity(kind="ct", low=-100, high=200, mean=60, std=30)
    assert window.of(soft) == window
    assert window.of(np.abs(soft) * 7) == Intensity()


def test_a_labelled_scan_is_decoded_once(make_study, monkeypatch):
    study, read = make_study(), []
    plan, original = make_plan(fingerprint_study(study), CPU), scans.read_volume
    monkeypatch.setattr(scans, "read_volume", lambda path: read.append(path) or original(path))
    assert CaseStore(study, plan).prepare(study.cases[0].id).labelled
    assert len(read) == 1
