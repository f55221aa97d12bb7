"""Surfaces of structures as STL, one file a structure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dycon.io.meshes import surface, write_stl
from napari_dycon.io.volumes import read_geometry
from napari_dycon.study.exchange.formats import Format, formats
from napari_dycon.study.store.schema import Structure


def write(mask: NDArray[np.uint8], scan: Path, structures: Sequence[Structure], out: Path) -> None:
    """Write the surface of one structure, in millimetres to left, posterior, superior."""
    write_stl(surface(mask > 0, read_geometry(scan)), out)


formats.add("stl", Format(".stl", write, apart=True, empty=False, noun="surface"))
