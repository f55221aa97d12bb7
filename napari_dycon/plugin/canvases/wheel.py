"""The wheel goes through slices in 3D Slicer and ITK-SNAP; in napari it zooms, and needs Ctrl for that."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QWidget

from napari_dycon.plugin.actions import ActionsOf
from napari_dycon.plugin.keys.schemes import NAPARI

if TYPE_CHECKING:
    from napari.components import ViewerModel

CTRL = Qt.KeyboardModifier.ControlModifier


class Wheel(QObject):
    """Swaps what the wheel does with and without Ctrl, where the keys are those of another program.

    Parameters
    ----------
    canvas
        The widget that is turned over; owns this object.
    model
        Returns the viewer or viewer model that it shows; in 3D the wheel is left alone.
    actions
        Returns whose keys are in use, or None.
    """

    def __init__(
        self,
        canvas: QWidget,
        model: "Callable[[], ViewerModel | None]",
        actions: ActionsOf,
    ) -> None:
        super().__init__(canvas)
        self._model, self._actions, self._swapping = model, actions, False
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Consume a turn of the wheel and send the one with the other meaning in its place."""
        if event.type() != QEvent.Type.Wheel or self._swapping or not self._is_other():
            return False
        modifiers = event.modifiers()
        swapped = modifiers & ~CTRL if modifiers & CTRL else modifiers | CTRL
        self._swapping = True
        try:
            QApplication.sendEvent(watched, _with_modifiers(event, swapped))
        finally:
            self._swapping = False
        return True

    def _is_other(self) -> bool:
        actions, model = self._actions(), self._model()
        in_slices = model is not None and model.dims.ndisplay == 2
        return actions is not None and actions.study_open and actions.key_scheme != NAPARI and in_slices


def _with_modifiers(event: QWheelEvent, modifiers: Qt.KeyboardModifier) -> QWheelEvent:
    return QWheelEvent(
        event.position(),
        event.globalPosition(),
        event.pixelDelta(),
        event.angleDelta(),
        event.buttons(),
        modifiers,
        event.phase(),
        event.inverted(),
    )
