"""Segmentations and contours of DICOM as label maps on the grid of a scan; what lies elsewhere is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.config import disable_value_validation
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from napari_dycon.errors import GridMismatchError, VolumeError
from napari_dycon.io.geometry import LPS_TO_RAS, Geometry
from napari_dycon.io.limits import require_memory
from napari_dycon.io.nesting import Nest, Piece, largest_first, snug
from napari_dycon.io.volumes import is_volume

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_OFF_PLANE = 0.1
"""Share of a slice's distance by which a contour may lie beside it."""
_REFERENCES = [
    *("SOPClassUID", "FrameOfReferenceUID", "ReferencedSeriesSequence", "ReferencedFrameOfReferenceSequence"),
    "PerFrameFunctionalGroupsSequence",
]
_MARK = slice(128, 132)


@dataclass(frozen=True)
class DicomLabels:
    """A file of segments or contours: the series it refers to, its frame of reference, frames of objects."""

    path: Path
    kind: str
    series: frozenset[str]
    frame_of_reference: str
    frames: frozenset[int] = frozenset()


def look_for_labels(path: Path) -> DicomLabels | None:
    """Tell what a file of segments or contours refers to; None for every other file."""
    if is_volume(path) or not _is_dicom(path):
        return None
    try:
        with disable_value_validation():
            head = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_REFERENCES)
            if head.get("SOPClassUID") not in (SegmentationStorage, RTStructureSetStorage):
                return None
            series = {str(item.SeriesInstanceUID) for item in head.get("ReferencedSeriesSequence") or ()}
            frame = str(head.get("FrameOfReferenceUID", "") or "")
            numbers = frozenset(_frames_referred_to(head))
            for of_frame in head.get("ReferencedFrameOfReferenceSequence") or ():
                frame = frame or str(of_frame.get("FrameOfReferenceUID", "") or "")
                for study in of_frame.get("RTReferencedStudySequence") or ():
                    found = study.get("RTReferencedSeriesSequence") or ()
                    series |= {str(item.SeriesInstanceUID) for item in found}
    except Exception:  # noqa: BLE001 - pydicom raises many kinds for damaged files, which are no labels
        return None
    return DicomLabels(path, str(head.SOPClassUID), frozenset(series), frame, numbers)


def _frames_referred_to(part: Any) -> Iterator[int]:
    """Yield the numbers of frames that a data set refers to, at whatever depth."""
    for number in np.atleast_1d(part.get("ReferencedFrameNumber") or ()):
        yield int(number)
    for element in part:
        if element.VR == "SQ":
            for one in element.value:
                yield from _frames_referred_to(one)


def read_dicom_labels(
    path: Path, like: Geometry
) -> tuple[NDArray[np.uint8], dict[int, str], tuple[str, ...]]:
    """Read segments or contours as label values on a grid, with the name of each value.

    Parameters
    ----------
    path
        A file that `look_for_labels` knows.
    like
        Grid of the scan. Frames of segments must lie on its voxels, contours in its slices; voxels whose
        centre a contour goes around belong to it, those of several contours by the even-odd rule.

    Returns
    -------
    ndarray of uint8, shape (x, y, z), names by value, and notes on what lies inside what

    Raises
    ------
    GridMismatchError
        If it lies on another grid.
    VolumeError
        If it is damaged, of a kind that is not read, or two structures claim a voxel and neither is
        inside the other.
    """
    try:
        with disable_value_validation():
            dataset = pydicom.dcmread(path)
            segments = dataset.SOPClassUID == SegmentationStorage
            names = _segments(path, dataset) if segments else _regions(dataset)
            _require_few(path, names)
            parts = _frames(path, dataset, like) if segments else _contours(path, dataset, like)
            labels, notes = _put_together(path, parts, names, like)
            return labels, names, notes
    except VolumeError:
        raise
    except Exception as error:  # pydicom raises many kinds for what is damaged
        raise VolumeError(f"{path.name} is damaged and cannot be read; export it again.") from error


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(132)[_MARK] == b"DICM"
    except OSError:
        return False


def _require_few(path: Path, names: dict[int, str]) -> None:
    if not names:
        raise VolumeError(f"{path.name} holds no structures; choose another file.")
    if max(names) > 255:
        raise VolumeError(f"{path.name} has more structures than the 255 that can be kept apart.")


Part = tuple[int, tuple[slice, slice, slice], NDArray[np.bool_]]
"""Value, which voxels of the grid, and those of them that have it."""


