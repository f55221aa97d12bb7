"""The job that grows a piece from strokes on the open case."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from napari_dycon.engine.control import Control, Stopped
from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.study.truth.growth import Growth
from napari_dycon.study.truth.pieces import PieceRequest, Source


@dataclass(frozen=True)
class Grown:
    """A piece is proposed, or a sentence says why there is none.

    Attributes
    ----------
    turn
        Which piece was asked for.
    """

    turn: int
    growth: Growth | None
    sentence: str = ""


def growth(
    source: Source, request: PieceRequest, turn: int, wanted: Callable[[], bool]
) -> EventSource[Grown]:
    """Propose the piece that strokes are about; it ends without a word when it is wanted no longer."""

    def job(control: Control) -> Iterator[Grown]:
        def look_up() -> None:
            control.raise_if_stopped()
            if not wanted():
                raise Stopped

        try:
            look_up()
            found = source.grow(request, look_up)
        except Stopped:
            return
        except StudyError as error:
            yield Grown(turn, None, str(error))
        else:
            yield Grown(turn, found)

    return job
