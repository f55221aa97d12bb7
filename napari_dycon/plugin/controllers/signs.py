"""Puts marks beside the slices of the open case, and keeps them true while a person works."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.background.rail_jobs import SlicesLooked, look_at_slices
from napari_dycon.plugin.canvases.signposts import Signposts, SliceSigns
from napari_dycon.plugin.controllers.cases import Cases
from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.disputes import Disputes
from napari_dycon.plugin.controllers.structures import Structures
from napari_dycon.plugin.controllers.suggestions import Suggestions
from napari_dycon.plugin.controllers.views import Views
from napari_dycon.plugin.layers.styles import veil_colour
from napari_dycon.study.store.place_log import CASE

REST_MS = 400
"""So long after the last change the slices are looked at once more."""
END_SECONDS = 5.0


class Signs(QObject):
    """Looks at the slices in the background, and tells the canvases.

    Parameters
    ----------
    desk
        Has the open case.
    cases, views, structures
        Tell when it is another one, has another prediction or other colours.
    suggestions
        Which slices are worth a look.
    disputes
        On which slices readers differ.
    signposts
        What the canvases show.
    on_failure
        Called with a sentence and details when the slices cannot be looked at.
    """

    def __init__(
        self,
        desk: Desk,
        cases: Cases,
        views: Views,
        structures: Structures,
        suggestions: Suggestions,
        disputes: Disputes,
        signposts: Signposts,
        on_failure: Callable[[str, str], None],
    ) -> None:
        super().__init__()
        self._desk, self._structures, self._suggestions = desk, structures, suggestions
        self._disputes, self._signposts = disputes, signposts
        self._queue = JobQueue(on_failure)
        self._found: SlicesLooked | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.timeout.connect(self.look)
        cases.opened.connect(self._on_opened)
        cases.closing.connect(self._take_down)
        for signal in (desk.stroked, desk.rewritten, desk.saving.written, views.overlay_changed):
            signal.connect(self.look_soon)
        for signal in (structures.changed, suggestions.changed, disputes.changed):
            signal.connect(self._show)

    @property
    def busy(self) -> bool:
        """Whether the slices are looked at, or will be soon."""
        return self._timer.isActive() or self._queue.busy

    def look(self) -> None:
        """Look at the slices of the open case."""
        if self._desk.case is not None:
            self._queue.put("slices", look_at_slices(self._desk.case, self._found), self._take)

    def look_soon(self) -> None:
        """Look at the slices when the hand rests."""
        self._timer.start()

    def close(self) -> None:
        """Let go of the case."""
        self._timer.stop()
        self._queue.close(END_SECONDS)
        self._take_down()

    def _on_opened(self, case_id: str) -> None:
        del case_id
        if self._found is not None and self._found.case is not self._desk.case:
            self._take_down()
        self.look()

    def _take(self, found: SlicesLooked) -> None:
        if found.case is self._desk.case:
            self._found = found
            self._show()

    def _take_down(self) -> None:
        self._found = None
        self._signposts.mark({}, self._signposts.veil)

    def _show(self) -> None:
        found = self._found
        if found is None:
            return
        suggested, apart = self._reasons_by_slice(found), self._apart_by_slice(found)
        signs = {
            axis: SliceSigns(
                found.labelled[axis],
                found.complete[axis],
                None if found.unsure is None else found.unsure[axis],
                suggested[axis],
                apart[axis] if apart else None,
            )
            for axis in range(3)
        }
        self._signposts.mark(signs, self._disputes.colour if apart else veil_colour(self._structures.all))

    def _apart_by_slice(self, found: SlicesLooked) -> tuple[NDArray[np.float32], ...]:
        """Return on how much of each slice readers differ, by display axis; nothing while it is not shown."""
        compared = self._disputes.found
        if compared is None or compared.case is not found.case:
            return ()
        return tuple(
            (counts / max(1, counts.max(initial=0))).astype(np.float32) for counts in compared.slices
        )

    def _reasons_by_slice(self, found: SlicesLooked) -> tuple[dict[int, str], ...]:
        """Return why slices are worth a look, by display axis and index."""
        reasons: tuple[dict[int, str], ...] = ({}, {}, {})
        for place in self._suggestions.waiting:
            if place.case == found.case.case_id and place.level != CASE:
                axis, index = found.case.display.to_display(place.axis, place.index)
                reasons[axis][index] = place.reason
        return reasons
