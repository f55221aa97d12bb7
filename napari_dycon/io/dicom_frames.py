"""Frames of enhanced DICOM objects: what the functional groups say of each, and which form one volume.

DICOM PS3.3 C.7.6.16: what holds for one frame stands in its own group, what holds for all in the shared one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

FEWEST_FRAMES = 3
"""A value that fewer frames share tells no volumes apart; it may be another in each frame."""
SAME_PLACE_MM = 0.01
_SPATIAL = {0x00209056, 0x00209057, 0x00200032, 0x00200037}
"""Dimensions that say where a frame lies: stack, position in it, position and orientation of the patient."""


class _Mark(NamedTuple):
    """What may be another in each volume of an object: how it is called, and where it is stated."""

    words: str
    group: str
    keyword: str
    tag: int


STACK = "stack {}"
_MARKS = (
    _Mark(STACK, "FrameContentSequence", "StackID", 0x00209056),
    _Mark("time {}", "FrameContentSequence", "TemporalPositionIndex", 0x00209128),
    _Mark("time {} s", "TemporalPositionSequence", "TemporalPositionTimeOffset", 0x0020930D),
    _Mark("echo {} ms", "MREchoSequence", "EffectiveEchoTime", 0x00189082),
    _Mark("b {}", "MRDiffusionSequence", "DiffusionBValue", 0x00189087),
    _Mark("{}", "MRDiffusionSequence", "DiffusionDirectionality", 0x00189075),
    _Mark("{} ms", "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", 0x00209153),
    _Mark("{} %", "CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase", 0x00209241),
    _Mark("{}", "MRImageFrameTypeSequence", "ComplexImageComponent", 0x00089208),
    _Mark("{}", "MRImageFrameTypeSequence", "FrameType", 0x00089007),
    _Mark("{}", "CTImageFrameTypeSequence", "FrameType", 0x00089007),
    _Mark("{} kV", "CTXRayDetailsSequence", "KVP", 0x00180060),
)
_KNOWN = _SPATIAL | {mark.tag for mark in _MARKS}


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a DICOM object; numbers are NaN where they are not stated.

    Attributes
    ----------
    number : int or None
        Counted from 1 as DICOM refers to frames; None for an object that is one image.
    orientation, position, pixel_spacing : ndarray
        As in `SliceHeader`.
    slope, intercept : float
        From stored to real values.
    states_scale : bool
        Whether the frame itself states them.
    component : str
        What of a signal is shown, ``MAGNITUDE`` or another.
    marks : mapping
        What may tell it from frames of other volumes, in words that hold a place for the value.
    """

    number: int | None
    orientation: NDArray[np.float64]
    position: NDArray[np.float64]
    pixel_spacing: NDArray[np.float64]
    slope: float
    intercept: float
    states_scale: bool
    component: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)


def is_enhanced(dataset: Any) -> bool:
    """Tell whether an object describes each of its frames; segmentations are no images."""
    return bool(dataset.get("PerFrameFunctionalGroupsSequence")) and dataset.get("Modality") != "SEG"


def frames_of(dataset: Any) -> list[Frame]:
    """Describe the frames of an object; one for an object that is a single image.

    Raises
    ------
    ValueError
        If it describes another number of frames than it states.
    """
    if not is_enhanced(dataset):
        return [_frame(None, lambda group: dataset, {})]
    groups = dataset.PerFrameFunctionalGroupsSequence
    if len(groups) != int(dataset.get("NumberOfFrames", 1) or 1):
        raise ValueError("it describes another number of frames than it has")
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    dimensions = _dimensions(dataset)

    def describe(number: int, own: Any) -> Frame:
        def look_up(group: str) -> Any:
            found = own.get(group) or shared.get(group) or [{}]
            return found[0]

        return _frame(number, look_up, _marks(look_up, dimensions))

    return [describe(number, own) for number, own in enumerate(groups, start=1)]


