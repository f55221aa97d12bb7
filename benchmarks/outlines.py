"""What a step from slice to slice costs with a prediction outlined, beside napari's own contours.

Processor time of the GUI thread for each slice of noise that was made smooth, so that its outline is much
longer than that of an organ, and of a ball. On a busy machine only the ratio of the two is worth reading.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/outlines.py --side 512
"""

from __future__ import annotations

import argparse
import statistics
import time

import napari
import numpy as np
from napari.layers import Labels
from qtpy.QtWidgets import QApplication
from scipy import ndimage

from napari_dycon.plugin.layers.napari_private import HookedLabels
from napari_dycon.plugin.layers.outlines import hatches, outlines

SLICES = 24


def ball(side: int) -> np.ndarray:
    """A ball of two thirds of a slice, ``(SLICES, side, side)``."""
    z, y, x = np.ogrid[-1 : 1 : SLICES * 1j, -1 : 1 : side * 1j, -1 : 1 : side * 1j]
    return (z**2 + y**2 + x**2 < 0.45).astype(np.uint8)


def clouds(side: int) -> np.ndarray:
    """Smooth noise, half of it a structure."""
    noise = np.random.default_rng(0).normal(size=(SLICES, side, side)).astype(np.float32)
    return (ndimage.gaussian_filter(noise, (1, 6, 6)) > 0).astype(np.uint8)


def scroll(viewer: napari.Viewer) -> float:
    """Return the median processor time of a step, in ms."""
    spent = []
    for step in range(SLICES):
        begun = time.thread_time()
        viewer.dims.set_current_step(0, step)
        QApplication.processEvents()
        spent.append(1000 * (time.thread_time() - begun))
    return statistics.median(spent)


def main() -> None:
    """Print a line for each kind of slice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=512)
    options = parser.parse_args()
    viewer = napari.Viewer()
    for name, labels in (("ball", ball(options.side)), ("clouds", clouds(options.side))):
        spent = {}
        for kind, contour in ((Labels, 0), (Labels, 2), (HookedLabels, 1)):
            layer = kind(labels, name=f"{kind.__name__} {contour}")
            layer.contour = contour
            viewer.layers.append(layer)
            scroll(viewer)
            spent[layer.name] = scroll(viewer)
            layer.visible = False
        begun = time.thread_time()
        lines = [len(outlines(part)[0]) for part in labels]
        alone = 1000 * (time.thread_time() - begun) / len(labels)
        begun = time.thread_time()
        for part in labels:
            hatches(part)
        hatched = 1000 * (time.thread_time() - begun) / len(labels)
        print(
            f"{name}: {max(lines)} lines, {alone:.1f} ms to find them, {hatched:.1f} ms for a hatch;", spent
        )
    viewer.close()


if __name__ == "__main__":
    main()
