"""Random damage to every kind of file that is read; ``benchmarks/fuzz.py`` does it for ten minutes."""

import warnings
from collections import Counter

import numpy as np
import pydicom
import pytest

from napari_dycon.errors import VolumeError
from tests.io.damage import damaged, good_files, read, surrounded

KINDS = ["one.nii", "two.nii", "a.nrrd", "z.nrrd", "layers.seg.nrrd", "a.mha", "slice0.dcm"]
TIMES = 300


@pytest.fixture
def lenient(monkeypatch):
    """Let pydicom write what no scanner would, and let no overflow pass without an error."""
    for mode in ("writing_validation_mode", "reading_validation_mode"):
        monkeypatch.setattr(pydicom.config.settings, mode, pydicom.config.IGNORE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.mark.parametrize("name", KINDS)
def test_damage_ends_in_a_sentence_or_does_no_harm(tmp_path, lenient, name):
    (tmp_path / "good").mkdir()
    good = good_files(tmp_path / "good")[name]
    path = surrounded(tmp_path / "in" / name)
    path.write_bytes(good)
    read(path)
    random = np.random.default_rng(KINDS.index(name))
    outcomes: Counter[str] = Counter()
    for _ in range(TIMES):
        path.write_bytes(damaged(good, path.suffix, random))
        try:
            read(path)
            outcomes["read"] += 1
        except VolumeError as error:
            outcomes["sentence"] += 1
            assert str(error).endswith(".") and "\n" not in str(error)
    assert min(outcomes["read"], outcomes["sentence"]) > TIMES // 20, outcomes


def test_every_kind_is_damaged(tmp_path):
    assert sorted(good_files(tmp_path)) == sorted(KINDS)
