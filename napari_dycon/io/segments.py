"""Segmentations of 3D Slicer and MITK: names and layers of their segments, whatever the file is called."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.nesting import Nest, largest_first
from napari_dycon.io.nrrd import SUFFIXES, Header, read_layers

_SLICER = re.compile(r"segment(\d+)_(name|labelvalue|layer|id)")
_MITK_GROUPS = "org.mitk.multilabel.segmentation.labelgroups"
_MITK_LABEL = re.compile(r"(?:org\.mitk\.)?label_(\d+)_\d+")
_MITK_FIELD = {
    field: re.compile(rf'key="{field}"[^>]*>\s*<\w+ value="([^"]*)"') for field in ("name", "value")
}
_ONE_MAP = "which one label map cannot hold"
_EVERYWHERE = (slice(None), slice(None), slice(None))


@dataclass(frozen=True)
class Segment:
    """What a file calls a value of one of its layers; no value where it does not state it."""

    name: str
    value: int | None
    layer: int = 0


@dataclass(frozen=True)
class Segmentation:
    """The segments that the header of a file lists."""

    header: Header
    segments: tuple[Segment, ...]

    @property
    def path(self) -> Path:
        """The file."""
        return self.header.path

    def names(self) -> dict[int, str]:
        """Return the name of each value of a segmentation with one layer.

        Raises
        ------
        VolumeError
            If the file lists several layers, two segments have one value, or a name has none: then a value
            could only be guessed.
        """
        if len({segment.layer for segment in self.segments}) > 1:
            raise VolumeError(
                f"{self.path.name} lists segments that overlap in several layers, {_ONE_MAP}, and holds one "
                "layer; export the segmentation to a label map (NRRD or NIfTI)."
            )
        return {value: name for (_, value), name in self._by_value().items()}

    def merge(self) -> tuple[NDArray[np.uint8], Geometry, dict[int, str], tuple[str, ...]]:
        """Read all layers as one label map (x, y, z), each segment under a value of its own.

        Returns
        -------
        array, geometry, names by value, notes

        Raises
        ------
        VolumeError
            If two segments claim a voxel and neither is inside the other, or a value has no name, which would
            be guessed then.
        """
        layers, geometry, notes = read_layers(self.header)
        by_value = self._by_value()
        numbers = {name: number for number, name in enumerate(dict.fromkeys(by_value.values()), start=1)}
        if len(numbers) > 255:
            raise VolumeError(f"{self.path.name} has {len(numbers)} segments; at most 255 can be kept apart.")
        names = {number: name for name, number in numbers.items()}
        places: dict[int, list[tuple[int, int]]] = {}
        sizes: Counter[int] = Counter()
        for index, layer in enumerate(layers):
            for value, count in zip(*np.unique(layer[layer != 0], return_counts=True), strict=True):
                name = by_value.get((index, value.item()))
                if name is None:
                    raise VolumeError(
                        f"{self.path.name} holds the value {value} in its layer {index + 1} and names no "
                        "segment for it; save the segmentation again."
                    )
                places.setdefault(numbers[name], []).append((index, value.item()))
                sizes[numbers[name]] += int(count)
        nest = Nest(self.path.name, names, geometry.shape)
        for number in largest_first(sizes):
            found = [layers[index] == value for index, value in places[number]]
            nest.put(number, [(_EVERYWHERE, np.logical_or.reduce(found))])
        return nest.labels, geometry, names, (*notes, *nest.notes())

    def _by_value(self) -> dict[tuple[int, int], str]:
        """Name of each value in each layer."""
        found: dict[tuple[int, int], str] = {}
        for segment in self.segments:
            if not segment.name or segment.value == 0:  # old MITK names the background too
                continue
            if segment.value is None:
                raise VolumeError(
                    f"{self.path.name} names the segment {segment.name!r} but not its value; save it with a "
                    "newer 3D Slicer or MITK."
                )
            key = (segment.layer, segment.value)
            if found.get(key, segment.name) != segment.name:
                raise VolumeError(
                    f"{self.path.name} gives value {segment.value} to two segments; save it again."
                )
            found[key] = segment.name
        return found


def read_segmentation(path: Path) -> Segmentation | None:
    """Read the segments that a file lists; None where it is no segmentation of 3D Slicer or MITK.

    Raises
    ------
    VolumeError
        If the header is damaged or lists its segments in a way that cannot be read.
    """
    if not path.name.lower().endswith(SUFFIXES):
        return None
    header = Header(path)
    segments = (*_of_slicer(header), *_of_mitk(header), *_of_old_mitk(header))
    return Segmentation(header, segments) if segments else None


def _of_slicer(header: Header) -> Iterator[Segment]:
    fields: dict[int, dict[str, str]] = {}
    for key, text in header.pairs.items():
        if found := _SLICER.fullmatch(key):
            fields.setdefault(int(found[1]), {})[found[2]] = text
    layers = header.layers
    stated_anew = any({"layer", "labelvalue"} & stated.keys() for stated in fields.values())
    old = bool(fields) and layers > 1 and not stated_anew
    if old and sorted(fields) != list(range(layers)):
        raise VolumeError(
            f"{header.path.name} lists {len(fields)} segments and holds {layers}; save it with a newer "
            "3D Slicer."
        )
    for number, stated in fields.items():
        value, layer = stated.get("labelvalue", ""), stated.get("layer", "0")
        yield Segment(
            stated.get("name", "").strip(),
            1 if old else (int(value) if value.isdecimal() else None),
            number if old else (int(layer) if layer.isdecimal() else 0),
        )


def _of_mitk(header: Header) -> Iterator[Segment]:
    """Segments of MITK since 2022: groups are layers."""
    if _MITK_GROUPS not in header.pairs:
        return
    try:
        for layer, group in enumerate(json.loads(header.pairs[_MITK_GROUPS])):
            for label in group.get("labels") or ():
                yield Segment(str(label["name"]).strip(), int(label["value"]), layer)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _unreadable(header) from error


def _of_old_mitk(header: Header) -> Iterator[Segment]:
    """Segments of MITK before 2022: a piece of XML each."""
    for key, text in header.pairs.items():
        if place := _MITK_LABEL.fullmatch(key):
            found = {field: pattern.search(text) for field, pattern in _MITK_FIELD.items()}
            name, value = found["name"], found["value"]
            if name is None or value is None or not value[1].isdecimal():
                raise _unreadable(header)
            yield Segment(html.unescape(name[1]).strip(), int(value[1]), int(place[1]))


def _unreadable(header: Header) -> VolumeError:
    return VolumeError(
        f"{header.path.name} is a segmentation of MITK, but the names of its labels cannot be read; "
        "save it again in MITK."
    )
