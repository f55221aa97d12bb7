"""Masks in and out: label maps on the grid of their scan, and nothing else.

A mask is written with the header of its scan, read back and compared before it takes its final name.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import GridMismatchError, VolumeError
from napari_dycon.io import headers, nifti
from napari_dycon.io.atomic import atomic_path, require_space
from napari_dycon.io.geometry import Geometry, Placement, Reorientation
from napari_dycon.io.layout import copy_in_order
from napari_dycon.io.pieces import Piece, join_pieces
from napari_dycon.io.segments import Segmentation, read_segmentation
from napari_dycon.io.volumes import Volume, is_volume, read_geometry, read_volume

_LISTED_VALUES = 6
READ_BYTES = 1 << 18


def read_mask(path: Path, like: Geometry, *, allowed: Collection[int] | None = None) -> NDArray[np.uint8]:
    """Read a label map that lies on the grid of a scan.

    Parameters
    ----------
    path : Path
        Any volume file that `read_volume` knows.
    like : Geometry
        Grid of the scan.
    allowed : collection of int, optional
        Label values that may occur beside 0; any of 0 to 255 by default.

    Returns
    -------
    ndarray of uint8, shape (x, y, z)

    Raises
    ------
    GridMismatchError
        If size or position differ from the scan's; the message says by how many millimetres.
    VolumeError
        If the file is damaged or holds values that are no labels; the message lists them with their counts.
    """
    path = Path(path)
    mask = read_labels(path, like).array
    if allowed is not None:
        _require_allowed(path.name, mask, {0, *allowed})
    return mask


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label map on the grid of its scan.

    Attributes
    ----------
    array : ndarray of uint8, shape (x, y, z)
    names : mapping
        Names that the file gives to its values; empty for most formats.
    notes : tuple of str
        Sentences about what is odd but usable.
    """

    array: NDArray[np.uint8]
    names: Mapping[int, str]
    notes: tuple[str, ...] = ()


def read_labels(path: Path, like: Geometry) -> LabelMap:
    """Read a label map with the names that its file gives to the values.

    Voxels that lie where the scan's do are taken over exactly, also where they are stored with other axes,
    with an affine rounded to three decimals, or, in a segmentation of 3D Slicer or MITK, as a part of the
    scan. Layers of such a segmentation are merged where its segments do not overlap.

    Parameters
    ----------
    path : Path
        Any volume file that `read_volume` knows, a DICOM segmentation or RT structure set.
    like : Geometry
        Grid of the scan.

    Raises
    ------
    GridMismatchError, VolumeError
        As `read_mask`.
    """
    path = Path(path)
    if path.is_file() and not is_volume(path):
        from napari_dycon.io.dicom_labels import look_for_labels, read_dicom_labels

        if look_for_labels(path) is not None:
            return LabelMap(*read_dicom_labels(path, like))
    segmentation = read_segmentation(path) if path.is_file() else None
    if segmentation is not None and segmentation.header.layers > 1:
        return _merge_segments(segmentation, like)
    geometry = read_geometry(path)
    names = {} if segmentation is None else segmentation.names()
    placement = _placement(path, geometry, like, partial=segmentation is not None)
    volume = read_volume(path)
    return LabelMap(placement.put(as_labels(volume.array, path.name), like), names, volume.notes)


def _merge_segments(segmentation: Segmentation, like: Geometry) -> LabelMap:
    array, geometry, names, notes = segmentation.merge()
    placement = _placement(segmentation.path, geometry, like, partial=True)
    return LabelMap(placement.put(array, like), names, notes)


def read_map(path: Path, like: Geometry | None = None) -> NDArray[np.float32]:
    """Read a map written by `write_map`, float32 (x, y, z), checked against a grid if one is given."""
    path = Path(path)
    volume = read_volume(path)
    if like is not None:
        _require_grid(path, volume.geometry, like)
    return volume.array.astype(np.float32, copy=False)


def write_mask(path: Path, mask: NDArray[Any], source: Path | Volume) -> None:
    """Write a label map as uint8 NIfTI on the grid of its scan, whole or not at all.

    Parameters
    ----------
    path : Path
        Ends in ``.nii.gz`` or ``.nii``.
    mask : ndarray of integers or bool, shape (x, y, z)
        Values 0 to 255 in source order.
    source : Path or Volume
        The scan. The raw header of a NIfTI is copied; other formats give a header from their geometry.

    Raises
    ------
    GridMismatchError
        If the mask has not the shape of the scan.
    VolumeError
        If a value is out of range, the disk is full or write-protected, or what was written does not
        read back.
    """
    _write(Path(path), as_labels(mask, Path(path).name), source, slope=1.0)