def _put_together(
    path: Path, parts: Iterator[Part], names: dict[int, str], like: Geometry
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    pieces: dict[int, list[Piece]] = {}
    for value, where, region in parts:
        pieces.setdefault(value, []).append(snug(where, region))
    sizes = {value: sum(int(region.sum()) for _, region in own) for value, own in pieces.items()}
    nest = Nest(path.name, names, like.shape)
    for value in largest_first(sizes):
        nest.put(value, pieces[value])
    return nest.labels, nest.notes()


def _segments(path: Path, dataset: Any) -> dict[int, str]:
    if dataset.SegmentationType != "BINARY":
        raise VolumeError(f"{path.name} states probabilities; export it as a binary segmentation.")
    return {int(item.SegmentNumber): str(item.SegmentLabel) for item in dataset.SegmentSequence}


def _frames(path: Path, dataset: Any, like: Geometry) -> Iterator[Part]:
    """Yield each frame where it lies."""
    count, rows, columns = int(dataset.NumberOfFrames), int(dataset.Rows), int(dataset.Columns)
    require_memory(path, 2 * count * rows * columns)
    pixels = dataset.pixel_array.reshape(count, rows, columns) > 0
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
    for frame, groups in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        if frame.any():
            grid = _grid_of((columns, rows, 1), _Groups(groups, shared), like)
            placement = like.placement(grid)
            if placement is None:
                raise GridMismatchError(
                    f"{path.name} does not lie on the voxels of its scan; it was made for another one."
                )
            region = placement.turned.apply(frame.T[..., None])
            x, y, z = (
                slice(start, start + size) for start, size in zip(placement.start, region.shape, strict=True)
            )
            segment = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
            yield segment, (x, y, z), region


class _Groups:
    """What is stated of one frame, or of all."""

    def __init__(self, own: Any, shared: Any) -> None:
        self._own, self._shared = own, shared

    def numbers(self, sequence: str, name: str) -> NDArray[np.float64]:
        found = self._own.get(sequence) or self._shared[sequence].value
        return np.array([float(value) for value in found[0][name].value])


def _grid_of(shape: tuple[int, int, int], groups: _Groups, like: Geometry) -> Geometry:
    """Grid of one frame, as thick as a slice of the scan."""
    spacing = groups.numbers("PixelMeasuresSequence", "PixelSpacing")
    across = groups.numbers("PlaneOrientationSequence", "ImageOrientationPatient").reshape(2, 3)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = across[0] * spacing[1], across[1] * spacing[0]
    affine[:3, 3] = groups.numbers("PlanePositionSequence", "ImagePositionPatient")
    affine = LPS_TO_RAS @ affine
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    steps = like.affine[:3, :3] / np.array(like.spacing)
    affine[:3, 2] = like.affine[:3, int(np.argmax(np.abs(normal @ steps)))]
    return Geometry(shape, affine)


def _regions(dataset: Any) -> dict[int, str]:
    """Names of the regions that have an area, numbered anew: their own numbers may be of any size."""
    names = {int(roi.ROINumber): str(roi.ROIName) for roi in dataset.StructureSetROISequence}
    return {number: names[roi] for number, roi in enumerate(_with_area(dataset), start=1)}


def _with_area(dataset: Any) -> dict[int, list[Any]]:
    """Closed contours of each region by its number; points and open lines enclose nothing."""
    found: dict[int, list[Any]] = {}
    for roi in dataset.get("ROIContourSequence") or ():
        contours = roi.get("ContourSequence") or ()
        closed = [one for one in contours if one.ContourGeometricType in CLOSED and len(one.ContourData) > 6]
        if closed:
            found[int(roi.ReferencedROINumber)] = closed
    return found


def _contours(path: Path, dataset: Any, like: Geometry) -> Iterator[Part]:
    """Yield what the contours of a region in one slice enclose."""
    to_voxels = np.linalg.inv(like.affine) @ LPS_TO_RAS
    for number, contours in enumerate(_with_area(dataset).values(), start=1):
        slices: dict[tuple[int, int], NDArray[np.bool_]] = {}
        for contour in contours:
            points = np.reshape(np.array([float(value) for value in contour.ContourData]), (-1, 3))
            voxels = points @ to_voxels[:3, :3].T + to_voxels[:3, 3]
            axis, index = _slice_of(path, voxels, like)
            plane = [other for other in range(3) if other != axis]
            region = fill(voxels[:, plane], (like.shape[plane[0]], like.shape[plane[1]]))
            slices[axis, index] = slices.get((axis, index), np.False_) ^ region
        for (axis, index), region in slices.items():
            where = [slice(None)] * 3
            where[axis] = slice(index, index + 1)
            yield number, (where[0], where[1], where[2]), np.expand_dims(region, axis)


def _slice_of(path: Path, voxels: NDArray[np.float64], like: Geometry) -> tuple[int, int]:
    """Axis and index of the slice in which a contour lies."""
    axis = int(np.argmin(np.ptp(voxels, axis=0)))
    index = round(float(voxels[:, axis].mean()))
    off = float(np.abs(voxels[:, axis] - index).max())
    if off > _OFF_PLANE or not 0 <= index < like.shape[axis]:
        raise GridMismatchError(
            f"{path.name} has contours that lie in no slice of its scan; it was made for another one."
        )
    return axis, index


def fill(polygon: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres, at whole numbers, lie inside a polygon (n, 2) by the even-odd rule."""
    (x, y), (next_x, next_y) = polygon.T, np.roll(polygon, -1, axis=0).T
    low, high = (
        np.clip(np.ceil(bound(y, next_y)), 0, shape[1]).astype(int) for bound in (np.minimum, np.maximum)
    )
    counts = high - low
    edge = np.repeat(np.arange(len(polygon)), counts)
    row = low[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    slope = (next_x - x)[edge] / (next_y - y)[edge]
    column = np.clip(np.ceil(x[edge] + (row - y[edge]) * slope), 0, shape[0]).astype(int)
    crossings = np.zeros((shape[0] + 1, shape[1]), np.int64)
    np.add.at(crossings, (column, row), 1)
    return np.asarray(np.cumsum(crossings, axis=0)[:-1] % 2 == 1)
