"""The grey-scale window of the scan: presets, and dragging over the picture."""

from psygnal import Signal

from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.layers.grey_windows import AUTO, OWN, Window, is_ct
from napari_dycon.plugin.layers.presenter import Presenter

PIXELS_ACROSS = 512
"""So many pixels of dragging change the window by the width of the automatic one."""


class Contrast:
    """How bright the person wants the scan.

    A preset, and in CT a window of the person's own too, is kept from case to case; elsewhere intensities
    of two scans mean different things, so every case begins with the automatic window.

    Parameters
    ----------
    desk
        Has the open case.
    presenter
        Shows the scan.
    dialogue
        Told of the person's errors.
    """

    changed = Signal()

    def __init__(self, desk: Desk, presenter: Presenter, dialogue: Dialogue) -> None:
        self._desk, self._presenter, self._dialogue = desk, presenter, dialogue
        self._wish = AUTO
        self._window: Window | None = None
        self._seen: tuple[str, str] | None = None
        self._was_ct = False

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that suit the open case, first the automatic one; none without a case."""
        return self._desk.case.picture.windows if self._desk.case is not None else ()

    @property
    def window(self) -> Window | None:
        """The window the scan is shown with; its name is "own" after dragging."""
        return self._window if self.windows else None

    @property
    def note(self) -> str:
        """The window in words, without the automatic one; before it, where there are several, the image."""
        case = self._desk.case
        image = case.picture.channel if case is not None and case.images else ""
        window = "" if self.window is None or self.window.name == AUTO else self.window.text
        return "   ".join(filter(None, (image, window)))

    @intention
    def choose(self, name: str) -> None:
        """Show the scan with one of `windows`."""
        self._wish = name
        for window in self.windows:
            if window.name == name:
                self._use(window)

    @intention
    def drag(self, right: float, up: float) -> None:
        """Widen the window by ``right`` and raise its level by ``up``, both in pixels of dragging."""
        if self.window is None:
            return
        automatic = self.windows[0]
        unit = (automatic.high - automatic.low) / PIXELS_ACROSS
        self._wish = OWN
        now = Window(OWN, "", *self._presenter.shown_window())
        self._use(now.adjust(right, up, unit))

    def show_case(self, case_id: str) -> None:
        """Keep the window where it makes sense for the case, or the image of it, that was just shown."""
        case = self._desk.case
        if case is None or not self.windows:
            return
        seen = case_id, case.picture.channel
        same, self._seen = seen == self._seen, seen
        kept = self._window if self._wish == OWN and (same or self._in_hounsfield()) else None
        named = (window for window in self.windows if window.name == self._wish)
        self._use(kept or next(named, self.windows[0]))

    def _in_hounsfield(self) -> bool:
        case = self._desk.case
        return self._was_ct and case is not None and is_ct(case.picture.intensity_range)

    def _use(self, window: Window) -> None:
        self._window = window
        self._was_ct = self._desk.case is not None and is_ct(self._desk.case.picture.intensity_range)
        self._presenter.show_window(window.limits)
        self.changed.emit()
