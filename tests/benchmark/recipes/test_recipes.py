"""Each recipe on a stand-in for its data: what is found, how it is prepared, whom it trains and tests on."""

import sys
from collections import Counter

import numpy as np
import pytest

from napari_dycon.benchmark.preparation import box_of
from napari_dycon.benchmark.recipe import recipes
from napari_dycon.engine.fingerprint import CaseFingerprint, Fingerprint
from napari_dycon.engine.intensity import Intensity, normalise
from napari_dycon.engine.plan import Machine, make_plan
from napari_dycon.errors import DyconError, VolumeError
from napari_dycon.learning.methods.base import methods
from tests.benchmark.recipes import downloads

NAMES = ("brats19", "isles22", "la", "pancreas")
COUNTS = {
    "la": {"ua-mt": (80, 20)},
    "pancreas": {"ordered": (62, 18), "shuffled": (62, 20)},
    "brats19": {"test": (250, 60), "validation": (250, 25)},
    "isles22": {"test": (200, 25), "paper": (200, 50)},
}


def everything(name):
    """Names of all scans of a data set, as far as the lists tell, and made-up ones up to its size."""
    recipe = recipes.get(name)
    known = {scan for split in recipe.splits.values() for scan in (*split.train, *split.test, *split.aside)}
    size = {"brats19": 335, "isles22": 250}.get(name, len(known))
    return sorted(known | {f"scan{number:04d}" for number in range(size - len(known))})


def test_all_papers_are_there():
    assert recipes.names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_published_splits_have_their_sizes_and_keep_the_test_set_apart(name):
    recipe, scans = recipes.get(name), everything(name)
    for split_name, split in recipe.splits.items():
        train, test = split.of(scans)
        assert (len(train), len(test)) == COUNTS[name][split_name]
        assert max(Counter((*train, *test)).values()) == 1
        assert not set(split.aside) & {*train, *test}
        assert train[: len(split.train)] == split.train


@pytest.mark.parametrize("name", NAMES)
def test_published_figures_are_of_methods_and_possible(name):
    for line in recipes.get(name).published:
        assert line.method in methods.names() or not line.method.islower()
        assert 0 < (line.jaccard or line.dice - 1) < line.dice < 100
        assert line.source


@pytest.mark.parametrize("name", NAMES)
def test_the_published_plan_fits(name):
    recipe = recipes.get(name)
    case = CaseFingerprint(case="A", shape=(150, 140, 90), spacing=(1.0, 1.0, 1.0), known_fraction=0)
    fingerprint = Fingerprint(cases=(case,), structures=((1, "structure 1"),))
    plan = make_plan(fingerprint, Machine(device="cpu", memory=2**34, cores=2), recipe.overrides)
    assert plan.patch_size == tuple(recipe.overrides["patch_size"])
    assert (plan.optimiser, plan.learning_rate, plan.network.widths) == ("sgd", 0.01, (16, 32, 64, 128, 256))
    assert plan.views == ((),)
    assert plan.single == tuple(recipe.overrides["single"])


def seen(recipe, values):
    """What a network sees of prepared values."""
    intensity = Intensity(**recipe.overrides["intensity"])
    stored = np.rint(values * recipe.parts).astype(np.float32)
    return normalise(stored, intensity.of(stored))


def test_atria_are_scaled_by_the_whole_scan_and_cut_in_the_plane(tmp_path):
    shape = (160, 150, 12)
    downloads.atrium(tmp_path, "06SR5RBREL16DQ6M8LWS", shape=shape)
    recipe = recipes.get("la")
    scan = recipe.find(tmp_path)["06SR5RBREL16DQ6M8LWS"]()
    mask = downloads.ball(shape)
    raw = downloads.grey(mask).astype(np.float64)
    assert scan.image.shape == (112, 112, 12)
    assert scan.label.sum() == mask.sum() and set(np.unique(scan.label)) == {0, 1}
    z = (raw - raw.mean()) / raw.std()
    inside = z[mask]
    np.testing.assert_allclose(np.sort(scan.image[scan.label > 0]), np.sort(inside), atol=1e-4)
    np.testing.assert_allclose(seen(recipe, scan.image), scan.image, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(scan.affine[:3, :3], axis=0), 0.625)


