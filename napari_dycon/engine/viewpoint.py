"""Where a person looks while a model learns, and what they are shown of it; nothing here imports torch."""

import base64
import json
import zlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class View:
    """A slice of a case.

    Attributes
    ----------
    axis
        Axis of the canonical (RAS) scan that the slice lies across.
    at
        Where on it the middle of the slice is, from 0 to 1 of the scan.
    """

    case: str
    axis: int
    at: float


VIEW = "view "
"""So begins the word with which a view is told to another process."""


def view_word(view: View | None) -> str:
    """Return the line that tells another process where a person looks."""
    return VIEW + json.dumps(None if view is None else asdict(view))


def heard_view(word: str) -> View | None:
    """Return the view that a line of `view_word` tells."""
    told = json.loads(word.removeprefix(VIEW))
    return None if told is None else View(**told)


def pack(array: NDArray[np.uint8]) -> str:
    """Return an array as text, to be part of an event."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 1)).decode("ascii")


def unpack(text: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the array of `pack`.

    Raises
    ------
    ValueError
        When the text is not one of such an array.
    """
    try:
        content = zlib.decompress(base64.b64decode(text, validate=True))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    found: NDArray[Any] = np.frombuffer(content, np.uint8)
    return found.reshape(shape)
