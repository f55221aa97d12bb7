"""Colours are told apart by red-green blind eyes: simulated, and measured as CIEDE2000."""

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_dycon.plugin.layers.styles import veil_colour
from napari_dycon.study.store.schema import DEFAULT_COLORS, Structure

SIGHT = {
    "trichromat": np.eye(3),
    "protanope": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranope": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
"""Linear RGB as it is seen: Machado, Oliveira and Fernandes, IEEE TVCG 15 (2009) 1291, severity 1."""


def lab(colour, sight):
    """The CIELAB colour that somebody sees."""
    rgb = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(SIGHT[sight] @ linear, 0, 1)
    back = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return rgb2lab(back)


def least(colours, sight):
    return min(deltaE_ciede2000(lab(a, sight), lab(b, sight)) for a, b in combinations(colours, 2))


def structures(count):
    return [Structure(value=n, name=f"s{n}", color=c) for n, c in enumerate(DEFAULT_COLORS[:count], 1)]


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(("count", "far"), [(4, 20), (6, 14), (10, 13)])
def test_structures_and_uncertainty_are_told_apart(sight, count, far):
    veil = veil_colour(structures(count))
    assert least([*DEFAULT_COLORS[:count], veil], sight) >= far
