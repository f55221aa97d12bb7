"""What is written in ``study.json``: structures, cases, and the study itself."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

SCHEMA_VERSION = 1

DEFAULT_COLORS = (
    "#e6550d",
    "#3182bd",
    "#31a354",
    "#c51b8a",
    "#e6ab02",
    "#756bb1",
    "#1b9e9e",
    "#a6761d",
    "#fb6a8f",
    "#66a61e",
)
"""Colours given to structures in turn; distinct from each other on grey and for colour-blind eyes."""

Status = Literal["unlabelled", "partial", "complete"]

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def is_safe_id(text: str) -> bool:
    """Tell whether a text can name files on every system: letters, digits, ``_`` and ``-``, at most 64."""
    return _SAFE_ID.fullmatch(text) is not None and text.lower() not in _RESERVED


def unique_id(name: str, taken: Iterable[str]) -> str:
    """Return `name` itself where it can name files and is new, else the next free ``case-0001``."""
    used = {item.lower() for item in taken}
    if is_safe_id(name) and name.lower() not in used:
        return name
    number = 1
    while f"case-{number:04d}" in used:
        number += 1
    return f"case-{number:04d}"


def _safe_id(text: str) -> str:
    if not is_safe_id(text):
        raise ValueError(f"{text!r} cannot be used as a name of files")
    return text


SafeId = Annotated[str, AfterValidator(_safe_id)]


class Structure(BaseModel):
    """A named label value.

    Attributes
    ----------
    value
        Label value in the masks, 1 to 255.
    name
        What the user calls it; unique in the study.
    color
        ``#rrggbb``.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    value: int = Field(ge=1, le=255)
    name: str = Field(min_length=1, max_length=200)
    color: str = Field(default=DEFAULT_COLORS[0], pattern=r"^#[0-9a-fA-F]{6}$")


class IntensityFacts(BaseModel):
    """Finite voxel values of a scan as imported, in scanner units; `invalid` counts NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="allow")

    minimum: float
    maximum: float
    mean: float
    std: float
    invalid: int = 0


class CaseRecord(BaseModel):
    """One scan of the study and what is known about it.

    Attributes
    ----------
    id
        Names the files of the case; unique without regard to upper and lower case.
    name
        What the user sees: the stem of the scan's file, or the description of a DICOM series.
    patient
        Pseudonym shared by all scans of one person; the case's own id where nothing is known.
    scan
        Path of the scan: relative to the study where it lies inside, absolute elsewhere.
    shape, spacing, orientation
        Grid of the scan in source order; spacing in mm, orientation as axis codes such as ``LPS``.
    voxel_volume_mm3
        Volume of one voxel; 0 stands for the product of the spacings.
    sha256, file_size, file_mtime_ns
        Digest, bytes and modification time of the scan's file at import.
    content
        Digest of voxels and grid, which another compression or header does not change; empty in old studies.
    added
        ISO date and time of import, UTC.
    status
        ``complete`` where every voxel is known, ``unlabelled`` where none is.
    known_fraction
        Share of known voxels, 0 to 1.
    volumes_ml
        Annotated volume of each structure, by name, in millilitres.
    label_voxels
        Annotated voxels of each label value, also of values without a structure.
    notes
        Sentences about what is odd but usable.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    id: SafeId
    name: str
    patient: str = ""
    scan: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    orientation: str
    voxel_volume_mm3: float = 0.0
    sha256: str
    content: str = ""
    file_size: int = 0
    file_mtime_ns: int = 0
    added: str
    status: Status = "unlabelled"
    known_fraction: float = 0.0
    volumes_ml: dict[str, float] = {}
    label_voxels: dict[int, int] = {}
    intensity: IntensityFacts | None = None
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_patient_a_case(self) -> CaseRecord:
        if not self.patient:
            object.__setattr__(self, "patient", self.id)
        return self

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return (self.voxel_volume_mm3 or math.prod(self.spacing)) / 1000.0


class StudyRecord(BaseModel):
    """The whole of ``study.json``; keys that this version does not know are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_version: int = SCHEMA_VERSION
    name: str
    structures: tuple[Structure, ...] = ()
    cases: tuple[CaseRecord, ...] = ()
    active_run: SafeId | None = None

    @model_validator(mode="after")
    def _unique(self) -> StudyRecord:
        _require_unique("structure values", [str(structure.value) for structure in self.structures])
        _require_unique("structure names", [structure.name for structure in self.structures])
        _require_unique("case ids", [case.id.lower() for case in self.cases])
        return self


def _require_unique(what: str, items: list[str]) -> None:
    doubled = sorted({item for item in items if items.count(item) > 1})
    if doubled:
        raise ValueError(f"{what} must be unique; given twice: {', '.join(doubled)}")
