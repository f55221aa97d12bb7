"""The job that grows a piece from strokes on the open case."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from napari_dycon.engine.control import Control, Stopped
from napari_dycon.errors import StudyError
from napari_dycon.plugin.background.worker import EventSource
from napari_dycon.plugin.layers.open_case import OpenCase
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.truth.growth import Growth, Opinion, Stroke, grow


@dataclass(frozen=True)
class Grown:
    """A piece is proposed, or a sentence says why there is none.

    Attributes
    ----------
    strokes
        Those that it grew from.
    """

    strokes: tuple[Stroke, ...]
    growth: Growth | None
    sentence: str = ""


def growth(
    case: OpenCase,
    structure: Structure,
    strokes: tuple[Stroke, ...],
    opinion: Opinion | None,
    wanted: Callable[[], bool],
) -> EventSource[Grown]:
    """Propose the piece that strokes are about; it ends without a word when it is wanted no longer."""

    def source(control: Control) -> Iterator[Grown]:
        def look_up() -> None:
            control.raise_if_stopped()
            if not wanted():
                raise Stopped

        volume, annotation = case.volume, case.annotation
        try:
            look_up()
            found = grow(
                volume.array, volume.geometry.spacing, annotation, structure, strokes, opinion, look_up
            )
        except Stopped:
            return
        except StudyError as error:
            yield Grown(strokes, None, str(error))
        else:
            yield Grown(strokes, found)

    return source
