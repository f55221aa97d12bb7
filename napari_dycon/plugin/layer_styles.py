"""How every layer of ours looks, in one place."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import Colormap, DirectLabelColormap

from napari_dycon.plugin.brushes import BrushedLabels, Says
from napari_dycon.plugin.known_map import LOOKS
from napari_dycon.plugin.opencase import SHADES
from napari_dycon.plugin.sheets import Sheet
from napari_dycon.study.annotations import Known
from napari_dycon.study.schema import Structure

SCAN = "scan"
ANNOTATION = "annotation"
PREDICTION = "prediction"
ENTROPY = "entropy"
KNOWN = "known map"
SKETCH = "region"
VERSION = "older version"
PREVIEW = "preview"

ENTROPY_RGB = (0.16, 0.83, 0.93)
"""Far from the colours that structures get first, and from every grey of a scan."""
PREDICTION_OPACITY = 0.9
PREDICTION_CONTOUR = 2
ANNOTATION_OPACITY = 0.55
ENTROPY_OPACITY = 0.6
KNOWN_OPACITY = 0.35
SKETCH_COLOUR = "#ffd866"
PREVIEW_OPACITY = 0.95
PREVIEW_LIGHT = 0.45
"""Share of white in the outlines of what is only proposed."""
MARK_COLOURS = {
    Says.BACKGROUND: LOOKS[Known.DRAWN][1],
    Says.IGNORE: LOOKS[Known.IGNORE][1],
    Says.FORGET: "#f2f2f2",
}
"""The colours that strokes get in the known map; white where it forgets them."""


def structure_colours(
    structures: Iterable[Structure], marks: Mapping[Says, int] | None = None
) -> DirectLabelColormap:
    """Return the colours of ``structures`` and of painted marks; every other value is transparent."""
    colours: dict[int | None, object] = {None: np.zeros(4), 0: np.zeros(4)}
    colours.update({structure.value: structure.color for structure in structures})
    colours.update({value: MARK_COLOURS[says] for says, value in (marks or {}).items()})
    return DirectLabelColormap(color_dict=colours, name="structures")


def preview_colours(colours: DirectLabelColormap) -> DirectLabelColormap:
    """Return lighter ones of the colours of structures, for what is only proposed."""
    light = {value: colour.copy() for value, colour in colours.color_dict.items()}
    for colour in light.values():
        colour[:3] += PREVIEW_LIGHT * (1 - colour[:3])
    return DirectLabelColormap(color_dict=light, name="preview")


def entropy_colours() -> Colormap:
    """Return the ramp from fully transparent (certain) to opaque (uncertain)."""
    red, green, blue = ENTROPY_RGB
    return Colormap([[red, green, blue, 0.0], [red, green, blue, 1.0]], name="entropy")


def make_layer(role: str, data: np.ndarray, **settings: object) -> Layer:
    """Return a new layer of the kind and look that ``role`` has; ``data`` is ``(z, y, x)``."""
    if role == SCAN:
        return Image(data, colormap="gray", **settings)
    if role == ENTROPY:
        look = {"colormap": entropy_colours(), "contrast_limits": (0, SHADES), "blending": "translucent"}
        return Image(data, opacity=ENTROPY_OPACITY, **look, **settings)
    if role == KNOWN:
        return _known_layer(data, **settings)
    kind = BrushedLabels if role == ANNOTATION else Labels
    layer = kind(data, opacity=ANNOTATION_OPACITY, **settings)
    if role == PREVIEW:
        layer.contour = PREDICTION_CONTOUR
        layer.opacity = PREVIEW_OPACITY
    if role == PREDICTION:
        layer.contour = PREDICTION_CONTOUR
        layer.opacity = PREDICTION_OPACITY
        layer.editable = False
    return layer


def make_sketch_layer(original: Sheet | None = None, **settings: object) -> Sheet:
    """Return the layer on which regions are outlined, empty, or a copy of it for another canvas."""
    look = {"edge_color": SKETCH_COLOUR, "edge_width": 0.5, "face_color": [1.0, 0.85, 0.4, 0.15]}
    return Sheet(original, name=SKETCH, **look, **settings)


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
