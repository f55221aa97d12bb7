"""Where the planes meet, where the pointer is, and in which plane the person works.

The point is kept in mm; a view is moved only along the axis it slices, because a change of any other
coordinate would make napari slice all its layers anew.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_dycon.plugin.canvases.panes import SliceView
from napari_dycon.plugin.canvases.signposts import Signposts

if TYPE_CHECKING:
    from napari.components import ViewerModel

MOVE_MS = 15
"""Movements within this time are one."""


class CrossHair:
    """Joins views: all of them show the slice through one point.

    Signals: ``used`` the place ``(display axis, mm)`` of the plane the person works in, None for the viewer's
    own; ``pointer_moved`` follows the pointer; ``moved`` when all views show the point.

    Parameters
    ----------
    viewer
        Returns the viewer whose scan is shown.
    signposts
        What stands beside the slices.

    Attributes
    ----------
    point
        Where the planes meet, ``(z, y, x)`` in mm.
    pointer
        Where the pointer was last over any of the views, in mm.
    """

    used = Signal(object)
    pointer_moved = Signal()
    moved = Signal()

    def __init__(self, viewer: "Callable[[], ViewerModel | None]", signposts: Signposts) -> None:
        self._viewer = viewer
        self.signposts = signposts
        self._views: Sequence[SliceView] = ()
        self._in_use: SliceView | None = None
        self._busy = False
        self._awaiting = False
        self._soon = QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(MOVE_MS)
        self._soon.timeout.connect(self.move_views)
        self.point = np.zeros(3)
        self.pointer: tuple[float, ...] | None = None

    def link(self, views: Sequence[SliceView]) -> None:
        """Join ``views``, the viewer's own first, where the viewer is now."""
        self._views = views
        self.go_to_viewer()
        self.move_views()

    def unlink(self) -> None:
        """Join nothing from now on."""
        self._soon.stop()
        self.release()
        self._views = ()

    def move_to(self, point: Sequence[float] | np.ndarray) -> None:
        """Let all planes meet at ``point``, ``(z, y, x)`` in mm, or as near to it as there are voxels."""
        viewer = self._viewer()
        if viewer is None or not self._views or viewer.dims.ndim < 3:
            return
        ranges = viewer.dims.range[-3:]
        wanted = np.asarray(point, dtype=float)[-3:]
        for axis, (start, stop, step) in enumerate(ranges):
            self.point[axis] = start + round((min(max(wanted[axis], start), stop) - start) / step) * step
        self.move_soon()

    def move_soon(self) -> None:
        """Bring all views to the point, once for all that happens within a moment."""
        self._soon.start()

    def move_views(self) -> None:
        """Bring all views to the point now."""
        with self.hold():
            for view in self._views:
                view.go_to(self.point)
        if self._works_in_pane():
            self._use(self._in_use)
        self.redraw()
        self.moved.emit()

    def step(self, slices: int) -> None:
        """Go on by ``slices`` in the plane in use."""
        viewer = self._viewer()
        if self._views and viewer is not None and viewer.dims.ndim >= 3:
            view = self._in_use or self._views[0]
            point = self.point.copy()
            point[view.axis] += slices * viewer.dims.range[-3:][view.axis].step
            self.move_to(point)

    def follow(self, view: SliceView) -> None:
        """Go where ``view`` has been sent by the person."""
        if self._busy or self._awaiting:
            return
        point = self.point.copy()
        point[view.axis] = view.position
        if not np.array_equal(point, self.point):
            self.move_to(point)
            self.use(view)

    def follow_viewer(self) -> None:
        """Let all planes meet where the viewer has been sent, and work in the viewer's own."""
        if self._viewer() is not None and self._views:
            self.release()
            self.go_to_viewer()
            self.move_views()

    def go_to_viewer(self) -> None:
        """Let all planes meet where the viewer is."""
        viewer = self._viewer()
        if viewer is not None:
            self.move_to(viewer.dims.point)

    # ---- the plane in use --------------------------------------------------------------------

    def point_at(self, position: Sequence[float]) -> None:
        """Remember that the pointer is over ``position``, in mm, on whichever canvas."""
        self.pointer = tuple(position)
        self.pointer_moved.emit()

    def use(self, view: SliceView) -> None:
        """Work in ``view`` from now on: slice marks and accepted slices are those of its plane."""
        if view is not self._in_use:
            self._use(view)

    def release(self) -> None:
        """Work in the viewer's own plane again."""
        self._use(None)

    def is_in_use(self, view: SliceView) -> bool:
        """Return whether the person worked in ``view`` last."""
        return view is self._in_use

    def redraw(self) -> None:
        """Draw anew what lies over the views."""
        for view in self._views:
            view.marks.update()

    def _use(self, view: SliceView | None) -> None:
        self._in_use = view
        place = (view.axis, view.position) if view is not None and self._works_in_pane() else None
        self.used.emit(place)
        self.redraw()

    def _works_in_pane(self) -> bool:
        return self._in_use in self._views[1:]

    # ---- what is not the person's doing ------------------------------------------------------

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Take nothing that happens meanwhile for the person's doing."""
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before

    def await_scan(self) -> None:
        """Take no step of a pane for the person's while one array after the other is swapped."""
        if not self._awaiting:
            self._awaiting = True
            QTimer.singleShot(0, self._begin)

    def meet_scan(self) -> None:
        """Let the planes of a scan that is just being given meet where the viewer is."""
        if self._awaiting:
            self.release()
            self.go_to_viewer()

    def _begin(self) -> None:
        """Begin where the viewer is by now: in the place where a case was left, or that was asked for."""
        self._awaiting = False
        self.follow_viewer()
