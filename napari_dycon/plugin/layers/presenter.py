"""The only code that adds layers to the viewer or changes them."""

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from napari.layers import Labels, Layer

from napari_dycon.io.geometry import Geometry
from napari_dycon.plugin.layers import styles
from napari_dycon.plugin.layers.brush import Brush, StrokeBrush, mark_values
from napari_dycon.plugin.layers.disputes import Disputes
from napari_dycon.plugin.layers.legend import Entry
from napari_dycon.plugin.layers.legend import entries as legend_entries
from napari_dycon.plugin.layers.maps import Maps
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.orientation import (
    CAMERA_ORIENTATION,
)
from napari_dycon.plugin.layers.slices import Slices
from napari_dycon.plugin.layers.stage import Stage
from napari_dycon.study.store.schema import Structure

if TYPE_CHECKING:
    from napari.components import ViewerModel


NO_OUTLINE_IN_3D = "Contours are not displayed during 3D rendering"


class Presenter:
    """Shows one case at a time on layers of its own, which are re-used from case to case.

    Parameters
    ----------
    viewer
        The napari viewer or viewer model; only weakly referenced.

    Attributes
    ----------
    stage
        Has the layers.
    slices
        The place in the case.
    maps
        What a model says of it.
    disputes
        Where its readers differ.
    brush, stroke_brush
        What painting does on the annotation, and on the strokes of which a piece grows.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._shown: str | None = None
        self._tool: str | None = None
        self._looking_back = self._known_wanted = False
        self.brush, self.stroke_brush = Brush(), StrokeBrush()
        brushes = {styles.ANNOTATION: self.brush, styles.STROKES: self.stroke_brush}
        self.stage = Stage(viewer, brushes)
        self.slices, self.maps, self.disputes = Slices(self.stage), Maps(self.stage), Disputes(self.stage)
        warnings.filterwarnings("ignore", message=NO_OUTLINE_IN_3D)

    @property
    def viewer(self) -> "ViewerModel":
        """The viewer, which must not have been closed."""
        return self.stage.viewer

    def layer(self, role: str) -> Layer | None:
        """Return our layer for ``role`` if it is in the viewer."""
        return self.stage.layer(role)

    @property
    def annotation(self) -> Labels | None:
        """The layer the person paints on, if it is in the viewer."""
        return self.layer(styles.ANNOTATION)

    @property
    def under_brush(self) -> Labels | None:
        """The layer that tools work on: the strokes while a piece grows from them, else the annotation."""
        strokes = self.layer(styles.STROKES)
        return strokes if strokes is not None and strokes.visible else self.annotation

    @property
    def labels_on_screen(self) -> Labels | None:
        """The annotation or, while an older version is looked at, that."""
        return self.layer(styles.VERSION if self._looking_back else styles.ANNOTATION)

    def legend(self) -> tuple[Entry, ...]:
        """Return what is seen over the scan, in words."""
        own, overlay, glimpsed = self.annotation, self.maps.overlay, self.maps.glimpsed
        entropy, model = self.layer(styles.ENTROPY), self.layer(styles.PREDICTION)
        apart = self.layer(styles.DIFFERENCES)
        outlined = any(layer is not None and layer.visible for layer in (model, apart))
        return legend_entries(
            own=own is not None and own.visible,
            model="model" if outlined else "",
            differences=overlay.differences,
            learning="" if glimpsed is None else f"learning, step {glimpsed.iteration}",
            veil=self.maps.veil if entropy is not None and entropy.visible else "",
            readers=self.disputes.legend(),
        )

    def show_case(
        self, case: OpenCase, structures: tuple[Structure, ...], active_value: int, editable: bool = True
    ) -> None:
        """Show ``case``; the view stays as it is when the same case was shown before."""
        same = case.case_id == self._shown and self._shows(case.display.geometry)
        self.stage.display, self._shown = case.display, case.case_id
        if not same:
            self.maps.cover()
            self.disputes.show(None)
        self.show_picture(case)
        self.maps.show_truth(case.annotation)
        self.maps.show_prediction(case.prediction, case.entropy, case.open_prediction)
        if self.layer(styles.KNOWN) is not None:
            self.stage.put(styles.KNOWN, case.annotation.known)
        annotation = self.stage.put(styles.ANNOTATION, case.annotation.labels)
        annotation.editable = editable
        if not annotation.visible:  # napari takes the tool away even from a layer that was visible before
            annotation.visible = True
        self.brush.said = self._said_of
        self.show_preview(None)
        self.show_pieces(None)
        self._hide_version()
        self.stage.describe(str(case.volume.path), case.case_id)
        self.show_structures(structures)
        self.select_value(active_value)
        viewer = self.viewer
        viewer.layers.selection.active = annotation
        self._furnish(viewer)
        if not same:
            self._resize_strokes()
            self.slices.centre()
        self.maps.apply_overlay()

    def show_preview(self, labels: np.ndarray | None) -> None:
        """Outline what is proposed, ``(x, y, z)`` in source order; None takes it away."""
        annotation, layer = self.annotation, self.layer(styles.PREVIEW)
        if self.stage.display is None or annotation is None or (labels is None and layer is None):
            return
        active = self.viewer.layers.selection.active
        layer = self.stage.put(styles.PREVIEW, self.stage.blank() if labels is None else labels)
        layer.colormap = styles.preview_colours(annotation.colormap)
        layer.visible, layer.editable = labels is not None, False
        self.viewer.layers.selection.active = active
        self.stage.list_layer(layer, labels is not None)

    def redraw_preview(self) -> None:
        """Draw anew what is proposed, after its array was changed."""
        layer = self.layer(styles.PREVIEW)
        if layer is not None:
            layer.refresh(thumbnail=False, extent=False)

    def show_pieces(self, pieces: np.ndarray | None) -> None:
        """Have numbered pieces ready to point at, ``(x, y, z)`` in source order; None takes them away."""
        if self.stage.display is None or (pieces is None and self.layer(styles.PIECE) is None):
            return
        active = self.viewer.layers.selection.active
        layer = self.stage.put(styles.PIECE, self.stage.blank(np.uint16) if pieces is None else pieces)
        layer.selected_label, layer.visible, layer.editable = 0, pieces is not None, False
        self.viewer.layers.selection.active = active
        self.stage.list_layer(layer, False)

    def point_at_piece(self, number: int) -> None:
        """Show one of the pieces; 0 is none."""
        layer = self.layer(styles.PIECE)
        if layer is not None and layer.selected_label != number:
            layer.selected_label = number

    def show_version(self, labels: np.ndarray) -> None:
        """Show an older version, ``(x, y, z)`` in source order, in place of the annotation, now locked."""
        annotation, active = self.annotation, self.viewer.layers.selection.active
        if annotation is None or self.stage.display is None:
            return
        self.brush.end_strokes()
        self._tool = self._tool or annotation.mode
        annotation.editable = annotation.visible = False
        layer = self.stage.put(styles.VERSION, labels)
        layer.colormap, layer.features = annotation.colormap, annotation.features
        layer.visible, layer.editable = True, False
        self.viewer.layers.selection.active = active
        self.stage.list_layer(layer, True)
        self._looking_back = True
        self._apply_known()

    def end_version(self, editable: bool) -> None:
        """Show the annotation again, with the tool that was in the hand."""
        self._hide_version()
        annotation, tool, self._tool = self.annotation, self._tool, None
        if annotation is not None:
            annotation.editable, annotation.visible = editable, True
            if editable and tool is not None:
                annotation.mode = tool

    def _said_of(self, voxel: tuple[int, ...]) -> str:
        """Return what model and readers say of a voxel ``(z, y, x)`` in the order of the display."""
        return "; ".join(filter(None, (self.maps.said_of(voxel), self.disputes.said_of(voxel))))

    def _hide_version(self) -> None:
        layer = self.layer(styles.VERSION)
        if layer is not None and self.stage.display is not None:
            self.stage.put(styles.VERSION, self.stage.blank())
            layer.visible = layer.editable = False
            self.stage.list_layer(layer, False)
        self._looking_back = False
        self._apply_known()

    def show_structures(self, structures: tuple[Structure, ...]) -> None:
        """Give annotation and prediction the colours and names of ``structures``, but hide those hidden."""
        self.brush.marks = mark_values([structure.value for structure in structures])
        self.brush.locked = frozenset(structure.value for structure in structures if structure.locked)
        colours = styles.structure_colours(structures, self.brush.marks)
        names = pd.DataFrame({"index": [s.value for s in structures], "name": [s.name for s in structures]})
        for role in (styles.PREDICTION, styles.ANNOTATION, styles.VERSION):
            layer = self.layer(role)
            if layer is not None:
                layer.colormap = colours
                layer.features = names
        self.maps.show_structures(structures)
        self.disputes.show_structures(structures)

    def select_value(self, value: int) -> None:
        """Make ``value`` the one the brush paints."""
        if self.annotation is not None:
            self.annotation.selected_label = value

    def show_window(self, limits: tuple[float, float]) -> None:
        """Spread the intensities between ``limits`` from black to white."""
        scan = self.layer(styles.SCAN)
        if scan is not None:
            scan.contrast_limits = limits

    def shown_window(self) -> tuple[float, float]:
        """Return what is black and what is white now, whoever chose it."""
        scan = self.layer(styles.SCAN)
        return (0.0, 1.0) if scan is None else (scan.contrast_limits[0], scan.contrast_limits[1])

    def refresh_annotation(self) -> None:
        """Redraw the annotation after its array was changed from outside the layer."""
        if self.annotation is not None:
            self.annotation.refresh()

    def show_known(self, known: np.ndarray | None) -> None:
        """Show how each voxel is known, ``(x, y, z)`` in source order and not copied; None hides it."""
        if not self.stage.there:
            return
        viewer, layer = self.viewer, self.layer(styles.KNOWN)
        if layer is None and known is not None and self.stage.display is not None:
            active = viewer.layers.selection.active
            layer = self.stage.put(styles.KNOWN, known)
            viewer.layers.selection.active = active
        self._known_wanted = known is not None
        self._apply_known()
        if layer is not None:
            self.stage.list_layer(layer, self._known_wanted)

    def _apply_known(self) -> None:
        """Show the known map unless it is about something else than the labels on screen."""
        layer = self.layer(styles.KNOWN)
        if layer is not None:
            in_slices = self.viewer.dims.ndisplay == 2
            layer.visible = self._known_wanted and in_slices and not self._looking_back

    def refresh_known(self) -> None:
        """Redraw the known map after something became known."""
        layer = self.layer(styles.KNOWN)
        if layer is not None and layer.visible:
            layer.refresh(thumbnail=False, extent=False)

    def retire(self) -> None:
        """Hide our layers and lock the annotation: nothing painted now would be kept."""
        self._shown = None
        self.brush.end_strokes()
        self.maps.cover()
        self.disputes.show(None)
        for layer in self.stage.all().values():
            layer.visible = False
            layer.editable = False

    def _shows(self, geometry: Geometry) -> bool:
        return self.stage.display is not None and self.stage.display.geometry.matches(geometry)

    def show_picture(self, case: OpenCase) -> None:
        """Show the image of the open case that the person wants to see, in the place of the one before."""
        picture = case.picture
        scan = self.stage.put(styles.SCAN, picture.volume.array, contrast_limits=picture.contrast)
        scan.contrast_limits_range = picture.intensity_range
        scan.contrast_limits = picture.contrast
        scan.visible = True
        self.brush.scan = case.display.apply(picture.volume.array)

    def _resize_strokes(self) -> None:
        """Give the layer of strokes the size of the case: napari counts the slices of hidden layers, too."""
        if self.layer(styles.STROKES) is not None:
            self.stage.put(styles.STROKES, self.stage.blank())

    def _furnish(self, viewer: "ViewerModel") -> None:
        viewer.canvas.overlays.scale_bar.visible = True
        viewer.scene.camera.orientation = CAMERA_ORIENTATION
