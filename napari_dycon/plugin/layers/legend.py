"""What lies over the scan, in words: what is filled, outlined, hatched or glows."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["fill", "line", "rising", "falling", "heat"]
PLAIN, LIGHT = "#c4c8d4", "#ffffff"


@dataclass(frozen=True)
class Entry:
    """One line of the legend: how something is drawn, what that means, and its colour if it has only one."""

    kind: Kind
    text: str
    colour: str = PLAIN


def entries(
    *,
    own: bool,
    model: str,
    differences: bool,
    veil: str,
    learning: str = "",
    readers: tuple[Entry, ...] = (),
) -> tuple[Entry, ...]:
    """Return the lines of the legend; none where nothing but the person's own labels is seen.

    Parameters
    ----------
    own
        Whether the person's own labels are seen.
    model
        What is outlined; empty for nothing.
    differences
        Whether of that only what the person disagrees with is seen.
    learning
        What is outlined in lighter colours; empty for nothing.
    veil
        Colour of the uncertainty; empty where it is not shown.
    readers
        What is seen of where readers differ.
    """
    lines = [Entry("fill", "yours")] if own else []
    if model and differences:
        lines += [Entry("rising", "model only"), Entry("falling", "you only")]
    elif model:
        lines.append(Entry("line", model))
    if learning:
        lines.append(Entry("line", learning, LIGHT))
    if veil:
        lines.append(Entry("heat", "model unsure", veil))
    lines += readers
    return tuple(lines) if model or veil or learning or readers else ()
