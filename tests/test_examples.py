"""What lies in ``examples`` does what it says, on scans and budgets that are small."""

import runpy
import sys
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from napari_dycon.engine.events import StepFinished
from napari_dycon.engine.recorder import read_events
from napari_dycon.guidance.suggestions import strategies
from napari_dycon.learning.methods.base import methods
from tests.engine.conftest import TINY, ball_case, save_scan
from tests.guidance.conftest import scene

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = {"iterations": 2, "device": "cpu", "threads": 1, "overrides": TINY}


@pytest.fixture
def example(monkeypatch):
    """Load an example; what it registers is gone afterwards."""

    def load(name, run_name="example"):
        for register in (methods, strategies):
            register.names()
            monkeypatch.setattr(register, "_found", dict(register._found))
        return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name=run_name)

    return load


def test_a_folder_of_which_half_is_labelled_becomes_a_folder_of_masks(example, tmp_path):
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.mkdir()
    labels.mkdir()
    for index in range(4):
        image, truth = ball_case(index)
        save_scan(images / f"ball-{index}.nii.gz", image)
        if index < 2:
            save_scan(labels / f"ball-{index}.nii.gz", truth)
    done = example("train_a_folder")["segment"](images, labels, tmp_path / "out", **SMALL)
    assert [origin for _, origin in done.masks] == ["annotation"] * 2 + ["prediction"] * 2
    for path, _ in done.masks:
        scan, mask = nib.load(images / path.name), nib.load(path)
        assert mask.shape == scan.shape and np.array_equal(mask.affine, scan.affine)
    drawn = nib.load(tmp_path / "out" / "masks" / "ball-1.nii.gz")
    assert np.array_equal(drawn.dataobj, ball_case(1)[1])


def test_a_method_of_ones_own_is_compared_with_one_of_ours(example, tmp_path):
    module = example("own_method")
    compare = module["compare"]
    compare.__globals__["make_phantom_study"] = partial(module["make_phantom_study"], size=(32, 32, 20))
    found = compare(tmp_path, **SMALL)
    assert list(found) == ["supervised", "sure"] and all(0 <= dice <= 1 for dice in found.values())
    steps = [e for e in read_events(tmp_path / "study/runs/002-sure") if isinstance(e, StepFinished)]
    assert [set(step.losses) >= {"supervised", "guessed"} for step in steps] == [True, True]


def test_a_strategy_of_ones_own_names_the_largest_slice_of_each_case(example, tmp_path):
    with scene(tmp_path):
        pass
    said = example("own_strategy")["sentences"](tmp_path / "study")
    assert len(said) == 6 and len(set(said)) == 6
    assert all("sagittal slice" in one and "organ: most of a structure" in one for one in said)


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_every_example_says_how_it_is_called(example, name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        example(name, run_name="__main__")
    assert f"python examples/{name}.py" in capsys.readouterr().out
