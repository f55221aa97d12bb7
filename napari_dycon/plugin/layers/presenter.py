"""The only code that adds layers to the viewer or changes them."""

import warnings
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from napari.layers import Labels, Layer
from qtpy.compat import isalive

from napari_dycon.io.geometry import Geometry
from napari_dycon.plugin.layers import styles
from napari_dycon.plugin.layers.anchor import Anchor
from napari_dycon.plugin.layers.brush import Brush, BrushedLabels, mark_values
from napari_dycon.plugin.layers.layer_list import LayerRows
from napari_dycon.plugin.layers.napari_private import forget_strokes, main_window
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.orientation import (
    AXIS_LABELS,
    CAMERA_ORIENTATION,
    PLANE_ORDER,
    UNITS,
    DisplayView,
)
from napari_dycon.study.store.schema import Structure

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_dycon.guidance.suggestions import Suggestion

NO_OUTLINE_IN_3D = "Contours are not displayed during 3D rendering"
HELD = ("brush_size", "n_edit_dimensions", "contiguous", "preserve_labels")
"""What the hand keeps when the layer it paints on is made again."""
ROLES = (
    styles.SCAN,
    styles.ENTROPY,
    styles.KNOWN,
    styles.PREDICTION,
    styles.ANNOTATION,
    styles.VERSION,
    styles.PREVIEW,
    styles.PIECE,
)


@dataclass
class Overlay:
    """What the user wants to see on top of the scan."""

    prediction: bool = True
    entropy: bool = True
    opacity: float = styles.ENTROPY_OPACITY


