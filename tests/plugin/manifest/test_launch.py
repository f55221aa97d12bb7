"""PyTorch and Qt in one process: which is loaded first on Windows, and what is said where that went wrong."""

import subprocess
import sys

import pytest

from napari_dycon.plugin.background.worker import plain_words

LOADED_FIRST = """
import gc
import sys
sys.platform = {platform!r}
order = []

class Noticed:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "qtpy", "napari"):
            order.append(name.split(".")[0])
            raise ImportError("only the order counts")

sys.meta_path.insert(0, Noticed())
from napari_dycon.plugin.manifest import launch
try:
    launch.main([])
except ImportError:
    pass
print(order[0], gc.isenabled())
"""


@pytest.mark.parametrize(
    ("platform", "first"), [("win32", "torch"), ("linux", "napari"), ("darwin", "napari")]
)
def test_on_windows_torch_is_loaded_before_qt(platform, first):
    code = LOADED_FIRST.format(platform=platform)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [first, "True"]


@pytest.mark.parametrize("number", [126, 127, 1114])
def test_a_library_that_windows_refuses_is_told_with_its_cure(number):
    error = OSError(f'[WinError {number}] Error loading "c10.dll" or one of its dependencies.')
    error.winerror = number
    assert "dycon launch" in plain_words(error)


def test_other_trouble_with_files_is_told_as_before():
    assert "dycon launch" not in plain_words(OSError(28, "No space left on device", "/tmp/x"))
