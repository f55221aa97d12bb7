"""The layer on which one region is outlined, or one place is clicked, on whichever canvas."""

from collections.abc import Iterator
from weakref import WeakSet

import numpy as np
from napari.utils.events import Event
from qtpy.QtCore import QTimer

from napari_dycon.plugin.layers.napari_private import OutlineShapes

CLICK_PIXELS = 4


class Sheet(OutlineShapes):
    """Shapes whose copies on further canvases report to it; what is drawn on one is seen on that one only.

    The event ``outlined`` carries the ``corners`` of a finished shape, ``(n, 3)`` in voxels, and the
    ``sheet`` it is on; ``clicked`` carries a ``voxel``.

    Parameters
    ----------
    original
        The sheet of which this one is a copy.
    settings
        Of `napari.layers.Shapes`.

    Attributes
    ----------
    copies
        The sheets that are copies of this one.
    """

    def __init__(self, original: "Sheet | None" = None, **settings: object) -> None:
        super().__init__(ndim=3, **settings)
        self._original = self if original is None else original
        self.copies: WeakSet[Sheet] = WeakSet()
        self.events.add(outlined=Event, clicked=Event)
        self.events.data.connect(self._on_change)
        self.mouse_drag_callbacks.append(_on_press)
        if original is not None:
            original.copies.add(self)

    def clear(self, *, but: "Sheet | None" = None) -> None:
        """Remove what is drawn on this sheet and its copies, and mark nothing as selected."""
        for sheet in (self, *self.copies):
            sheet.selected_data = set()
            if sheet is not but:
                sheet.data = []

    def click(self, voxel: np.ndarray) -> None:
        """Tell that a place was clicked."""
        self._original.events.clicked(voxel=voxel)

    def _on_change(self, event: Event) -> None:
        if str(getattr(event, "action", "")).endswith("added"):
            QTimer.singleShot(0, self._tell)  # napari has not let go of the shape yet

    def _tell(self) -> None:
        if self.nshapes:
            self._original.events.outlined(corners=np.array(self.data[-1], float), sheet=self)


def _on_press(sheet: Sheet, event: Event) -> Iterator[None]:
    start, voxel = np.array(event.pos), np.array(sheet.world_to_data(event.position))
    yield
    while event.type == "mouse_move":
        yield
    if event.button == 1 and np.abs(np.array(event.pos) - start).max() <= CLICK_PIXELS:
        sheet.click(voxel[-3:])
