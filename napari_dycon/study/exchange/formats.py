"""In which formats masks leave a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import StudyError, VolumeError
from napari_dycon.io.masks import label_counts
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
    """How masks are written.

    Attributes
    ----------
    suffix
        What their files end in, with the dot.
    write
        What writes them.
    identifies
        Whether the files name the patient, so that they cannot be written under neutral names.
    needs
        Package that must be installed; empty where none is.
    apart
        Whether each structure has a file of its own, in which it is 1 and all else 0.
    empty
        Whether a structure that does not occur has its own file too.
    noun
        What one of its files is.
    """

    suffix: str
    write: Writer
    identifies: bool = False
    needs: str = ""
    apart: bool = False
    empty: bool = True
    noun: str = "mask"


def structures_in(
    mask: NDArray[np.uint8], structures: Sequence[Structure], out: Path
) -> tuple[Structure, ...]:
    """Return the structures that occur in a mask.

    Raises
    ------
    VolumeError
        If a value has no structure: a format that names what it holds would leave it out.
    """
    values = set(np.flatnonzero(label_counts(mask)).tolist()) - {0}
    foreign = sorted(values - {structure.value for structure in structures})
    if foreign:
        raise VolumeError(
            f"{out.name} was not written: the mask holds the label value {foreign[0]}, which no structure "
            "has; add that structure, or choose a format without names."
        )
    return tuple(structure for structure in structures if structure.value in values)


formats: Register[Format] = Register(
    "export format", "napari_dycon.study.exchange.writers", "napari_dycon.writers", StudyError
)
"""Formats of exported masks by name."""
