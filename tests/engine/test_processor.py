import subprocess
import sys

import pytest

from napari_dycon.engine import processor
from napari_dycon.engine.processor import available_cores, likely_device


@pytest.mark.parametrize("wish", ["cpu", "cuda", "mps"])
def test_a_wish_is_taken_as_it_is(wish):
    assert likely_device(wish) == wish


@pytest.mark.skipif(sys.platform == "darwin", reason="there is always one")
def test_a_card_is_likely_where_a_driver_is(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "DRIVERS", (str(tmp_path / "none"),))
    assert likely_device() == "cpu"
    monkeypatch.setattr(processor, "DRIVERS", (str(tmp_path / "none"), str(tmp_path)))
    assert likely_device() == "cuda"


def test_counting_cores_does_not_load_torch():
    assert available_cores() >= 1
    code = "import sys, napari_dycon.engine.processor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
