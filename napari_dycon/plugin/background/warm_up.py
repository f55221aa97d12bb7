"""What napari compiles when the first labels are drawn, compiled in the background before they are.

Numba turns napari's look-up of label colours into machine code at its first use, which takes seconds, and
keeps the part with the dictionary for this process only.
"""

from threading import Lock

import numpy as np
from napari.utils.colormaps import label_colormap

from napari_dycon.plugin.layers.napari_private import compile_look_up
from napari_dycon.plugin.layers.styles import structure_colours

_one_at_a_time = Lock()
_warm = False


def warm_up() -> None:
    """Compile the look-up once; whoever asks meanwhile waits for it. Call it in a background thread."""
    global _warm
    with _one_at_a_time:
        if _warm:
            return
        pixels = np.zeros((2, 2), np.uint8)
        for colours in (structure_colours(()), label_colormap()):
            compile_look_up(colours, pixels)
        _warm = True


def is_warm() -> bool:
    """Return whether there is nothing left to compile."""
    return _warm
