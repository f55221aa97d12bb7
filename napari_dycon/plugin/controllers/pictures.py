"""Which image of the exam is seen, where a case has several."""

from psygnal import Signal

from napari_dycon.plugin.background.jobs import PictureLoaded, load_picture
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.controllers.contrast import Contrast
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention


class Pictures:
    """Shows one image of the open case at a time, all in the same place; labels and predictions lie over it.

    What the person wants to see is kept from case to case, where the case has it.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Told of the person's errors.
    desk
        Has the open case.
    contrast
        Finds the grey scale anew for each image.
    loads
        Reads images.
    """

    changed = Signal()

    def __init__(
        self, current: CurrentStudy, dialogue: Dialogue, desk: Desk, contrast: Contrast, loads: JobQueue
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._contrast, self._loads = contrast, loads
        self._wish = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The images of the open case, first the scan; none where there is only the scan."""
        return self._desk.case.images if self._desk.case is not None else ()

    @property
    def shown(self) -> str:
        """The image that is seen."""
        return self._desk.case.picture.channel if self._desk.case is not None else ""

    @intention
    def step(self) -> None:
        """Show the next image of the case, after the last one the first."""
        names = self.names
        if names:
            self.show(names[(names.index(self.shown) + 1) % len(names)])

    def show(self, name: str) -> None:
        """Show one of `names`, here and in the next cases."""
        self._wish = name
        self.show_case()

    def show_case(self) -> None:
        """Show what the person wants to see of the case that is open now."""
        case = self._desk.case
        if case is not None and self._wish in self.names and self._wish != self.shown:
            source = load_picture(self._current.require(), case.case_id, self._wish)
            self._loads.put("picture", source, self._on_loaded)

    def _on_loaded(self, loaded: PictureLoaded) -> None:
        if self._desk.show_picture(loaded):
            self._contrast.show_case(loaded.case_id)
            self.changed.emit()
