"""From probabilities on the plan's grid to mask and maps on that of a scan, in parts that fit into memory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_dycon.engine.calibration import ExpectedDice, Tempering
from napari_dycon.engine.plan import Plan
from napari_dycon.engine.resampling import FloatArray, resample_rows, rows_needed
from napari_dycon.engine.tidiness import REACH, tidy
from napari_dycon.io.geometry import Geometry, Reorientation

SOURCE_MAPS = 12
"""So many float32 maps of the part at hand are in memory at once, beside what is kept."""
PLAN_MAPS = 6
PLAN_SHARE = 0.75
"""Of the memory, what is for maps on the plan's grid; maps on the scan's grid are made in slabs."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about one scan; all arrays in source order ``(x, y, z)``.

    Attributes
    ----------
    mask : uint8 values of structures
    probabilities : float32 (class, x, y, z), calibrated, background first; None when not asked for
    entropy : float32 predictive entropy of the calibrated committee, divided by ln C, from 0 to 1
    expected_dice : by structure in the order of the plan; None where nothing of it was found
    """

    mask: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None
    entropy: NDArray[np.float32]
    expected_dice: tuple[float | None, ...]


class Canvas:
    """Mask and maps of one scan, filled part by part along the first canonical axis.

    Parameters
    ----------
    plan, temperature
        Of the model.
    geometry
        Of the scan.
    grid
        Shape of the scan on the plan's grid, (x, y, z).
    keep
        Whether calibrated probabilities are kept.
    """

    def __init__(
        self, plan: Plan, temperature: float, geometry: Geometry, grid: Sequence[int], keep: bool
    ) -> None:
        self._plan = plan
        self._temperature = temperature
        self._reorientation = Reorientation.to(geometry, "RAS")
        self._shape = self._reorientation.shape
        self._grid = tuple(grid)
        self._keep = keep
        self._counted = 0
        self._dice = ExpectedDice(plan.classes, self._grid, plan.spacing)
        self._mask = np.zeros(self._shape, dtype=np.uint8)
        self._entropy = np.zeros(self._shape, dtype=np.float32)
        self._reach = np.zeros(self._shape, dtype=np.uint8) if plan.specks else None
        self._kept = np.zeros((plan.classes, *self._shape), dtype=np.float32) if keep else None

    def blocks(self, groups: int, memory: float) -> list[slice]:
        """Rows of the scan by parts, as few as fit into `memory` bytes with the mean of so many groups.

        Windows at the edge of a part are predicted for both parts, so a part is never thinner than a quarter
        of a window, and most of the memory is for what a part has on the plan's grid.
        """
        step = self._grid[0] / self._shape[0]
        plan_row = 4 * math.prod(self._grid[1:]) * (groups * self._plan.classes + PLAN_MAPS)
        fitting = int((PLAN_SHARE * memory - 2 * plan_row) / (step * plan_row))
        thinnest = math.ceil(self._plan.patch_size[0] / 4 / step)
        return _even_parts(slice(0, self._shape[0]), max(fitting, thinnest))

    def slabs(self, rows: slice, memory: float) -> list[slice]:
        """Rows of a part of `blocks` by thinner parts, to be added one by one."""
        row = 4 * math.prod(self._shape[1:]) * SOURCE_MAPS
        return _even_parts(rows, int((1 - PLAN_SHARE) * memory / row))

    def rows_needed(self, rows: slice) -> slice:
        """Rows of the plan's grid from which these rows of the scan follow."""
        return rows_needed(self._grid[0], self._shape[0], rows)

    def add(self, found: FloatArray, of: slice, rows: slice) -> None:
        """Fill in some rows.

        Parameters
        ----------
        found : (group, class, x, y, z) rows `of` of the plan's grid; the first group decides, the last shows
            how sure the model is
        of : from `rows_needed`
        rows : of the scan
        """
        shape = (rows.stop - rows.start, *self._shape[1:])
        best = np.full(shape, -1.0, dtype=np.float32)
        mask = np.zeros(shape, dtype=np.uint8)
        shown, decided = Tempering(shape, self._temperature), Tempering(shape, self._temperature)
        for index, value in enumerate((0, *self._plan.structure_values)):
            probability = self._resample(found[0, index], of, rows)
            wins = probability > best
            mask[wins], best[wins] = value, probability[wins]
            if self._reach is not None and value in self._plan.specks:
                self._reach[rows][probability > REACH] = value
            if self._kept is not None:
                self._kept[index, rows] = decided.add(probability)
            shown.add(probability if len(found) == 1 else self._resample(found[-1, index], of, rows))
        self._mask[rows], self._entropy[rows] = mask, shown.entropy()
        if self._kept is not None:
            self._kept[:, rows] /= decided.total
        self._count(found[0], of)

    def prediction(self) -> Prediction:
        """What was filled in, on the scan's own grid."""
        kept = None
        if self._kept is not None:
            kept = np.stack([to_source(map_, self._reorientation) for map_ in self._kept])
        tidy(self._mask, self._plan, math.prod(self._reorientation.spacing), self._reach)
        return Prediction(
            mask=to_source(self._mask, self._reorientation),
            probabilities=kept,
            entropy=to_source(self._entropy, self._reorientation),
            expected_dice=tuple(self._dice.near(self._mask, self._plan.structure_values)),
        )

    def _resample(self, part: FloatArray, of: slice, rows: slice) -> FloatArray:
        return resample_rows(part, of, self._grid[0], self._shape, rows)

    def _count(self, own: FloatArray, of: slice) -> None:
        """Count every row of the plan's grid once, though neighbouring parts share some."""
        first = max(self._counted, of.start)
        new = own[:, first - of.start :]
        self._counted = of.stop
        self._dice.add(new, new.argmax(axis=0), first, self._temperature)


def _even_parts(rows: slice, longest: int) -> list[slice]:
    length = rows.stop - rows.start
    count = math.ceil(length / max(1, min(length, longest)))
    edges = [rows.start + round(part * length / count) for part in range(count + 1)]
    return [slice(low, high) for low, high in pairwise(edges)]


_Array = TypeVar("_Array", bound=NDArray[Any])


def to_source(array: _Array, reorientation: Reorientation) -> _Array:
    """Turn a volume from canonical axes to the order of its source."""
    result: _Array = np.ascontiguousarray(reorientation.invert(array))  # type: ignore[assignment]
    return result
