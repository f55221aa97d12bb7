"""A look while it learns: the training is told which slice is on screen, and what it makes of it is shown."""

from collections.abc import Callable

from napari_dycon.engine.events import Glimpse
from napari_dycon.engine.viewpoint import View
from napari_dycon.io.geometry import Reorientation
from napari_dycon.plugin.background.tasks import Tasks
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.layers.presenter import Presenter


class Glimpses:
    """Follows the slice the person works on while a training runs.

    Parameters
    ----------
    desk
        Has the open case and its slice.
    presenter
        Shows what came.
    tasks
        Run the training.
    redraw
        Called when something else is seen over the scan.
    """

    def __init__(self, desk: Desk, presenter: Presenter, tasks: Tasks, redraw: Callable[[], object]) -> None:
        self._desk, self._presenter, self._tasks, self._redraw = desk, presenter, tasks, redraw
        self._kind = ""
        desk.slice_changed.connect(self._watch)
        tasks.changed.connect(self._follow)
        tasks.ended.connect(self._end)

    def take(self, glimpse: Glimpse) -> None:
        """Show what the model says by now, if that case is still open."""
        if glimpse.case == self._desk.case_id:
            self._presenter.maps.show_glimpse(glimpse)
            self._redraw()

    def _follow(self) -> None:
        before, self._kind = self._kind, self._tasks.state.kind
        if self._kind != before:
            self._watch()

    def _watch(self) -> None:
        if self._tasks.state.kind == "training":
            self._tasks.watch(self._view())

    def _view(self) -> View | None:
        case, current = self._desk.case, self._presenter.slices.current_slice()
        if case is None or current is None:
            return None
        turn = Reorientation.to(case.volume.geometry, "RAS")
        axis, index = turn.index_to_target(*current)
        return View(case.case_id, axis, (float(index) + 0.5) / turn.shape[axis])

    def _end(self) -> None:
        if self._presenter.maps.glimpsed is not None:
            self._presenter.maps.show_glimpse(None)
            self._redraw()
