"""What the values of a label file from elsewhere mean in a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_dycon.errors import StudyError
from napari_dycon.study.store.naming import fold
from napari_dycon.study.store.schema import Structure

BACKGROUND = "background"
_LISTED = 6

Key = tuple[str, int]
"""A value as a person knows it: the name that files give it, or, where they give none, the number."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Values of a label file that are no structure of the study.

    Attributes
    ----------
    labels
        The file.
    voxels
        How many voxels have each of them.
    names
        What the file calls them, where it does.
    """

    labels: Path
    voxels: Mapping[int, int]
    names: Mapping[int, str]

    @property
    def keys(self) -> dict[int, Key]:
        """How a person knows each value: it is the same thing in every file that calls it so."""
        return {
            value: (self.names[value], 0) if value in self.names else ("", value) for value in self.voxels
        }


class ForeignValuesError(StudyError):
    """A label file has values that are no structure of the study."""

    def __init__(self, message: str, foreign: Foreign) -> None:
        super().__init__(message)
        self.foreign = foreign


def parse_values(texts: Iterable[str], structures: Sequence[Structure]) -> dict[int, int]:
    """Turn ``3:liver`` into which structure's value a value of label files means; 0 for the background.

    Raises
    ------
    StudyError
        If a text says no such thing, the study has no such structure, or a value is said to mean two.
    """
    by_name = {fold(BACKGROUND): 0} | {fold(one.name): one.value for one in structures}
    found: dict[int, int] = {}
    for text in texts:
        value, colon, name = (part.strip() for part in text.partition(":"))
        if not (colon and name and value.isdecimal() and len(value) < 9 and 1 <= int(value) <= 255):
            raise StudyError(
                f"'{text}' does not say what a label value means; write --map \"3:liver\" (values 1 to 255)."
            )
        if fold(name) not in by_name:
            known = ", ".join(one.name for one in structures[:_LISTED]) or "none"
            raise StudyError(
                f"There is no structure {name!r} in the study (it has: {known}); add it while importing: "
                f'--structure "{value}:{name}".'
            )
        if found.setdefault(int(value), by_name[fold(name)]) != by_name[fold(name)]:
            raise StudyError(f"--map says two things about the value {int(value)}; leave one.")
    return found


def meanings(
    structures: Sequence[Structure],
    values: Iterable[int],
    names: Mapping[int, str],
    said: Mapping[int, int] | None = None,
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
    said
        What a person says of values, see `parse_values`; it comes before names and numbers.
    """
    by_name = {fold(structure.name): structure.value for structure in structures}
    own = {structure.value for structure in structures}
    stated = {
        value: by_name.get(fold(names.get(value, ""))) if names else (value if value in own else None)
        for value in values
    }
    return stated | {value: meant for value, meant in (said or {}).items() if value in stated}


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
        return (
            f'{said}; add a structure with that value and name (--structure "{first}:NAME"), or say which '
            f'one it means (--map "{first}:NAME")'
        )
    if first not in names:
        return f"{said}; the file names its other values but not {first}, so name it where it was made"
    taken = {structure.value for structure in structures}
    free = first if first not in taken else next((v for v in range(1, 256) if v not in taken), first)
    known = ", ".join(structure.name for structure in structures[:_LISTED])
    return (
        f"{said}; call the segment as the structure is called ({known}), or add a structure of that name "
        f'(--structure "{free}:{names[first]}"), or say which one it means (--map "{first}:NAME")'
    )
