"""A phantom scan with its labels, for File > Open Sample."""

import numpy as np

from napari_dycon.io.geometry import Geometry
from napari_dycon.plugin.layers.orientation import AXIS_LABELS, UNITS, DisplayView
from napari_dycon.study.exchange.phantom import phantom_case

LayerData = tuple[np.ndarray, dict[str, object], str]


def phantom_scan() -> list[LayerData]:
    """Return the scan and the true labels of one made-up patient, as an image and a labels layer."""
    image, labels, affine = phantom_case(0, 0)
    x, y, z = image.shape
    display = DisplayView(Geometry((x, y, z), affine))
    common = {"scale": display.scale, "units": UNITS, "axis_labels": AXIS_LABELS}
    return [
        (display.apply(image), {"name": "phantom scan", "colormap": "gray", **common}, "image"),
        (
            display.apply(labels.astype(np.uint8)),
            {"name": "phantom labels", "opacity": 0.5, **common},
            "labels",
        ),
    ]
