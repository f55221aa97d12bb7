"""Which of our layers napari's layer list shows."""

import weakref
from typing import TYPE_CHECKING

from napari.layers import Layer
from qtpy.compat import isalive
from qtpy.QtCore import Qt

from napari_dycon.plugin.layers.napari_private import layer_list_view, main_window

if TYPE_CHECKING:
    from napari.components import ViewerModel


class LayerRows:
    """Hides the rows of layers that are needed only now and then.

    Such a layer stays in the viewer, as its removal in mid-session can crash OpenGL; only the view leaves its
    row out, so the numbers of the rows are still those of napari's list. The view forgets which layer a
    hidden row belonged to when the whole list is turned round, so it is told again after each change.

    Parameters
    ----------
    viewer
        The viewer or viewer model, only weakly referenced; without a window nothing happens.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._viewer = weakref.ref(viewer)
        self._unlisted: weakref.WeakSet[Layer] = weakref.WeakSet()
        for emitter in (viewer.layers.events.inserted, viewer.layers.events.reordered):
            emitter.connect(self._apply, position="last")

    def list_layer(self, layer: Layer, listed: bool) -> None:
        """Show or hide the row of ``layer``."""
        (self._unlisted.discard if listed else self._unlisted.add)(layer)
        self._apply()

    def _apply(self, event: object = None) -> None:
        del event
        window = main_window(self._viewer())
        if window is None or not isalive(window):
            return
        view = layer_list_view(window)
        for row in range(view.model().rowCount()):
            layer = view.model().index(row, 0).data(Qt.ItemDataRole.UserRole)
            view.setRowHidden(row, layer in self._unlisted)
