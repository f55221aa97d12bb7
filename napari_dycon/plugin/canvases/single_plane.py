"""What is drawn over the viewer's one plane: its name, the sides of the body, the grey-scale window."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_dycon.plugin.actions import ActionsOf
from napari_dycon.plugin.canvases.marks import Marks
from napari_dycon.plugin.canvases.panes import MainView
from napari_dycon.plugin.canvases.rail import RailLook
from napari_dycon.plugin.canvases.signposts import Signposts
from napari_dycon.plugin.canvases.wheel import Wheel
from napari_dycon.plugin.canvases.window_drag import WindowDrag
from napari_dycon.plugin.keys.held import HeldKeys
from napari_dycon.plugin.layers.legend import Entry

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.qt import QtViewer


@dataclass(frozen=True)
class Caption:
    """What is written on the viewer's plane.

    Attributes
    ----------
    note
        The grey-scale window in words.
    alone
        Whether it is the only plane, which names itself then.
    legend
        What lies over the scan, in words.
    """

    note: str
    alone: bool
    legend: tuple[Entry, ...] = ()


class NoLink:
    """Stands for the other planes where there are none.

    Parameters
    ----------
    signposts
        What stands beside the slices.
    """

    point = np.zeros(3)

    def __init__(self, signposts: Signposts) -> None:
        self.signposts = signposts

    def move_to(self, point: object) -> None:
        """There is no cross-hair to move."""

    def point_at(self, position: object) -> None:
        """Nobody asks where the pointer is."""

    def use(self, view: object) -> None:
        """There is only one view to work in."""

    def is_in_use(self, view: object) -> bool:
        """Need no frame around the only view."""
        return False

    def follow(self, view: object) -> None:
        """Nobody follows."""


class SinglePlane(MainView):
    """The viewer's own canvas while no other planes are beside it; the strip at its edge stays with them.

    Parameters
    ----------
    viewer
        The viewer.
    canvas
        Its ``QtViewer``.
    caption
        Returns what is written on it, None while no case is open; a bound method, only weakly referenced.
    actions
        Returns who does what keys and mouse ask for.
    signposts
        What stands beside the slices.
    """

    def __init__(
        self,
        viewer: "ViewerModel",
        canvas: "QtViewer",
        caption: Callable[[], Caption | None],
        actions: ActionsOf,
        signposts: Signposts,
    ) -> None:
        self._caption = weakref.WeakMethod(caption)
        super().__init__(viewer, canvas, NoLink(signposts), railed=True)
        WindowDrag(canvas.canvas.native, actions)
        HeldKeys(canvas.canvas.native, actions)
        Wheel(canvas.canvas.native, weakref.ref(viewer), actions)
        dims = viewer.dims.events
        for emitter in (dims.current_step, dims.order, dims.ndisplay):
            emitter.connect(self._redraw)

    def redraw(self) -> None:
        """Draw the marks anew."""
        self._redraw()
        self._renew_rail()

    def _rail_look(self) -> RailLook | None:
        caption_of = self._caption()
        if caption_of is None or caption_of() is None:
            return None
        return super()._rail_look()

    def _marks(self) -> Marks:
        caption_of = self._caption()
        caption = None if caption_of is None else caption_of()
        if caption is None:
            return Marks()
        if not caption.alone:
            return Marks(note=caption.note, legend=caption.legend)
        marks = super()._marks()
        if not marks.title:
            return marks
        return replace(marks, lines=(), note=caption.note, legend=caption.legend)
