"""Label maps as NRRD and MetaImage, written by ITK and read back by our own readers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import VolumeError
from napari_dycon.io.atomic import atomic_path, make_folder, require_space
from napari_dycon.io.geometry import LPS_TO_RAS
from napari_dycon.io.masks import read_labels
from napari_dycon.io.volumes import read_geometry


def write_itk_mask(
    mask: NDArray[np.uint8],
    scan: Path,
    out: Path,
    fields: Mapping[str, str] | None = None,
    names: Mapping[int, str] | None = None,
) -> None:
    """Write a mask on the grid of its scan, whole or not at all.

    Parameters
    ----------
    mask
        Label values (x, y, z) in source order.
    scan
        File of the scan.
    out
        Ends in ``.nrrd`` or ``.mha``.
    fields
        Texts for the header.
    names
        What of the values must read back from them.

    Raises
    ------
    VolumeError
        If the grid cannot be stated in that format, or the file cannot be written or does not read back.
    """
    import SimpleITK as sitk

    geometry = read_geometry(scan)
    lps = LPS_TO_RAS @ geometry.affine
    make_folder(out.parent)
    require_space(out, mask.size // 16)
    with atomic_path(out) as temporary:
        try:
            image = sitk.GetImageFromArray(np.ascontiguousarray(mask.T))
            image.SetSpacing(geometry.spacing)
            image.SetOrigin(lps[:3, 3].tolist())
            image.SetDirection((lps[:3, :3] / np.array(geometry.spacing)).ravel().tolist())
            for key, text in (fields or {}).items():
                image.SetMetaData(key, text)
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise VolumeError(f"{out.name} could not be written to {out.parent} by ITK.") from error
        if not read_geometry(temporary).matches(geometry):
            raise VolumeError(f"{out.name} was not written: this format cannot state where its scan lies.")
        found = read_labels(temporary, geometry)
        if not np.array_equal(found.array, mask) or dict(found.names) != dict(names or {}):
            raise VolumeError(f"{out.name} did not read back as it was written; check the disk.")
