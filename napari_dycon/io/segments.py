"""Names of the segments in 3D Slicer's ``.seg.nrrd``, read from its header text."""

from __future__ import annotations

import re
from pathlib import Path

from napari_dycon.errors import VolumeError

SEGMENTATION_SUFFIX = ".seg.nrrd"

_HEADER_LIMIT = 1 << 20
_FIELD = re.compile(rb"^Segment(\d+)_(Name|LabelValue|Layer):=(.*?)\s*$", re.MULTILINE)


def segment_names(path: Path) -> dict[int, str]:
    """Return the name of each label value that the file names.

    Raises
    ------
    VolumeError
        If the segments overlap (several layers), or two have one value.
    """
    with path.open("rb") as file:
        header = re.split(rb"\r?\n\r?\n", file.read(_HEADER_LIMIT), maxsplit=1)[0]
    segments: dict[bytes, dict[str, str]] = {}
    for number, field, text in _FIELD.findall(header):
        segments.setdefault(number, {})[field.decode()] = text.decode("utf-8", errors="replace")
    if len({segment.get("Layer", "0") for segment in segments.values()}) > 1:
        raise VolumeError(
            f"{path.name} has segments that overlap, which one label map cannot hold; in 3D Slicer, export "
            "the segmentation to a label map (NRRD or NIfTI)."
        )
    names: dict[int, str] = {}
    for segment in segments.values():
        value, name = segment.get("LabelValue", ""), segment.get("Name", "").strip()
        if not value.isdecimal() or not name:
            continue
        if names.get(int(value), name) != name:
            raise VolumeError(f"{path.name} gives value {value} to two segments; save it again.")
        names[int(value)] = name
    return names
