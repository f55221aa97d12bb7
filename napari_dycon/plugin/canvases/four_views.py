"""The viewer's own canvas, two further planes and 3D in a window, two by two."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.utils.events import Event
from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMainWindow, QSplitter

from napari_dycon.plugin.actions import ActionsOf
from napari_dycon.plugin.canvases.canvas import SolidPane
from napari_dycon.plugin.canvases.copies import Copies
from napari_dycon.plugin.canvases.crosshair import CrossHair
from napari_dycon.plugin.canvases.panes import MainView, PlanePane
from napari_dycon.plugin.canvases.rest import Rest
from napari_dycon.plugin.canvases.subscriptions import Subscriptions
from napari_dycon.plugin.layers.napari_private import centre_of
from napari_dycon.plugin.layers.orientation import PLANE_ORDER

if TYPE_CHECKING:
    from napari.components import ViewerModel

SOLID_MS = 400
"""How long at least the 3D view waits for the hand to rest; drawing it is expensive."""


class FourViews:
    """What is beside each other from now until `close`.

    Parameters
    ----------
    viewer
        Returns the viewer, which is alive now.
    window
        Its main window.
    cross_hair
        Joins the views.
    actions
        Returns who does what keys and mouse ask for.

    Attributes
    ----------
    main, panes, solid
        The viewer's own plane, the other two, and 3D.
    """

    def __init__(
        self,
        viewer: "Callable[[], ViewerModel | None]",
        window: QMainWindow,
        cross_hair: CrossHair,
        actions: ActionsOf,
    ) -> None:
        self._viewer, self._cross_hair = viewer, cross_hair
        centre, canvas = centre_of(window)
        self.main = MainView(self._alive, canvas, cross_hair)
        self.panes = [PlanePane(self._alive, plane, cross_hair, actions) for plane in self._other_planes()]
        self.solid = SolidPane(self._alive, actions)
        self._column = self._lay_out(centre, canvas)
        self._rest = Rest(self._draw_solid, SOLID_MS)
        self._copies = Copies(viewer, self.panes, self.solid, cross_hair, self._rest.wait)
        self._subscriptions = Subscriptions()
        self._listen(self._alive)
        cross_hair.link([self.main, *self.panes])

    def close(self) -> None:
        """Take the further views away, and everything that belongs to them."""
        self._rest.stop()
        self._cross_hair.moved.disconnect(self._rest.wait)
        self._subscriptions.end()
        self._copies.close()
        self._cross_hair.unlink()
        for view in (self.main, *self.panes):
            view.close()
        self.solid.close()
        if isalive(self._column):
            self._column.hide()
            self._column.deleteLater()

    @property
    def _alive(self) -> "ViewerModel":
        viewer = self._viewer()
        assert viewer is not None, "the viewer has been closed"
        return viewer

    def _lay_out(self, centre: Any, canvas: QSplitter) -> QSplitter:
        below, beside = self.panes
        canvas.addWidget(below.widget)
        column = QSplitter(Qt.Orientation.Vertical)
        column.addWidget(beside.widget)
        column.addWidget(self.solid.widget)
        centre.addWidget(column)
        for place in range(2):
            centre.setStretch(place, 1)
        for splitter in (canvas, column):
            splitter.setChildrenCollapsible(False)
            half = max(canvas.height() // 2, 1)
            splitter.setSizes([half, *[0] * (splitter.count() - 2), half])  # a pane before may still be there
        return column

    def _listen(self, viewer: "ViewerModel") -> None:
        dims = viewer.dims.events
        for emitter, slot in (
            (dims.current_step, self._on_step),
            (dims.order, self._turn),
            (dims.ndisplay, self._turn),
            (viewer.events.reset_view, self._reset_views),
            (viewer.events.theme, self._take_theme),
        ):
            self._subscriptions.add(emitter, slot)
        self._cross_hair.moved.connect(self._rest.wait)

    def _on_step(self, event: Event | None = None) -> None:
        self._cross_hair.follow(self.main)

    def _turn(self, event: Event | None = None) -> None:
        """Give the panes the planes that the viewer does not show now."""
        self._cross_hair.release()
        with self._cross_hair.hold():
            for pane, plane in zip(self.panes, self._other_planes(), strict=True):
                pane.turn(plane)
        self._cross_hair.move_soon()

    def _other_planes(self) -> list[str]:
        return [plane for plane in PLANE_ORDER if plane != self.main.plane]

    def _reset_views(self, event: Event | None = None) -> None:
        """The whole scan in every view; of another scan, the planes where the viewer is."""
        self._cross_hair.meet_scan()
        for model in self._further_models():
            model.reset_view()

    def _take_theme(self, event: Event | None = None) -> None:
        for model in self._further_models():
            model.theme = self._alive.theme

    def _further_models(self) -> "list[ViewerModel]":
        return [*(pane.model for pane in self.panes), self.solid.model]

    def _draw_solid(self) -> None:
        self._copies.show_solid()
        self.solid.refresh(self._cross_hair.point)
        self._rest.ask_for(self.solid.rest_ms)