def write_map(path: Path, values: NDArray[Any], source: Path | Volume, maximum: float = 1.0) -> None:
    """Write a map of values in [0, `maximum`] in 256 steps, with the guarantees of `write_mask`.

    Values are clipped to the range; the stored byte times ``maximum / 255`` is the value.

    Raises
    ------
    VolumeError
        As `write_mask`, and if a value is NaN.
    """
    path = Path(path)
    if np.isnan(values).any():
        raise VolumeError(f"{path.name} was not written: the map holds invalid (NaN) values; predict again.")
    stored = np.clip(values, 0, maximum)
    stored = np.rint(stored * np.float32(255.0 / maximum)).astype(np.uint8)
    _write(path, stored, source, slope=maximum / 255.0)


def write_pieces(
    path: Path, pieces: Sequence[Piece], shape: tuple[int, int, int], source: Path, *, read_back: bool
) -> None:
    """Write a label map as ``.nii.gz`` from its slices, each compressed before, as `write_mask` does.

    Parameters
    ----------
    path, source
        As for `write_mask`.
    pieces
        Slices along the last axis, in order.
    shape
        Voxels of all of them together.
    read_back
        Read the whole file as any program would; else its bytes are compared, and that each piece is sound
        was seen when it was made.

    Raises
    ------
    GridMismatchError, VolumeError
        As `write_mask`.
    """
    original = _fitting_header(path, shape, source)
    content = join_pieces([Piece.holding(headers.mask_header(original) + bytes(4)), *pieces])
    require_space(path, len(content))
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
        if temporary.read_bytes() != content:
            raise _unfaithful(path)
        if read_back:
            _require_readable(path, temporary, original)


