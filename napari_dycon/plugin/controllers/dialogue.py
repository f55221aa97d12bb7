"""What is said to the person, and what is asked."""

import logging
from collections.abc import Callable

from psygnal import Signal

from napari_dycon.plugin.controllers.desk import Desk
from napari_dycon.plugin.controllers.question import CANCEL, Asked, Question
from napari_dycon.plugin.layers.notices import notify

logger = logging.getLogger(__name__)


class Dialogue:
    """Messages to the person and at most one question at a time.

    Signals: ``message`` carries a level (info, warning, error) and a text; ``question_changed`` follows
    `question`.

    Parameters
    ----------
    desk
        Tells when what was said about the labels is no longer so.
    """

    message = Signal(str, str)
    question_changed = Signal()

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._asked: Asked | None = None
        self._about_edit = False
        desk.history.connect(self._let_go_of_message)

    @property
    def question(self) -> Question | None:
        """What waits for an answer, or None."""
        return None if self._asked is None else self._asked.question

    def ask(self, question: Question, on_answer: Callable[[str], None]) -> None:
        """Ask, and cancel the question before."""
        self.answer(CANCEL)
        self._asked = Asked(question, on_answer)
        self.question_changed.emit()

    def answer(self, key: str) -> None:
        """Answer the open question; without one nothing happens."""
        asked, self._asked = self._asked, None
        if asked is not None:
            self.question_changed.emit()
            asked.on_answer(key)

    def say(self, level: str, text: str) -> None:
        """Tell the person something (info, warning, error): in the dock and as a notification of napari.

        What is only for information does without the notification where a dock shows it already.
        """
        self._about_edit = False
        logger.log(logging.getLevelNamesMapping()[level.upper()], text)
        self.message.emit(level, text)
        if level != "info" or not len(self.message):
            notify(level, text)

    def say_of_edit(self, text: str) -> None:
        """Tell what became of the labels, and what was locked; it stands until they change again."""
        self.say("info", " ".join(filter(None, (text, self._desk.stopped))))
        self._about_edit = True
        self._desk.tell_next_change()

    def _let_go_of_message(self) -> None:
        """After the labels changed: what was said about them before is no longer so."""
        if self._about_edit:
            self._about_edit = False
            self.message.emit("info", "")
