"""One scan as training sees it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dycon.engine.arrays import let_go


@dataclass(frozen=True)
class PreparedCase:
    """One case on the plan's grid.

    Attributes
    ----------
    image : float16 (channel, x, y, z)
    target : uint8 (x, y, z) of class indices, 254 and 255; None when nothing is known
    weight : importance of each voxel of the target, (x, y, z); None where it is 1 everywhere
    judged : the target with nothing but what a person drew or declared complete; None where that is all of it
    patient : whose scan it is; empty where each case is a patient of its own
    """

    case: str
    image: NDArray[np.float16]
    target: NDArray[np.uint8] | None
    notes: tuple[str, ...] = ()
    weight: NDArray[np.float16] | None = None
    judged: NDArray[np.uint8] | None = None
    patient: str = ""

    @property
    def grid(self) -> tuple[int, ...]:
        """Voxels by axis (x, y, z)."""
        return self.image.shape[1:]

    @property
    def person(self) -> str:
        """Shared by all scans of one patient."""
        return self.patient or self.case

    def let_go(self) -> None:
        """Take what was read of it out of the process's memory, where it lies in files."""
        let_go(self.image, self.target, self.weight, self.judged)

    @property
    def labelled(self) -> bool:
        """Whether a person has labelled any voxel."""
        return self.target is not None

    @property
    def truth(self) -> NDArray[np.uint8] | None:
        """What quality may be measured against: neither accepted predictions nor interpolated voxels."""
        return self.target if self.judged is None else self.judged
