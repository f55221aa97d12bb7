"""The planes on screen, in which of them the person works, the tool in the hand, and the keys."""

from functools import cached_property
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.state import SessionState
from napari_dycon.plugin.keys.binding import rebind_keys
from napari_dycon.plugin.keys.preferences import hear_scheme, prefer_scheme, preferred_scheme
from napari_dycon.plugin.layers.hand import Hand
from napari_dycon.plugin.lifecycle import main_window

if TYPE_CHECKING:
    from napari_dycon.plugin.canvases.planes import LinkedPlanes
    from napari_dycon.plugin.canvases.single_plane import OnePlane


class ViewIntentions(SessionState):
    """What the person wants to see, and which tool to hold."""

    keys_changed = Signal()

    _planes: "LinkedPlanes | None" = None
    _one_plane: "OnePlane | None" = None

    @property
    def planes_shown(self) -> bool:
        """Whether three planes and 3D are beside each other."""
        return self._planes is not None and self._planes.shown

    @intention
    def toggle_planes(self) -> None:
        """Show axial, coronal, sagittal and 3D beside each other, or the one plane again."""
        from napari_dycon.plugin.canvases.planes import LinkedPlanes

        if self._planes is None:
            self._planes = LinkedPlanes(self._presenter.viewer, self)
        self._planes.toggle()

    def _follow_viewer(self) -> None:
        if self._planes is not None:
            self._planes.follow_viewer()

    def _mark_plane(self, case_id: str) -> None:
        """Draw name and sides over the viewer's plane, once there is a window to draw in."""
        window = main_window(self._presenter.viewer)
        if self._one_plane is None and window is not None:
            from napari_dycon.plugin.canvases.single_plane import OnePlane

            self._one_plane = OnePlane(self._presenter.viewer, window._qt_viewer, self)
        if self._one_plane is not None:
            self._one_plane.redraw()

    def work_in_plane(self, place: tuple[int, float] | None) -> None:
        """Let slice marks be about the slice at ``(display axis, mm)``; None means the viewer's own."""
        self._presenter.place_in_use = place
        self._desk.tell_slice()

    # ---- keys --------------------------------------------------------------------------------

    @property
    def key_scheme(self) -> str:
        """The scheme whose keys are bound: napari, slicer or itk-snap."""
        return preferred_scheme()

    @intention
    def use_keys(self, scheme: str) -> None:
        """Bind the keys of ``scheme`` from now on, in this window and after the next start."""
        prefer_scheme(scheme)
        self._take_scheme()

    def _hear_scheme(self) -> None:
        """Follow napari's preferences too."""
        hear_scheme(self._take_scheme)

    def _take_scheme(self, event: object = None) -> None:
        rebind_keys()
        self.keys_changed.emit()

    # ---- the tool in the hand ----------------------------------------------------------------

    @cached_property
    def _hand(self) -> Hand:
        return Hand(self._presenter)

    @property
    def tool(self) -> str:
        """The tool in the hand: paint, erase, fill, polygon, pick, pan_zoom …; empty without a case."""
        layer = self._presenter.annotation
        return "" if layer is None or self.case_id is None else str(layer.mode)

    @intention
    def take_brush(self) -> None:
        """Take the brush, or put it down again."""
        self.take_tool("pan_zoom" if self.tool == "paint" else "paint")

    @intention
    def take_tool(self, mode: str) -> None:
        """Take a tool for the annotation: paint, erase, fill, polygon, pick or pan_zoom."""
        self._hand.take(mode)

    @intention
    def change_brush(self, step: int) -> None:
        """Make the brush bigger or smaller by ``step`` voxels."""
        self._hand.change_brush(step)

    @intention
    def step_structure(self, step: int) -> None:
        """Paint with the structure ``step`` further in the list, round and round."""
        values = [structure.value for structure in self.structures]
        if values:
            place = values.index(self.active_value) if self.active_value in values else -step
            self.select_structure(values[(place + step) % len(values)])

    @intention
    def step_slice(self, slices: int) -> None:
        """Go on by ``slices`` in the plane the person works in."""
        if self.planes_shown:
            self._planes.step(slices)
        else:
            self._hand.step(slices)

    @intention
    def toggle_annotation(self) -> None:
        """Show or hide the annotation."""
        self._hand.toggle_annotation()

    @intention
    def toggle_3d(self) -> None:
        """Show the volume, or slices again."""
        self._hand.toggle_3d()

    @intention
    def fit_view(self) -> None:
        """Show all of the scan."""
        self._hand.fit()
