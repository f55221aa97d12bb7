"""Training and prediction with several images a case."""

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.engine.fingerprint import fingerprint_study
from napari_dycon.engine.inference import predict
from napari_dycon.engine.plan import Machine, make_plan
from napari_dycon.engine.runs import RunFolder
from napari_dycon.engine.store import CaseStore
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

SHAPE = (24, 22, 16)
CPU = Machine(device="cpu", memory=8 * 2**30, cores=2)
STEPS = 60


def ball(seed):
    centre = np.array([12, 11, 8]) + np.random.default_rng(seed).uniform(-2, 2, 3)
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return np.linalg.norm((index - centre) * [1.0, 1.0, 1.5], axis=-1) < 5.5


@pytest.fixture
def two_images(tmp_path):
    """Five cases whose structure only the second image shows, on a grid of its own; the last lacks it."""
    folder = tmp_path / "in"
    folder.mkdir()
    for case in range(5):
        random, inside = np.random.default_rng(case), ball(case)
        scan = random.normal(100, 10, SHAPE).astype(np.float32)
        nib.save(nib.Nifti1Image(scan, np.diag([1.0, 1.0, 1.5, 1.0])), folder / f"p{case}_t1.nii.gz")
        fine = np.repeat(inside, 2, axis=0) * 50.0 + random.normal(0, 5, (48, 22, 16))
        affine = np.diag([0.5, 1.0, 1.5, 1.0])
        affine[0, 3] = -0.25
        if case < 4:
            nib.save(nib.Nifti1Image(fine.astype(np.float32), affine), folder / f"p{case}_flair.nii.gz")
    with Study.create(tmp_path / "study", [Structure(value=3, name="ball")]) as study:
        list(importing.add_scans(study, [folder], endings={"T1": "t1", "FLAIR": "flair"}))
        for case in range(3):
            full = Annotation.full(np.where(ball(case), 3, 0).astype(np.uint8))
            study.save_annotation(study.cases[case].id, full, "import")
        yield study


def test_images_come_to_the_grid_of_the_scan_each_with_its_own_scale(two_images):
    plan = make_plan(fingerprint_study(two_images), CPU)
    assert plan.network.in_channels == 2 and [c.name for c in plan.further] == ["FLAIR"]
    assert plan.augmentation.missing_p > 0
    prepared = CaseStore(two_images, plan).prepare(two_images.cases[0].id)
    assert prepared.image.shape == (2, *SHAPE) and prepared.grid == SHAPE
    scan, flair = prepared.image.astype(np.float32)
    inside = prepared.target == 1
    assert flair[inside].mean() - flair[~inside].mean() > 2
    assert abs(scan[inside].mean() - scan[~inside].mean()) < 0.3
    lacking = CaseStore(two_images, plan).prepare(two_images.cases[4].id)
    assert lacking.image[0].any() and not lacking.image[1].any()


def test_a_structure_that_only_the_second_image_shows_is_learned_and_a_missing_one_does_no_harm(
    two_images, train
):
    events = train(two_images, "supervised", iterations=STEPS)
    run = two_images.active_run
    plan = RunFolder(two_images.run_dir(run)).plan()
    assert plan.network.in_channels == 2 and events[-1].reason == "budget"
    list(predict(two_images, run, device="cpu", threads=1))
    found = two_images.predictions.mask(run, two_images.cases[3].id) == 3
    truth = ball(3)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.7
    assert np.isfinite(two_images.predictions.map(run, two_images.cases[4].id, "entropy")).all()


def test_another_image_of_a_case_is_prepared_anew(two_images, tmp_path):
    plan = make_plan(fingerprint_study(two_images), CPU)
    store = CaseStore(two_images, plan)
    case = two_images.cases[4].id
    before = np.array(store.prepare(case).image)
    fine = np.random.default_rng(9).normal(size=SHAPE).astype(np.float32)
    nib.save(nib.Nifti1Image(fine, np.diag([1.0, 1.0, 1.5, 1.0])), tmp_path / "in" / "p4_flair.nii.gz")
    list(importing.add_scans(two_images, [tmp_path / "in"], endings={"T1": "t1", "FLAIR": "flair"}))
    assert not np.array_equal(CaseStore(two_images, plan).prepare(case).image, before)
