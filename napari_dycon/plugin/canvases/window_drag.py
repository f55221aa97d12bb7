"""Shift and a drag with the right mouse button over a scan: right is more width, up a higher level."""

from qtpy.QtCore import QEvent, QObject, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QWidget

from napari_dycon.plugin.actions import ActionsOf


class WindowDrag(QObject):
    """Takes the gesture before the canvas sees it, for a brush would draw and a camera zoom.

    Parameters
    ----------
    canvas
        The widget that draws the scan; owns this object.
    actions
        Returns who changes the window, or None.
    """

    def __init__(self, canvas: QWidget, actions: ActionsOf) -> None:
        super().__init__(canvas)
        self._actions = actions
        self._last: QPointF | None = None
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Consume the press, the moves and the release of the gesture, and nothing else."""
        kind = event.type()
        if kind == QEvent.Type.MouseButtonPress and _begins(event):
            self._last = event.position()
            return True
        if self._last is None:
            return False
        if kind == QEvent.Type.MouseMove:
            self._drag(event.position())
            return True
        if kind == QEvent.Type.MouseButtonRelease and event.button() == Qt.MouseButton.RightButton:
            self._last = None
            return True
        return False

    def _drag(self, here: QPointF) -> None:
        moved, self._last = here - self._last, here
        actions = self._actions()
        if actions is not None:
            actions.drag_contrast(moved.x(), -moved.y())


def _begins(event: QMouseEvent) -> bool:
    shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
    return shift and event.button() == Qt.MouseButton.RightButton
