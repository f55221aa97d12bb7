"""Masks as NIfTI, the grid of their scan byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dycon.io.exports import export_mask
from napari_dycon.study.exchange.formats import Format, formats
from napari_dycon.study.store.schema import Structure


def write(mask: NDArray[np.uint8], scan: Path, structures: Sequence[Structure], out: Path) -> None:
    """Write a mask, and read it back before it takes its name."""
    export_mask(mask, scan, out)


formats.add("nifti", Format(".nii.gz", write))
