"""JSON files: nothing that is not finite goes into them, and each is read back before it counts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from napari_dycon.errors import StudyError
from napari_dycon.io.atomic import atomic_path, require_space


def write_model(path: Path, model: BaseModel) -> None:
    """Write a model as JSON, whole or not at all, once what was written reads back as that kind of model.

    Raises
    ------
    StudyError
        If it holds what its own schema does not allow, infinity for example; what was there stays.
    VolumeError
        If the disk is full or write-protected.
    """
    try:
        content = model.model_dump_json(indent=1).encode() + b"\n"
    except (PydanticSerializationError, UnicodeError) as error:
        raise StudyError(f"{path.name} was not written: it holds text that cannot be stored.") from error
    write_checked(path, content, type(model).model_validate_json)


def write_json(path: Path, content: Any, check: Callable[[bytes], object] = json.loads) -> None:
    """Write plain values as JSON, as `write_model` does; `check` reads the file's bytes."""
    try:
        text = json.dumps(content, indent=1, allow_nan=False)
    except ValueError as error:
        raise StudyError(f"{path.name} was not written: it holds a value that is no number.") from error
    write_checked(path, text.encode() + b"\n", check)


def write_checked(path: Path, content: bytes, check: Callable[[bytes], object]) -> None:
    """Replace a file once `check` has accepted what reads back; any ``ValueError`` of it is a refusal."""
    require_space(path, len(content))
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
        found = temporary.read_bytes()
        if found != content:
            raise StudyError(f"{path.name} does not read back as it was written; what was there stays.")
        try:
            check(found)
        except ValueError as error:
            raise StudyError(
                f"{path.name} was not written, because it could not be read again "
                f"({in_words(error)}); what was there stays."
            ) from error


def finite(content: Any) -> Any:
    """Copy plain values without the numbers that are not finite: None in lists, left out of dictionaries."""
    if isinstance(content, dict):
        return {key: finite(item) for key, item in content.items() if not _strange(item)}
    if isinstance(content, list | tuple):
        return [None if _strange(item) else finite(item) for item in content]
    return content


def parse_json(content: bytes) -> Any:
    """Read JSON of whatever origin: any Unicode encoding, and None for numbers that are not finite.

    Raises
    ------
    ValueError
        If it is no JSON, or nested without end.
    """

    def number(text: str) -> float | None:
        value = float(text)
        return value if math.isfinite(value) else None

    try:
        return json.loads(content, parse_float=number, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is damaged or incomplete") from error


def in_words(error: ValueError) -> str:
    """Say the first thing that is wrong, with its place, and without the words of a program."""
    if not isinstance(error, ValidationError):
        return str(error)
    fault = error.errors(include_url=False, include_input=False)[0]
    where, what = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what


def _strange(item: Any) -> bool:
    return isinstance(item, float) and not math.isfinite(item)
