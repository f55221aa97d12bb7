"""Shows on every canvas what is painted on one of them, while it is painted.

A stroke costs the other canvases only the part of their slice that it changed, and nothing where it does not
meet their slice. They are drawn at intervals that leave the painted canvas most of the time.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from napari.layers import Labels, Layer
from napari.utils.events import Event
from qtpy.QtCore import QTimer

from napari_dycon.plugin.layers.napari_private import Box, is_in_3d, painted_box, show_part

if TYPE_CHECKING:
    from napari.components import ViewerModel

FOLLOW_MS = 30
"""Changes within this time are drawn at once."""


class Follower:
    """Brings the copies of a layer up to date with each other.

    Parameters
    ----------
    viewer
        Returns the viewer whose layers are copied.
    copies_of
        Returns the copies of a layer on further canvases.
    on_change
        Called with every change.
    """

    def __init__(
        self,
        viewer: "Callable[[], ViewerModel | None]",
        copies_of: Callable[[Layer], Iterable[Layer]],
        on_change: Callable[[], None],
    ) -> None:
        self._viewer, self._copies_of, self._on_change = viewer, copies_of, on_change
        self._parts: dict[Layer, dict[Layer, Box]] = {}
        self._stale: set[Layer] = set()
        self._late: set[Layer] = set()
        self._seen: dict[Layer, object] = {}
        self._showing = False
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(FOLLOW_MS)
        self._timer.timeout.connect(self.show)

    def watch(self, source: Layer) -> None:
        """Notice what happens to ``source`` from now on."""
        self._seen[source] = self._place()

    def follow_stroke(self, source: Labels, painter: Labels) -> None:
        """Let all follow what was painted on ``painter``, which is ``source`` or a copy of it."""
        box = painted_box(painter)
        if self._showing or box is None:
            return
        parts = self._parts.setdefault(source, {})
        for layer in (source, *self._copies_of(source)):
            if layer is not painter:
                parts[layer] = box_around(parts.get(layer), box)
        self._soon()

    def follow_viewer(self, event: Event) -> None:
        """Let the copies follow what was painted in the viewer itself."""
        self.follow_stroke(event.source, event.source)

    def follow_edit(self, event: Event) -> None:
        """Tell an undo, or an edit by someone else, from a mere change of the slice on screen."""
        layer, place = event.source, self._place()
        before, self._seen[layer] = self._seen.get(layer), place
        if before == place and not self._showing:
            self._stale.add(layer)
            self._soon()

    def show(self) -> None:
        """Draw what has changed."""
        stale, self._stale = self._stale, set()
        parts, self._parts = self._parts, {}
        self._showing = True
        try:
            for source in stale:
                for copy in self._copies_of(source):
                    copy.refresh(thumbnail=False, extent=False)
            for source, boxes in parts.items():
                for layer in (source, *self._copies_of(source)):
                    if layer in boxes and (layer is source or source not in stale):
                        self._show_part(layer, boxes[layer])
        finally:
            self._showing = False

    def show_solid(self) -> None:
        """Draw what is in 3D, now that the hand rests."""
        late, self._late = self._late, set()
        self._showing = True
        try:
            for layer in late:
                layer.refresh(thumbnail=False, extent=False)
        finally:
            self._showing = False

    def forget(self, source: Layer | None = None) -> None:
        """Leave ``source`` alone from now on; None is every layer."""
        if source is None:
            self._timer.stop()
            for leftover in (self._parts, self._stale, self._late, self._seen):
                leftover.clear()
            return
        self._parts.pop(source, None)
        self._seen.pop(source, None)
        self._stale.discard(source)
        self._late.discard(source)

    def _place(self) -> object:
        viewer = self._viewer()
        dims = None if viewer is None else viewer.dims
        return None if dims is None else (dims.point, dims.order, dims.ndisplay)

    def _show_part(self, layer: Layer, box: Box) -> None:
        if layer.visible and is_in_3d(layer):
            self._late.add(layer)
        elif layer.visible:
            show_part(layer, box)

    def _soon(self) -> None:
        self._on_change()
        if not self._timer.isActive():
            self._timer.start()


def box_around(first: Box | None, second: Box) -> Box:
    """Return the smallest box around both."""
    if first is None:
        return second
    return tuple(
        slice(min(one.start, other.start), max(one.stop, other.stop))
        for one, other in zip(first, second, strict=True)
    )
