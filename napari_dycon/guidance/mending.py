"""What a person changed at a place against what a model had predicted there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dycon.study.truth.annotations import Known


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of voxels at a place.

    Attributes
    ----------
    known
        Something is said about them; those that are not cared about do not count.
    accepted
        They were taken over from a prediction.
    changed
        They are known to be something else than what was predicted; None without a prediction.
    covered
        A structure is predicted or known there; None without a prediction.
    """

    known: int
    accepted: int
    changed: int | None
    covered: int | None

    @classmethod
    def of(
        cls, labels: NDArray[np.uint8], known: NDArray[np.uint8], predicted: NDArray[np.uint8] | None
    ) -> "Tally":
        """Count a part of a scan; three arrays of one shape."""
        spoken = (known != Known.UNKNOWN) & (known != Known.IGNORE)
        said, accepted = _count(spoken), _count(known == Known.ACCEPTED)
        if predicted is None:
            return cls(said, accepted, None, None)
        changed = _count(spoken & (labels != predicted))
        return cls(said, accepted, changed, _count((predicted > 0) | spoken & (labels > 0)))

    def since(self, before: "Tally") -> "Tally":
        """Return what came to it since an earlier count; `covered` is that of now."""
        changed = None
        if self.changed is not None and before.changed is not None:
            changed = max(0, self.changed - before.changed)
        known, accepted = max(0, self.known - before.known), max(0, self.accepted - before.accepted)
        return Tally(known, accepted, changed, self.covered)


def _count(mask: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))
