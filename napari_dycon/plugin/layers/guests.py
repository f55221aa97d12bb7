"""What napari's own menus and keys do to layers while a case is open: said, where labels could be missed."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

from napari.layers import Labels, Layer
from napari.utils.events import Event
from qtpy.QtCore import QTimer

from napari_dycon.plugin.layers.styles import ANNOTATION, SCAN

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_dycon.plugin.layers.presenter import Presenter

NOT_SAVED = (
    "What is painted on “{name}” is not saved with the case: choose the layer “{ours}” to label the scan."
)
TAKEN_OUT = (
    "“{name}” was taken out of the viewer. Nothing is lost: click the case in the list to show it again."
)


class Guests:
    """Tells of painting on a layer that is not ours, once for each, and of layers of ours that were removed.

    Parameters
    ----------
    viewer
        The viewer or viewer model.
    presenter
        Owns our layers.
    case_open
        Returns whether a case is open.
    say
        Called with a level and a sentence.
    """

    def __init__(
        self,
        viewer: "ViewerModel",
        presenter: "Presenter",
        case_open: Callable[[], bool],
        say: Callable[[str, str], None],
    ) -> None:
        self._presenter, self._case_open, self._say = presenter, case_open, say
        self._told: WeakSet[Layer] = WeakSet()
        viewer.layers.events.inserted.connect(self._on_insert)
        viewer.layers.events.removed.connect(self._on_removal)
        for layer in viewer.layers:
            self._hear(layer)

    def _on_insert(self, event: Event) -> None:
        self._hear(event.value)

    def _hear(self, layer: Layer) -> None:
        if isinstance(layer, Labels):
            layer.events.paint.connect(self._on_paint)

    def _on_paint(self, event: Event) -> None:
        layer, ours = event.source, self._presenter.annotation
        if layer in (ours, self._presenter.under_brush) or layer in self._told or not self._case_open():
            return
        self._told.add(layer)
        self._say(
            "warning", NOT_SAVED.format(name=layer.name, ours=ANNOTATION if ours is None else ours.name)
        )

    def _on_removal(self, event: Event) -> None:
        if isinstance(event.value, Labels):
            event.value.events.paint.disconnect(self._on_paint)
        if self._presenter.stage.role_made_for(event.value) in (SCAN, ANNOTATION):
            QTimer.singleShot(0, lambda name=event.value.name: self._tell_removed(name))

    def _tell_removed(self, name: str) -> None:
        """Later, for a viewer that is closing removes its layers too."""
        missing = any(self._presenter.layer(role) is None for role in (SCAN, ANNOTATION))
        if missing and self._case_open() and self._presenter.stage.on_screen:
            self._say("warning", TAKEN_OUT.format(name=name))
