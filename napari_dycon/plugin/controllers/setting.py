"""The settings in a pydantic model as a person meets them: names, units and limits, values as words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, get_args, get_origin

from docstring_parser import DocstringStyle, parse
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from napari_dycon.hints import Hint

AUTOMATIC = "automatic"
YES, NO, NONE = "yes", "no", "none"
SPELT = {"uncl": "UnCL", "fecl": "FeCL", "p": "probability"}
"""Words of names that are not written as a word is."""
IN_WORDS = (
    ("Input should be", "must be"),
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
    ("a valid integer", "a whole number"),
    ("a valid ", "a "),
)
"""What pydantic says, and how it ends a sentence."""


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes
    ----------
    name, label, unit, tip
        Its name in the model, and how it is called, measured and explained to a person.
    kind
        How it is set: yes or no, one of several, a number between limits, or a text that is read.
    default
        What it is where nobody sets it; without a meaning where the plan decides.
    planned
        Whether the plan decides where nobody does.
    choices
        What there is to choose from.
    limits
        The least and the largest number, where there are any.
    """

    name: str
    label: str
    unit: str
    tip: str
    kind: Literal["switch", "choice", "whole", "number", "text"]
    default: Any
    planned: bool
    choices: tuple[str, ...]
    limits: tuple[float | None, float | None]
    accepts: Any
    """Its type with all that is demanded of it."""

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.accepts)

    def read(self, given: Any) -> Any:
        """Return the value that a person gave, as text or as it is.

        Raises
        ------
        ValueError
            With a sentence, where it cannot be that.
        """
        parts = _take_apart(given.strip(), self.accepts) if isinstance(given, str) else given
        try:
            return self._adapter.validate_python(parts)
        except ValidationError as error:
            raise ValueError(self._refusal(error)) from None

    def _refusal(self, error: ValidationError) -> str:
        fault, count = error.errors()[0], _length(self.accepts)
        if fault["type"] in ("missing", "too_long", "too_short") and count:
            return f"{self.label} needs {count} values, with commas between them."
        return f"{self.label} {_in_words(fault['msg'])}."


def settings_of(model: type[Any]) -> tuple[Setting, ...]:
    """Return what a person may set in a model, or in a dataclass of pydantic; models within are left out."""
    tips = _tips(model)
    return tuple(
        _setting(name, field, tips.get(name, field.description or ""))
        for name, field in model.__pydantic_fields__.items()
        if _hint(field).by_hand and not _is_model(field.annotation)
    )


