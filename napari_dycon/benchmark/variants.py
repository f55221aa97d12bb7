"""Ablations as data: what is changed in the settings of a method, by table and variant."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from napari_dycon.errors import DyconError
from napari_dycon.learning.methods.base import get_method

Settings = Mapping[str, Any]

ALL = "all"
BARE: Settings = {"pseudo_weight": 0.0, "copy_paste": False, "uncl_weight": 1.0}
"""DyCON without what the paper does not have, on which its terms are built up one by one."""

UNCL: Settings = {**BARE, "fecl_weight": 0.0}
FECL: Settings = {**BARE, "fecl_weight": 0.1}

VARIANTS: Mapping[str, Mapping[str, Mapping[str, Settings]]] = {
    "dycon": {
        # The paper's table 5. Its fixed betas are in nats; ours are in units of ln C, here ln 2.
        "uncl": {
            "no-uncl": {**UNCL, "uncl_weight": 0.0},
            "uncl-no-beta": {**UNCL, "beta_first": 0.0, "beta_last": 0.0},
            "uncl-beta-0.5": {**UNCL, "beta_first": 0.35, "beta_last": 0.35},
            "uncl-beta-0.8": {**UNCL, "beta_first": 0.55, "beta_last": 0.55},
            "uncl-adaptive": UNCL,
        },
        # Its table 6; the row without FeCL is the last one above.
        "fecl": {
            "uncl-adaptive": UNCL,
            "fecl-focal": {**FECL, "hard_negatives": 0, "entropy_weights": False},
            "fecl-hard-negatives": {**FECL, "entropy_weights": False},
            "fecl-entropy": {**FECL, "hard_negatives": 0},
            "fecl-all": FECL,
        },
        # The whole method, what it loses without each of its parts, and what UnCL and FeCL add.
        "parts": {
            "": {},
            "with-uncl": {"uncl_weight": 5.0},
            "with-fecl": {"fecl_weight": 0.1},
            "without-pseudo-labels": {"pseudo_weight": 0.0},
            "without-copy-paste": {"copy_paste": False},
            "two-pairs": {"mixed": 1.0},
            "without-late-start": {"start": 0.0},
        },
    }
}
"""Changed settings by method, table and variant; the variant without a name is the method as it is."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A method, as it is or in a variant, that takes part in a benchmark."""

    method: str
    variant: str = ""
    settings: Settings = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Method and variant for people."""
        return f"{self.method} {self.variant}".strip()


def contenders(methods: Sequence[str], variants: Sequence[str] = ()) -> tuple[Contender, ...]:
    """Choose what takes part: methods that have variants in each of those asked for, others as they are.

    Parameters
    ----------
    methods : sequence of str
    variants : sequence of str
        Tables or single variants; "all" for all tables. None for methods as they are.

    Raises
    ------
    DyconError
        When a method or variant does not exist, or a variant changes a setting that its method lacks.
    """
    if not methods:
        raise DyconError("Name at least one method.")
    for method in methods:
        get_method(method)
    if not variants:
        return tuple(Contender(method) for method in methods)
    if not VARIANTS.keys() & set(methods):
        raise DyconError(f"Only {', '.join(VARIANTS)} has variants; name it in --methods.")
    chosen = [contender for method in methods for contender in _of_method(method, variants)]
    for contender in chosen:
        _check(contender)
    return tuple(chosen)


def _of_method(method: str, wanted: Iterable[str]) -> list[Contender]:
    tables = VARIANTS.get(method)
    if tables is None:
        return [Contender(method)]
    single = {name: settings for table in tables.values() for name, settings in table.items()}
    found: dict[str, Settings] = {}
    for name in wanted:
        if name == ALL:
            found |= single
        elif name in tables:
            found |= tables[name]
        elif name in single and name:
            found[name] = single[name]
        else:
            choice = ", ".join([ALL, *tables, *filter(None, single)])
            raise DyconError(f"There is no variant {name!r} of {method}; choose one of {choice}.")
    return [Contender(method, name, settings) for name, settings in found.items()]


def _check(contender: Contender) -> None:
    kind = get_method(contender.method).Settings
    missing = sorted(contender.settings.keys() - kind.model_fields.keys())
    if missing:
        raise DyconError(f"Variant {contender.name} changes {missing[0]}, which {contender.method} lacks.")
    try:
        kind.model_validate(dict(contender.settings))
    except ValidationError as error:
        first = error.errors()[0]
        raise DyconError(f"Variant {contender.name} does not fit: {first['loc']}: {first['msg']}.") from None
