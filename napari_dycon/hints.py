"""What a form should know of a setting that its type does not tell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Hint:
    """Metadata of a field of a pydantic model, in its ``Annotated`` type.

    Parameters
    ----------
    unit
        In what it is measured.
    planned
        Whether the plan decides it where nobody does; its default in the model is then of no concern.
    by_hand
        Whether a person may set it.
    choices
        Returns what there is to choose from.
    """

    unit: str = ""
    planned: bool = False
    by_hand: bool = True
    choices: Callable[[], Sequence[str]] | None = None


PLANNED = Hint(planned=True)
NOT_BY_HAND = Hint(by_hand=False)
