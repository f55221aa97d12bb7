"""The tool in the person's hand and the slice before their eyes, as the keys change them."""

from napari_dycon.plugin.layers.presenter import Presenter

SMALLEST_BRUSH = 1


class Hand:
    """Works on the annotation layer and on the slices of the viewer.

    Parameters
    ----------
    presenter
        Owns the layers.
    """

    def __init__(self, presenter: Presenter) -> None:
        self._presenter = presenter

    @property
    def tool(self) -> str:
        """The tool in the hand: paint, erase, fill, polygon, pick, pan_zoom …; empty without one."""
        layer = self._presenter.under_brush
        return "" if layer is None else str(layer.mode)

    def take(self, mode: str) -> None:
        """Take one of napari's tools for labels, and make what is painted on the layer it works on."""
        layer = self._presenter.under_brush
        if layer is not None and (layer.editable or mode == "pan_zoom"):
            layer.visible = True
            self._presenter.viewer.layers.selection.active = layer
            layer.mode = mode

    def change_brush(self, step: int) -> None:
        """Make the brush bigger or smaller by ``step`` voxels."""
        layer = self._presenter.under_brush
        if layer is not None:
            layer.brush_size = max(SMALLEST_BRUSH, layer.brush_size + step)

    def toggle_annotation(self) -> None:
        """Show or hide the annotation, or the older version in its place."""
        layer = self._presenter.labels_on_screen
        if layer is not None:
            layer.visible = not layer.visible

    def toggle_3d(self) -> None:
        """Show the volume, or slices again."""
        dims = self._presenter.viewer.dims
        dims.ndisplay = 2 if dims.ndisplay == 3 else 3

    def fit(self) -> None:
        """Show all of the scan."""
        self._presenter.viewer.reset_view()

    def step(self, slices: int) -> None:
        """Go on by ``slices`` on the axis that the viewer slices."""
        place, dims = self._presenter.slices.slice_place(), self._presenter.viewer.dims
        if place is not None:
            axis = place[0] + dims.ndim - 3
            dims.set_current_step(axis, dims.current_step[axis] + slices)
