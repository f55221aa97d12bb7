"""A study file in which something is wrong: what is sound in it is used, what is not is set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from napari_dycon.errors import DyconError
from napari_dycon.io.json_files import in_words
from napari_dycon.io.volumes import read_geometry
from napari_dycon.study.store.files import scan_path, sha256_of
from napari_dycon.study.store.schema import (
    DEFAULT_COLORS,
    MOST_STRUCTURES,
    CaseRecord,
    Structure,
    StudyRecord,
    Whole,
    sound_wholes,
)


def mend(
    root: Path, content: Mapping[str, Any], donors: Mapping[str, CaseRecord]
) -> tuple[StudyRecord, tuple[str, ...]]:
    """Make a record of what can be read.

    Parameters
    ----------
    root
        The study folder.
    content
        The file, as JSON.
    donors
        Cases of the backup by id, for those whose record cannot be read.

    Returns
    -------
    StudyRecord
        With what could not be read under `set_aside`.
    tuple of str
        A sentence for each thing that was wrong.
    """
    notes: list[str] = []
    structures = _structures(content.get("structures"), notes)
    cases, aside = _cases(root, content.get("cases"), donors, notes)
    told = content.get("set_aside")
    parts = {
        "structures": structures,
        "wholes": _wholes(content.get("wholes"), structures, notes),
        "cases": tuple(cases.values()),
        "set_aside": (*(told if isinstance(told, list) else ()), *aside),
    }
    rest = {key: value for key, value in content.items() if key not in parts}
    while True:
        try:
            return StudyRecord.model_validate({"name": root.name, **rest, **parts}), tuple(notes)
        except ValidationError as error:
            key = str(error.errors()[0]["loc"][0])
            notes.append(f"{key} of study.json could not be read and was left out.")
            rest = {name: value for name, value in rest.items() if name != key}


def _structures(content: Any, notes: list[str]) -> tuple[Structure, ...]:
    found: dict[int, Structure] = {}
    for raw in content if isinstance(content, list) else ():
        structure = _structure(raw, found)
        if structure is None:
            notes.append(f"A structure in study.json could not be read and was left out: {str(raw)[:80]}.")
            continue
        found[structure.value] = structure
        if not isinstance(raw, dict) or structure.name != raw.get("name"):
            notes.append(f"The name of structure {structure.value} could not be used; rename it.")
    return tuple(found.values())


def _wholes(content: Any, structures: Sequence[Structure], notes: list[str]) -> tuple[Whole, ...]:
    found: list[Whole] = []
    for raw in content if isinstance(content, list) else ():
        try:
            whole = Whole.model_validate(raw)
        except ValidationError:
            whole = None
        kept = sound_wholes([*found, whole] if whole else found, structures)
        if len(kept) == len(found):
            notes.append(f"A whole in study.json could not be read and was left out: {str(raw)[:80]}.")
        found = list(kept)
    return tuple(found)


def _structure(raw: Any, found: Mapping[int, Structure]) -> Structure | None:
    value = raw.get("value") if isinstance(raw, dict) else None
    if type(value) is not int or not 1 <= value <= MOST_STRUCTURES or value in found:
        return None
    names = {structure.name for structure in found.values()}
    sound = {key: text for key, text in raw.items() if key != "name" or text not in names}
    substitutes = {"name": f"structure {value}", "color": DEFAULT_COLORS[len(found) % len(DEFAULT_COLORS)]}
    for taken in ({}, {"color": substitutes["color"]}, {"name": substitutes["name"]}, substitutes):
        try:
            return Structure.model_validate({**sound, **taken})
        except ValidationError:
            continue
    return None


def _cases(
    root: Path, content: Any, donors: Mapping[str, CaseRecord], notes: list[str]
) -> tuple[dict[str, CaseRecord], list[Any]]:
    found: dict[str, CaseRecord] = {}
    aside: list[Any] = []
    for raw in content if isinstance(content, list) else ():
        try:
            case, note = _case(root, raw, donors)
            if case.id.lower() in found:
                raise ValueError("there is a case of that id before it")
        except ValueError as problem:
            aside.append(raw)
            notes.append(
                f"The record of {_name(raw)} in study.json could not be read ({in_words(problem)}) and was "
                "set aside: the case is not in the list. Its labels stay in the annotations folder."
            )
            continue
        found[case.id.lower()] = case
        notes.extend(note)
    return found, aside


def _case(root: Path, raw: Any, donors: Mapping[str, CaseRecord]) -> tuple[CaseRecord, list[str]]:
    """Read a record, or what of it can be; ValueError says why it cannot be used."""
    try:
        return CaseRecord.model_validate(raw), []
    except ValidationError as error:
        bad, problem = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}, error
    if not isinstance(raw, dict):
        raise problem
    lost = f"Of the record of {_name(raw)} in study.json, {', '.join(sorted(bad))} could not be read"
    sound = {key: value for key, value in raw.items() if key not in bad}
    try:
        return CaseRecord.model_validate(sound), [f"{lost} and was left out."]
    except ValidationError:
        pass
    if raw.get("id") in donors:
        return donors[str(raw["id"])], [f"{lost}; its record in the backup was used."]
    try:
        again = CaseRecord.model_validate({**_from_scan(root, sound), **sound})
    except (DyconError, OSError, KeyError, TypeError, ValidationError):
        raise problem from None
    return again, [f"{lost} and was taken from the scan again."]


def _from_scan(root: Path, sound: Mapping[str, Any]) -> dict[str, Any]:
    scan = scan_path(root, sound["scan"])
    geometry = read_geometry(scan)
    return {
        "name": sound["id"],
        "shape": geometry.shape,
        "spacing": geometry.spacing,
        "orientation": geometry.orientation,
        "sha256": sha256_of(scan),
        "added": "",
    }


def _name(raw: Any) -> str:
    said = [raw.get(key) for key in ("id", "name")] if isinstance(raw, dict) else []
    named = next((text for text in said if isinstance(text, str) and text), None)
    return "a case without a name" if named is None else f"case {named[:80]}"
