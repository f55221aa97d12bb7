"""Where to annotate first, as long as no prediction guides."""

from collections.abc import Iterator, Sequence

from napari_dycon.guidance.skips import NONE_SKIPPED, Skips
from napari_dycon.guidance.slices import too_close
from napari_dycon.guidance.suggestions import Suggestion, leaving_out
from napari_dycon.io.geometry import Geometry, plane_axis, plane_of_axis
from napari_dycon.study.store.place_log import FIRST
from napari_dycon.study.store.schema import CaseRecord, Structure
from napari_dycon.study.study import Study

PLANES = ("axial", "coronal")
PLACES = (0.5, 0.4, 0.6, 0.45, 0.55)
"""The plane of the first and the second slice of a case, and where in it they lie."""


def first_slices(
    study: Study,
    cases: Sequence[CaseRecord],
    count: int,
    left_out: dict[str, str],
    skips: Skips = NONE_SKIPPED,
) -> list[Suggestion]:
    """Evenly spread slices, planes by turns: one of every case before the second of any.

    Cases come from all over the list, for neighbours in it are often of one disease, site or day.

    A case that cannot be read is added to `left_out`, with the reason.
    """
    if not study.structures:
        return []
    ordered = sorted(spread(cases), key=lambda case: case.known_fraction)
    found: list[Suggestion] = []
    for turn in range(len(PLANES)):
        for number, case in enumerate(ordered):
            if len(found) == count:
                return found
            if case.id not in left_out:
                share = PLACES[(number + turn) % len(PLACES)]
                with leaving_out(case.id, left_out):
                    places = _middle_slice(study, case, PLANES[turn], share)
                    found += (p for p in places if not skips.hide(p, case.spacing[p.axis]))
    return found


def spread(cases: Sequence[CaseRecord]) -> list[CaseRecord]:
    """Order a list so that however few are taken, they come from all over it (van der Corput's sequence)."""
    bits = len(cases).bit_length()
    turns = (*range(1, 1 << bits), 0) if cases else ()
    places = dict.fromkeys(len(cases) * _reverse(turn, bits) >> bits for turn in turns)
    return [cases[place] for place in places]


def _reverse(number: int, bits: int) -> int:
    """Read the binary digits of a number the other way round."""
    return int(f"{number:0{bits}b}"[::-1], 2)


def _middle_slice(study: Study, case: CaseRecord, plane: str, share: float) -> Iterator[Suggestion]:
    """Yield the slice at a share of the way through a scan, unless it is close to a complete one."""
    geometry = study.geometry(case.id)
    axis = plane_axis(geometry, plane)
    index = int(share * geometry.shape[axis])
    labelled = study.annotation(case.id).complete_slices(axis)
    if not any(too_close(index, other, geometry.spacing[axis]) for other in labelled):
        yield _first_slice(case, geometry, axis, index, study.structures[0])


def _first_slice(
    case: CaseRecord, geometry: Geometry, axis: int, index: int, structure: Structure
) -> Suggestion:
    ranges = [(0, size) for size in geometry.shape]
    ranges[axis] = (index, index + 1)
    plane = plane_of_axis(geometry, axis)
    return Suggestion(
        case=case.id,
        plane=plane,
        axis=axis,
        index=index,
        box=(ranges[0], ranges[1], ranges[2]),
        structure=structure.value,
        structure_name=structure.name,
        score=1.0 - case.known_fraction,
        reason=f"few labels in this scan: a middle {plane} slice shows most",
        kind=FIRST,
    )
