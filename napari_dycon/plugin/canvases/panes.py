"""The views of the linked planes: the viewer's own canvas and two further planes."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from napari.qt import QtViewer
from napari.utils.events import Event
from qtpy.compat import isalive
from qtpy.QtWidgets import QWidget

from napari_dycon.io.geometry import DISPLAY_CODES
from napari_dycon.plugin.actions import ActionsOf
from napari_dycon.plugin.canvases.canvas import PLANE_OF_AXIS, close_canvas, new_canvas
from napari_dycon.plugin.canvases.marks import PLANE_COLOURS, CanvasMarks, CrossLine, Marks
from napari_dycon.plugin.canvases.mirrors import Mirror
from napari_dycon.plugin.canvases.rail import Rail, RailLook
from napari_dycon.plugin.canvases.signposts import Signposts
from napari_dycon.plugin.layers.orientation import PLANE_ORDER

TOWARDS = tuple(reversed(DISPLAY_CODES))
"""Where the display axes z, y, x lead, one letter each."""
OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S"}
DRAG_PIXELS = 3


class Link(Protocol):
    """What joins the views."""

    point: np.ndarray
    signposts: Signposts

    def move_to(self, point: Sequence[float] | np.ndarray) -> None:
        """Let all planes meet at ``point``, ``(z, y, x)`` in mm."""

    def point_at(self, position: Sequence[float]) -> None:
        """Remember that the pointer is over ``position``, in mm."""

    def use(self, view: "SliceView") -> None:
        """Work in ``view`` from now on."""

    def is_in_use(self, view: "SliceView") -> bool:
        """Return whether the person worked in ``view`` last."""

    def follow(self, view: "SliceView") -> None:
        """Go where ``view`` has been sent by the person."""


class SliceView:
    """A viewer model whose canvas shows slices of one plane, with the marks drawn over it.

    Parameters
    ----------
    model
        The viewer or viewer model.
    canvas
        The widget that draws it.
    link
        Told of clicks and chosen slices.
    railed
        Whether a strip with a mark for every slice lies over the edge.
    """

    def __init__(self, model: ViewerModel, canvas: QWidget, link: Link, *, railed: bool = True) -> None:
        self._model = weakref.ref(model)
        self._link = link
        self._last_axis = 0
        self.marks = CanvasMarks(canvas, self._marks)
        self.rail = Rail(canvas, self._rail_look, self._go_to_slice) if railed else None
        dims = model.dims.events
        for emitter in (dims.current_step, dims.order, dims.ndisplay):
            emitter.connect(self._renew_rail)
        link.signposts.changed.connect(self._show_signposts)
        model.mouse_move_callbacks.append(self._on_move)
        model.mouse_drag_callbacks.append(self._on_press)
        camera = model.scene.camera.events
        for emitter in (camera.center, camera.zoom):
            emitter.connect(self._redraw)

    @property
    def model(self) -> ViewerModel:
        """The viewer model, which must be alive."""
        model = self._model()
        assert model is not None, "the view has been closed"
        return model

    @property
    def axis(self) -> int:
        """The display axis (0 is z) that is sliced, or would be in 2D; the last one without layers."""
        dims = self.model.dims
        if dims.ndim >= 3:
            self._last_axis = dims.order[-3] - (dims.ndim - 3)
        return self._last_axis

    @property
    def plane(self) -> str:
        """The name of the plane: axial, coronal or sagittal."""
        return PLANE_OF_AXIS[self.axis]

    @property
    def position(self) -> float:
        """Where the plane lies on its axis, in mm."""
        dims = self.model.dims
        return float(dims.point[-3:][self.axis] if dims.ndim >= 3 else self._link.point[self.axis])

    def go_to(self, point: np.ndarray) -> None:
        """Show the slice through ``point``, ``(z, y, x)`` in mm, with the point in sight."""
        dims = self.model.dims
        if dims.ndim < 3:
            return
        if self.position != point[self.axis]:
            dims.set_point(self.axis + dims.ndim - 3, float(point[self.axis]))
        self._reveal(point)

    def close(self) -> None:
        """Take the marks away and listen no longer."""
        model = self._model()
        if model is not None:
            model.mouse_move_callbacks.remove(self._on_move)
            model.mouse_drag_callbacks.remove(self._on_press)
            camera = model.scene.camera.events
            for emitter in (camera.center, camera.zoom):
                emitter.disconnect(self._redraw)
            dims = model.dims.events
            for emitter in (dims.current_step, dims.order, dims.ndisplay):
                emitter.disconnect(self._renew_rail)
        self._link.signposts.changed.disconnect(self._show_signposts)
        for over in (self.marks, self.rail):
            if over is not None and isalive(over):
                over.hide()
                over.deleteLater()

    def on_screen(self, point: np.ndarray) -> tuple[float, float]:
        """Return where ``point`` lies, in pixels from the left and the top of the canvas."""
        camera = self.model.scene.camera
        row, column = self._in_plane()
        signs = self._signs()
        x = signs[1] * (point[column] - camera.center[-1]) * camera.zoom + self.marks.width() / 2
        y = signs[0] * (point[row] - camera.center[-2]) * camera.zoom + self.marks.height() / 2
        return x, y

    def _reveal(self, point: np.ndarray) -> None:
        """Move the camera if the point is out of sight."""
        if self.model.dims.ndisplay != 2 or self.marks.width() < DRAG_PIXELS:
            return
        x, y = self.on_screen(point)
        if not (0 <= x <= self.marks.width() and 0 <= y <= self.marks.height()):
            row, column = self._in_plane()
            centre = self.model.scene.camera.center
            self.model.scene.camera.center = (centre[0], float(point[row]), float(point[column]))

    def _in_plane(self) -> tuple[int, int]:
        offset = self.model.dims.ndim - 3
        row, column = self.model.dims.order[-2:]
        return row - offset, column - offset

    def _signs(self) -> tuple[int, int]:
        """Whether rows run down and columns run right (1), or the other way round (-1)."""
        down, right = self.model.scene.camera.orientation2d
        return (1 if str(down) == "down" else -1), (1 if str(right) == "right" else -1)

    def _marks(self) -> Marks:
        model = self._model()
        if model is None or model.dims.ndisplay != 2 or model.dims.ndim < 3:
            return Marks()
        row, column = self._in_plane()
        x, y = self.on_screen(self._link.point)
        lines = (
            CrossLine(True, x, PLANE_COLOURS[PLANE_OF_AXIS[column]]),
            CrossLine(False, y, PLANE_COLOURS[PLANE_OF_AXIS[row]]),
        )
        return Marks(
            self._title(),
            PLANE_COLOURS[self.plane],
            self._letters(),
            lines,
            self._link.is_in_use(self),
            frame=self._frame(),
        )

    def _frame(self) -> tuple[float, float, float, float] | None:
        """Where on the canvas the place lies that the person was sent to: left, top, right, bottom."""
        box = self._link.signposts.box
        if box is None or not box.is_cut(self.axis, self.position):
            return None
        (left, top), (right, bottom) = (self.on_screen(np.array(edge)) for edge in (box.low, box.high))
        return min(left, right), min(top, bottom), max(left, right), max(top, bottom)

    def _rail_look(self) -> RailLook | None:
        """What the strip shows; nothing in 3D, and while one case follows another."""
        model = self._model()
        if model is None or not _shows_slices(model):
            return None
        place, signposts = self.axis + model.dims.ndim - 3, self._link.signposts
        signs = signposts.slices.get(self.axis)
        if signs is None or len(signs.labelled) != model.dims.nsteps[place]:
            return None
        return RailLook(self.plane, signs, signposts.veil, model.dims.current_step[place])

    def _go_to_slice(self, index: int) -> None:
        dims = self.model.dims
        dims.set_current_step(self.axis + dims.ndim - 3, index)

    def _renew_rail(self, event: Event | None = None) -> None:
        if self.rail is not None and isalive(self.rail):
            self.rail.renew()

    def _show_signposts(self) -> None:
        self._redraw()
        self._renew_rail()

    def _title(self) -> str:
        dims = self.model.dims
        axis = self.axis + dims.ndim - 3
        return f"{self.plane.capitalize()} {dims.current_step[axis] + 1} of {dims.nsteps[axis]}"

    def _letters(self) -> tuple[str, str, str, str]:
        row, column = self._in_plane()
        down, right = self._signs()
        (left, right_end), (top, bottom) = (
            _ends(axis, sign) for axis, sign in ((column, right), (row, down))
        )
        return left, right_end, top, bottom

    def _redraw(self, event: Event | None = None) -> None:
        if isalive(self.marks):
            self.marks.update()

    def _on_move(self, model: ViewerModel, event: Event) -> None:
        self._link.point_at(event.position)
        if "Shift" in event.modifiers and not event.is_dragging and _shows_slices(model):
            self._link.move_to(event.position)

    def _on_press(self, model: ViewerModel, event: Event) -> Iterator[None]:
        self._link.use(self)
        start = np.array(event.pos)
        position = event.position
        yield
        while event.type == "mouse_move":
            yield
        still = np.abs(np.array(event.pos) - start).max() <= DRAG_PIXELS
        if still and event.button == 1 and _shows_slices(model) and _is_pointing(model):
            self._link.move_to(position)


class MainView(SliceView):
    """The viewer's own canvas.

    Parameters
    ----------
    viewer
        The viewer.
    canvas
        Its ``QtViewer``.
    link
        Told of clicks.
    railed
        Whether it has a strip with a mark for every slice.
    """

    def __init__(self, viewer: ViewerModel, canvas: QtViewer, link: Link, *, railed: bool = False) -> None:
        super().__init__(viewer, canvas.canvas.native, link, railed=railed)


class PlanePane(SliceView):
    """A further canvas that shows ``plane`` with mirrors of the viewer's layers.

    Parameters
    ----------
    viewer
        The viewer that is looked like.
    plane
        axial, coronal or sagittal.
    link
        Told of clicks and chosen slices.
    actions
        Returns who does what the keys ask for.
    """

    def __init__(self, viewer: ViewerModel, plane: str, link: Link, actions: ActionsOf) -> None:
        self._owned, self.widget = new_canvas(viewer, plane, actions)
        super().__init__(self._owned, self.widget.canvas.native, link)
        self._mirrors: dict[Layer, Mirror] = {}
        self._wanted_plane, self._last_axis = plane, PLANE_ORDER[plane][0]
        self._owned.dims.events.current_step.connect(self._on_step)

    def add(self, layer: Layer, place: int, on_stroke: Callable[[Labels, Labels], None]) -> None:
        """Show ``layer`` at ``place`` in the stack, counted from the bottom.

        Each stroke on its copy is told to ``on_stroke`` with the layer and the copy.
        """
        mirror = self._mirrors[layer] = Mirror(layer, on_stroke)
        self.model.layers.insert(place, mirror.layer)
        self.turn(self._wanted_plane)

    def remove(self, layer: Layer) -> None:
        """Show ``layer`` no longer."""
        mirror = self._mirrors.pop(layer, None)
        if mirror is not None:
            mirror.close()
            self.model.layers.remove(mirror.layer)

    def sort(self, layers: list[Layer]) -> None:
        """Stack the mirrors as ``layers`` are."""
        for place, layer in enumerate(layers):
            now = self.model.layers.index(self._mirrors[layer].layer)
            if now != place:
                self.model.layers.move(now, place)

    def select(self, layer: Layer | None) -> None:
        """Let tools and keys work on the mirror of ``layer``."""
        self.model.layers.selection.active = self.copy_of(layer)

    def copy_of(self, layer: Layer) -> Layer | None:
        """Return the copy of ``layer`` that is shown here."""
        mirror = self._mirrors.get(layer)
        return None if mirror is None else mirror.layer

    def turn(self, plane: str) -> None:
        """Show ``plane`` from now on."""
        self._wanted_plane = plane
        if self.model.dims.ndim == 3 and self.plane != plane:
            self.model.dims.order = PLANE_ORDER[plane]
            self.model.reset_view()

    def close(self) -> None:
        """Let go of the layers and of the canvas."""
        super().close()
        self._owned.dims.events.current_step.disconnect(self._on_step)
        for mirror in self._mirrors.values():
            mirror.close()
        self._mirrors = {}
        close_canvas(self.widget)

    def _on_step(self, event: Event | None = None) -> None:
        self._link.follow(self)


def _ends(axis: int, sign: int) -> tuple[str, str]:
    """Return the letters at the ends of a display axis that runs on (1) or back (-1) on the screen."""
    there = TOWARDS[axis]
    return (OPPOSITE[there], there) if sign > 0 else (there, OPPOSITE[there])


def _shows_slices(model: ViewerModel) -> bool:
    return bool(model.dims.ndisplay == 2 and model.dims.ndim >= 3)


def _is_pointing(model: ViewerModel) -> bool:
    """Whether a click does nothing else: no tool is in the hand."""
    active = model.layers.selection.active
    return bool(active is None or str(active.mode) == "pan_zoom")
