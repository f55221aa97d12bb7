"""Keeps the notebook of the study while a person works: time, place and tools, written in the background."""

from collections.abc import Callable
from contextlib import suppress

from qtpy.QtCore import QObject, QTimer

from napari_dycon.plugin.background.notebook_jobs import save_notebook
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.controllers.timesheet import TimeSheet
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.plugin.layers.place import first_brush, go_back_to, place_of, take_up, tools_of
from napari_dycon.plugin.layers.presenter import Presenter
from napari_dycon.study.store.notebook import Notebook, Tools
from napari_dycon.study.study import Study

TICK_MS = 5_000
END_SECONDS = 5.0


class Logbook(QObject):
    """Notes what a person does with the cases of the open study, and puts them back where they were.

    Parameters
    ----------
    presenter
        Knows the viewer and the annotation layer.
    active_value
        Returns the label value that is painted.
    on_time
        Called when time was added to a case.
    on_failure
        Called with a sentence and details when the notebook cannot be written; it is tried again.
    """

    def __init__(
        self,
        presenter: Presenter,
        active_value: Callable[[], int],
        on_time: Callable[[], object],
        on_failure: Callable[[str, str], None],
    ) -> None:
        super().__init__()
        self._presenter = presenter
        self._active_value = active_value
        self._on_time = on_time
        self._on_failure = on_failure
        self._queue = JobQueue(self._tell_failure)
        self._sheet = TimeSheet()
        self._notebook: Notebook | None = None
        self._writable = self._failed = False
        self._case: OpenCase | None = None
        self._hand: Tools | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self.look)
        self._listen()

    @property
    def seconds(self) -> float:
        """Time that somebody was at work, of whatever case, since the window was opened."""
        return self._sheet.seconds

    def open_study(self, study: Study) -> None:
        """Keep the notebook of ``study`` from now on."""
        self._notebook, self._writable = study.notebook, not study.read_only
        self._case, self._hand, self._failed = None, study.notebook.tools, False
        self._timer.start()

    def enter(self, case: OpenCase, return_to_place: bool) -> None:
        """Note that ``case`` is on screen, and show in it what was shown last where that is wished."""
        if self._notebook is None:
            return
        known, self._case = self._case, case
        if known is None or known.case_id != case.case_id:
            place = self._notebook.page(case.case_id).place
            if place is not None and return_to_place:
                go_back_to(self._presenter.viewer, case.display, place)
            self._sheet.turn_to(case.case_id)
            self._notebook.note_opening(case.case_id)
            self._hand_tools_back()
            self.save_soon()

    def leave(self) -> None:
        """Note where the work on the open case is left, before anything else is shown."""
        self.look()
        self._hand = self._tools() or self._hand
        self._case = None
        self._sheet.turn_to(None)

    def touch(self, event: object = None) -> None:
        """Note a sign of life; also takes events of the viewer."""
        del event
        self._sheet.touch()

    def look(self) -> None:
        """Note time, place and tools as they are now."""
        spent = self._sheet.take()
        if self._notebook is None or self._case is None or not spent:
            return
        self._notebook.spend(spent)
        layer = self._presenter.annotation
        if layer is not None:  # else the viewer is being closed
            place = place_of(self._presenter.viewer, self._case.display)
            self._notebook.leave(self._case.case_id, place, self._tools())
        self.save_soon()
        self._on_time()

    def save_soon(self) -> None:
        """Write the notebook in the background."""
        if self._writable and self._notebook is not None and self._notebook.changed:
            self._queue.put("notebook", save_notebook(self._notebook), _nothing)

    def close(self) -> None:
        """Note everything a last time and let go of the study, which writes it when it is closed."""
        with suppress(RuntimeError):  # the application, and with it the timer, may be gone already
            self._timer.stop()
        self.leave()
        self._queue.close(END_SECONDS)
        self._notebook = None

    def _tools(self) -> Tools | None:
        layer = self._presenter.annotation
        usable = self._case is not None and layer is not None and layer.editable
        return tools_of(layer, self._active_value()) if usable else None

    def _hand_tools_back(self) -> None:
        """Napari drops the brush when a layer is given other data."""
        layer = self._presenter.annotation
        if self._hand is not None and layer is not None and layer.editable:
            take_up(layer, self._hand)
        elif layer is not None and self._case is not None:
            layer.brush_size = first_brush(self._case.display)

    def _listen(self) -> None:
        viewer = self._presenter.viewer
        for emitter in (
            viewer.cursor.events.position,
            viewer.dims.events.current_step,
            viewer.scene.camera.events,
        ):
            emitter.connect(self.touch)
        viewer.layers.events.removing.connect(self._look_once_more)

    def _look_once_more(self, event: object = None) -> None:
        """A viewer that is closed by a program lets its layers go before anybody hears of it."""
        del event
        self.look()

    def _tell_failure(self, sentence: str, details: str) -> None:
        if not self._failed:
            self._failed = True
            self._on_failure(sentence, details)


def _nothing(event: object) -> None:
    del event
