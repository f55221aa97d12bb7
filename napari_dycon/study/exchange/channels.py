"""Several images of a case: how file names tell them apart, and how one joins a case that is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dycon.errors import StudyError
from napari_dycon.io.regridding import require_overlap
from napari_dycon.io.volumes import stem
from napari_dycon.study.store.naming import fold
from napari_dycon.study.store.schema import SEVERAL_IMAGES, CaseRecord, ImageRecord

if TYPE_CHECKING:
    from napari_dycon.io.volumes import Volume
    from napari_dycon.study.study import Study

Endings = Mapping[str, str]
"""What file names, or descriptions of DICOM series, of each channel end in, or a pattern with ``*`` and ``?``
for the whole description, by name; first the channel that gives the grid. ``|`` stands between several ways
in which a series is called."""

FEWEST_CASES = 2
NUMBER = 4
"""Digits of the numbers that nnU-Net gives images of a case."""
OR = "|"
SEQUENCES = {
    "FLAIR": r"flair|dark.?fluid",
    "ADC": r"adc",
    "DWI": r"dwi|diff|trace",
    "SWI": r"swi|swan|t2\*|t2 ?star|hemo",
    "T1 post": r"(t1|mprage|mp-rage|spgr|bravo|vibe).*(gd|gad|post|contrast|\+ ?c|\bc\+|\bce\b|\bkm\b)",
    "T1": r"t1|mprage|mp-rage|spgr|bravo|vibe",
    "T2": r"t2",
    "PD": r"\bpd|proton",
    "PET": r"\bpet\b|suv",
    "CT": r"\bct\b",
}
"""What images are called, and what descriptions of their series hold; the first one that fits."""
_NUMBERED = re.compile(r"_(\d{4})$")


def parse_channels(text: str) -> dict[str, str]:
    """Turn ``0000:T1,0001:FLAIR``, ``t1,flair`` or ``*t1*gd*:T1 post`` into channels and what tells them.

    A pattern is known by its ``*`` or ``?``, on whichever side of the colon it stands.

    Raises
    ------
    StudyError
        If it says less than two channels, or one twice.
    """
    pairs = [_pair(part.strip()) for part in text.split(",")]
    endings = {(name or ending.strip("*? ")).strip(): ending.strip() for ending, name in pairs}
    twice = len(pairs) != len(endings) or len(pairs) != len({fold(ending) for ending in endings.values()})
    if twice or len(pairs) < 2 or not all(endings.values()) or not all(endings):
        raise StudyError(
            f"'{text}' does not name the images of a case; write what their file names end in, first that of "
            'the scan to draw on: --channels "t1,flair" or --channels "0000:T1,0001:FLAIR"; or, for DICOM, '
            'what their series are called: --channels "*t1*gd*:T1 post,*flair*:FLAIR".'
        )
    return endings


def _pair(text: str) -> tuple[str, str]:
    left, _, right = text.partition(":")
    return (right, left) if is_pattern(right) and not is_pattern(left) else (left, right)


def is_pattern(ending: str) -> bool:
    """Tell whether it stands for a whole description of a series, and not for the end of a name."""
    return "*" in ending or "?" in ending


def channel_of_file(name: str, endings: Endings) -> tuple[str, str] | None:
    """Return the channel of a file by its name without suffix, and what is left of that; None for none."""
    for channel, ending in endings.items():
        match = None if is_pattern(ending) else _ends_in(ending, name)
        if match is not None:
            return channel, name[: match.start()]
    return None


def channel_of_series(description: str, endings: Endings) -> str | None:
    """Return the channel of a DICOM series by its description; None for none.

    One that is called exactly so comes before all that are called like it.
    """
    ways = [(channel, one.strip()) for channel, ending in endings.items() for one in ending.split(OR)]
    exact = (channel for channel, ending in ways if fold(ending) == fold(description))
    alike = (channel for channel, ending in ways if _is_alike(description, ending))
    return next(exact, None) or next(alike, None)


def _is_alike(description: str, ending: str) -> bool:
    if not is_pattern(ending):
        return _ends_in(ending, description) is not None
    pattern = re.escape(fold(ending)).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(pattern, fold(description)) is not None


def proposed_name(description: str) -> str:
    """Return what the image of a series is usually called, by its description; empty where nobody knows."""
    text = description.lower().replace("_", " ")
    return next((name for name, pattern in SEQUENCES.items() if re.search(pattern, text)), "")


def endings_of(series: Iterable[tuple[str, str]], first: str) -> dict[str, str]:
    """Make of ``(description, channel)`` of several series what tells the channels, ``first`` first."""
    ways: dict[str, list[str]] = {first: []}
    for description, channel in series:
        ways.setdefault(channel, []).append(description)
    return {channel: OR.join(dict.fromkeys(found)) for channel, found in ways.items()}


def _ends_in(ending: str, name: str) -> re.Match[str] | None:
    return re.search(rf"(?:^|[-_. ]+){re.escape(ending)}$", name, re.IGNORECASE)


def look_like_channels(stems: Iterable[str]) -> tuple[str, ...]:
    """Return the numbers that nnU-Net gives images of a case, where several cases have the same ones."""
    numbers: dict[str, set[str]] = {}
    for name in stems:
        found = _NUMBERED.search(name)
        if found is not None:
            numbers.setdefault(name[: found.start()], set()).add(found[1])
    sets = set(map(frozenset, numbers.values()))
    if len(numbers) < FEWEST_CASES or len(sets) != 1:
        return ()
    common = tuple(sorted(sets.pop()))
    return common if len(common) > 1 and common[0] == "0000" else ()


def proposed_endings(files: Iterable[Path]) -> dict[str, str]:
    """Return what files end in that may be images of one case, by channel; nothing where that is unlikely.

    Some files must differ by their endings alone, and those be what images are usually called, or numbers as
    nnU-Net gives them, which begin anew with every case.
    """
    cases: dict[tuple[Path, str], list[str]] = {}
    for file in files:
        base, ending = _cut(stem(file))
        if (ending.isdecimal() and len(ending) == NUMBER) or proposed_name(ending):
            cases.setdefault((file.parent, fold(base)), []).append(ending)
    if sum("0" * NUMBER in found for found in cases.values()) < FEWEST_CASES:
        cases = {case: [one for one in found if not one.isdecimal()] for case, found in cases.items()}
    several = [found for found in cases.values() if len(found) > 1]
    endings = sorted({ending for found in several for ending in found})
    names = {proposed_name(ending) or ending: ending for ending in endings}
    return names if len(names) == len(endings) else {ending: ending for ending in endings}


def _cut(name: str) -> tuple[str, str]:
    """Cut a name without suffix before its last part; one of a single part belongs to its folder."""
    found = re.fullmatch(r"(.*?)[-_. ]+([^-_. ]+)", name)
    return (found[1], found[2]) if found else ("", name)


def declare(study: Study, endings: Endings) -> None:
    """Let a study have several images a case; a study that has them keeps the order of its own.

    What file names end in is remembered for the next import.

    Raises
    ------
    StudyError
        If the first channel is another one than that of the study, or the study cannot be changed.
    """
    known, (first, *_) = study.record.channels, endings
    if known and fold(known[0]) != fold(first):
        raise StudyError(
            f"The scans of this study are its {known[0]} images, not {first}; name {known[0]} first."
        )
    channels = (*known, *(name for name in endings if fold(name) not in map(fold, known)))
    spelled = {
        name: ending for name in channels for own, ending in endings.items() if fold(own) == fold(name)
    }
    told = {**study.record.endings, **spelled}
    if (channels, told) != (known, study.record.endings):
        version = max(study.record.schema_version, SEVERAL_IMAGES)
        study.update(channels=channels, endings=told, schema_version=version)


def named_as_in(study: Study, channel: str) -> str:
    """Return how the study spells a channel."""
    return next(name for name in study.record.channels if fold(name) == fold(channel))


def join(study: Study, case_id: str, channel: str, volume: Volume, image: ImageRecord) -> CaseRecord:
    """Add an image to a case, in the place of one of the same channel.

    Raises
    ------
    StudyError
        If it is the scan itself.
    VolumeError
        If it shows another place than the scan.
    """
    case = study.case(case_id)
    if image.content == case.content:
        raise StudyError(f"{volume.path.name} is the same image as the scan of {case.name}.")
    require_overlap(study.geometry(case_id), volume)
    with study.mutex:
        case = study.case(case_id)
        record = case.model_copy(update={"images": {**case.images, channel: image}})
        study.replace_case(record)
    return record


def missing(study: Study, case: CaseRecord) -> tuple[str, ...]:
    """Say of which channels of a study a case has no image; nothing where it has all."""
    lacking = [channel for channel in study.record.channels[1:] if channel not in case.images]
    return (f"It has no {', '.join(lacking)} image.",) if lacking else ()