def as_labels(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Convert whole numbers from 0 to 255 to uint8; `name` is used in messages.

    Raises
    ------
    VolumeError
        If a value is NaN, fractional, negative or above 255.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f":
        _require_whole_numbers(array, name)
    if array.dtype.kind != "b":
        outside = (array < 0) | (array > 255)
        if outside.any():
            raise VolumeError(
                f"{name} holds label values outside 0 to 255: {_count_values(array[outside])}; "
                "renumber the structures."
            )
    return array.astype(np.uint8)


def label_counts(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number of voxels of each value 0 to 255 in a mask (x, y, z)."""
    counts = np.zeros(256, np.int64)
    planes = mask.T if mask.flags.f_contiguous else mask
    for plane in planes:  # a whole large volume at once would be converted to 8 bytes a voxel
        counts += np.bincount(plane.ravel(), minlength=256)
    return counts


def values_at_edge(mask: NDArray[np.uint8], axes: Collection[int] = (0, 1, 2)) -> set[int]:
    """Label values in the outermost voxels of a mask (x, y, z): what they stand for is cut by the scan.

    Axes of a single voxel have no edge.
    """
    ends = (np.take(mask, [0, -1], axis=axis) for axis in axes if mask.shape[axis] > 1)
    return set().union(*(np.unique(end).tolist() for end in ends)) - {0}


def _require_whole_numbers(array: NDArray[Any], name: str) -> None:
    invalid = array.size - int(np.count_nonzero(np.isfinite(array)))
    if invalid:
        raise VolumeError(
            f"{name} contains {invalid} invalid (NaN or infinite) voxels; export the mask again."
        )
    fractional = int(np.count_nonzero(array != np.rint(array)))
    if fractional:
        raise VolumeError(
            f"{name} holds fractional values in {fractional} voxels ({array.min():.4g} to {array.max():.4g}) "
            "where a mask must hold whole numbers; it may be a probability map or a scaled file."
        )


def _require_allowed(name: str, mask: NDArray[np.uint8], allowed: set[int]) -> None:
    unexpected = [int(value) for value in np.flatnonzero(label_counts(mask)) if int(value) not in allowed]
    if unexpected:
        expected = ", ".join(map(str, sorted(allowed)))
        raise VolumeError(
            f"{name} holds unexpected label values: {_count_values(mask[np.isin(mask, unexpected)])}; "
            f"expected {expected}, so add the missing structures or renumber the mask."
        )


def _count_values(values: NDArray[Any]) -> str:
    """List values with their numbers of voxels, for example ``255 (1204 voxels)``."""
    found, counts = np.unique(values, return_counts=True)
    listed = [f"{value:g} ({count} voxels)" for value, count in zip(found, counts, strict=True)]
    more = len(listed) - _LISTED_VALUES
    return ", ".join(listed[:_LISTED_VALUES]) + (f" and {more} more" if more > 0 else "")


def _require_grid(path: Path, geometry: Geometry, like: Geometry) -> None:
    _placement(path, geometry, like, partial=False)


def _placement(path: Path, geometry: Geometry, like: Geometry, *, partial: bool) -> Placement:
    found = like.placement(geometry)
    if found is not None and (partial or found.is_whole(like)):
        return found
    turned = Reorientation.to(geometry, like.orientation).geometry
    if turned.shape != like.shape:
        raise GridMismatchError(
            f"{path.name} has {_by(geometry.shape)} voxels and its scan {_by(like.shape)}; "
            "it was probably made for another scan."
        )
    raise GridMismatchError(
        f"{path.name} lies up to {turned.distance_mm(like):.2f} mm from its scan; "
        "it was made for another scan, or saved by a program that lost the position."
    )


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _write(path: Path, stored: NDArray[np.uint8], source: Path | Volume, slope: float) -> None:
    original = _fitting_header(path, stored.shape, source)
    stored = copy_in_order(stored, "F")  # a snapshot: someone may paint on while this is written
    header = headers.mask_header(original, slope)
    content = headers.encode(header, stored, compress=path.name.lower().endswith(".gz"))
    require_space(path, len(content))
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
        _verify(path, temporary, header, original, stored)


def _fitting_header(path: Path, shape: tuple[int, ...], source: Path | Volume) -> bytes:
    """Header of the scan, once it is sure that a mask of that shape may be written there."""
    if not nifti.is_nifti(path):
        raise VolumeError(f"{path.name} must end in .nii.gz or .nii; masks are written as NIfTI.")
    original, geometry = _source_header(source)
    if shape != geometry.shape:
        raise GridMismatchError(
            f"{path.name} was not written: the mask has {_by(shape)} voxels and its scan "
            f"{_by(geometry.shape)}."
        )
    _require_another_file(path, source)
    return original


def _source_header(source: Path | Volume) -> tuple[bytes, Geometry]:
    if isinstance(source, Volume):
        return source.header or headers.header_for(source.geometry), source.geometry
    source = Path(source)
    if source.is_file() and nifti.is_nifti(source):
        header = nifti.read_header(source)
        return header.raw, header.geometry
    geometry = read_geometry(source)
    return headers.header_for(geometry), geometry


def _require_another_file(path: Path, source: Path | Volume) -> None:
    scan = source.path if isinstance(source, Volume) else Path(source)
    if path.exists() and scan.exists() and path.samefile(scan):
        raise VolumeError(f"{path.name} is the scan itself; choose another name for the mask.")


def _verify(final: Path, written: Path, header: bytes, original: bytes, stored: NDArray[np.uint8]) -> None:
    """Read back what is on disk and compare every voxel and every geometry byte."""
    try:
        found = nifti.read_header(written)
        voxels, _ = nifti.read_stored(found)
    except VolumeError as error:
        raise _unfaithful(final) from error
    same_place = headers.geometry_bytes(found.raw) == headers.geometry_bytes(original)
    if found.raw != header or not same_place or not np.array_equal(voxels, stored):
        raise _unfaithful(final)


def _require_readable(final: Path, written: Path, original: bytes) -> None:
    """Read a file to its end, its checksum too, and compare every geometry byte."""
    try:
        found = nifti.read_header(written)
        with gzip.open(written) as stream:  # a part at a time: reading all at once would stall painting
            size = sum(len(part) for part in iter(lambda: stream.read(READ_BYTES), b""))
    except (VolumeError, OSError, EOFError, zlib.error) as error:
        raise _unfaithful(final) from error
    if size != found.end or headers.geometry_bytes(found.raw) != headers.geometry_bytes(original):
        raise _unfaithful(final)


def _unfaithful(final: Path) -> VolumeError:
    return VolumeError(
        f"{final.name} did not read back as it was written to {final.parent}; nothing was overwritten, "
        "check the disk and save to another place."
    )
