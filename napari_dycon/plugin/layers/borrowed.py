"""The tool that the person had in the hand before another one was put there for a while."""

from typing import TYPE_CHECKING

from napari.layers import Labels, Layer, Shapes

if TYPE_CHECKING:
    from napari.components import ViewerModel


class BorrowedHand:
    """Remembers which layer was worked on, and with which tool, until it is given back."""

    def __init__(self) -> None:
        self._tool: tuple[Layer | None, str] = (None, "pan_zoom")

    def take(self, viewer: "ViewerModel") -> None:
        """Remember what is in the hand."""
        active = viewer.layers.selection.active
        self._tool = (active, "pan_zoom" if active is None else str(active.mode))

    def give_back(self, viewer: "ViewerModel", own: Layer | None) -> None:
        """Put it back into the hand, unless another one than ``own`` was taken up meanwhile."""
        if viewer.layers.selection.active not in (None, own):
            return
        layer, mode = self._tool
        if layer is not None and layer in viewer.layers:
            viewer.layers.selection.active = layer
            if isinstance(layer, Labels | Shapes):
                layer.mode = mode
        else:
            viewer.layers.selection.active = None
