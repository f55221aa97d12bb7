"""The results of a benchmark and the file that keeps them."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_dycon.errors import DyconError
from napari_dycon.io.atomic import write_text_atomic

SUMMARY_HEADER = (
    "method",
    "seeds",
    "Dice %",
    "Jaccard %",
    "HD95 mm",
    "ASD mm",
    "missed",
    "iterations",
    "seconds",
)


class CaseScore(BaseModel):
    """How well one structure of one test scan was found; ``None`` where a figure is not defined.

    ``missed`` says that the structure is in the truth and nothing was predicted: its Dice is 0 and it has no
    distance. Distances in mm; the volume error is relative to the true volume.
    """

    model_config = ConfigDict(extra="allow")

    case: str
    structure: str
    dice: float | None
    jaccard: float | None
    hd95_mm: float | None
    asd_mm: float | None
    volume_error: float | None
    missed: bool


class Row(BaseModel):
    """One trained and tested model; means run over test cases and structures, Dice from 0 to 1.

    ``variant`` names an ablation of the method, whose ``variant_settings`` came on top of ``overrides``; both
    are empty for the method as it is. ``test_seconds`` is what predicting the test scans took, and
    ``labelled_scans`` names the scans that were labelled, ``recipe`` how the data was prepared.
    """

    model_config = ConfigDict(extra="allow")

    method: str
    seed: int
    labelled: int
    slices: int | None
    iterations: int
    seconds: float
    iterations_per_second: float
    peak_memory_mb: float
    mean_dice: float | None
    mean_jaccard: float | None
    mean_hd95_mm: float | None
    mean_asd_mm: float | None
    missed: int
    cases: list[CaseScore]
    device: str
    budget: str
    overrides: dict[str, Any]
    data: str
    variant: str = ""
    variant_settings: dict[str, Any] = {}
    test_seconds: float | None = None
    labelled_scans: tuple[str, ...] = ()
    recipe: str = ""

    @property
    def key(self) -> str:
        """Text that is equal for two rows exactly when they measure the same thing."""
        same = (self.method, self.seed, self.labelled, self.slices, self.budget, self.overrides, self.data)
        return row_key(*same, self.device, self.variant, self.variant_settings)


def row_key(
    method: str,
    seed: int,
    labelled: int,
    slices: int | None,
    budget: str,
    overrides: dict[str, Any],
    data: str,
    device: str,
    variant: str = "",
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Identity of a measurement, known before it is made."""
    same = [method, seed, labelled, slices, budget, dict(sorted(overrides.items())), data, device]
    if variant:
        same += [variant, dict(sorted((settings or {}).items()))]
    return json.dumps(same)


def mean_of(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are defined, or ``None`` without any."""
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None


def finite(value: float | None) -> float | None:
    """Replace what JSON cannot hold (NaN, infinity) by ``None``."""
    return value if value is not None and math.isfinite(value) else None


def load_rows(path: Path | None) -> dict[str, Row]:
    """Finished rows by key; none when the file does not exist yet."""
    try:
        rows = [Row.model_validate(entry) for entry in _content(path)["rows"]]
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise DyconError(f"{path} is not a benchmark result; choose another file for --json.") from error
    return {row.key: row for row in rows}


def add_row(path: Path | None, row: Row) -> None:
    """Write a row beside those already in the file, which is replaced in one step."""
    if path is None:
        return
    rows = load_rows(path)
    rows.setdefault(row.key, row)
    _write(path, {**_content(path), "rows": [entry.model_dump(mode="json") for entry in rows.values()]})


def describe(path: Path | None, name: str, facts: Mapping[str, Any]) -> None:
    """Write beside the rows what the data of those of a recipe is, and what others have published."""
    if path is not None:
        load_rows(path)
        content = _content(path)
        _write(path, {**content, "recipes": {**content.get("recipes", {}), name: facts}})


def _content(path: Path | None) -> dict[str, Any]:
    if path is None or not path.exists():
        return {"rows": []}
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text_atomic(path, json.dumps(content, indent=1) + "\n")


def summary_table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """One line a method, variant and budget below a header: means over seeds, with standard deviation."""
    lines: list[tuple[str, ...]] = [SUMMARY_HEADER]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (row.method, row.variant, row.budget, json.dumps(row.overrides))
        groups.setdefault(key, []).append(row)
    for (method, variant, _, overrides), group in groups.items():
        settings = [f"{key}={value}" for key, value in json.loads(overrides).items()]
        name = " ".join(filter(None, [method, variant, *settings]))
        lines.append(
            (
                name,
                str(len(group)),
                _spread([row.mean_dice for row in group], 100),
                _spread([row.mean_jaccard for row in group], 100),
                _spread([row.mean_hd95_mm for row in group]),
                _spread([row.mean_asd_mm for row in group]),
                str(sum(row.missed for row in group)),
                f"{fmean(row.iterations for row in group):.0f}",
                f"{fmean(row.seconds for row in group):.0f}",
            )
        )
    return lines


def _spread(values: Iterable[float | None], scale: float = 1.0) -> str:
    defined = [value * scale for value in values if value is not None]
    if not defined:
        return "-"
    text = f"{fmean(defined):.2f}"
    return f"{text} ± {stdev(defined):.2f}" if len(defined) > 1 else text
