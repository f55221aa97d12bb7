"""What the values of a label file from elsewhere mean in a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from napari_dycon.study.store.naming import fold
from napari_dycon.study.store.schema import Structure

_LISTED = 6


def meanings(
    structures: Sequence[Structure], values: Iterable[int], names: Mapping[int, str]
) -> dict[int, int | None]:
    """Return the structure's value that each value of a file stands for; None where no structure has it.

    Parameters
    ----------
    structures
        Of the study.
    values
        Values that occur in the file.
    names
        What the file calls its values, where it does: names decide then, and not the numbers, which every
        program gives anew. A value that such a file does not name means nothing.
    """
    by_name = {fold(structure.name): structure.value for structure in structures}
    own = {structure.value for structure in structures}
    return {
        value: by_name.get(fold(names.get(value, ""))) if names else (value if value in own else None)
        for value in values
    }


def without_structure(
    foreign: Sequence[int],
    names: Mapping[int, str],
    voxels: Mapping[int, int],
    structures: Sequence[Structure],
) -> str:
    """List values that no structure has, with their names and voxels, and what to do about the first."""
    listed = ", ".join(
        f"{value} ({f'{names[value]}, ' if value in names else ''}{voxels[value]} voxels)"
        for value in foreign[:_LISTED]
    )
    more = f" and {len(foreign) - _LISTED} more" if len(foreign) > _LISTED else ""
    said = f"label values that no structure has: {listed}{more}"
    first = foreign[0]
    if not names:
        return f'{said}; add a structure with that value and name (--structure "{first}:NAME")'
    if first not in names:
        return f"{said}; the file names its other values but not {first}, so name it where it was made"
    taken = {structure.value for structure in structures}
    free = first if first not in taken else next((v for v in range(1, 256) if v not in taken), first)
    known = ", ".join(structure.name for structure in structures[:_LISTED])
    return (
        f"{said}; call the segment as the structure is called ({known}), or add a structure of that name "
        f'(--structure "{free}:{names[first]}")'
    )
