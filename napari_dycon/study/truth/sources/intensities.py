"""Pieces by the intensities under the strokes: the usual source, see `growth`."""

from collections.abc import Callable

from napari_dycon.study.truth.growth import Growth, grow
from napari_dycon.study.truth.pieces import USUAL, PieceRequest, Settings, sources


@sources(USUAL)
class Intensities:
    """A random walker between the strokes, on this computer."""

    title = "By intensities"
    patience = ""

    def __init__(self, settings: Settings) -> None:
        del settings

    def is_offered(self) -> bool:
        """It needs nothing."""
        return True

    def grow(self, request: PieceRequest, look_up: Callable[[], None]) -> Growth:
        """Propose the piece; raise `StudyError` if there is none."""
        scan = request.scan
        return grow(
            scan.array,
            scan.geometry.spacing,
            request.annotation,
            request.structure,
            request.strokes,
            request.opinion,
            look_up,
        )

    def let_go(self) -> None:
        """Nothing is held."""
