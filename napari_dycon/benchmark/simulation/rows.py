"""The results of a simulation and the file that keeps them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_dycon.benchmark.rows import mean_of
from napari_dycon.benchmark.simulation.comparison import Curve, Difference
from napari_dycon.errors import DyconError
from napari_dycon.io.atomic import write_text_atomic


class Row(BaseModel):
    """The model after a round, and what it has cost until then; Dice from 0 to 1.

    Attributes
    ----------
    round
        0 is the start, which all strategies of a seed share.
    slices, effort_seconds, contour_mm, clicks
        Slices that were labelled until then, and the simulated work on them.
    seconds, iterations
        Of training until then.
    mean_dice, worst_dice
        Over the test scans, each the mean of its structures; None where no test scan has a structure.
    dice
        By test scan.
    setting
        What makes rows comparable (see `Protocol.setting`).
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    strategy: str
    seed: int
    round: int
    slices: int
    effort_seconds: float
    contour_mm: float
    clicks: int
    seconds: float
    iterations: int
    mean_dice: float | None
    worst_dice: float | None
    dice: dict[str, float | None]
    setting: dict[str, Any]

    @property
    def key(self) -> str:
        """Text that is equal for two rows exactly when they measure the same thing."""
        return row_key(self.strategy, self.seed, self.round, self.setting)


def row_key(strategy: str, seed: int, round_number: int, setting: dict[str, Any]) -> str:
    """Identity of a measurement, known before it is made."""
    return json.dumps([strategy, seed, round_number, setting], sort_keys=True)


class Results:
    """Rows in a file, or in memory alone.

    Raises
    ------
    DyconError
        If the file is there and no result of a simulation.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._rows = _load(path)

    def get(self, key: str) -> Row | None:
        """Return a row that was measured."""
        return self._rows.get(key)

    def add(self, row: Row) -> None:
        """Keep a row, in place of one of before."""
        self._rows[row.key] = row
        self.write()

    def write(self, comparison: Sequence[Difference] = ()) -> None:
        """Write all rows, with a comparison of some of them, in one step."""
        if self._path is not None:
            content = {"rows": [_plain(row) for row in self._rows.values()]}
            content["comparison"] = [_plain(entry) for entry in comparison]
            write_text_atomic(self._path, json.dumps(content, indent=1) + "\n")


def _plain(entry: BaseModel) -> dict[str, Any]:
    return entry.model_dump(mode="json")


def _load(path: Path | None) -> dict[str, Row]:
    if path is None or not path.exists():
        return {}
    try:
        rows = [Row.model_validate(entry) for entry in json.loads(path.read_text(encoding="utf-8"))["rows"]]
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise DyconError(
            f"{path} is not the result of a simulation; choose another file for --json."
        ) from error
    return {row.key: row for row in rows}


def curves(rows: Iterable[Row]) -> dict[str, list[Curve]]:
    """Return the curves of each strategy, one a seed, from rows of one setting."""
    lanes: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        lanes.setdefault((row.strategy, row.seed), []).append(row)
    found: dict[str, list[Curve]] = {}
    for (strategy, seed), lane in lanes.items():
        found.setdefault(strategy, []).append(_curve(seed, sorted(lane, key=lambda row: row.round)))
    return found


def _curve(seed: int, lane: Sequence[Row]) -> Curve:
    scans = [scan for scan, dice in lane[0].dice.items() if dice is not None]
    return Curve(
        seed=seed,
        slices=tuple(row.slices for row in lane),
        effort=tuple(row.effort_seconds for row in lane),
        dice={scan: tuple(row.dice[scan] or 0.0 for row in lane) for scan in scans},
    )


def summary_table(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """One line a strategy below a header: mean Dice in percent by round, worst scan and work at the end."""
    last = max(row.round for row in rows)
    header = ("strategy", "seeds", *(f"round {number}" for number in range(last + 1)), "worst")
    lines = [(*header, "slices", "contour mm", "effort min")]
    for strategy in dict.fromkeys(row.strategy for row in rows):
        mine = [row for row in rows if row.strategy == strategy]
        by_round = [[row for row in mine if row.round == number] for number in range(last + 1)]
        end = by_round[-1]
        lines.append(
            (
                strategy,
                str(len({row.seed for row in mine})),
                *(_percent(mean_of(row.mean_dice for row in group)) for group in by_round),
                _percent(min((row.worst_dice for row in end if row.worst_dice is not None), default=None)),
                _number(mean_of(float(row.slices) for row in end), 1),
                _number(mean_of(row.contour_mm for row in end), 1),
                _number(mean_of(row.effort_seconds for row in end), 60, ".1f"),
            )
        )
    return lines


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float | None, unit: float, form: str = ".0f") -> str:
    return "-" if value is None else format(value / unit, form)
