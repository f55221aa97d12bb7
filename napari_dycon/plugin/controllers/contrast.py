"""The grey-scale window of the scan: presets, and dragging over the picture."""

from psygnal import Signal

from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.controllers.state import SessionState
from napari_dycon.plugin.layers.grey_windows import AUTO, OWN, Window, is_ct

PIXELS_ACROSS = 512
"""So many pixels of dragging change the window by the width of the automatic one."""


class WindowIntentions(SessionState):
    """How bright the person wants the scan.

    A preset, and in CT a window of the person's own too, is kept from case to case; elsewhere intensities
    of two scans mean different things, so every case begins with the automatic window.
    """

    window_changed = Signal()

    _wish = AUTO
    _window: Window | None = None
    _window_case: str | None = None
    _was_ct = False

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that suit the open case, first the automatic one; none without a case."""
        return self._desk.case.windows if self._desk.case is not None else ()

    @property
    def window(self) -> Window | None:
        """The window the scan is shown with; its name is "own" after dragging."""
        return self._window if self.windows else None

    @property
    def window_note(self) -> str:
        """The window in words, empty for the automatic one."""
        return "" if self.window is None or self.window.name == AUTO else self.window.text

    @intention
    def set_window(self, name: str) -> None:
        """Show the scan with one of `windows`."""
        self._wish = name
        for window in self.windows:
            if window.name == name:
                self._use_window(window)

    @intention
    def drag_window(self, right: float, up: float) -> None:
        """Widen the window by ``right`` and raise its level by ``up``, both in pixels of dragging."""
        if self.window is None:
            return
        automatic = self.windows[0]
        unit = (automatic.high - automatic.low) / PIXELS_ACROSS
        self._wish = OWN
        now = Window(OWN, "", *self._presenter.shown_window())
        self._use_window(now.changed(right, up, unit))

    def _rewindow(self, case_id: str) -> None:
        """Keep the window where it makes sense for the case that was just shown."""
        if not self.windows:
            return
        same, self._window_case = case_id == self._window_case, case_id
        kept = self._window if self._wish == OWN and (same or self._in_hounsfield()) else None
        named = (window for window in self.windows if window.name == self._wish)
        self._use_window(kept or next(named, self.windows[0]))

    def _in_hounsfield(self) -> bool:
        case = self._desk.case
        return self._was_ct and case is not None and is_ct(case.intensity_range)

    def _use_window(self, window: Window) -> None:
        self._window = window
        self._was_ct = is_ct(self._desk.case.intensity_range)
        self._presenter.show_window(window.limits)
        self.window_changed.emit()
