"""A menu of actions: their names, their keys and why one of them is not possible are those of `actions`."""

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QWidget

from napari_dycon.plugin.actions import BY_ID, Situation
from napari_dycon.plugin.keys.schemes import key_text, keys_of


class ActionMenu(QMenu):
    """Lists actions; ``asked`` carries the id of the one that was chosen.

    Parameters
    ----------
    parent
        The widget it belongs to.
    names
        Ids of its actions from top to bottom; an empty one stands for a line.
    """

    asked = Signal(str)

    def __init__(self, parent: QWidget, *names: str) -> None:
        super().__init__(parent)
        self.setToolTipsVisible(True)
        for name in names:
            self.offer(name)
        self.triggered.connect(self._ask)

    def offer(self, name: str) -> None:
        """Add the action of this id below the others; an empty one stands for a line."""
        if name:
            entry = self.addAction(BY_ID[name].words)
            entry.setData(name)
            entry.setToolTip(BY_ID[name].how)
        else:
            self.addSeparator()

    def show_situation(self, now: Situation, scheme: str) -> None:
        """Show the keys of ``scheme``, and disable what is not possible now, each with the reason."""
        for entry in self.actions():
            if entry.data():
                action = BY_ID[entry.data()]
                reason, keys = action.why_not(now), keys_of(action, scheme)
                entry.setText(f"{action.words}\t{key_text(keys[0])}" if keys else action.words)
                entry.setEnabled(not reason)
                entry.setToolTip(reason or action.how)

    def _ask(self, entry: QAction) -> None:
        if entry.data():  # a menu within this one has entries of its own
            self.asked.emit(entry.data())
