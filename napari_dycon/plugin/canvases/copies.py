"""The viewer's layers on the further canvases: mirrors on the planes, structures in 3D."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from napari.layers import Labels, Layer
from napari.utils.events import Event

from napari_dycon.plugin.canvases.canvas import SolidPane
from napari_dycon.plugin.canvases.crosshair import CrossHair
from napari_dycon.plugin.canvases.follower import Follower
from napari_dycon.plugin.canvases.mirrors import can_be_mirrored
from napari_dycon.plugin.canvases.panes import PlanePane
from napari_dycon.plugin.canvases.subscriptions import Subscriptions
from napari_dycon.plugin.layers.sheet import Sheet
from napari_dycon.plugin.layers.styles import is_about_labels, is_the_scan

if TYPE_CHECKING:
    from napari.components import ViewerModel


class Copies:
    """Keeps what the further canvases show in step with the layers of the viewer, from now until `close`.

    A layer is copied when it is seen for the first time, since each copy takes long to make.

    Parameters
    ----------
    viewer
        Whose layers are copied.
    panes, solid
        What the copies are shown on.
    cross_hair
        Joins the panes; told when another scan comes.
    on_change
        Called with every change of an array.
    """

    def __init__(
        self,
        viewer: "Callable[[], ViewerModel | None]",
        panes: Sequence[PlanePane],
        solid: SolidPane,
        cross_hair: CrossHair,
        on_change: Callable[[], None],
    ) -> None:
        self._viewer, self._panes, self._solid, self._cross_hair = viewer, panes, solid, cross_hair
        self._follower = Follower(viewer, self._copies_of, on_change)
        self._subscriptions = Subscriptions()
        for layer in self._alive.layers:
            self._add(layer)
        self._select()
        layers = self._alive.layers
        for emitter, slot in (
            (layers.events.inserted, self._on_inserted),
            (layers.events.removed, self._on_removed),
            (layers.events.reordered, self._sort),
            (layers.selection.events.active, self._select),
        ):
            self._subscriptions.add(emitter, slot)

    def close(self) -> None:
        """Follow nothing any longer."""
        self._subscriptions.end()
        self._follower.forget()

    def show_solid(self) -> None:
        """Draw what the viewer and the planes show in 3D, now that the hand rests."""
        self._follower.show_solid()

    @property
    def _alive(self) -> "ViewerModel":
        viewer = self._viewer()
        assert viewer is not None, "the viewer has been closed"
        return viewer

    def _copies_of(self, layer: Layer) -> list[Layer]:
        return [copy for pane in self._panes if (copy := pane.copy_of(layer)) is not None]

    def _copied_layers(self) -> list[Layer]:
        return [layer for layer in self._alive.layers if self._copies_of(layer)]

    def _add(self, layer: Layer) -> None:
        if not can_be_mirrored(layer):
            return
        if layer.visible or is_the_scan(layer):  # the scan tells how large everything is
            self._copy(layer)
        else:
            self._subscriptions.add(layer.events.visible, self._on_seen)

    def _on_seen(self, event: Event) -> None:
        layer = event.source
        if layer.visible and layer in self._alive.layers and not self._copies_of(layer):
            self._copy(layer)
            self._select()

    def _copy(self, layer: Layer) -> None:
        layers = list(self._alive.layers)
        place = sum(bool(self._copies_of(other)) for other in layers[: layers.index(layer)])
        with self._cross_hair.hold():
            for pane in self._panes:
                pane.add(layer, place, self._follower.follow_stroke)
        if isinstance(layer, Sheet):
            return
        if isinstance(layer, Labels):
            self._subscriptions.add(layer.events.labels_update, self._follower.follow_viewer)
        if isinstance(layer, Labels) and is_about_labels(layer):
            self._solid.add(layer)
            for name in ("visible", "colormap", "opacity"):
                self._subscriptions.add(layer.events[name], self._on_look)
        self._follower.watch(layer)
        self._subscriptions.add(layer.events.set_data, self._follower.follow_edit)
        self._subscriptions.add(layer.events.data, self._on_data)

    def _on_inserted(self, event: Event) -> None:
        self._add(event.value)
        self._select()

    def _on_removed(self, event: Event) -> None:
        for pane in self._panes:
            pane.remove(event.value)
        self._solid.remove(event.value)
        self._follower.forget(event.value)

    def _sort(self, event: Event | None = None) -> None:
        layers = self._copied_layers()
        for pane in self._panes:
            pane.sort(layers)

    def _select(self, event: Event | None = None) -> None:
        active = self._alive.layers.selection.active
        for pane in self._panes:
            pane.select(active)

    def _on_data(self, event: Event) -> None:
        if is_the_scan(event.source):
            self._cross_hair.await_scan()
        if isinstance(event.source, Labels):
            self._solid.renew(event.source)
        self._cross_hair.redraw()

    def _on_look(self, event: Event) -> None:
        self._solid.look(event.source)
