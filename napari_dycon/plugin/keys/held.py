"""Keys that go on while they are held; napari lets only its own and the arrows do that."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QWidget

from napari_dycon.plugin.keys.schemes import COMMANDS, Command, bound_keys

if TYPE_CHECKING:
    from napari_dycon.plugin.session import Session

QT_NAMES = {"PageUp": "PgUp", "PageDown": "PgDown"}


class HeldKeys(QObject):
    """Repeats what a held key does, on the canvas where it is held.

    Parameters
    ----------
    canvas
        The widget that has the keys; owns this object.
    session_of
        Returns what the keys work on, or None.
    """

    def __init__(self, canvas: QWidget, session_of: Callable[[], "Session | None"]) -> None:
        super().__init__(canvas)
        self._session_of = session_of
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Consume the repetitions of keys that may repeat, and nothing else."""
        if event.type() != QEvent.Type.KeyPress or not event.isAutoRepeat():
            return False
        session = self._session_of()
        command = None if session is None else repeating(session.key_scheme, event.keyCombination())
        if command is None:
            return False
        command.act(session)
        return True


def repeating(scheme: str, combination: object) -> Command | None:
    """Return the command of ``scheme`` that goes on while a combination of keys is held."""
    held = QKeySequence(combination)
    for command in COMMANDS:
        if command.repeats and any(held == sequence(key) for key in bound_keys(command, scheme)):
            return command
    return None


def sequence(key: str) -> QKeySequence:
    """Return a key, written as napari does, as Qt knows it."""
    return QKeySequence(QT_NAMES.get(key, key))
