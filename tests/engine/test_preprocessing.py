"""What a network is shown, whatever the file holds."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dycon.engine.fingerprint import Intensity, fingerprint_study
from napari_dycon.engine.plan import Machine, make_plan
from napari_dycon.engine.preprocessing import normalise, prepare_image, prepare_target
from napari_dycon.engine.store import CaseStore
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.volumes import read_volume
from napari_dycon.study.annotations import Annotation
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
    prepared = prepare_image(volume, plan).array
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
