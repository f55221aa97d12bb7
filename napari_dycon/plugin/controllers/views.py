"""What is on screen: planes, overlays, the known map, the slice."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_dycon.plugin.actions import ActionsOf
from napari_dycon.plugin.background.jobs import MapsLoaded, PredictionLoaded
from napari_dycon.plugin.canvases.signposts import Signposts
from napari_dycon.plugin.canvases.single_plane import Caption, SinglePlane
from napari_dycon.plugin.controllers.contrast import Contrast
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.pictures import Pictures
from napari_dycon.plugin.layers.hand import Hand
from napari_dycon.plugin.layers.maps import Overlay
from napari_dycon.plugin.layers.napari_private import main_canvas, main_window
from napari_dycon.plugin.layers.presenter import Presenter

if TYPE_CHECKING:
    from napari_dycon.plugin.canvases.planes import LinkedPlanes


class Views:
    """What the person wants to see.

    Signals: ``planes_changed`` tells whether the planes are shown; ``overlay_changed`` follows what lies
    over the scan; ``predicted`` says that another prediction of the open case is shown; ``pointed`` follows
    the pointer over further planes.

    Parameters
    ----------
    desk
        Has the open case.
    presenter, hand
        Show it.
    contrast
        Says with which window the scan is shown.
    pictures
        Says which image of the case that is.
    dialogue
        Told of the person's errors.
    actions
        Returns what keys and mouse work on, for the canvases.
    signposts
        What stands beside the slices, for the canvases.

    Attributes
    ----------
    pictures
        The images of the open case.
    known_shown
        Whether it is shown how each voxel is known.
    """

    planes_changed = Signal(bool)
    overlay_changed = Signal()
    predicted = Signal()
    pointed = Signal()

    def __init__(
        self,
        desk: Desk,
        presenter: Presenter,
        hand: Hand,
        contrast: Contrast,
        pictures: Pictures,
        dialogue: Dialogue,
        actions: ActionsOf,
        signposts: Signposts,
    ) -> None:
        self._signposts = signposts
        self._desk, self._presenter, self._hand = desk, presenter, hand
        self._contrast, self._dialogue, self._actions = contrast, dialogue, actions
        self.pictures = pictures
        self._planes: LinkedPlanes | None = None
        self._single: SinglePlane | None = None
        self.known_shown = False
        desk.saving.told.connect(self._refresh_known)
        contrast.changed.connect(self.redraw)
        self.planes_changed.connect(self.redraw)
        dims = presenter.viewer.dims.events
        dims.ndisplay.connect(self.show_known)
        for emitter in (dims.current_step, dims.order, dims.ndisplay):
            emitter.connect(desk.tell_slice)

    # ---- planes ------------------------------------------------------------------------------

    @property
    def planes_shown(self) -> bool:
        """Whether three planes and 3D are beside each other."""
        return self._planes is not None and self._planes.shown

    @intention
    def toggle_planes(self) -> None:
        """Show axial, coronal, sagittal and 3D beside each other, or the one plane again."""
        from napari_dycon.plugin.canvases.planes import LinkedPlanes

        if self._planes is None:
            self._planes = LinkedPlanes(self._presenter.viewer, self._actions, self._signposts)
            self._planes.shown_changed.connect(self.planes_changed)
            self._planes.cross_hair.pointer_moved.connect(self._tell_place)
            self._planes.cross_hair.pointer_moved.connect(self.pointed)
            self._planes.cross_hair.used.connect(self._work_in_plane)
        self._planes.toggle()

    @intention
    def show_plane(self, plane: str) -> None:
        """Show 2D slices of a plane: axial, coronal or sagittal."""
        if self._desk.case is not None:
            self._presenter.slices.show_plane(plane)

    @intention
    def step_slice(self, slices: int) -> None:
        """Go on by ``slices`` in the plane the person works in."""
        if self._planes is not None and self.planes_shown:
            self._planes.cross_hair.step(slices)
        else:
            self._hand.step(slices)

    @intention
    def toggle_3d(self) -> None:
        """Show the volume, or slices again."""
        self._hand.toggle_3d()

    @intention
    def fit(self) -> None:
        """Show all of the scan."""
        self._hand.fit()

    @property
    def pointer(self) -> Sequence[float]:
        """Where the pointer is, in mm of the display axes."""
        planes = self._planes
        if planes is not None and planes.shown and planes.cross_hair.pointer is not None:
            return planes.cross_hair.pointer
        return tuple(self._presenter.viewer.cursor.position)

    @property
    def meeting_point(self) -> Sequence[float] | None:
        """Where the planes meet, in mm of the display axes; None while there is one plane."""
        shown = self._planes is not None and self._planes.shown
        return tuple(self._planes.cross_hair.point) if self._planes is not None and shown else None

    def follow_viewer(self) -> None:
        """Let further planes go where the viewer has been sent."""
        if self._planes is not None:
            self._planes.cross_hair.follow_viewer()

    def show_next_image(self) -> None:
        """Show the next image of the open case in the place of the one that is seen."""
        self.pictures.step()

    def caption_canvas(self) -> None:
        """Draw name and sides over the viewer's plane, once there is a window to draw in."""
        window = main_window(self._presenter.viewer)
        if self._single is None and window is not None:
            canvas = main_canvas(window)
            self._single = SinglePlane(
                self._presenter.viewer, canvas, self._caption, self._actions, self._signposts
            )
        self.redraw()

    def redraw(self) -> None:
        """Draw anew what is drawn over the viewer's plane."""
        if self._single is not None:
            self._single.redraw()

    def _caption(self) -> Caption | None:
        if self._desk.case is None:
            return None
        legend = self._presenter.legend()
        return Caption(self._contrast.note, alone=not self.planes_shown, legend=legend)

    def _tell_place(self) -> None:
        """Say in the window's status line what is under a pointer over a further plane, as napari does."""
        annotation = self._presenter.annotation
        if annotation is not None and self._desk.case is not None:
            self._presenter.viewer.status = annotation.get_status(self.pointer, world=True)

    def _work_in_plane(self, place: tuple[int, float] | None) -> None:
        """Let slice marks be about the slice at ``(display axis, mm)``; None means the viewer's own."""
        self._presenter.slices.place_in_use = place
        self._desk.tell_slice()

    # ---- what lies over the scan -------------------------------------------------------------

    @property
    def overlay(self) -> Overlay:
        """What is shown on top of the scan; changed by `set_overlay`."""
        return self._presenter.maps.overlay

    @intention
    def set_overlay(
        self,
        prediction: bool | None = None,
        entropy: bool | None = None,
        opacity: float | None = None,
        differences: bool | None = None,
    ) -> None:
        """Show or hide what lies over the scan, set the entropy's opacity (0 to 1); None leaves as it is."""
        self._presenter.maps.change_overlay(prediction, entropy, opacity, differences)
        self.redraw()
        self.overlay_changed.emit()

    @intention
    def toggle_differences(self) -> None:
        """Show only what prediction and annotation disagree on, or all of the prediction again."""
        self.set_overlay(prediction=True, differences=not self.overlay.differences)

    @intention
    def toggle_annotation(self) -> None:
        """Show or hide the annotation."""
        self._hand.toggle_annotation()
        self.redraw()

    @intention
    def toggle_known_map(self) -> None:
        """Show how each voxel is known, or hide it."""
        self._desk.open_case()
        self.known_shown = not self.known_shown
        self.show_known()
        self.overlay_changed.emit()

    def show_prediction(self, latest: PredictionLoaded) -> None:
        """Show a newer prediction of the open case; that of any other case is left alone."""
        self._desk.show_prediction(latest)
        self.predicted.emit()
        self.redraw()
        self.overlay_changed.emit()

    def show_maps(self, latest: MapsLoaded) -> None:
        """Show the maps beside the prediction of the open case; those of any other case are left alone."""
        if latest.case_id == self._desk.case_id:
            self._presenter.maps.show_further(latest.maps)

    def show_known(self, event: object = None) -> None:
        """Show the known map of the open case, if that is wanted; also takes events of the viewer."""
        del event
        case = self._desk.case
        self._presenter.show_known(case.annotation.known if self.known_shown and case is not None else None)

    def _refresh_known(self, text: str, ok: bool) -> None:
        del text, ok
        if self.known_shown:
            self._presenter.refresh_known()
