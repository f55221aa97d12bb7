"""What is said of labels that join a training."""

from napari_dycon.engine.events import LabelsJoined
from napari_dycon.plugin.controllers.dialogue import Dialogue


class JoinNews:
    """Tells each time that slices join; of strokes, which do every few seconds, only the first of each case.

    Parameters
    ----------
    dialogue
        Says it.
    """

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._told = set[str]()

    def begin(self) -> None:
        """Begin anew, with another training."""
        self._told.clear()

    def tell(self, event: LabelsJoined) -> None:
        """Say what joined."""
        if event.slices > 0 or not self._told.issuperset(event.cases):
            self._dialogue.say("info", event.text)
        self._told.update(event.cases)
