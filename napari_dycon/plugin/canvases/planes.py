"""Axial, coronal, sagittal and 3D beside each other, linked by one cross-hair.

napari shows one canvas. The other planes are canvases of their own, each with a viewer model whose layers
are mirrors (see `mirrors`) of those in the viewer, which stays the only one that anybody else needs to know.
The point where the planes meet is kept here in mm; a view is moved only along the axis it slices, because
a change of any other coordinate would make napari slice all its layers anew.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.events import Event
from psygnal import Signal
from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QSplitter

from napari_dycon.plugin.actions import ActionsOf
from napari_dycon.plugin.canvases.canvas import SolidPane
from napari_dycon.plugin.canvases.follower import Follower
from napari_dycon.plugin.canvases.mirrors import can_be_mirrored
from napari_dycon.plugin.canvases.panes import MainView, PlanePane, SliceView
from napari_dycon.plugin.layers.napari_private import centre_of, main_window
from napari_dycon.plugin.layers.orientation import PLANE_ORDER
from napari_dycon.plugin.layers.sheet import Sheet
from napari_dycon.plugin.layers.styles import is_about_labels, is_the_scan
from napari_dycon.plugin.lifecycle import Lifecycle

if TYPE_CHECKING:
    from napari.components import ViewerModel

FIT_MS = 50
"""By then a canvas has got its size."""
MOVE_MS = 15
"""Cross-hair movements within this time are one."""
SOLID_MS = 400
"""How long at least the 3D view waits for the hand to rest; drawing it is expensive."""


class LinkedPlanes:
    """The further planes of one viewer, made when they are shown and gone when they are hidden.

    Signals: ``shown_changed`` tells whether the planes are shown; ``used`` the place
    ``(display axis, mm)`` of the plane the person works in, None for the viewer's own; ``pointer_moved``
    follows the pointer.

    Parameters
    ----------
    viewer
        The unwrapped napari viewer, with a window; only weakly referenced.
    actions
        Returns who does what keys and mouse ask for.
    """

    shown_changed = Signal(bool)
    used = Signal(object)
    pointer_moved = Signal()

    def __init__(self, viewer: "ViewerModel", actions: ActionsOf) -> None:
        self._viewer = weakref.ref(viewer)
        self._actions = actions
        self._main: MainView | None = None
        self._panes: list[PlanePane] = []
        self._solid: SolidPane | None = None
        self._column: QSplitter | None = None
        self._connected: list[tuple[Any, Callable[..., None]]] = []
        self._follower = Follower(self._viewer, self._copies, self._changed)
        self._busy = False
        self._renewed = False
        self._in_use: SliceView | None = None
        self.point = np.zeros(3)
        self.pointer: tuple[float, ...] | None = None
        self._timers = {
            name: _timer(milliseconds, action)
            for name, milliseconds, action in (
                ("move", MOVE_MS, self._follow_point),
                ("solid", SOLID_MS, self._show_solid),
            )
        }
        self._lifecycle = Lifecycle(main_window(viewer), _nothing, self.hide)

    @property
    def shown(self) -> bool:
        """Whether the planes are on screen."""
        return self._main is not None

    @property
    def _alive(self) -> "ViewerModel":
        viewer = self._viewer()
        assert viewer is not None, "the viewer has been closed"
        return viewer

    @property
    def _shown_solid(self) -> SolidPane:
        assert self._solid is not None, "the planes are not shown"
        return self._solid

    @property
    def panes(self) -> dict[str, PlanePane]:
        """The planes beside the viewer's own, by name: two of axial, coronal and sagittal."""
        return {pane.plane: pane for pane in self._panes}

    @property
    def solid(self) -> "SolidPane | None":
        """The 3D view, while it is shown."""
        return self._solid

    def toggle(self) -> None:
        """Show the planes, or hide them."""
        if self.shown:
            self.hide()
        else:
            self.show()

    def show(self) -> None:
        """Put two planes and the 3D view beside the viewer's own canvas."""
        viewer = self._viewer()
        window = None if viewer is None else main_window(viewer)
        if viewer is None or window is None or self.shown:
            return
        centre, canvas = centre_of(window)
        self._main = MainView(viewer, canvas, self)
        self._panes = [PlanePane(viewer, plane, self, self._actions) for plane in self._other_planes()]
        self._solid = SolidPane(viewer, self._actions)
        self._lay_out(centre, canvas)
        self._listen(viewer)
        for layer in viewer.layers:
            self._add(layer)
        self._select()
        self.move_to(viewer.dims.point)
        self._follow_point()
        QTimer.singleShot(FIT_MS, self._fit)
        self.shown_changed.emit(True)

    def hide(self) -> None:
        """Take the planes away, and everything that belongs to them."""
        if not self.shown:
            return
        for timer in self._timers.values():
            timer.stop()
        for emitter, slot in self._connected:
            emitter.disconnect(slot)
        self._connected = []
        self._use(None)
        for view in self._slices():
            view.close()
        self._shown_solid.close()
        if self._column is not None and isalive(self._column):
            self._column.hide()
            self._column.deleteLater()
        self._main, self._panes, self._solid, self._column = None, [], None, None
        self._follower.forget()
        QTimer.singleShot(FIT_MS, self._fit)
        self.shown_changed.emit(False)

    def move_to(self, point: Sequence[float] | np.ndarray) -> None:
        """Let all planes meet at ``point``, ``(z, y, x)`` in mm, or as near to it as there are voxels."""
        viewer = self._viewer()
        if viewer is None or not self.shown or viewer.dims.ndim < 3:
            return
        ranges = viewer.dims.range[-3:]
        wanted = np.asarray(point, dtype=float)[-3:]
        for axis, (start, stop, step) in enumerate(ranges):
            self.point[axis] = start + round((min(max(wanted[axis], start), stop) - start) / step) * step
        self._timers["move"].start()

    def follow_viewer(self) -> None:
        """Let all planes meet where the viewer has been sent, and work in the viewer's own."""
        viewer = self._viewer()
        if viewer is not None and self.shown:
            self._use(None)
            self.move_to(viewer.dims.point)
            self._follow_point()

    def step(self, slices: int) -> None:
        """Go on by ``slices`` in the plane in use."""
        view, viewer = self._in_use or self._main, self._viewer()
        if view is not None and viewer is not None and viewer.dims.ndim >= 3:
            moved = self.point.copy()
            moved[view.axis] += slices * viewer.dims.range[-3:][view.axis].step
            self.move_to(moved)

    def pointed_at(self, position: Sequence[float]) -> None:
        """Remember that the pointer is over ``position``, in mm, on whichever canvas."""
        self.pointer = tuple(position)
        self.pointer_moved.emit()

    def use(self, view: SliceView) -> None:
        """Work in ``view`` from now on: slice marks and accepted slices are those of its plane."""
        if view is not self._in_use:
            self._use(view)

    def is_in_use(self, view: SliceView) -> bool:
        """Return whether the person worked in ``view`` last."""
        return view is self._in_use

    def stepped(self, view: SliceView) -> None:
        """Follow the slice that was chosen in ``view``."""
        if self._busy or self._renewed:
            return
        moved = self.point.copy()
        moved[view.axis] = view.position
        if not np.array_equal(moved, self.point):
            self.move_to(moved)
            self.use(view)

    # ---- the person's place ------------------------------------------------------------------

    def _use(self, view: SliceView | None) -> None:
        self._in_use = view
        pane = view if view in self._panes else None
        self.used.emit(None if pane is None else (pane.axis, pane.position))
        self._draw_marks()

    @contextmanager
    def _acting(self) -> Iterator[None]:
        """Take nothing that happens meanwhile for the person's doing."""
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before

    def _follow_point(self) -> None:
        with self._acting():
            for view in self._slices():
                view.go_to(self.point)
        if self._in_use in self._panes:
            self._use(self._in_use)
        self._draw_marks()
        self._timers["solid"].start()

    def _draw_marks(self) -> None:
        for view in self._slices():
            view.marks.update()

    def _slices(self) -> list[SliceView]:
        return [self._main, *self._panes] if self._main is not None else []

    # ---- layers ------------------------------------------------------------------------------

    def _add(self, layer: Layer) -> None:
        if not can_be_mirrored(layer):
            return
        with self._acting():
            for pane in self._panes:
                pane.add(layer, self._place_of(layer))
        if isinstance(layer, Sheet):
            return
        if isinstance(layer, Labels):
            self._hear(layer.events.labels_update, self._follower.painted_in_viewer)
        if isinstance(layer, Labels) and is_about_labels(layer):
            self._shown_solid.add(layer)
            for name in ("visible", "colormap", "opacity"):
                self._hear(layer.events[name], self._look_changed)
        self._follower.watch(layer)
        self._hear(layer.events.set_data, self._follower.drawn)
        self._hear(layer.events.data, self._given_data)

    def _place_of(self, layer: Layer) -> int:
        viewer = self._alive
        mirrored = [other for other in viewer.layers if can_be_mirrored(other)]
        return mirrored.index(layer)

    def _inserted(self, event: Event) -> None:
        self._add(event.value)
        self._select()

    def _removed(self, event: Event) -> None:
        for pane in self._panes:
            pane.remove(event.value)
        self._shown_solid.remove(event.value)
        self._follower.forget(event.value)

    def _reordered(self, event: Event | None = None) -> None:
        viewer = self._alive
        for pane in self._panes:
            pane.sort([layer for layer in viewer.layers if can_be_mirrored(layer)])

    def _select(self, event: Event | None = None) -> None:
        active = self._alive.layers.selection.active
        for pane in self._panes:
            pane.select(active)

    # ---- edits -------------------------------------------------------------------------------

    def painted(self, source: Labels, painter: Labels) -> None:
        """Let every view follow what is painted on a copy of ``source``."""
        self._follower.painted(source, painter)

    def _copies(self, layer: Layer) -> list[Layer]:
        return [copy for pane in self._panes if (copy := pane.copy_of(layer)) is not None]

    def _changed(self) -> None:
        self._timers["solid"].start()

    def _given_data(self, event: Event) -> None:
        """Take no step of a pane for the person's while one array after the other is swapped."""
        if is_the_scan(event.source) and not self._renewed:
            self._renewed = True
            QTimer.singleShot(0, self._all_given)
        if isinstance(event.source, Labels):
            self._shown_solid.renew(event.source)
        self._draw_marks()

    def _all_given(self) -> None:
        """Begin where the viewer is by now: in the place where a case was left, or that was asked for."""
        self._renewed = False
        self.follow_viewer()

    def _look_changed(self, event: Event) -> None:
        self._shown_solid.look(event.source)

    def _show_solid(self) -> None:
        """Draw in 3D once no mouse button is held, for that can take long."""
        if self._solid is None:
            return
        if QApplication.mouseButtons() != Qt.MouseButton.NoButton:
            self._timers["solid"].start()
            return
        self._follower.show_solid()
        self._solid.refresh(self.point)
        self._timers["solid"].setInterval(max(SOLID_MS, self._solid.rest_ms))

    # ---- views -------------------------------------------------------------------------------

    def _lay_out(self, centre: Any, canvas: QSplitter) -> None:
        below, beside = self._panes
        canvas.addWidget(below.widget)
        self._column = QSplitter(Qt.Orientation.Vertical)
        self._column.addWidget(beside.widget)
        self._column.addWidget(self._shown_solid.widget)
        centre.addWidget(self._column)
        for place in range(2):
            centre.setStretch(place, 1)
        for splitter in (canvas, self._column):
            splitter.setChildrenCollapsible(False)
            half = max(canvas.height() // 2, 1)
            splitter.setSizes([half, *[0] * (splitter.count() - 2), half])  # a pane before may still be there

    def _listen(self, viewer: "ViewerModel") -> None:
        dims, layers = viewer.dims.events, viewer.layers.events
        for emitter, slot in (
            (dims.current_step, self._main_stepped),
            (dims.order, self._turned),
            (dims.ndisplay, self._turned),
            (layers.inserted, self._inserted),
            (layers.removed, self._removed),
            (layers.reordered, self._reordered),
            (viewer.layers.selection.events.active, self._select),
            (viewer.events.reset_view, self._reset_views),
            (viewer.events.theme, self._theme_changed),
        ):
            self._hear(emitter, slot)

    def _hear(self, emitter: Any, slot: Callable[..., None]) -> None:
        emitter.connect(slot)
        self._connected.append((emitter, slot))

    def _main_stepped(self, event: Event | None = None) -> None:
        if self._main is not None:
            self.stepped(self._main)

    def _turned(self, event: Event | None = None) -> None:
        """Give the panes the planes that the viewer does not show now."""
        self._use(None)
        with self._acting():
            for pane, plane in zip(self._panes, self._other_planes(), strict=True):
                pane.turn(plane)
        self._timers["move"].start()

    def _other_planes(self) -> list[str]:
        own = None if self._main is None else self._main.plane
        return [plane for plane in PLANE_ORDER if plane != own]

    def _reset_views(self, event: Event | None = None) -> None:
        """The whole scan in every view; of another scan, the planes where the viewer is."""
        if self._renewed:
            self._use(None)
            self.move_to(self._alive.dims.point)
        for model in self._further_models():
            model.reset_view()

    def _further_models(self) -> "list[ViewerModel]":
        return [*(pane.model for pane in self._panes), self._shown_solid.model]

    def _fit(self) -> None:
        viewer = self._viewer()
        window = None if viewer is None else main_window(viewer)
        if viewer is not None and window is not None and isalive(window) and len(viewer.layers):
            viewer.reset_view()

    def _theme_changed(self, event: Event | None = None) -> None:
        for model in self._further_models():
            model.theme = self._alive.theme


def _timer(milliseconds: int, action: Callable[[], None]) -> QTimer:
    timer = QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(action)
    return timer


def _nothing() -> None:
    """Closing may still be called off."""
