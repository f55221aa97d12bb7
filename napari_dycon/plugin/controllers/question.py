"""What the session wants to know before it goes on; asked in the dock, where the tools are."""

from collections.abc import Callable
from dataclasses import dataclass

CANCEL = "cancel"


@dataclass(frozen=True)
class Question:
    """A sentence and the answers it can have.

    Attributes
    ----------
    answers
        ``(key, text of the button)``, the likely one first; "cancel" comes last.
    ways
        ``(key, name)`` of the ways in which it can be done, where there are several; to choose one answers.
    way
        The key of the one in use.
    """

    text: str
    answers: tuple[tuple[str, str], ...]
    ways: tuple[tuple[str, str], ...] = ()
    way: str = ""


@dataclass(frozen=True)
class Asked:
    """A question that waits, and who wants its answer."""

    question: Question
    on_answer: Callable[[str], None]
