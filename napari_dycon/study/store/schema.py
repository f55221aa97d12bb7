"""What is written in ``study.json``: structures, cases, and the study itself."""

from __future__ import annotations

import math
import re
import secrets
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_dycon.errors import StudyError

SCHEMA_VERSION = 3
"""The newest that is read; what has one image a case and no wholes is 1, which every version reads."""
SEVERAL_IMAGES = 2
"""Of a study with several images a case, which an older program would train on one of."""
WITH_WHOLES = 3
"""Of a study with wholes, which an older program would neither train, measure nor export."""
LONGEST_CHANNEL = 32
LONGEST_NAME = 200
LONGEST_READER = 64
LONGEST_GROUP = 40
MOST_STRUCTURES = 255

DEFAULT_COLORS = (
    "#e6550d",
    "#3182bd",
    "#a2465d",
    "#a2e8a2",
    "#ffb900",
    "#e88ba2",
    "#17a25d",
    "#d1008b",
    "#b92e17",
    "#88eedd",
)
"""Colours given to structures in turn, told apart by red-green blind eyes too, the first ones best."""

Status = Literal["unlabelled", "partial", "complete"]

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def is_safe_id(text: str) -> bool:
    """Tell whether a text can name files on every system: letters, digits, ``_`` and ``-``, at most 64."""
    return _SAFE_ID.fullmatch(text) is not None and text.lower() not in _RESERVED


def _safe_id(text: str) -> str:
    if not is_safe_id(text):
        raise ValueError(f"{text!r} cannot be used as a name of files")
    return text


def _plain_name(text: str) -> str:
    if not any(sign.isprintable() and not sign.isspace() for sign in text):
        raise ValueError("it needs a name")
    if len(text) > LONGEST_NAME:
        raise ValueError(f"its name may have up to {LONGEST_NAME} letters; this one has {len(text)}")
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in text):
        raise ValueError("its name holds line breaks or signs that cannot be shown")
    return text


def _channel_name(text: str) -> str:
    if not text or len(text) > LONGEST_CHANNEL or _plain_name(text) != text.strip():
        raise ValueError(f"a channel has a name of 1 to {LONGEST_CHANNEL} letters, not {text!r}")
    return text


def _group_name(text: str) -> str:
    if text and (len(_plain_name(text)) > LONGEST_GROUP or text != text.strip()):
        raise ValueError(f"its group has a name of up to {LONGEST_GROUP} letters, not {text!r}")
    return text


def _parts(values: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(values)) < 2:
        raise ValueError("a whole has at least two parts")
    return tuple(sorted(set(values)))


def reader_name(text: str) -> str:
    """What a reader is called: name or initials in one line; empty where nobody is named.

    Raises
    ------
    StudyError
        If it is longer than 64 letters, or cannot be shown.
    """
    text = text.strip()
    try:
        if text and len(_plain_name(text)) > LONGEST_READER:
            raise ValueError(f"it may have up to {LONGEST_READER} letters; this one has {len(text)}")
    except ValueError as error:
        raise StudyError(f"There can be no such reader: {error}.") from error
    return text


def patient_name(text: str) -> str:
    """What a patient is called: a pseudonym in one line; empty where nobody is named.

    Raises
    ------
    StudyError
        If it is too long, or cannot be shown.
    """
    text = text.strip()
    try:
        return _plain_name(text) if text else ""
    except ValueError as error:
        raise StudyError(f"There can be no such patient: {error}.") from error


