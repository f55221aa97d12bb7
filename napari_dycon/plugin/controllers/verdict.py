"""What following the suggestions has brought, in a line that follows the study's log."""

from collections.abc import Callable

from psygnal import Signal

from napari_dycon.guidance.quality import Checks
from napari_dycon.plugin.background.place_jobs import VerdictReached, read_verdict
from napari_dycon.plugin.background.queue import JobQueue
from napari_dycon.plugin.controllers.case_list import CaseList
from napari_dycon.plugin.controllers.current_study import CurrentStudy
from napari_dycon.plugin.controllers.dialogue import Dialogue
from napari_dycon.plugin.controllers.follow_up import FollowUp

END_SECONDS = 5.0


class Verdict:
    """Reads the log in the background, after it has grown and when other cases check the model.

    Signals: ``changed`` follows the line.

    Parameters
    ----------
    current
        Holds the study.
    dialogue
        Says where lines of the log are damaged.
    case_list
        Knows which cases check the model.
    record
        Tells when the log has grown.
    on_failure
        Called with a sentence and details when the log cannot be read.

    Attributes
    ----------
    line, details
        What to show, and what it rests on; empty as long as there is nothing to say.
    """

    changed = Signal()

    def __init__(
        self,
        current: CurrentStudy,
        dialogue: Dialogue,
        case_list: CaseList,
        record: FollowUp,
        on_failure: Callable[[str, str], None],
    ) -> None:
        self._current, self._dialogue, self._list = current, dialogue, case_list
        self._queue = JobQueue(on_failure)
        self._seen: Checks | None = None
        self._notes: tuple[str, ...] = ()
        self.line = self.details = ""
        record.written.connect(self.look)
        case_list.changed.connect(self._look_if_checked)

    def look(self) -> None:
        """Read the log."""
        if self._current.study is not None:
            self._seen = self._list.checks
            self._queue.put("verdict", read_verdict(self._current.study, self._seen), self._take)

    def close(self) -> None:
        """Let go of the study."""
        self._queue.close(END_SECONDS)
        self._seen, self._notes = None, ()
        self._show("", "")

    def _look_if_checked(self) -> None:
        if self._seen is not None and self._list.checks is not self._seen:
            self.look()

    def _take(self, event: VerdictReached) -> None:
        for note in event.notes:
            if note not in self._notes:
                self._dialogue.say("warning", note)
        self._notes = event.notes
        line = event.stopping.sentence or event.brought.sentence
        details = filter(None, (event.brought.details, event.stopping.details))
        self._show(line, "\n".join(details) if line else "")

    def _show(self, line: str, details: str) -> None:
        if (line, details) != (self.line, self.details):
            self.line, self.details = line, details
            self.changed.emit()
