"""What is imported before there is a second thread."""

import subprocess
import sys

PROGRAM = """
import gc
import napari_dycon.plugin.background.preload
kept = gc.get_freeze_count()
gc.collect()
print(kept > 10 * len(gc.get_objects()))
"""


def test_what_was_imported_is_not_looked_through_again_and_again():
    """A full collection went through half a million objects of libraries and held the window meanwhile."""
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["True"]
