"""What is drawn over the viewer's one plane: its name, the sides of the body, the grey-scale window."""

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_dycon.plugin.canvases.marks import Marks
from napari_dycon.plugin.canvases.panes import MainView
from napari_dycon.plugin.canvases.wheel import Wheel
from napari_dycon.plugin.canvases.window_drag import WindowDrag
from napari_dycon.plugin.keys.held import HeldKeys

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.qt import QtViewer

    from napari_dycon.plugin.session import Session


class NoLink:
    """Stands for the other planes where there are none."""

    point = np.zeros(3)

    def move_to(self, point: object) -> None:
        """There is no cross-hair to move."""

    def pointed_at(self, position: object) -> None:
        """Nobody asks where the pointer is."""

    def use(self, view: object) -> None:
        """There is only one view to work in."""

    def is_in_use(self, view: object) -> bool:
        """Need no frame around the only view."""
        return False

    def stepped(self, view: object) -> None:
        """Nobody follows."""


class OnePlane(MainView):
    """The viewer's own canvas while no other planes are beside it.

    Parameters
    ----------
    viewer
        The viewer.
    canvas
        Its ``QtViewer``.
    session
        Asked whether a case is open and with which window it is shown; only weakly referenced.
    """

    def __init__(self, viewer: "ViewerModel", canvas: "QtViewer", session: "Session") -> None:
        self._session = weakref.ref(session)
        super().__init__(viewer, canvas, NoLink())
        WindowDrag(canvas.canvas.native, self._session)
        HeldKeys(canvas.canvas.native, self._session)
        Wheel(canvas.canvas.native, weakref.ref(viewer), self._session)
        dims = viewer.dims.events
        for emitter in (dims.current_step, dims.order, dims.ndisplay):
            emitter.connect(self._redraw)
        for signal in (session.planes_changed, session.window_changed, session.study_changed):
            signal.connect(self.redraw)

    def redraw(self) -> None:
        """Draw the marks anew."""
        self._redraw()

    def _marks(self) -> Marks:
        session = self._session()
        if session is None or session.case_id is None:
            return Marks()
        note = session.window_note
        if session.planes_shown:
            return Marks(note=note)
        marks = super()._marks()
        return replace(marks, lines=(), note=note) if marks.title else marks
