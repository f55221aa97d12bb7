"""Modules that napari imports on first use, in the GUI thread, and the engine in the background.

Two threads that import parts of the same package at the same time can deadlock on Python's import locks,
and the one that notices fails. So they are imported here, before there is a second thread. The first layer
has napari read the definitions of all units, in a quarter of a second that the first scan would be late by.

All that is there by then stays until the end, so that Python need not look through it whenever it looks for
what can go: that held the window for a fifth of a second, now and then.
"""

import gc
from importlib import import_module

import numpy as np
from napari.layers import Labels

from napari_dycon.plugin.layers.orientation import UNITS

for name in (
    "numba.typed",
    "scipy.interpolate",
    "scipy.linalg",
    "scipy.ndimage",
    "scipy.sparse",
    "scipy.spatial.transform",
    "scipy.stats",
    "skimage.color",
    "skimage.segmentation",
):
    import_module(name)
Labels(np.zeros((1,) * len(UNITS), np.uint8), units=UNITS)
gc.freeze()
