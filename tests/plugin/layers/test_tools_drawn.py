"""What tools draw with is made for a layer once they are taken, for it is made anew on every canvas."""

import numpy as np
import pytest

from napari_dycon.plugin.canvases.mirrors import MirroredLabels, Solid
from napari_dycon.plugin.layers.styles import ANNOTATION, KNOWN, PIECE, PREDICTION, STROKES, make_layer

BLANK = np.zeros((4, 5, 6), np.uint8)


def made(layer):
    return {name for name in ("polygon", "brush_stroke") if layer._overlays[name].visible}


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("role", [ANNOTATION, STROKES])
def test_tools_are_drawn_while_they_are_in_the_hand(role, mirrored):
    layer = make_layer(role, BLANK)
    layer = MirroredLabels(layer) if mirrored else layer
    seen = []
    for mode in ("pan_zoom", "paint", "polygon", "erase"):
        layer.mode = mode
        seen.append(made(layer))
    assert seen == [set(), {"brush_stroke"} if role == ANNOTATION else set(), {"polygon"}, set()]


@pytest.mark.parametrize("role", [PREDICTION, KNOWN, PIECE])
def test_nothing_is_made_for_layers_that_are_only_looked_at(role):
    layer = make_layer(role, BLANK)
    assert not made(layer) and not made(Solid(layer).layer)
