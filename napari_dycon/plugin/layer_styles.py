"""How every layer of ours looks, in one place."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from napari.layers import Image, Labels, Layer, Shapes
from napari.utils.colormaps import Colormap, DirectLabelColormap

from napari_dycon.plugin.known_map import LOOKS
from napari_dycon.study.schema import Structure

SCAN = "scan"
ANNOTATION = "annotation"
PREDICTION = "prediction"
ENTROPY = "entropy"
KNOWN = "known map"
SKETCH = "region"
VERSION = "older version"

ENTROPY_RGB = (0.16, 0.83, 0.93)
"""Far from the colours that structures get first, and from every grey of a scan."""
PREDICTION_OPACITY = 0.9
PREDICTION_CONTOUR = 2
ANNOTATION_OPACITY = 0.55
ENTROPY_OPACITY = 0.6
KNOWN_OPACITY = 0.35
SKETCH_COLOUR = "#ffd866"


def structure_colours(structures: Iterable[Structure]) -> DirectLabelColormap:
    """Return the colours of ``structures``; every other value is transparent."""
    colours: dict[int | None, object] = {None: np.zeros(4), 0: np.zeros(4)}
    colours.update({structure.value: structure.color for structure in structures})
    return DirectLabelColormap(color_dict=colours, name="structures")


def entropy_colours() -> Colormap:
    """Return the ramp from fully transparent (certain) to opaque (uncertain)."""
    red, green, blue = ENTROPY_RGB
    return Colormap([[red, green, blue, 0.0], [red, green, blue, 1.0]], name="entropy")


def make_layer(role: str, data: np.ndarray, **settings: object) -> Layer:
    """Return a new layer of the kind and look that ``role`` has; ``data`` is ``(z, y, x)``."""
    if role == SCAN:
        return Image(data, colormap="gray", **settings)
    if role == ENTROPY:
        look = {"colormap": entropy_colours(), "contrast_limits": (0.0, 1.0), "blending": "translucent"}
        return Image(data, opacity=ENTROPY_OPACITY, **look, **settings)
    if role == KNOWN:
        return _known_layer(data, **settings)
    layer = Labels(data, opacity=ANNOTATION_OPACITY, **settings)
    if role == PREDICTION:
        layer.contour = PREDICTION_CONTOUR
        layer.opacity = PREDICTION_OPACITY
        layer.editable = False
    return layer


def make_sketch_layer(**settings: object) -> Shapes:
    """Return the layer on which regions are outlined, empty."""
    look = {"edge_color": SKETCH_COLOUR, "edge_width": 0.5, "face_color": [1.0, 0.85, 0.4, 0.15]}
    return Shapes(ndim=3, name=SKETCH, **look, **settings)


def is_about_labels(layer: Layer) -> bool:
    """Return whether a labels layer shows structures, as all but the known map do."""
    return layer.metadata.get("dycon", {}).get("role") != KNOWN


def _known_layer(data: np.ndarray, **settings: object) -> Labels:
    colours: dict[int | None, object] = {None: np.zeros(4), 0: np.zeros(4)}
    colours.update({int(known): colour for known, (_, colour) in LOOKS.items()})
    looks = DirectLabelColormap(color_dict=colours, name="known")
    names = pd.DataFrame({"index": [int(known) for known in LOOKS], "name": [w for w, _ in LOOKS.values()]})
    marked = {"metadata": {"dycon": {"role": KNOWN}}, "features": names}
    layer = Labels(data, opacity=KNOWN_OPACITY, colormap=looks, **marked, **settings)
    layer.editable = False
    return layer
