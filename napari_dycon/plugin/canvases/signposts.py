"""What stands beside the slices of the open case, and around the place that a person was sent to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_dycon.plugin.layers.styles import VEILS

MOSTLY, PARTLY = 0.75, 0.4
"""Shares of the most unsure slice from which on words are said about it."""


@dataclass(frozen=True)
class SliceSigns:
    """What is known of each slice along one display axis.

    Attributes
    ----------
    labelled, complete
        Whether anything is known on it, and all.
    unsure
        Mean entropy, divided by that of the most unsure slice; None without a prediction.
    apart
        On how much of it readers differ, divided by the most; None where that is not shown. It takes the
        place of ``unsure``.
    suggested
        Why slices are worth a look, by index.
    """

    labelled: NDArray[np.bool_]
    complete: NDArray[np.bool_]
    unsure: NDArray[np.float32] | None = None
    suggested: Mapping[int, str] = field(default_factory=dict)
    apart: NDArray[np.float32] | None = None

    def words(self, index: int) -> tuple[str, ...]:
        """Say what the marks of a slice mean."""
        said = []
        if self.complete[index]:
            said.append("complete")
        elif self.labelled[index]:
            said.append("labelled in part")
        if self.apart is not None and self.apart[index] > 0:
            said.append("here readers differ the most" if self.apart[index] == 1 else "readers differ here")
        elif self.apart is None and self.unsure is not None and not self.complete[index]:
            share = float(self.unsure[index])
            if share >= MOSTLY:
                said.append("here the model is the least sure in this scan")
            elif share >= PARTLY:
                said.append("here the model is not sure")
        if index in self.suggested:
            said.append(f"suggested: {self.suggested[index]}")
        return tuple(said) or ("nothing labelled yet",)


@dataclass(frozen=True)
class BoxInSpace:
    """Edges of a box in mm, ``(z, y, x)``."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    def is_cut(self, axis: int, position: float) -> bool:
        """Whether the slice at a position in mm along a display axis goes through it."""
        return self.low[axis] <= position <= self.high[axis]


class Signposts:
    """Shown by every canvas of a viewer; ``changed`` follows whatever is put up.

    Attributes
    ----------
    slices
        Marks of the slices by display axis; empty while no case is open.
    box
        Around the place that the person was sent to; None once work has begun there.
    veil
        Colour of uncertainty, or of what readers differ on.
    """

    changed = Signal()

    def __init__(self) -> None:
        self.slices: dict[int, SliceSigns] = {}
        self.box: BoxInSpace | None = None
        self.veil = VEILS[0]

    def mark(self, slices: Mapping[int, SliceSigns], veil: str) -> None:
        """Put up other marks."""
        self.slices, self.veil = dict(slices), veil
        self.changed.emit()

    def frame(self, box: BoxInSpace | None) -> None:
        """Put up a box, or take it away."""
        if box != self.box:
            self.box = box
            self.changed.emit()
