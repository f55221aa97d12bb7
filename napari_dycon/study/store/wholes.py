"""Wholes: structures that together count as one more, such as a tumour and the organ around it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pydantic import ValidationError

from napari_dycon.errors import StudyError
from napari_dycon.study.store.folder import StudyFolder
from napari_dycon.study.store.schema import Structure, Whole


def parse_wholes(texts: Iterable[str], structures: Sequence[Structure]) -> tuple[Whole, ...]:
    """Turn ``whole tumour:1,2`` into wholes; parts are told by label value or name.

    Raises
    ------
    StudyError
        With what is wrong, where a text says nothing that can be.
    """
    return tuple(_parse(text, structures) for text in texts)


def add_wholes(study: StudyFolder, wholes: Iterable[Whole]) -> None:
    """Let some structures count as one more; a whole of the same name is replaced.

    Raises
    ------
    StudyError
        If a part is no structure, there is a whole of these parts already, the name is that of a structure,
        or the study cannot be changed.
    """
    with study.mutex:
        new = {whole.name: whole for whole in wholes}
        kept = [whole for whole in study.record.wholes if whole.name not in new]
        now = (*kept, *new.values())
        require_sound(now, study.structures)
        study.set_structures(study.structures, now)


def require_sound(wholes: Sequence[Whole], structures: Sequence[Structure]) -> None:
    """Refuse wholes that cannot be together, or not with these structures.

    Raises
    ------
    StudyError
        With what is wrong.
    """
    for place, whole in enumerate(wholes):
        _require_sound(whole, wholes[:place], structures)


def remove_wholes(study: StudyFolder, names: Collection[str]) -> None:
    """Let no structures count as one under these names any more; the structures stay.

    Raises
    ------
    StudyError
        If there is no such whole, or the study cannot be changed.
    """
    with study.mutex:
        there = [whole.name for whole in study.record.wholes]
        for name in names:
            if name not in there:
                known = ", ".join(f"“{each}”" for each in there) or "none"
                raise StudyError(f"No structures count as one under the name “{name}”; there is {known}.")
        kept = (whole for whole in study.record.wholes if whole.name not in names)
        study.set_structures(study.structures, tuple(kept))


def new_whole(name: str, parts: Iterable[int]) -> Whole:
    """Make a whole of what a person gave.

    Raises
    ------
    StudyError
        With one sentence, if there cannot be such a whole.
    """
    try:
        return Whole(name=name.strip(), parts=tuple(parts))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise StudyError(f"These structures cannot count as one: {fault}.") from error


def _parse(text: str, structures: Sequence[Structure]) -> Whole:
    name, _, listed = text.partition(":")
    told = [part.strip() for part in listed.split(",") if part.strip()]
    if not name.strip() or not told:
        raise StudyError(f"'{text}' says no whole; write \"whole tumour:1,2\", its name and label values.")
    return new_whole(name, [_value(part, structures) for part in told])


def _value(told: str, structures: Sequence[Structure]) -> int:
    for structure in structures:
        if told in (str(structure.value), structure.name):
            return structure.value
    known = ", ".join(f"{structure.value} {structure.name}" for structure in structures)
    raise StudyError(f"'{told}' is no structure of this study; it has {known}.")


def _require_sound(whole: Whole, others: Sequence[Whole], structures: Sequence[Structure]) -> None:
    values = {structure.value for structure in structures}
    for value in whole.parts:
        if value not in values:
            raise StudyError(f"“{whole.name}” cannot have label value {value}: no structure has it.")
    if whole.name in (structure.name for structure in structures):
        raise StudyError(f"“{whole.name}” is the name of a structure; call the whole otherwise.")
    for other in others:
        if other.name == whole.name:
            raise StudyError(f"“{whole.name}” is given twice; say it once, with all its parts.")
        if other.parts == whole.parts:
            raise StudyError(f"The same structures count as one already, under the name “{other.name}”.")
