"""Several images of a case: how file names tell them apart, and how one joins a case that is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from napari_dycon.errors import StudyError
from napari_dycon.io.regridding import require_overlap
from napari_dycon.study.store.naming import fold
from napari_dycon.study.store.schema import SEVERAL_IMAGES, CaseRecord, ImageRecord

if TYPE_CHECKING:
    from napari_dycon.io.volumes import Volume
    from napari_dycon.study.study import Study

Endings = Mapping[str, str]
"""What file names of each channel end in, by its name; first the channel that gives the grid."""

FEWEST_CASES = 2
_NUMBERED = re.compile(r"_(\d{4})$")


def parse_channels(text: str) -> dict[str, str]:
    """Turn ``0000:T1,0001:FLAIR`` or ``t1,flair`` into channels and what file names end in.

    Raises
    ------
    StudyError
        If it says less than two channels, or one twice.
    """
    pairs = [part.strip().partition(":") for part in text.split(",")]
    endings = {(name or ending).strip(): ending.strip() for ending, _, name in pairs}
    twice = len(pairs) != len(endings) or len(pairs) != len({fold(ending) for ending in endings.values()})
    if twice or len(pairs) < 2 or not all(endings.values()):
        raise StudyError(
            f"'{text}' does not name the images of a case; write what their file names end in, first that of "
            'the scan to draw on: --channels "t1,flair" or --channels "0000:T1,0001:FLAIR".'
        )
    return endings


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