class Presenter:
    """Shows one case at a time on four layers of its own, which are re-used from case to case.

    Removing a layer in mid-session can crash OpenGL and a swap of ``data`` keeps the undo history of the
    array before; so layers stay, their data are swapped and the history is emptied. Layers that the user
    deleted are made again; layers of others are never touched.

    Parameters
    ----------
    viewer
        The napari viewer or viewer model; only weakly referenced.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._viewer = weakref.ref(viewer)
        self._layers: dict[str, Layer] = {}
        self._anchors: dict[str, Anchor] = {}
        self._shown: str | None = None
        self._display: DisplayView | None = None
        self._tool: str | None = None
        self._looking_back = self._known_wanted = False
        self._rows = LayerRows(viewer)
        self._there = {styles.PREDICTION: False, styles.ENTROPY: False}
        self.overlay = Overlay()
        self.brush = Brush()
        self.place_in_use: tuple[int, float] | None = None
        warnings.filterwarnings("ignore", message=NO_OUTLINE_IN_3D)

    @property
    def viewer(self) -> "ViewerModel":
        """The viewer, which must not have been closed."""
        viewer = self._viewer()
        assert viewer is not None, "the viewer has been closed"
        return viewer

    def layer(self, role: str) -> Layer | None:
        """Return our layer for ``role`` if it is in the viewer."""
        layer = self._layers.get(role)
        viewer = self._viewer()
        return layer if layer is not None and viewer is not None and layer in viewer.layers else None

    def made(self, layer: Layer) -> str | None:
        """Return the role for which a layer was made, in the viewer or not; None for layers of others."""
        return next((role for role, ours in self._layers.items() if ours is layer), None)

    @property
    def on_screen(self) -> bool:
        """Whether the viewer is there, and its window if it ever had one."""
        viewer = self._viewer()
        window = main_window(viewer)
        return viewer is not None and (window is None or (isalive(window) and window.isVisible()))

    @property
    def annotation(self) -> Labels | None:
        """The layer the person paints on, if it is in the viewer."""
        return self.layer(styles.ANNOTATION)

    @property
    def labels_on_screen(self) -> Labels | None:
        """The annotation or, while an older version is looked at, that."""
        return self.layer(styles.VERSION if self._looking_back else styles.ANNOTATION)

    def show_case(
        self, case: OpenCase, structures: tuple[Structure, ...], active_value: int, editable: bool = True
    ) -> None:
        """Show ``case``; the view stays as it is when the same case was shown before."""
        same = case.case_id == self._shown and self._shows(case.display.geometry)
        self._display, self._shown = case.display, case.case_id
        if not same:
            self._cover()
        self._show_scan(case)
        prediction = case.prediction if case.open_prediction is None else case.open_prediction
        self.show_prediction(prediction, case.entropy)
        if self.layer(styles.KNOWN) is not None:
            self._put(styles.KNOWN, case.display.apply(case.annotation.known))
        annotation = self._put(styles.ANNOTATION, case.display.apply(case.annotation.labels))
        annotation.editable = editable
        if not annotation.visible:  # napari takes the tool away even from a layer that was visible before
            annotation.visible = True
        self.brush.scan = case.display.apply(case.volume.array)
        self.show_preview(None)
        self.show_pieces(None)
        self._hide_version()
        self._describe(case)
        self.show_structures(structures)
        self.select_value(active_value)
        viewer = self.viewer
        viewer.layers.selection.active = annotation
        self._furnish(viewer)
        if not same:
            self._centre(viewer)
        self._apply_overlay()

    def _cover(self) -> None:
        """Hide what is expensive to draw while one thing after the other changes."""
        for role in (styles.PREDICTION, styles.ENTROPY):
            layer = self.layer(role)
            if layer is not None:
                layer.visible = False

    def show_prediction(self, prediction: np.ndarray | None, entropy: np.ndarray | None) -> None:
        """Swap in the prediction and its entropy, ``(x, y, z)`` in source order; None clears a layer."""
        assert self._display is not None
        shape = self._display.geometry.shape
        mask = np.broadcast_to(np.uint8(0), shape) if prediction is None else prediction
        unsure = np.broadcast_to(np.uint8(0), shape) if entropy is None else entropy
        self._put(styles.ENTROPY, self._display.apply(unsure))
        self._put(styles.PREDICTION, self._display.apply(mask)).editable = False
        there = {styles.PREDICTION: prediction is not None, styles.ENTROPY: entropy is not None}
        if there != self._there:
            self._there = there
            self._apply_overlay()

    def show_preview(self, labels: np.ndarray | None) -> None:
        """Outline what is proposed, ``(x, y, z)`` in source order; None takes it away."""
        annotation, layer = self.annotation, self.layer(styles.PREVIEW)
        if self._display is None or annotation is None or (labels is None and layer is None):
            return
        active = self.viewer.layers.selection.active
        shown = np.broadcast_to(np.uint8(0), self._display.geometry.shape) if labels is None else labels
        layer = self._put(styles.PREVIEW, self._display.apply(shown))
        layer.colormap = styles.preview_colours(annotation.colormap)
        layer.visible, layer.editable = labels is not None, False
        self.viewer.layers.selection.active = active
        self.list_layer(layer, labels is not None)

    def show_pieces(self, pieces: np.ndarray | None) -> None:
        """Have numbered pieces ready to point at, ``(x, y, z)`` in source order; None takes them away."""
        if self._display is None or (pieces is None and self.layer(styles.PIECE) is None):
            return
        active = self.viewer.layers.selection.active
        shape = self._display.geometry.shape
        numbers = np.broadcast_to(np.uint16(0), shape) if pieces is None else pieces
        layer = self._put(styles.PIECE, self._display.apply(numbers))
        layer.selected_label, layer.visible, layer.editable = 0, pieces is not None, False
        self.viewer.layers.selection.active = active
        self._rows.list_layer(layer, False)

    def point_at_piece(self, number: int) -> None:
        """Show one of the pieces; 0 is none."""
        layer = self.layer(styles.PIECE)
        if layer is not None and layer.selected_label != number:
            layer.selected_label = number

    def show_version(self, labels: np.ndarray) -> None:
        """Show an older version, ``(x, y, z)`` in source order, in place of the annotation, now locked."""
        annotation, active = self.annotation, self.viewer.layers.selection.active
        if annotation is None or self._display is None:
            return
        self.brush.end_strokes()
        self._tool = self._tool or annotation.mode
        annotation.editable = annotation.visible = False
        layer = self._put(styles.VERSION, self._display.apply(labels))
        layer.colormap, layer.features = annotation.colormap, annotation.features
        layer.visible, layer.editable = True, False
        self.viewer.layers.selection.active = active
        self.list_layer(layer, True)
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

    def _hide_version(self) -> None:
        layer = self.layer(styles.VERSION)
        if layer is not None and self._display is not None:
            blank = np.broadcast_to(np.uint8(0), self._display.geometry.shape)
            self._put(styles.VERSION, self._display.apply(blank))
            layer.visible = layer.editable = False
            self.list_layer(layer, False)
        self._looking_back = False
        self._apply_known()

    def show_structures(self, structures: tuple[Structure, ...]) -> None:
        """Give annotation and prediction the colours and names of ``structures``."""
        self.brush.marks = mark_values([structure.value for structure in structures])
        colours = styles.structure_colours(structures, self.brush.marks)
        names = pd.DataFrame({"index": [s.value for s in structures], "name": [s.name for s in structures]})
        for role in (styles.PREDICTION, styles.ANNOTATION, styles.VERSION):
            layer = self.layer(role)
            if layer is not None:
                layer.colormap = colours
                layer.features = names
        entropy, veil = self.layer(styles.ENTROPY), styles.entropy_colours(styles.veil_colour(structures))
        if entropy is not None and entropy.colormap.name != veil.name:
            entropy.colormap = veil

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
        viewer, layer = self._viewer(), self.layer(styles.KNOWN)
        if viewer is None:
            return
        if layer is None and known is not None and self._display is not None:
            active = viewer.layers.selection.active
            layer = self._put(styles.KNOWN, self._display.apply(known))
            viewer.layers.selection.active = active
        self._known_wanted = known is not None
        self._apply_known()
        if layer is not None:
            self.list_layer(layer, self._known_wanted)

    def _apply_known(self) -> None:
        """Show the known map unless it is about something else than the labels on screen."""
        layer = self.layer(styles.KNOWN)
        if layer is not None:
            in_slices = self.viewer.dims.ndisplay == 2
            layer.visible = self._known_wanted and in_slices and not self._looking_back

    def list_layer(self, layer: Layer, listed: bool) -> None:
        """Show or hide the row of ``layer`` in napari's list; the annotation takes over from a hidden one."""
        self._rows.list_layer(layer, listed)
        selection = self.viewer.layers.selection
        if not listed and layer in selection and self.annotation is not None:
            selection.active = self.annotation

    def refresh_known(self) -> None:
        """Redraw the known map after something became known."""
        layer = self.layer(styles.KNOWN)
        if layer is not None and layer.visible:
            layer.refresh(thumbnail=False, extent=False)

    def voxel_at(self, point: Sequence[float]) -> tuple[float, ...] | None:
        """Return the display coordinates in voxels of a point in mm; None where no case is shown."""
        layer = self.layer(styles.SCAN)
        return None if layer is None else tuple(layer.world_to_data(point))[-3:]

    def change_overlay(self, prediction: bool | None, entropy: bool | None, opacity: float | None) -> None:
        """Show or hide prediction and entropy and set the entropy's opacity; None leaves as it is."""
        wish = self.overlay
        wish.prediction = wish.prediction if prediction is None else prediction
        wish.entropy = wish.entropy if entropy is None else entropy
        wish.opacity = wish.opacity if opacity is None else opacity
        self._apply_overlay()

    def _apply_overlay(self) -> None:
        prediction, entropy = self.layer(styles.PREDICTION), self.layer(styles.ENTROPY)
        if prediction is not None:
            prediction.visible = self.overlay.prediction and self._there[styles.PREDICTION]
        if entropy is not None:  # an empty layer costs as much to draw as a full one
            entropy.visible = self.overlay.entropy and self._there[styles.ENTROPY]
            entropy.opacity = self.overlay.opacity

    def retire(self) -> None:
        """Hide our layers and lock the annotation: nothing painted now would be kept."""
        self._shown = None
        self.brush.end_strokes()
        for role in ROLES:
            layer = self.layer(role)
            if layer is not None:
                layer.visible = False
                layer.editable = False

    def current_slice(self) -> tuple[int, int] | None:
        """Return ``(source axis, source index)`` of the slice the person works on, or None in 3D."""
        layer, place = self.layer(styles.SCAN), self.slice_place()
        if layer is None or self._display is None or place is None:
            return None
        axis, position = place
        index = round((position - float(layer.translate[axis])) / float(layer.scale[axis]))
        return self._display.to_source(axis, min(max(index, 0), layer.data.shape[axis] - 1))

    def slice_place(self) -> tuple[int, float] | None:
        """Return display axis and position in mm of the slice the person works on, or None in 3D."""
        return self.place_in_use or self._place_on_screen()

    def _place_on_screen(self) -> tuple[int, float] | None:
        """Return display axis and position in mm of the viewer's slice, or None in 3D."""
        viewer = self._viewer()
        if viewer is None or viewer.dims.ndisplay != 2:
            return None
        offset = viewer.dims.ndim - 3
        axis = next((axis - offset for axis in viewer.dims.not_displayed if axis >= offset), None)
        return None if axis is None else (axis, float(viewer.dims.point[offset:][axis]))

    def view_place(self) -> object:
        """Return something that changes whenever napari slices its layers anew."""
        dims = self.viewer.dims
        return dims.point, dims.order, dims.ndisplay

    def plane_on_screen(self) -> tuple[str, int]:
        """Return the plane on screen (axial, coronal, sagittal) and napari's number of the slice."""
        current = self.current_slice()
        assert current is not None and self._display is not None, "there is no slice in 3D"
        axis, index = self._display.to_display(*current)
        return self._display.plane_of(axis), index

    def show_plane(self, plane: str) -> None:
        """Turn the viewer to 2D slices of ``plane``, superior (or anterior) up."""
        viewer = self.viewer
        offset = viewer.dims.ndim - 3
        viewer.dims.ndisplay = 2
        viewer.dims.order = tuple(range(offset)) + tuple(axis + offset for axis in PLANE_ORDER[plane])

    def go_to(self, place: "Suggestion") -> None:
        """Show the slice of a suggestion in its plane, with its box in the middle."""
        assert self._display is not None, "a case must be shown before one can go anywhere in it"
        self.show_plane(place.plane)
        viewer, scale = self.viewer, self._display.scale
        centre = [0.0, 0.0, 0.0]
        for source_axis, (first, last) in enumerate(place.box):
            middle = place.index if source_axis == place.axis else (first + last) // 2
            axis, index = self._display.to_display(source_axis, middle)
            centre[axis] = index * scale[axis]
        viewer.dims.set_point([axis + viewer.dims.ndim - 3 for axis in range(3)], centre)
        viewer.scene.camera.center = tuple(centre[axis] for axis in PLANE_ORDER[place.plane])

    def _shows(self, geometry: Geometry) -> bool:
        return self._display is not None and self._display.geometry.matches(geometry)

    def _show_scan(self, case: OpenCase) -> None:
        scan = self._put(styles.SCAN, case.display.apply(case.volume.array), contrast_limits=case.contrast)
        scan.contrast_limits_range = case.intensity_range
        scan.contrast_limits = case.contrast
        scan.visible = True

    def _describe(self, case: OpenCase) -> None:
        for role in ROLES:
            layer = self.layer(role)
            if layer is not None:
                layer.metadata["dycon"] = {"path": str(case.volume.path), "case": case.case_id, "role": role}

    def _put(self, role: str, data: np.ndarray, **made_with: object) -> Layer:
        assert self._display is not None
        layer = self.layer(role)
        if layer is None:
            layer = self._add(role, data, **made_with)
        elif layer.data.shape == data.shape and np.may_share_memory(layer.data, data):
            return layer  # shown already: a swap would cost the undo history
        else:
            layer.data = data
            layer.scale = self._display.scale
        if isinstance(layer, Labels):
            forget_strokes(layer)
        return layer

    def _add(self, role: str, data: np.ndarray, **made_with: object) -> Layer:
        assert self._display is not None
        common = {
            "name": role,
            "scale": self._display.scale,
            "units": UNITS,
            "axis_labels": AXIS_LABELS,
        }
        layer = styles.make_layer(role, data, **common, **made_with)
        if isinstance(layer, BrushedLabels):
            layer.brush, former = self.brush, self._layers.get(role)
            for name in HELD if former is not None else ():
                setattr(layer, name, getattr(former, name))
        viewer = self.viewer
        above = [viewer.layers.index(other) for other in self._above(role)]
        viewer.layers.insert(min(above, default=len(viewer.layers)), layer)
        self._layers[role] = layer
        self._anchors[role] = Anchor(layer, self._voxel_size)
        return layer

    def _voxel_size(self) -> np.ndarray:
        assert self._display is not None
        return np.asarray(self._display.scale)

    def _above(self, role: str) -> list[Layer]:
        higher = (self.layer(other) for other in ROLES[ROLES.index(role) + 1 :])
        return [layer for layer in higher if layer is not None]

    def _furnish(self, viewer: "ViewerModel") -> None:
        viewer.canvas.overlays.scale_bar.visible = True
        viewer.scene.camera.orientation = CAMERA_ORIENTATION

    def _centre(self, viewer: "ViewerModel") -> None:
        assert self._display is not None
        offset = viewer.dims.ndim - 3
        middle = [
            size // 2 * step for size, step in zip(self._display.shape, self._display.scale, strict=True)
        ]
        viewer.dims.set_point([axis + offset for axis in range(3)], middle)
        viewer.reset_view()
