"""Keys that go on while they are held; napari lets only its own and the arrows do that."""

from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QWidget

from napari_dycon.plugin.actions import ACTIONS, Action, ActionsOf
from napari_dycon.plugin.keys.schemes import bound_keys

QT_NAMES = {"PageUp": "PgUp", "PageDown": "PgDown"}


class HeldKeys(QObject):
    """Repeats what a held key does, on the canvas where it is held.

    Parameters
    ----------
    canvas
        The widget that has the keys; owns this object.
    actions
        Returns who does what the keys ask for, or None.
    """

    def __init__(self, canvas: QWidget, actions: ActionsOf) -> None:
        super().__init__(canvas)
        self._actions = actions
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Consume the repetitions of keys that may repeat, and nothing else."""
        if event.type() != QEvent.Type.KeyPress or not event.isAutoRepeat():
            return False
        actions = self._actions()
        held = None if actions is None else find_repeating(actions.key_scheme, event.keyCombination())
        if actions is None or held is None:
            return False
        actions.perform(held.id)
        return True


def find_repeating(scheme: str, combination: object) -> Action | None:
    """Return the action of ``scheme`` that goes on while a combination of keys is held."""
    held = QKeySequence(combination)
    for action in ACTIONS:
        if action.repeats and any(held == sequence(key) for key in bound_keys(action, scheme)):
            return action
    return None


def sequence(key: str) -> QKeySequence:
    """Return a key, written as napari does, as Qt knows it."""
    return QKeySequence(QT_NAMES.get(key, key))
