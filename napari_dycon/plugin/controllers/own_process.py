"""Whether trainings take place in a process of their own, and when that is worth an offer."""

import psutil
from psygnal import Signal

from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.intention import intention
from napari_dycon.plugin.keys.preferences import prefer_own_process, prefers_own_process

SHORT_OF_MEMORY = 3 * 2**30
"""Bytes; with less to be had, a training that needs more than planned may take the window with it."""
RAN_OUT = "emory ran out"
"""What every sentence about that says."""
USED = (
    "Trainings run in a process of their own from now on: whatever happens to them, this window goes on. "
    "Preferences > Plugins > DyCON changes that."
)


class OwnProcess:
    """Offers the preference to train apart, after a fault that it would have kept from the window.

    Signals: ``changed`` follows `offered`.

    Parameters
    ----------
    dialogue
        Says what was chosen.

    Attributes
    ----------
    offered
        Whether there is reason to offer it, and it is not chosen yet.
    """

    changed = Signal()

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self.offered = False

    def consider_failure(self, sentence: str) -> None:
        """Offer it after a training that failed with ``sentence``, if memory ran out."""
        if RAN_OUT in sentence:
            self.offer()

    def consider_memory(self) -> None:
        """Offer it where a training begins with little memory to be had."""
        if psutil.virtual_memory().available < SHORT_OF_MEMORY:
            self.offer()

    def offer(self) -> None:
        """Offer it, unless it is chosen."""
        if not self.offered and not prefers_own_process():
            self.offered = True
            self.changed.emit()

    @intention
    def use(self) -> None:
        """Train in a process of its own from now on, here and after the next start."""
        prefer_own_process()
        self.offered = False
        self.changed.emit()
        self._dialogue.say("info", USED)