def parts_of(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the models within a model, by the name of their field."""
    fields = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: kind for name, kind in fields.items() if _is_model(kind) and isinstance(kind, type)}


def why_not_together(model: type[BaseModel], values: Mapping[str, Any]) -> str:
    """Return in a sentence why values do not go together; an empty text where they do or nobody can say.

    Nobody can where the plan decides a part of them.
    """
    if any(setting.planned for setting in settings_of(model)):
        return ""
    try:
        model.model_validate(dict(values))
    except ValidationError as error:
        words = error.errors()[0]["msg"].removeprefix("Value error, ")
        for setting in settings_of(model):
            words = re.sub(rf"\b{setting.name}\b", f"“{setting.label}”", words)
        return f"{words[:1].upper()}{words[1:]}."
    return ""


def spoken(value: Any) -> str:
    """Return a value as it is shown and typed: ``1.25, 1.25, 2.5``, ``2×2×2, 1×2×2``, ``yes``."""
    match value:
        case None:
            return NONE
        case bool():
            return YES if value else NO
        case float():
            return f"{value:.10g}"
        case tuple() | list():
            parts = (
                "×".join(map(spoken, part)) if isinstance(part, tuple | list) else spoken(part)
                for part in value
            )
            return ", ".join(parts)
    return str(value)


def _setting(name: str, field: FieldInfo, tip: str) -> Setting:
    hint, limits = _hint(field), _limits(field)
    kind, optional = _plain(field.annotation)
    choices = tuple(hint.choices()) if hint.choices else get_args(kind) if get_origin(kind) is Literal else ()
    planned = hint.planned or field.is_required()
    return Setting(
        name=name,
        label=field.title or _label(name),
        unit=hint.unit,
        tip=tip,
        kind=_kind(kind, bool(choices), planned or optional, limits),
        default=None if planned else field.get_default(call_default_factory=False),
        planned=planned,
        choices=(YES, NO) if kind is bool else choices,
        limits=limits,
        accepts=Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation,
    )


def _kind(
    kind: Any, choices: bool, open_: bool, limits: tuple[float | None, float | None]
) -> Literal["switch", "choice", "whole", "number", "text"]:
    if kind is bool:
        return "choice" if open_ else "switch"
    if choices:
        return "choice"
    if open_ or kind not in (int, float):
        return "text"
    if kind is int:
        return "whole"
    return "text" if None in limits else "number"


def _label(name: str) -> str:
    words = [SPELT.get(word, word) for word in name.split("_")]
    return " ".join((words[0][:1].upper() + words[0][1:], *words[1:]))


def _hint(field: FieldInfo) -> Hint:
    """Return the hints on a field as one."""
    hints = [entry for entry in field.metadata if isinstance(entry, Hint)]
    return Hint(
        unit=next((hint.unit for hint in hints if hint.unit), ""),
        planned=any(hint.planned for hint in hints),
        by_hand=all(hint.by_hand for hint in hints),
        choices=next((hint.choices for hint in hints if hint.choices), None),
    )


def _limits(field: FieldInfo) -> tuple[float | None, float | None]:
    """Return the least and the largest number; a whole one keeps away from what it must be above."""
    apart = 1 if _plain(field.annotation)[0] is int else 0
    low = high = None
    for entry in field.metadata:
        above, below = getattr(entry, "gt", None), getattr(entry, "lt", None)
        low = getattr(entry, "ge", low) if above is None else above + apart
        high = getattr(entry, "le", high) if below is None else below - apart
    return low, high


def _tips(model: type[Any]) -> dict[str, str]:
    """Return what the docstrings of a model and of those it is made from say of each parameter."""
    tips: dict[str, str] = {}
    for kind in model.__mro__:
        text = parse(vars(kind).get("__doc__") or "", style=DocstringStyle.NUMPYDOC)
        for parameter in text.params if hasattr(kind, "__pydantic_fields__") else ():
            for name in parameter.arg_name.split(","):
                tips.setdefault(name.strip(), " ".join((parameter.description or "").split()))
    return tips


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _plain(kind: Any) -> tuple[Any, bool]:
    """Return a type without what is demanded of it, and whether it may be None."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    others = [part for part in get_args(kind) if part is not type(None)]
    if type(None) in get_args(kind) and len(others) == 1:
        return _plain(others[0])[0], True
    return kind, False


def _parts(kind: Any) -> tuple[Any, ...]:
    """Return the types of the parts of a tuple; empty for any other type."""
    plain, _ = _plain(kind)
    return get_args(plain) if get_origin(plain) is tuple else ()


def _length(kind: Any) -> int:
    """How many parts a tuple must have; 0 where it is no tuple, or any number will do."""
    parts = _parts(kind)
    return 0 if Ellipsis in parts else len(parts)


def _take_apart(text: str, kind: Any) -> Any:
    """Take a text apart as its type wants it."""
    if text.casefold() == NONE and _plain(kind)[1]:
        return None
    parts = _parts(kind)
    if not parts:
        return text
    bare = re.sub(r"[()\[\]]", "", text)
    if not _parts(parts[0]):
        return tuple(re.split(r"\s*[,;×xX*]\s*|\s+", bare.strip(" ,;"))) if bare.strip(" ,;") else ()
    return tuple(_take_apart(part.strip(), parts[0]) for part in re.split("[,;]", bare) if part.strip())


def _in_words(message: str) -> str:
    """Turn what pydantic says into the end of a sentence that begins with a name."""
    message = message.removeprefix("Value error, ").partition(", unable to")[0]
    for theirs, ours in IN_WORDS:
        message = message.replace(theirs, ours)
    return message if message.startswith("must") else f"cannot be that: {message.rstrip('.')}"
