"""The planes on screen, and in which of them the person works."""

from typing import TYPE_CHECKING

from napari_dycon.plugin.intentions import intention
from napari_dycon.plugin.state import SessionState

if TYPE_CHECKING:
    from napari_dycon.plugin.planes import LinkedPlanes


class ViewIntentions(SessionState):
    """What the person wants to see beside the slice in the viewer."""

    _planes: "LinkedPlanes | None" = None

    @property
    def planes_shown(self) -> bool:
        """Whether three planes and 3D are beside each other."""
        return self._planes is not None and self._planes.shown

    @intention
    def toggle_planes(self) -> None:
        """Show axial, coronal, sagittal and 3D beside each other, or the one plane again."""
        from napari_dycon.plugin.planes import LinkedPlanes

        if self._planes is None:
            self._planes = LinkedPlanes(self._presenter.viewer, self)
        self._planes.toggle()

    def work_in_plane(self, place: tuple[int, float] | None) -> None:
        """Let slice marks be about the slice at ``(display axis, mm)``; None means the viewer's own."""
        self._presenter.place_in_use = place
        self._desk.tell_slice()
