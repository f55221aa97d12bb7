"""Who can propose a piece from strokes: sources, each known by a name.

What is usual goes by intensities and needs nothing. A source may also ask a program elsewhere; it is offered
only where the person has set that up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from napari_dycon.errors import StudyError
from napari_dycon.io.volumes import Volume
from napari_dycon.register import Register
from napari_dycon.study.truth.annotations import Annotation, NamedValue
from napari_dycon.study.truth.growth import Growth, Opinion, Stroke

USUAL = "intensities"


@dataclass(frozen=True, eq=False)
class PieceRequest:
    """What a piece is proposed from.

    Attributes
    ----------
    scan
        Intensities ``(x, y, z)`` and their grid; the same object as long as the case is open.
    annotation
        What is known of it.
    structure
        What grows.
    strokes
        In the order in which they were drawn, in source order; the later one counts where two meet.
    opinion
        What a model says of the scan, if one does.
    """

    scan: Volume
    annotation: Annotation
    structure: NamedValue
    strokes: tuple[Stroke, ...]
    opinion: Opinion | None = None


class Source(Protocol):
    """Proposes pieces; it lives as long as the window, and is asked from one background thread at a time.

    Attributes
    ----------
    title
        What it is called where one chooses.
    patience
        What is said while it works; empty where that takes but a moment.
    """

    title: str
    patience: str

    def is_offered(self) -> bool:
        """Tell whether the person has what it takes; asked in the GUI thread, so it waits for nobody."""

    def grow(self, request: PieceRequest, look_up: Callable[[], None]) -> Growth:
        """Propose the piece that some strokes are about.

        Parameters
        ----------
        request
            What it is proposed from; nothing of it is changed.
        look_up
            To be called several times a second; it raises where the piece is wanted no longer.

        Raises
        ------
        StudyError
            If there is none; the sentence is for the person.
        """

    def let_go(self) -> None:
        """Free what it holds for the scan, without waiting; the study is closed."""


Settings = Callable[[], Mapping[str, str]]
"""Returns what the person has set: ``server_address`` and ``server_key``; empty texts where nothing."""

sources: Register[Callable[[Settings], Source]] = Register(
    "source of pieces", "napari_dycon.study.truth.sources", "napari_dycon.sources", StudyError
)
"""Sources of pieces by name: what makes one, given the settings."""
