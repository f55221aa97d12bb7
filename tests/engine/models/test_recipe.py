"""What a bundle carries along does what the program does, bit by bit."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_dycon.engine.anatomy import pieces as expected_pieces
from napari_dycon.engine.canvas import Canvas
from napari_dycon.engine.intensity import Channel, Intensity
from napari_dycon.engine.models.scripts import recipe
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.preprocessing import prepare_image
from napari_dycon.engine.steps import finish
from napari_dycon.engine.windows import glance, predict_windows
from napari_dycon.io.volumes import read_volume
from napari_dycon.learning.networks import NetworkSpec, build_network

CT = Intensity(kind="ct", low=-120, high=240, mean=60, std=50)
OBLIQUE = np.array([[0.1, 0.0, -2.4, 5], [1.1, 0.2, 0.1, -7], [0.0, -0.9, 0.3, 11], [0, 0, 0, 1]])


def plan_with(**options: object) -> Plan:
    further = options.get("further", ())
    settings: dict[str, object] = {
        "structure_values": (3, 7),
        "structure_names": ("organ", "node"),
        "network": NetworkSpec(in_channels=1 + len(further), classes=3, widths=(8, 16), strides=((2, 2, 2),)),
        "spacing": (1.5, 1.5, 2.0),
        "patch_size": (16, 16, 8),
        **options,
    }
    return Plan(**settings)


def save(path: Path, values: np.ndarray, affine: np.ndarray = OBLIQUE, **header: object) -> Path:
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units(header.pop("units", "mm"))
    if header:
        image.header.set_slope_inter(header["slope"], header["inter"])
    nib.save(image, path)
    return path


def noise(shape: tuple[int, int, int] = (30, 17, 12), seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(400, 90, shape)
    return ndimage.gaussian_filter(values, 1)


def odd_scans() -> dict[str, tuple[np.ndarray, dict[str, object], Intensity]]:
    hounsfield = (noise() * 4 - 1600).clip(-1024, 900)
    broken = noise().astype(np.float32)
    broken[3:5, 2, 1], broken[9, 9, 9] = np.nan, np.inf
    outlier = noise()
    outlier[0, 0, 0] = 1e6
    return {
        "whole numbers": (noise().astype(np.int16), {}, Intensity()),
        "scaled": (noise().astype(np.int16), {"slope": 0.37, "inter": -3.1}, Intensity()),
        "double": (noise(), {}, Intensity(tail=0.05)),
        "micrometres": (noise().astype(np.float32), {"units": "micron"}, Intensity()),
        "not finite": (broken, {}, Intensity()),
        "an outlier": (outlier.astype(np.float32), {}, Intensity()),
        "one value": (np.full((9, 9, 9), 5, np.uint8), {}, Intensity()),
        "mostly zero": (np.where(noise() > 430, noise(), 0).astype(np.float32), {}, Intensity()),
        "ct": (hounsfield.astype(np.int16), {}, CT),
        "no ct among them": (noise().astype(np.uint16), {}, CT),
    }


@pytest.mark.parametrize("name", odd_scans())
def test_scans_are_prepared_alike(tmp_path, name):
    values, header, intensity = odd_scans()[name]
    path = (
        save(tmp_path / "scan.nii.gz", values, np.diag([900, 700, 1100, 1]) @ OBLIQUE, **header)
        if (header.get("units") == "micron")
        else save(tmp_path / "scan.nii.gz", values, **header)
    )
    plan = plan_with(intensity=intensity)
    expected = prepare_image(read_volume(path), plan).array
    found = recipe.Preprocessing(plan.spacing, [intensity.model_dump()])([recipe.Image.read(path)])
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_further_images_are_brought_to_the_grid_of_the_first(tmp_path):
    scan = save(tmp_path / "a.nii.gz", noise().astype(np.float32))
    other = OBLIQUE.copy()
    other[:3, :3] *= 1.3
    other[:3, 3] += 2
    moved = save(tmp_path / "b.nii.gz", noise(seed=1).astype(np.float32), other)
    plan = plan_with(further=(Channel(name="b"), Channel(name="c")))
    expected = prepare_image(read_volume(scan), plan, [read_volume(moved), None]).array
    preprocessing = recipe.Preprocessing(plan.spacing, [one.model_dump() for one in plan.intensities])
    found = preprocessing([recipe.Image.read(scan), recipe.Image.read(moved), None])
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], atol=4e-3)  # ITK interpolates in another order
    assert np.ptp(expected[1]) > 1
    assert not found[2].any()


@pytest.mark.parametrize("shape", [(20, 12, 6), (48, 36, 20)], ids=["small", "glanced at"])
def test_windows_give_the_same_probabilities(shape):
    torch.manual_seed(0)
    plan = plan_with()
    networks = [build_network(plan.network).eval() for _ in range(2)]
    image = np.zeros((1, *shape), np.float16)
    image[0, 2:-2, 2:-2, 1:-1] = np.random.default_rng(0).normal(
        size=[n - m for n, m in zip(shape, (4, 4, 2), strict=True)]
    )
    places = finish(glance(networks, image, plan, "cpu"))
    expected = finish(
        predict_windows(networks, image, plan, "cpu", means=[[0, 1]], views=plan.views, places=places)
    )
    inferer = recipe.EvenWindows(plan.patch_size, plan.classes, plan.overlap, plan.views, plan.precision)
    found = inferer(torch.from_numpy(image), [lambda x, n=n: n(x).logits for n in networks])
    assert torch.equal(found, expected[0])


def test_masks_are_the_same_with_all_that_is_taken_away(tmp_path):
    plan = plan_with(single=(3,), joint=((3, 7),), specks={7: 60.0})
    path = save(tmp_path / "scan.nii.gz", noise().astype(np.float32))
    volume, scan = read_volume(path), recipe.Image.read(path)
    grid = prepare_image(volume, plan).array.shape[1:]
    scores = np.stack([ndimage.gaussian_filter(noise(grid, seed), 0.8) for seed in range(3)]) / 15
    probabilities = torch.from_numpy(scores).softmax(dim=0).numpy().astype(np.float32)
    canvas = Canvas(plan, 1.0, volume.geometry, grid, False)
    (rows,) = canvas.blocks(1, 2**30)
    canvas.add(probabilities[None], canvas.rows_needed(rows), rows)
    expected = canvas.prediction().mask
    specks = {str(value): volume for value, volume in plan.specks.items()}
    found = recipe.Postprocessing(plan.structure_values, plan.single, plan.joint, specks)(probabilities, scan)
    assert {0, 3, 7} == set(np.unique(expected))
    np.testing.assert_array_equal(found, expected)
    untidy = recipe.Postprocessing(plan.structure_values)(probabilities, scan)
    assert (untidy != expected).any()


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_pieces_are_numbered_as_scipy_does(share):
    mask = np.random.default_rng(1).random((30, 20, 11)) < share
    np.testing.assert_array_equal(recipe.pieces(mask), expected_pieces(mask))


def test_a_mask_lies_on_the_scan_and_never_replaces_it(tmp_path):
    path = save(tmp_path / "scan.nii.gz", noise().astype(np.int16), slope=2.0, inter=1.0)
    scan = recipe.Image.read(path)
    mask = np.zeros(scan.values.shape, np.uint8)
    mask[2, 3, 4] = 200
    scan.save(mask, tmp_path / "mask.nii.gz")
    written = nib.load(tmp_path / "mask.nii.gz")
    assert written.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(written.dataobj), mask)
    np.testing.assert_array_equal(written.affine, nib.load(path).affine)
    preprocessing = recipe.Preprocessing((2, 2, 2), [Intensity().model_dump()])
    inferer = recipe.EvenWindows((8, 8, 8), 2, 0.5, ((),))
    with pytest.raises(ValueError, match="would replace the scan"):
        recipe.segment(
            [str(path)],
            str(tmp_path),
            [lambda x: x.repeat(1, 2, 1, 1, 1)],
            preprocessing,
            inferer,
            recipe.Postprocessing((1,)),
            torch.device("cpu"),
        )
    assert nib.load(path).get_data_dtype() == np.int16