ChannelName = Annotated[str, AfterValidator(_channel_name)]
SafeId = Annotated[str, AfterValidator(_safe_id)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Voxels = Annotated[int, Field(ge=1)]


class Structure(BaseModel):
    """A named label value.

    Attributes
    ----------
    value
        Label value in the masks, 1 to 255.
    name
        What the user calls it: 1 to 200 letters in one line, unique in the study.
    color
        ``#rrggbb``.
    locked
        Whether what is labelled as this structure stays so, whatever is written there.
    hidden
        Whether it is left out of what is seen of labels and predictions.
    group
        Under what it is listed with others; empty for nothing.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    value: int = Field(ge=1, le=MOST_STRUCTURES)
    name: Annotated[str, AfterValidator(_plain_name)]
    color: str = Field(default=DEFAULT_COLORS[0], pattern=r"^#[0-9a-fA-F]{6}$")
    locked: bool = False
    hidden: bool = False
    group: Annotated[str, AfterValidator(_group_name)] = ""


class Whole(BaseModel):
    """Structures that together count as one more: a tumour inside its organ, say.

    Masks hold the parts; a voxel of any part belongs to the whole. A structure may be a part of several.

    Attributes
    ----------
    name
        As that of a structure, and unlike all of them.
    parts
        Label values of at least two structures, ascending.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Annotated[str, AfterValidator(_plain_name)]
    parts: Annotated[tuple[int, ...], AfterValidator(_parts)]


def in_groups(structures: Iterable[Structure]) -> dict[str, tuple[Structure, ...]]:
    """Sort structures by their group, first what is in none (under an empty name), else as they come."""
    found: dict[str, tuple[Structure, ...]] = {"": ()}
    for structure in structures:
        found[structure.group] = (*found.get(structure.group, ()), structure)
    return found


def new_structure(value: int, name: str, color: str = DEFAULT_COLORS[0], **more: Any) -> Structure:
    """Make a structure of what a person gave, and of whatever else a `Structure` has.

    Raises
    ------
    StudyError
        With one sentence, if there cannot be such a structure.
    """
    try:
        return Structure(value=value, name=name.strip(), color=color, **more)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        said = {
            "name": fault["msg"].removeprefix("Value error, "),
            "group": fault["msg"].removeprefix("Value error, "),
            "value": f"its label value is a whole number from 1 to {MOST_STRUCTURES}, not {value}",
            "color": f"its colour is written like #e6550d, not {color!r}",
        }
        raise StudyError(f"There can be no such structure: {said[str(fault['loc'][0])]}.") from error


class IntensityFacts(BaseModel):
    """Finite voxel values of a scan as imported, in scanner units; `invalid` counts NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="allow")

    minimum: Finite
    maximum: Finite
    mean: Finite
    std: Finite
    invalid: int = 0


class ImageRecord(BaseModel):
    """One image of a case, as it was imported.

    Attributes
    ----------
    scan
        Path of the scan: relative to the study where it lies inside, absolute elsewhere.
    source
        ``dicom`` where the scan is a series that was converted into the study.
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
    notes
        Sentences about what is odd but usable.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    scan: str
    source: Literal["file", "dicom"] = "file"
    shape: tuple[Voxels, Voxels, Voxels]
    spacing: tuple[Finite, Finite, Finite]
    orientation: str
    voxel_volume_mm3: Finite = 0.0
    sha256: str
    content: str = ""
    file_size: int = 0
    file_mtime_ns: int = 0
    added: str
    intensity: IntensityFacts | None = None
    notes: tuple[str, ...] = ()


class CaseRecord(ImageRecord):
    """One case of the study and what is known about it; its first image, the scan, gives its grid.

    Attributes
    ----------
    id
        Names the files of the case; unique without regard to upper and lower case.
    name
        What the user sees: the stem of the scan's file, or the description of a DICOM series.
    patient
        Pseudonym shared by all scans of one person; the case's own id where nothing is known.
    images
        Its further images, by their channel; one may be missing.
    status
        ``complete`` where every voxel is known, ``unlabelled`` where none is.
    known_fraction
        Share of known voxels, 0 to 1.
    volumes_ml
        Annotated volume of each structure, by name, in millilitres.
    label_voxels
        Annotated voxels of each label value, also of values without a structure.
    at_edge
        Annotated label values that touch the edge of the scan.
    """

    id: SafeId
    name: str
    patient: str = ""
    images: dict[ChannelName, ImageRecord] = {}
    status: Status = "unlabelled"
    known_fraction: Finite = 0.0
    volumes_ml: dict[str, Finite] = {}
    label_voxels: dict[int, int] = {}
    at_edge: tuple[int, ...] = ()

    def of(self, channel: str) -> CaseRecord:
        """Describe the case by one of its images; by the scan where no channel is named.

        Raises
        ------
        StudyError
            If it has no such image.
        """
        if not channel:
            return self
        if channel not in self.images:
            raise StudyError(f"{self.name} has no image {channel}.")
        image = self.images[channel]
        return self.model_copy(update={name: getattr(image, name) for name in ImageRecord.model_fields})

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
    """The whole of ``study.json``; keys that this version does not know are kept.

    Attributes
    ----------
    revision
        Grows with every write of the file.
    wholes
        What counts as one more structure, as the union of others.
    channels
        Names of the images that a case has, first that of the scan; none where it has nothing but the scan.
    endings
        What file names of each channel end in, for the next import.
    retired
        Names that label values had which were given up; such a value is never given again.
    set_aside
        Records of cases that could not be read, as they were found.
    secret
        What pseudonyms of this study are made with, hexadecimal; it never leaves the study.
    reader
        The further reader whose labels alone it has; empty in every other study.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_version: int = Field(default=1, ge=1)
    revision: int = 0
    name: str
    structures: tuple[Structure, ...] = ()
    wholes: tuple[Whole, ...] = ()
    channels: tuple[ChannelName, ...] = ()
    endings: dict[ChannelName, str] = {}
    cases: tuple[CaseRecord, ...] = ()
    active_run: SafeId | None = None
    retired: dict[int, str] = {}
    set_aside: tuple[Any, ...] = ()
    secret: str = Field(default_factory=lambda: secrets.token_hex(16))
    reader: str = ""

    @model_validator(mode="after")
    def _unique(self) -> StudyRecord:
        _require_unique("structure values", [str(structure.value) for structure in self.structures])
        names = [structure.name for structure in self.structures]
        _require_unique("structure names", names + [whole.name for whole in self.wholes])
        if sound_wholes(self.wholes, self.structures) != self.wholes:
            raise ValueError("a whole has parts that are no structures, or the parts of another whole")
        _require_unique("channels", [channel.lower() for channel in self.channels])
        _require_unique("case ids", [case.id.lower() for case in self.cases])
        return self


def sound_wholes(wholes: Iterable[Whole], structures: Iterable[Structure]) -> tuple[Whole, ...]:
    """Leave out parts that are no structures, then wholes of fewer than two parts and those there twice."""
    names = {structure.value: structure.name for structure in structures}
    kept: dict[tuple[int, ...], Whole] = {}
    for whole in wholes:
        parts = tuple(value for value in whole.parts if value in names)
        taken = {*names.values(), *(other.name for other in kept.values())}
        if len(parts) > 1 and parts not in kept and whole.name not in taken:
            kept[parts] = whole.model_copy(update={"parts": parts})
    return tuple(kept.values())


def format_of(record: StudyRecord) -> int:
    """The oldest format in which a record can be written."""
    if record.wholes:
        return WITH_WHOLES
    return SEVERAL_IMAGES if record.channels else 1


def _require_unique(what: str, items: list[str]) -> None:
    doubled = sorted(item for item, times in Counter(items).items() if times > 1)
    if doubled:
        raise ValueError(f"{what} must be unique; given twice: {', '.join(doubled)}")
