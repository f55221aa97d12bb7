"""Names of the segments of 3D Slicer, read from the NRRD header whatever the file is called."""

from __future__ import annotations

import re
from pathlib import Path

from napari_dycon.errors import VolumeError
from napari_dycon.io.nrrd import SUFFIXES

_HEADER_LIMIT = 1 << 20
_FIELD = re.compile(rb"^Segment(\d+)_(Name|LabelValue|Layer):=(.*?)\s*$", re.MULTILINE)


def segment_names(path: Path) -> dict[int, str] | None:
    """Return the name of each label value that the file names; None where it is no segmentation.

    Raises
    ------
    VolumeError
        If the segments overlap (several layers), two have one value, or a name has none: then a value could
        only be guessed.
    """
    if not path.name.lower().endswith(SUFFIXES):
        return None
    with path.open("rb") as file:
        header = re.split(rb"\r?\n\r?\n", file.read(_HEADER_LIMIT), maxsplit=1)[0]
    segments: dict[bytes, dict[str, str]] = {}
    for number, field, text in _FIELD.findall(header):
        segments.setdefault(number, {})[field.decode()] = text.decode("utf-8", errors="replace")
    if not segments:
        return None
    if len({segment.get("Layer", "0") for segment in segments.values()}) > 1:
        raise VolumeError(
            f"{path.name} has segments that overlap, which one label map cannot hold; in 3D Slicer, export "
            "the segmentation to a label map (NRRD or NIfTI)."
        )
    names: dict[int, str] = {}
    for segment in segments.values():
        value, name = segment.get("LabelValue", ""), segment.get("Name", "").strip()
        if not name:
            continue
        if not value.isdecimal():
            raise VolumeError(
                f"{path.name} names the segment {name!r} but not its value; save it with a newer 3D Slicer."
            )
        if names.get(int(value), name) != name:
            raise VolumeError(f"{path.name} gives value {value} to two segments; save it again.")
        names[int(value)] = name
    return names
