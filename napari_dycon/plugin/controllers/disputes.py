"""Where the readers of the open case differ: shown over the scan while the person wants to see it."""

from collections.abc import Callable

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.reader_jobs import ReadersCompared, readers_apart
from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.views import Views
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.wording import millilitres

REST_MS = 1500
"""So long after something was saved the readers are compared anew."""
END_SECONDS = 5.0


class Disputes:
    """Compares the readers of the open case in the background, and has it shown.

    Signals: ``changed`` follows `on` and `found`.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Says how far they differ.
    desk
        Has the open case, and puts on disk what is painted.
    presenter, views
        Show it.
    cases
        Tells which case is open.
    on_failure
        Called with a sentence and details when labels cannot be read.

    Attributes
    ----------
    on
        Whether the person wants to see it.
    found
        What was found of the case that is open; None while it is not shown.
    """

    changed = Signal()

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        desk: Desk,
        presenter: Presenter,
        views: Views,
        cases: Cases,
        on_failure: Callable[[str, str], None],
    ) -> None:
        self._current, self._dialogue, self._desk = current, dialogue, desk
        self._presenter, self._views = presenter, views
        self._queue = JobQueue(on_failure)
        self._asked = False
        self.on = False
        self.found: ReadersCompared | None = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.timeout.connect(self._look)
        cases.opened.connect(self._on_opened)
        cases.closing.connect(self._take_down)
        desk.saving.written.connect(self._look_soon)
        views.overlay_changed.connect(self._make_room)

    @property
    def busy(self) -> bool:
        """Whether readers are compared, or will be soon."""
        return self._timer.isActive() or self._queue.busy

    @property
    def colour(self) -> str:
        """The colour of what many readers differ on."""
        return self._presenter.disputes.colour

    @intention
    def toggle(self) -> None:
        """Show where the readers of the open case differ, or no longer."""
        if self.on:
            self._switch(False)
            return
        study = self._current.require()
        if study.record.reader:
            raise StudyError(f"This is the study of {study.record.reader}: it has no labels by others.")
        self._desk.open_case()
        self._asked = True
        self._switch(True)

    def close(self) -> None:
        """Compare nothing any more."""
        self._timer.stop()
        self._queue.close(END_SECONDS)
        self.on = False
        self._take_down()

    def _switch(self, on: bool) -> None:
        self.on = on
        if not on:
            self._take_down()
        elif self._views.overlay.differences:  # hatched as well
            self._views.set_overlay(differences=False)
        self._look()
        self.changed.emit()

    def _make_room(self) -> None:
        """Go where the person wants to see how model and labels differ: both are hatched."""
        if self.on and self._views.overlay.differences:
            self._switch(False)

    def _on_opened(self, case_id: str) -> None:
        del case_id
        if self.found is not None and self.found.case is not self._desk.case:
            self._take_down()
        self._look()

    def _look_soon(self) -> None:
        if self.on:
            self._timer.start()

    def _look(self) -> None:
        study, case = self._current.study, self._desk.case
        if self.on and study is not None and case is not None:
            self._queue.put("readers", readers_apart(study, case, self._desk.saving.flush), self._take)

    def _take(self, event: ReadersCompared) -> None:
        if not self.on or event.case is not self._desk.case:
            return
        asked, self._asked = self._asked, False
        self._show(event if event.found is not None else None)
        if asked:
            self._dialogue.say("info", in_words(event))
            self.on = event.found is not None
            self.changed.emit()

    def _take_down(self) -> None:
        if self.found is not None:
            self._show(None)

    def _show(self, event: ReadersCompared | None) -> None:
        self.found = event
        self._presenter.disputes.show(*((None,) if event is None else (event.found, event.drawing)))
        self._views.redraw()
        self.changed.emit()


def in_words(event: ReadersCompared) -> str:
    """Return how far the readers of a case differ, and where most."""
    found, case = event.found, event.case
    if found is None:
        who = "Only one reader has" if event.readers else "Nobody has"
        return f"{who} drawn this case; it takes two to differ."
    names = f"{', '.join(found.readers[:-1])} and {found.readers[-1]}"
    names = names[0].upper() + names[1:]
    together = "both" if len(found.readers) == 2 else "all"
    if not found.compared:
        return f"{names} know no voxel of this case in common."
    if not found.voxels:
        return f"{names} say the same of every voxel that {together} know."
    index = int(np.argmax(event.slices[0]))
    place = f"most on {case.display.plane_of(0)} slice {index + 1}"
    volume = millilitres(found.voxels * case.volume.geometry.voxel_volume_mm3 / 1000)
    return f"{names} differ on {volume} of what {together} know, {place}."
