"""What is refused before a voxel is decoded."""

from pathlib import Path

import numpy as np
import pytest

from napari_dycon.errors import VolumeError
from napari_dycon.io import limits
from napari_dycon.io.limits import MM_PER_UNIT, require_memory, require_plausible

SCAN = Path("scan.nii.gz")


def test_a_scan_may_take_nine_tenths_of_the_free_memory(monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: 10_000_000_000)
    require_memory(SCAN, 9_000_000_000)
    with pytest.raises(VolumeError, match=r"scan.nii.gz needs about 9.1 GB of memory and 10.0 GB are free"):
        require_memory(SCAN, 9_100_000_000)


def test_some_memory_is_free():
    assert 0 < limits.available_memory() < 1 << 50


def affine(spacing, origin=(0.0, 0.0, 0.0)):
    made = np.diag([*spacing, 1.0])
    made[:3, 3] = origin
    return made


@pytest.mark.parametrize("spacing", [(1e-5, 1.0, 1.0), (1.0, 1e4, 1.0), (-0.7, -0.7, 2.5)])
def test_voxels_from_a_fine_microscope_to_ten_metres_are_taken(spacing):
    found = require_plausible(SCAN, (8, 8, 8), affine(spacing, (1e7, -1e7, 0.0)))
    assert np.allclose(found.spacing, np.abs(spacing)) and found.shape == (8, 8, 8)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (affine((0.9e-5, 1.0, 1.0)), "voxels of 9e-06 x 1 x 1 mm"),
        (affine((1.0, 1.0, 1.1e4)), r"voxels of 1 x 1 x 1.1e\+04 mm"),
        (affine((1.0, 1.0, 1.0), (5.0, -1.1e7, 0.0)), r"kilometres from its origin \(y = -1.1e\+07 mm"),
        (affine((1.0, 0.0, 1.0)), "no usable position"),
        (affine((1.0, np.nan, 1.0)), "no usable position"),
    ],
)
def test_a_place_that_no_body_can_have_is_refused_with_its_numbers(given, sentence):
    with pytest.raises(VolumeError, match=f"scan.nii.gz.*{sentence}.*export it again"):
        require_plausible(SCAN, (8, 8, 8), given)


def test_units_are_known_by_all_their_names():
    assert {MM_PER_UNIT[name] for name in ("mm", "millimetre", "millimeters")} == {1.0}
    assert MM_PER_UNIT["\u00b5m"] == MM_PER_UNIT["\u03bcm"] == MM_PER_UNIT["um"] == 0.001
    assert (MM_PER_UNIT["cm"], MM_PER_UNIT["m"]) == (10.0, 1000.0)
