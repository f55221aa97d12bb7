"""In which formats masks leave a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import StudyError
from napari_dycon.register import Register
from napari_dycon.study.store.schema import Structure

USUAL = "nifti"


class Writer(Protocol):
    """Writes one mask."""

    def __call__(
        self, mask: NDArray[np.uint8], scan: Path, structures: Sequence[Structure], out: Path, /
    ) -> None:
        """Write label values ``(x, y, z)`` in source order, on the grid of a scan.

        Parameters
        ----------
        mask
            Label values; 0 is background.
        scan
            File of the scan, whose grid the mask lies on.
        structures
            What the values mean.
        out
            The file, ending in the suffix of the format; its folder need not exist. It appears whole or not
            at all.

        Raises
        ------
        VolumeError
            If it cannot be written.
        """


@dataclass(frozen=True, slots=True)
class Format:
    """How masks are written: what their files end in, with the dot, and what writes them."""

    suffix: str
    write: Writer


formats: Register[Format] = Register(
    "export format", "napari_dycon.study.exchange.writers", "napari_dycon.writers", StudyError
)
"""Formats of exported masks by name."""
