"""Places that a person has skipped, which are not suggested again."""

from dataclasses import dataclass
from typing import Protocol

from napari_dycon.guidance.slices import too_close
from napari_dycon.study.store.place_log import CASE, SLICE, PlaceEntry, read_places
from napari_dycon.study.study import Study

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


class _Where(Protocol):
    """A place that could be suggested."""

    @property
    def case(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def axis(self) -> int: ...
    @property
    def index(self) -> int: ...
    @property
    def box(self) -> Box: ...


@dataclass(frozen=True, slots=True)
class Skips:
    """Skipped places by the study's log; they stay skipped until somebody works on them."""

    entries: tuple[PlaceEntry, ...] = ()

    @classmethod
    def of(cls, study: Study) -> "Skips":
        """Read them."""
        return cls(read_places(study.path).skipped)

    def hide(self, place: _Where, spacing: float) -> bool:
        """Tell whether a place, or one that shows nearly the same, was skipped.

        Parameters
        ----------
        place
            What could be suggested.
        spacing
            Between neighbouring slices along its axis, in mm.
        """
        return any(_is_same(place, entry, spacing) for entry in self.entries)


NONE_SKIPPED = Skips()


def _is_same(place: _Where, entry: PlaceEntry, spacing: float) -> bool:
    if (place.case, place.level) != (entry.case, entry.level):
        return False
    if place.level == CASE:
        return True
    if place.level == SLICE:
        return place.axis == entry.axis and too_close(place.index, entry.index, spacing)
    return all(
        first < other_last and other_first < last
        for (first, last), (other_first, other_last) in zip(place.box, entry.box, strict=True)
    )
