"""Raw NIfTI headers: a mask gets the header bytes of its scan, patched only where it must differ.

A header rebuilt from an affine moves the mask in some viewers (negative pixdim, sform unlike qform, units).
"""

from __future__ import annotations

import gzip
from typing import Any, cast

import numpy as np
from nibabel import nifti1, nifti2
from numpy.typing import NDArray

from napari_dycon.io.geometry import Geometry

HEADER_KINDS = {348: (nifti1.Nifti1Header, b"n+1\0"), 540: (nifti2.Nifti2Header, b"n+2\0\r\n\x1a\n")}
"""Header class and magic of a single file by length of the header in bytes."""

_GEOMETRY_FIELDS = (
    "pixdim",
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
    "xyzt_units",
)
_PRIVATE_OR_STALE_FIELDS = (
    "data_type",
    "db_name",
    "descrip",
    "aux_file",
    "unused_str",
    "intent_name",
    "intent_code",
    "intent_p1",
    "intent_p2",
    "intent_p3",
    "cal_max",
    "cal_min",
    "glmax",
    "glmin",
    "extents",
    "session_error",
)


def header_for(geometry: Geometry) -> bytes:
    """Raw NIfTI-1 header for a grid whose source is no NIfTI; millimetres, scanner coordinates."""
    header = nifti1.Nifti1Header(endianness="<")
    header.set_data_shape(geometry.shape)
    header.set_xyzt_units("mm")
    header.set_sform(geometry.affine, 1)
    header.set_qform(geometry.affine, 1)
    rotation = geometry.affine[:3, :3] / np.asarray(geometry.spacing)
    if not np.allclose(rotation.T @ rotation, np.eye(3), atol=1e-5):
        header["qform_code"] = 0  # a quaternion cannot hold shear
    return cast(bytes, header.structarr.tobytes())


def scan_header(geometry: Geometry, dtype: np.dtype[Any]) -> bytes:
    """Raw header of an unscaled NIfTI-1 scan with native little-endian voxels of `dtype`."""
    fields = fields_of(header_for(geometry))
    code = int(nifti1.data_type_codes.code[dtype])
    fields["datatype"], fields["bitpix"] = code, dtype.itemsize * 8
    fields["vox_offset"], fields["magic"] = 352, HEADER_KINDS[348][1]
    fields["scl_slope"], fields["scl_inter"] = 1, 0
    return fields.tobytes()


def mask_header(source: bytes, slope: float = 1.0) -> bytes:
    """Copy a raw header and patch only what a uint8 mask on the same grid must have different.

    Free text, intent and extensions are dropped because they may name a patient; a 4D header becomes 3D.

    Parameters
    ----------
    source : bytes
        348 bytes (NIfTI-1) or 540 bytes (NIfTI-2) in either byte order.
    slope : float
        Factor from stored value to meaning.
    """
    fields = fields_of(source)
    for name in set(_PRIVATE_OR_STALE_FIELDS) & set(fields.dtype.names or ()):
        fields[name] = np.zeros((), fields.dtype[name])
    fields["dim"][0] = 3
    fields["dim"][4:] = 1
    fields["datatype"], fields["bitpix"] = 2, 8
    fields["vox_offset"] = len(source) + 4
    fields["scl_slope"], fields["scl_inter"] = slope, 0
    fields["magic"] = HEADER_KINDS[len(source)][1]
    return fields.tobytes()


def encode(header: bytes, voxels: NDArray[Any], *, compress: bool) -> bytes:
    """Bytes of a single-file NIfTI; the gzip wrapper carries neither file name nor time."""
    little = voxels.astype(voxels.dtype.newbyteorder("<"), copy=False)
    content = b"".join((header, bytes(4), little.tobytes(order="F")))
    return gzip.compress(content, compresslevel=3, mtime=0) if compress else content


def geometry_bytes(header: bytes) -> tuple[bytes, ...]:
    """Every header byte that says where voxels lie: grid size, spacing, both transforms and units."""
    fields = fields_of(header)
    return (fields["dim"][1:4].tobytes(), *(fields[name].tobytes() for name in _GEOMETRY_FIELDS))


def fields_of(header: bytes) -> NDArray[np.void]:
    """Raw header as a writable structured scalar in its own byte order."""
    kind, _ = HEADER_KINDS[len(header)]
    little = int.from_bytes(header[:4], "little") == len(header)
    return cast(
        "NDArray[np.void]", kind(header, endianness="<" if little else ">", check=False).structarr.copy()
    )
