"""Which series the segments and contours of DICOM files belong to: those that they refer to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_dycon.io.dicom import Series
from napari_dycon.io.dicom_labels import DicomLabels, look_for_labels
from napari_dycon.io.volumes import walk

SUFFIXES = ("", ".dcm", ".ima")


def find_labels(folder: Path) -> list[DicomLabels]:
    """All files of segments or contours in a folder and its subfolders."""
    files = (path for path in walk(folder) if path.suffix.lower() in SUFFIXES)
    return [found for path in files if (found := look_for_labels(path)) is not None]


def series_meant(labels: DicomLabels, series: Mapping[int, Series]) -> int | None:
    """Return the one series that a file refers to, or the only one in its frame of reference; else None.

    Of several volumes in the files of one series, it is the one with the frames that are referred to.
    """
    named = [key for key, one in series.items() if one.uid in labels.series]
    if len(named) > 1 and labels.frames:
        named = [key for key in named if labels.frames <= {image.frame for image in series[key].images}]
    if named:
        return named[0] if len(named) == 1 else None
    frame = labels.frame_of_reference
    near = [key for key, one in series.items() if frame and one.frame_of_reference == frame]
    return near[0] if len(near) == 1 else None


def by_series(labels: Sequence[DicomLabels], series: Mapping[int, Series]) -> dict[int, list[Path]]:
    """Return the files that belong to each series."""
    found: dict[int, list[Path]] = {}
    for one in labels:
        key = series_meant(one, series)
        if key is not None:
            found.setdefault(key, []).append(one.path)
    return found
