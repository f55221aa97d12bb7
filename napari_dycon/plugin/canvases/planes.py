"""Axial, coronal, sagittal and 3D beside each other, linked by one cross-hair.

napari shows one canvas. The other planes are canvases of their own, each with a viewer model whose layers
are mirrors (see `mirrors`) of those in the viewer, which stays the only one that anybody else needs to know.
"""

import weakref
from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.compat import isalive
from qtpy.QtCore import QTimer

from napari_dycon.plugin.actions import ActionsOf
from napari_dycon.plugin.canvases.canvas import SolidPane
from napari_dycon.plugin.canvases.crosshair import CrossHair
from napari_dycon.plugin.canvases.four_views import FourViews
from napari_dycon.plugin.canvases.panes import PlanePane, SliceView
from napari_dycon.plugin.canvases.signposts import Signposts
from napari_dycon.plugin.layers.napari_private import main_window
from napari_dycon.plugin.lifecycle import Lifecycle

if TYPE_CHECKING:
    from napari.components import ViewerModel

FIT_MS = 50
"""By then a canvas has got its size."""


class LinkedPlanes:
    """The further planes of one viewer, made when they are shown and gone when they are hidden.

    Signals: ``shown_changed`` tells whether the planes are shown.

    Parameters
    ----------
    viewer
        The unwrapped napari viewer, with a window; only weakly referenced.
    actions
        Returns who does what keys and mouse ask for.
    signposts
        What stands beside the slices.

    Attributes
    ----------
    cross_hair
        Where the planes meet, and which of them is in use.
    """

    shown_changed = Signal(bool)

    def __init__(self, viewer: "ViewerModel", actions: ActionsOf, signposts: Signposts) -> None:
        self._viewer = weakref.ref(viewer)
        self._actions = actions
        self._views: FourViews | None = None
        self.cross_hair = CrossHair(self._viewer, signposts)
        self._lifecycle = Lifecycle(main_window(viewer), _nothing, self.hide)

    @property
    def shown(self) -> bool:
        """Whether the planes are on screen."""
        return self._views is not None

    @property
    def panes(self) -> dict[str, PlanePane]:
        """The planes beside the viewer's own, by name: two of axial, coronal and sagittal."""
        return {} if self._views is None else {pane.plane: pane for pane in self._views.panes}

    @property
    def slices(self) -> list[SliceView]:
        """The viewer's own plane and those beside it, while they are shown."""
        return [] if self._views is None else [self._views.main, *self._views.panes]

    @property
    def solid(self) -> SolidPane | None:
        """The 3D view, while it is shown."""
        return None if self._views is None else self._views.solid

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
        if window is not None and not self.shown:
            self._views = FourViews(self._viewer, window, self.cross_hair, self._actions)
            self._tell_shown()

    def hide(self) -> None:
        """Take the planes away, and everything that belongs to them."""
        if self._views is not None:
            self._views.close()
            self._views = None
            self._tell_shown()

    def _tell_shown(self) -> None:
        QTimer.singleShot(FIT_MS, self._fit)
        self.shown_changed.emit(self.shown)

    def _fit(self) -> None:
        viewer = self._viewer()
        window = None if viewer is None else main_window(viewer)
        if viewer is not None and window is not None and isalive(window) and len(viewer.layers):
            viewer.reset_view()


def _nothing() -> None:
    """Closing may still be called off."""