def _frame(number: int | None, look_up: Callable[[str], Any], marks: Mapping[str, str]) -> Frame:
    values = look_up("PixelValueTransformationSequence")
    slope, intercept = rescaling(values)
    return Frame(
        number=number,
        orientation=numbers(look_up("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        position=numbers(look_up("PlanePositionSequence"), "ImagePositionPatient", 3),
        pixel_spacing=numbers(look_up("PixelMeasuresSequence"), "PixelSpacing", 2),
        slope=slope,
        intercept=intercept,
        states_scale=any(values.get(f"Rescale{name}") not in (None, "") for name in ("Slope", "Intercept")),
        component=_text(look_up("MRImageFrameTypeSequence").get("ComplexImageComponent")) if number else "",
        marks=marks,
    )


def _dimensions(dataset: Any) -> list[tuple[int, str]]:
    """Places of dimensions that are neither spatial nor among the marks, and what to call them."""
    found = enumerate(dataset.get("DimensionIndexSequence") or ())
    pointers = [(place, item, int(item.get("DimensionIndexPointer") or 0)) for place, item in found]
    return [
        (place, f"{_text(item.get('DimensionDescriptionLabel')) or 'dimension'} {{}}")
        for place, item, pointer in pointers
        if pointer not in _KNOWN
    ]


def _marks(look_up: Callable[[str], Any], dimensions: Sequence[tuple[int, str]]) -> dict[str, str]:
    stated = ((mark.words, look_up(mark.group).get(mark.keyword)) for mark in _MARKS)
    marks: dict[str, str] = {}
    for words, value in stated:
        text = _text(value)
        if text:
            marks[words] = f"{marks[words]} {text}" if words in marks else text
    indices = look_up("FrameContentSequence").get("DimensionIndexValues")
    values = [] if indices is None else list(np.atleast_1d(indices))
    return marks | {words: str(values[place]) for place, words in dimensions if place < len(values)}


def _text(value: Any) -> str:
    """Value as a person reads it; of an image type what is special about it alone."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return value.strip(" \0")
    if hasattr(value, "__iter__"):
        return " ".join(str(part) for part in list(value)[2:] if str(part) not in ("NONE", ""))
    return str(value)


def rescaling(dataset: Any) -> tuple[float, float]:
    """Slope and intercept from stored to real values; 1 and 0 where they are not stated."""
    stated = ((dataset.get("RescaleSlope"), 1.0), (dataset.get("RescaleIntercept"), 0.0))
    slope, intercept = (default if value in (None, "") else float(value) for value, default in stated)
    return slope, intercept


def numbers(dataset: Any, name: str, count: int) -> NDArray[np.float64]:
    """Return the numbers of an attribute, NaN where it does not state that many."""
    value = dataset.get(name)
    if value is None or len(value) != count:
        return np.full(count, np.nan)
    return np.array([float(item) for item in value])


F = TypeVar("F")


def tell_apart(
    frames: Sequence[F], marks: Callable[[F], Mapping[str, str]], place: Callable[[F], NDArray[np.float64]]
) -> dict[str, list[F]]:
    """Sort frames into volumes, each with what tells it from the others; one without words if nothing does.

    Stacks are volumes of their own. By anything else frames are told apart only where several lie at one
    place, and only by what at least `FEWEST_FRAMES` of them share; what stays doubled is left to be refused.
    """
    found = _split({"": list(frames)}, STACK, marks)
    words = list(dict.fromkeys(word for frame in frames for word in marks(frame) if word != STACK))
    for word in words:
        doubled = {name: group for name, group in found.items() if _is_doubled(group, place)}
        halves = {name: _split({name: group}, word, marks) for name, group in doubled.items()}
        parts = [halves.get(name, {name: group}) for name, group in found.items()]
        found = {name: group for part in parts for name, group in part.items()}
    return found


def _split(
    groups: Mapping[str, list[F]], word: str, marks: Callable[[F], Mapping[str, str]]
) -> dict[str, list[F]]:
    found: dict[str, list[F]] = {}
    for name, group in groups.items():
        values = {marks(frame).get(word, "") for frame in group}
        if len(values) < 2 or (word != STACK and len(values) * FEWEST_FRAMES > len(group)):
            found[name] = group
            continue
        for frame in group:
            value = marks(frame).get(word, "")
            said = word.format(value) if value else f"no {word.format('').strip() or 'kind'}"
            found.setdefault(", ".join(filter(None, (name, said))), []).append(frame)
    return found


def _is_doubled(group: Sequence[F], place: Callable[[F], NDArray[np.float64]]) -> bool:
    positions = np.stack([place(frame) for frame in group])
    if not np.isfinite(positions).all():
        return True
    rounded = np.unique(np.round(positions / SAME_PLACE_MM), axis=0)
    return len(rounded) < len(group)
