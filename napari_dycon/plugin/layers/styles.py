"""How every layer of ours looks, in one place."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from napari.layers import Image, Layer
from napari.utils.colormaps import Colormap, DirectLabelColormap

from napari_dycon.plugin.layers.brush import INSIDE, OUTSIDE, BrushedLabels, Says
from napari_dycon.plugin.layers.derived import Derived
from napari_dycon.plugin.layers.known_map import LOOKS
from napari_dycon.plugin.layers.napari_private import HookedLabels
from napari_dycon.plugin.layers.open_case import SHADES
from napari_dycon.plugin.layers.outlines import MISSED
from napari_dycon.plugin.layers.sheet import Sheet
from napari_dycon.study.store.runs import probability_map
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.truth.annotations import Known

SCAN = "scan"
ANNOTATION = "annotation"
PREDICTION = "prediction"
DIFFERENCES = "differences"
LEARNING = "as it learns"
DISPUTES = "readers apart"
DISPUTE_SHARE = "readers who differ"
ENTROPY = "entropy"
KNOWN = "known map"
SKETCH = "region"
VERSION = "older version"
PREVIEW = "preview"
PIECE = "piece"
STROKES = "strokes"
ROLES = (
    *(SCAN, ENTROPY, KNOWN, ANNOTATION, VERSION, DISPUTE_SHARE, PREDICTION, DIFFERENCES, DISPUTES, LEARNING),
    *(PREVIEW, PIECE, STROKES),
)
"""Layers of ours, from below."""
MAP = "map of "

VEILS = ("#29d4ed", "#ff4df0", "#fff04d", "#a6ff33")
"""Colours for uncertainty, each far from every grey of a scan; the first is far from the colours that
structures get first."""
FAR_ENOUGH = 0.3
"""Distance of two colours in red, green and blue, each from 0 to 1, that are told apart at a glance."""
OUTLINED = (PREDICTION, DIFFERENCES, DISPUTES, LEARNING, PREVIEW)
"""Layers that are drawn as lines between voxels."""
NOT_LABELS = (KNOWN, PIECE, DIFFERENCES, DISPUTES, LEARNING, STROKES)
"""Labels layers that show something else than structures."""
ANNOTATION_OPACITY = 0.55
ENTROPY_OPACITY = 0.6
KNOWN_OPACITY = 0.35
SKETCH_COLOUR = "#ffd866"
PIECE_OPACITY = 0.6
STROKE_COLOURS = {INSIDE: SKETCH_COLOUR, OUTSIDE: "#3d7bff"}
"""Yellow and blue, which every eye tells apart."""
STROKE_OPACITY = 0.8
STROKE_SIZE = 3
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
    """Return the colours of ``structures`` and of painted marks; all else, and what is hidden, is clear."""
    colours: dict[int | None, object] = {None: np.zeros(4), 0: np.zeros(4)}
    colours.update({structure.value: structure.color for structure in structures if not structure.hidden})
    colours.update({value: MARK_COLOURS[says] for says, value in (marks or {}).items()})
    return DirectLabelColormap(color_dict=colours, name="structures")


def difference_colours(structures: Iterable[Structure]) -> DirectLabelColormap:
    """Return the colours of ``structures`` for what a prediction has too much of, and for what it misses."""
    colours: dict[int | None, object] = {None: np.zeros(4), 0: np.zeros(4)}
    for structure in (structure for structure in structures if not structure.hidden):
        colours.update(dict.fromkeys((structure.value, MISSED + structure.value), structure.color))
    return DirectLabelColormap(color_dict=colours, name="differences")


def preview_colours(colours: DirectLabelColormap) -> DirectLabelColormap:
    """Return lighter ones of the colours of structures, for what is only proposed."""
    light = {value: colour.copy() for value, colour in colours.color_dict.items()}
    for colour in light.values():
        colour[:3] += PREVIEW_LIGHT * (1 - colour[:3])
    return DirectLabelColormap(color_dict=light, name="preview")


def veil_colour(structures: Iterable[Structure]) -> str:
    """Return the first colour for uncertainty that no structure comes near, or the one farthest from all."""
    return _veils(structures)[0]


def share_colour(structures: Iterable[Structure]) -> str:
    """Return the colour for the share of readers that differ: the next best after that of uncertainty."""
    return _veils(structures)[1]


def _veils(structures: Iterable[Structure]) -> list[str]:
    """Return `VEILS`, first those that no structure comes near, then the others, the farthest first."""
    taken = [_rgb(structure.color) for structure in structures]

    def room(veil: str) -> float:
        return min((float(np.linalg.norm(_rgb(veil) - colour)) for colour in taken), default=np.inf)

    return sorted(VEILS, key=lambda veil: -min(room(veil), FAR_ENOUGH))


def entropy_colours(veil: str = VEILS[0]) -> Colormap:
    """Return the ramp from fully transparent (certain) to opaque (uncertain) in the colour ``veil``."""
    red, green, blue = _rgb(veil)
    return Colormap([[red, green, blue, 0.0], [red, green, blue, 1.0]], name=f"entropy {veil}")


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255


def map_role(name: str) -> str:
    """Return the role of a map beside the prediction, as ``predictions/RUN/CASE.NAME.nii.gz`` names it."""
    return f"{MAP}{name}"


def is_role(name: str) -> bool:
    """Return whether a layer of ours is called so."""
    return name in ROLES or name.startswith(MAP)


def level_of(role: str) -> int:
    """Return how high a role lies over the scan; the maps of all names lie where the entropy does."""
    return ROLES.index(ENTROPY if role.startswith(MAP) else role)


def map_colours(names: Sequence[str], structures: Sequence[Structure]) -> dict[str, str]:
    """Return a colour for each map: that of its structure, or one that neither they nor the entropy have."""
    by_name = {probability_map(structure.value): structure.color for structure in structures}
    others = [veil for veil in VEILS if veil != veil_colour(structures)]
    free = [name for name in names if name not in by_name]
    return {
        name: by_name[name] if name in by_name else others[free.index(name) % len(others)] for name in names
    }


def make_layer(role: str, data: np.ndarray | Derived, **settings: object) -> Layer:
    """Return a new layer of the kind and look that ``role`` has; ``data`` is ``(z, y, x)``."""
    if role == SCAN:
        return Image(data, colormap="gray", **settings)
    if role in (ENTROPY, DISPUTE_SHARE) or role.startswith(MAP):
        look = {"colormap": entropy_colours(), "contrast_limits": (0, SHADES), "blending": "translucent"}
        return Image(data, opacity=ENTROPY_OPACITY, **look, **settings)
    if role == KNOWN:
        return _known_layer(data, **settings)
    if role == PIECE:
        return _piece_layer(data, **settings)
    if role == STROKES:
        return _strokes_layer(data, **settings)
    kind = BrushedLabels if role == ANNOTATION else HookedLabels
    layer = kind(data, opacity=ANNOTATION_OPACITY, **settings)
    if role in OUTLINED:
        layer.contour, layer.opacity = 1, 1.0
        layer.hatched = role in (DIFFERENCES, DISPUTES)
        layer.metadata["dycon"] = {"role": role}
    if role in (PREDICTION, DIFFERENCES, DISPUTES, LEARNING):
        layer.editable = False
    return layer


def make_sketch_layer(original: Sheet | None = None, **settings: object) -> Sheet:
    """Return the layer on which regions are outlined, empty, or a copy of it for another canvas."""
    look = {"edge_color": SKETCH_COLOUR, "edge_width": 0.5, "face_color": [1.0, 0.85, 0.4, 0.15]}
    return Sheet(original, name=SKETCH, **look, **settings)


def is_about_labels(layer: Layer) -> bool:
    """Return whether a labels layer shows structures, and not something else of them."""
    return layer.metadata.get("dycon", {}).get("role") not in NOT_LABELS


def is_the_scan(layer: Layer) -> bool:
    """Return whether a layer shows the scan itself: another array of it is another case."""
    return bool(layer.metadata.get("dycon", {}).get("role") == SCAN)


def _piece_layer(data: np.ndarray | Derived, **settings: object) -> HookedLabels:
    """Make the layer on which the one piece is seen whose number is selected."""
    colours: dict[int | None, object] = {None: SKETCH_COLOUR, 0: np.zeros(4)}
    look = {"colormap": DirectLabelColormap(color_dict=colours, name="piece"), "opacity": PIECE_OPACITY}
    layer = HookedLabels(data, metadata={"dycon": {"role": PIECE}}, **look, **settings)
    layer.selected_label, layer.show_selected_label, layer.editable = 0, True, False
    return layer


def _strokes_layer(data: np.ndarray | Derived, **settings: object) -> BrushedLabels:
    """Make the layer of the strokes of which a piece grows."""
    colours: dict[int | None, object] = {None: np.zeros(4), 0: np.zeros(4)}
    for value, colour in STROKE_COLOURS.items():
        colours[value] = colour
    look = {"colormap": DirectLabelColormap(color_dict=colours, name="strokes"), "opacity": STROKE_OPACITY}
    layer = BrushedLabels(data, metadata={"dycon": {"role": STROKES}}, **look, **settings)
    layer.selected_label, layer.brush_size, layer.ringed = INSIDE, STROKE_SIZE, False
    return layer


def _known_layer(data: np.ndarray | Derived, **settings: object) -> HookedLabels:
    colours: dict[int | None, object] = {None: np.zeros(4), 0: np.zeros(4)}
    colours.update({int(known): colour for known, (_, colour) in LOOKS.items()})
    looks = DirectLabelColormap(color_dict=colours, name="known")
    names = pd.DataFrame({"index": [int(known) for known in LOOKS], "name": [w for w, _ in LOOKS.values()]})
    marked = {"metadata": {"dycon": {"role": KNOWN}}, "features": names}
    layer = HookedLabels(data, opacity=KNOWN_OPACITY, colormap=looks, **marked, **settings)
    layer.editable = False
    return layer
