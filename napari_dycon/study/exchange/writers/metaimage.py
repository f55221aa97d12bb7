"""Masks as MetaImage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dycon.io.itk_masks import write_itk_mask
from napari_dycon.study.exchange.formats import Format, formats
from napari_dycon.study.store.schema import Structure


def write(mask: NDArray[np.uint8], scan: Path, structures: Sequence[Structure], out: Path) -> None:
    """Write label values without their names."""
    write_itk_mask(mask, scan, out)


formats.add("metaimage", Format(".mha", write))
