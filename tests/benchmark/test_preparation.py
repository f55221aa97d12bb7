"""Where the scans of a recipe are put, and what is said when some are not there."""

from dataclasses import replace

import numpy as np
import pytest

from napari_dycon.benchmark.preparation import ScanPrepared, box_of, crop, isotropic, prepare, widen, z_score
from napari_dycon.benchmark.recipe import Scan, Split, plan_of, published_table, recipes
from napari_dycon.engine.control import Control
from napari_dycon.errors import VolumeError
from napari_dycon.io.volumes import read_volume
from tests.benchmark.recipes import downloads

SPLIT = Split(("B", "A"), ("C",))


@pytest.fixture
def recipe(tmp_path):
    for seed, name in enumerate("ABCD"):
        downloads.atrium(tmp_path / "data", name, seed)
    return replace(recipes.get("la"), splits={"small": SPLIT})


def run(recipe, tmp_path, split=SPLIT, control=None):
    steps, told = prepare("la", recipe, split, tmp_path / "data", tmp_path / "work", control or Control()), []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            return end.value, told


def test_scans_of_the_split_alone_are_prepared_and_kept(recipe, tmp_path):
    prepared, told = run(recipe, tmp_path)
    assert prepared.train == ("B", "A")
    assert told == [ScanPrepared("B", 1, 3), ScanPrepared("A", 2, 3), ScanPrepared("C", 3, 3)]
    files = sorted(path.name for path in prepared.places.images.iterdir())
    assert files == ["A.nii.gz", "B.nii.gz"]
    assert [path.name for path in prepared.places.test_labels.iterdir()] == ["C.nii.gz"]
    before = {path: path.read_bytes() for path in prepared.places.images.parent.rglob("*.nii.gz")}
    stamps = {path: path.stat().st_mtime_ns for path in before}
    again, _ = run(recipe, tmp_path)
    assert again == prepared
    assert stamps == {path: path.stat().st_mtime_ns for path in before}
    one = prepared.places.images / "A.nii.gz"
    one.unlink()
    run(recipe, tmp_path)
    assert one.read_bytes() == before[one]
    assert read_volume(one).array.dtype == np.int16


def test_a_stop_comes_between_two_scans(recipe, tmp_path):
    control = Control()
    control.stop()
    assert run(recipe, tmp_path, control=control) == (None, [])


def test_what_is_missing_is_named_unless_it_was_withdrawn(recipe, tmp_path):
    with pytest.raises(VolumeError, match=r"2 scans of the split .*: E, F; it should hold folders like"):
        run(recipe, tmp_path, Split(("A", "E"), ("C", "F")))
    prepared, _ = run(replace(recipe, withdrawn=frozenset("EF")), tmp_path, Split(("E", "A"), ("C", "F")))
    assert prepared.train == ("A",)
    assert prepared.notes == ("E, F of the published split are not there; they were withdrawn since.",)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    with pytest.raises(VolumeError, match="There is no scan of the 2018 Left Atrium"):
        run(recipe, tmp_path)


def test_a_box_grows_on_both_sides_as_far_as_the_scan_goes():
    mask = np.zeros((30, 40, 10), bool)
    mask[2:5, 20:30, 4] = True
    box = box_of(mask)
    assert box == (slice(2, 5), slice(20, 30), slice(4, 5))
    assert widen(box, mask.shape, (3, 3, 0)) == (slice(0, 8), slice(17, 33), slice(4, 5))
    assert widen(box, mask.shape, (0, 0, 0), (0, 20, 5)) == (slice(2, 5), slice(15, 35), slice(2, 7))
    assert box_of(np.zeros((3, 4, 5), bool)) == (slice(0, 3), slice(0, 4), slice(0, 5))


def test_a_crop_stays_where_it_is():
    affine = np.diag([-2.0, 2.0, 3.0, 1.0])
    part = crop(
        Scan(np.zeros((9, 9, 9), np.float32), np.zeros((9, 9, 9), np.uint8), affine), (slice(2, 5),) * 3
    )
    np.testing.assert_allclose(part.affine @ [0, 0, 0, 1], affine @ [2, 2, 2, 1])


def test_values_are_scaled_by_what_is_inside():
    values = np.array([[[0, 1, 2, 3]]], np.float32)
    np.testing.assert_allclose(z_score(values).mean(), 0, atol=1e-6)
    np.testing.assert_allclose(
        z_score(values, values > 0)[0, 0], np.array([-2, -1, 0, 1]) / np.sqrt(2 / 3), rtol=1e-5
    )
    assert not z_score(np.ones((2, 2, 2), np.float32)).any()


def test_resampling_keeps_size_in_millimetres():
    label = np.zeros((10, 10, 5), np.uint8)
    label[2:8, 2:8, 1:4] = 1
    scan = isotropic(Scan(label * 100.0, label, np.diag([1, 1, 2, 1.0])), (1, 1, 2), 1.0)
    assert scan.image.shape == (10, 10, 10)
    assert scan.label.sum() == label.sum() * 2
    np.testing.assert_allclose(np.linalg.norm(scan.affine[:3, :3], axis=0), 1.0)


def test_wishes_come_on_top_of_the_published_plan():
    published = {"augmentation": {"noise_p": 0.0, "blur_p": 0.0}, "optimiser": "sgd"}
    wishes = {"augmentation": {"noise_p": 0.5}, "overlap": 0.1}
    assert plan_of(published, wishes, own=True) == wishes
    assert plan_of(published, wishes, own=False) == {
        "augmentation": {"noise_p": 0.5, "blur_p": 0.0},
        "optimiser": "sgd",
        "overlap": 0.1,
    }


def test_published_distances_are_shown_in_millimetres_where_voxels_are_alike():
    table = published_table(recipes.get("la"), 8)
    assert table[0][3] == "HD95 mm"
    assert next(row for row in table if row[0] == "ua_mt")[1:4] == ("90.16", "82.18", "4.06")
    assert published_table(recipes.get("isles22"), 10)[0][3] == "HD95 voxels"
    assert published_table(recipes.get("la"), 5) == []
