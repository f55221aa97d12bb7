"""What became of the places that were suggested: a line for each, in ``suggestions.jsonl`` of the study.

The file is only ever added to. A line that was cut off by a crash, or damaged otherwise, is passed over and
told, and stays in the file; a study without one, made before there were any, has an empty log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_dycon.io.atomic import append_lines
from napari_dycon.io.json_files import parse_json
from napari_dycon.study.store.files import clear_way

PLACES_FILE = "suggestions.jsonl"
MAXIMUM_BYTES = 64 << 20
Level = Literal["slice", "case", "region"]
Kind = Literal["chosen", "random", "first"]
Outcome = Literal["done", "corrected", "skipped"]
SLICE: Level = "slice"
CASE: Level = "case"
REGION: Level = "region"
CHOSEN: Kind = "chosen"
RANDOM: Kind = "random"
FIRST: Kind = "first"
DONE: Outcome = "done"
CORRECTED: Outcome = "corrected"
SKIPPED: Outcome = "skipped"

Count = Annotated[int, Field(ge=0)]
Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Range = tuple[Count, Count]
Key = tuple[str, str, int, int]


class PlaceEntry(BaseModel):
    """What became of one suggested place; keys that this version does not know are kept.

    Attributes
    ----------
    when
        ISO date and time, UTC.
    case, level, plane, axis, index, box, structure
        The place: a slice, a whole case or a region, in source voxels (see `guidance.suggestions`).
    kind, strategy, run
        Whether the strategy chose it or chance did, or nothing guided yet; which strategy, and whose
        prediction guided it.
    outcome
        ``done``; ``corrected``: worked on and left without a word; ``skipped``.
    looked, accepted, changed
        Voxels that became known there, those of them that were accepted from the prediction, and those that
        are something else than what the prediction says; None without a prediction.
    covered
        Voxels there that belong to a structure in the prediction or the annotation.
    changed_mm2, changed_mm3
        `changed` as an area, of slices alone, and as a volume.
    seconds
        Time at work from going there to the end; None where the person came another way.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    when: str
    case: str
    level: Level = SLICE
    plane: str
    axis: int = Field(ge=0, le=2)
    index: Count
    box: tuple[Range, Range, Range]
    structure: int = Field(ge=0, le=255)
    kind: Kind = CHOSEN
    strategy: str = ""
    run: str | None = None
    outcome: Outcome
    looked: Count = 0
    accepted: Count = 0
    changed: Count | None = None
    covered: Count | None = None
    changed_mm2: Size | None = None
    changed_mm3: Size | None = None
    seconds: Size | None = None

    @property
    def key(self) -> Key:
        """What the place is known by."""
        return self.case, self.level, self.axis, self.index


@dataclass(frozen=True, slots=True)
class PlaceLog:
    """The lines that could be read, oldest first, and sentences about those that could not."""

    entries: tuple[PlaceEntry, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def skipped(self) -> tuple[PlaceEntry, ...]:
        """Places that were skipped and not worked on since."""
        last = {entry.key: entry for entry in self.entries}
        return tuple(entry for entry in last.values() if entry.outcome == SKIPPED)


def read_places(study: Path) -> PlaceLog:
    """Read the log of the study in a folder; an empty one where there is none."""
    path = study / PLACES_FILE
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            return PlaceLog(notes=(f"{PLACES_FILE} is far too large and was not read.",))
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return PlaceLog()
    except OSError as error:
        return PlaceLog(notes=(f"{PLACES_FILE} cannot be read ({error.strerror or error}).",))
    return _understand(filter(None, lines))


def add_place(study: Path, entry: PlaceEntry) -> None:
    """Add a line to the log; only the holder of the study's lock may do so.

    Raises
    ------
    VolumeError
        If the disk is full or write-protected.
    """
    path = study / PLACES_FILE
    clear_way(path)
    append_lines(path, [entry.model_dump_json(exclude_none=True).encode()])


def _understand(lines: Iterable[bytes]) -> PlaceLog:
    entries, damaged = list[PlaceEntry](), 0
    for line in lines:
        try:
            entries.append(PlaceEntry.model_validate(parse_json(line)))
        except ValueError:
            damaged += 1
    return PlaceLog(tuple(entries), (_tell(damaged),) if damaged else ())


def _tell(damaged: int) -> str:
    lines = "1 line" if damaged == 1 else f"{damaged} lines"
    return f"{lines} of {PLACES_FILE} cannot be read and not counted; the file was left as it is."