def test_atria_that_were_prepared_are_taken_as_they_are(tmp_path):
    pytest.importorskip("h5py")
    downloads.atrium(tmp_path, "A")
    image = np.random.default_rng(0).normal(size=downloads.SHAPE)
    downloads.h5(tmp_path / "2018LA_Seg_Training Set" / "A" / "mri_norm2.h5", image, downloads.ball())
    scan = recipes.get("la").find(tmp_path)["A"]()
    np.testing.assert_allclose(scan.image, image, atol=1e-6)
    np.testing.assert_array_equal(scan.label, downloads.ball())


def test_without_h5py_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    path = tmp_path / "A" / "mri_norm2.h5"
    path.parent.mkdir()
    path.write_bytes(b"")
    with pytest.raises(DyconError, match=r"napari-dycon\[recipes\]"):
        recipes.get("la").find(tmp_path)["A"]()


def test_a_damaged_h5_file_is_named(tmp_path):
    pytest.importorskip("h5py")
    path = tmp_path / "0001.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(VolumeError, match=r"0001\.h5"):
        recipes.get("pancreas").find(tmp_path)["0001"]()


def test_pancreases_lie_by_the_number_of_slices_and_are_resampled(tmp_path):
    mask = downloads.pancreas(tmp_path, 1)
    recipe = recipes.get("pancreas")
    scan = recipe.find(tmp_path)["0001"]()
    assert scan.image.shape == scan.label.shape == (10, 10, 20)  # 14 x 0.7, 11 x 0.9 and 8 x 2.5 mm
    assert scan.label.sum() == pytest.approx(mask.sum() * 0.7 * 0.9 * 2.5, rel=0.3)
    assert (scan.image.min(), scan.image.max()) == (-125, pytest.approx(36, abs=15))
    inside = scan.image[scan.label > 0]
    assert np.median(inside) > -70 and scan.image[scan.label == 0].mean() < -115
    np.testing.assert_allclose(seen(recipe, scan.image), (scan.image + 125) / 400, atol=2e-3)


def test_labels_that_lie_beside_the_pancreas_are_refused(tmp_path):
    downloads.pancreas(tmp_path, 1, upside_down=True)
    with pytest.raises(VolumeError, match=r"label0001\.nii\.gz does not lie on tissue"):
        recipes.get("pancreas").find(tmp_path)["0001"]()


def test_pancreases_as_nifti_and_prepared(tmp_path):
    pytest.importorskip("h5py")
    mask = downloads.ball()
    downloads.nifti(tmp_path / "PANCREAS_0002.nii.gz", np.where(mask, 40, -500).astype(np.int16))
    downloads.nifti(tmp_path / "label0002.nii.gz", mask.astype(np.uint8))
    downloads.h5(tmp_path / "image0003_norm.h5", np.where(mask, 0.5, 0.0), mask)
    found = recipes.get("pancreas").find(tmp_path)
    assert set(found) == {"0002", "0003"}
    assert set(np.unique(found["0002"]().image)) == {-125, 40}
    assert set(np.unique(found["0003"]().image)) == {-125, 75}


@pytest.mark.parametrize("grade", ["HGG", "LGG"])
def test_whole_tumours_are_cut_to_the_brain_and_scaled_by_it(tmp_path, grade):
    inside, tumour, flair = downloads.brain(tmp_path, grade, "BraTS19_2013_0_1")
    recipe = recipes.get("brats19")
    (scan,) = (read() for read in recipe.find(tmp_path).values())
    assert scan.image.shape == tuple(np.ptp(np.nonzero(inside), axis=1) + 1)
    assert scan.label.sum() == tumour.sum() and scan.label.max() == 1
    values = flair[inside].astype(np.float64)
    cut = np.minimum(values, np.percentile(flair[box_of(inside)], 99.9))
    assert scan.image.max() == pytest.approx((cut.max() - cut.mean()) / cut.std(), abs=1e-3)
    assert scan.image.min() == pytest.approx(-cut.mean() / cut.std(), abs=1e-3)
    np.testing.assert_allclose(seen(recipe, scan.image), scan.image, atol=1e-3)


def test_strokes_are_found_by_their_diffusion_image(tmp_path):
    values, lesion = downloads.stroke(tmp_path, 7)
    found = recipes.get("isles22").find(tmp_path)
    scan = found["sub-strokecase0007"]()
    np.testing.assert_array_equal(scan.label, lesion)
    brain = values[values != 0]
    np.testing.assert_allclose(scan.image, (values - brain.mean()) / brain.std(), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(scan.affine[:3, :3], axis=0), 2.0)
