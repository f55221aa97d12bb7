"""4D NIfTI: the volumes of a file become cases of one patient, or images of one case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from napari_dycon.errors import DyconError, StudyError
from napari_dycon.io.nifti import NiftiHeader, is_nifti, read_header, split_frames
from napari_dycon.io.volumes import stem
from napari_dycon.study.store import naming

if TYPE_CHECKING:
    from napari_dycon.study.exchange.channels import Endings
    from napari_dycon.study.exchange.collecting import Found
    from napari_dycon.study.study import Study

Frames = Literal["cases", "channels"]
"""What the volumes of a file are: time points of one patient, or several images of one exam."""
Volumes = Frames | Literal["out"]
"""The same, or that files of several volumes are left out."""
MOST_CASES, MOST_CHANNELS = 200, 16


def parse_frames(text: str) -> Frames:
    """Turn what a person wrote into what the volumes of a file are.

    Raises
    ------
    StudyError
        If it is neither.
    """
    for each in get_args(Frames):
        if each == text:
            return "cases" if text == "cases" else "channels"
    raise StudyError(f"'{text}' does not say what the volumes of a 4D file are; write cases or channels.")


@contextmanager
def unfold(
    study: Study, found: Sequence[Found], frames: Volumes | None, endings: Endings
) -> Iterator[tuple[tuple[Found, ...], Endings]]:
    """Give what is found with the volumes of each 4D file, written into ``scans``, in its place.

    At the end of the block, what no case refers to is removed again.

    Parameters
    ----------
    study
        The study.
    found
        What is to be imported.
    frames
        What the volumes are; None leaves such files to be refused, ``"out"`` passes them over.
    endings
        Names of channels, by which volumes are called in turn; ``volume 1`` and so on where there are none.
    """
    if frames is None:
        yield tuple(found), endings
        return
    if frames == "out":
        yield tuple(item for item in found if count_volumes(item) < 2), endings
        return
    made: list[Path] = []
    names = {} if endings else _by_number(max(map(count_volumes, found), default=0))
    try:
        told = endings or (names if frames == "channels" else {})
        yield tuple(part for item in found for part in _parts(study, item, frames, told, made)), told
    finally:
        for path in set(made) - set(_in_use(study)):
            path.unlink(missing_ok=True)


def _by_number(count: int) -> Mapping[str, str]:
    return {f"volume {number}": f"volume{number}" for number in range(1, count + 1)}


def _header(item: Found) -> NiftiHeader | None:
    """Header of a 4D file; None for anything else. Errors are those of `read_header`."""
    if item.series is not None or item.problem is not None or not is_nifti(item.path):
        return None
    header = read_header(item.path, several=True)
    return header if header.frames > 1 else None


def count_volumes(item: Found) -> int:
    """How many volumes a 4D file holds; 0 for anything else, and where that cannot be read."""
    with suppress(DyconError, OSError):  # it is told when its turn comes
        header = _header(item)
        return 0 if header is None else header.frames
    return 0


def _parts(study: Study, item: Found, frames: Frames, endings: Endings, made: list[Path]) -> Iterator[Found]:
    try:
        header = _header(item)
        if header is None:
            yield item
            return
        _require_sensible(header, frames, endings)
        targets = _targets(study, item, header.frames)
        made += targets
        split_frames(header, targets)
    except (DyconError, OSError) as error:
        yield replace(item, problem=str(error))
        return
    person = item.patient or str(item.path)
    volumes = [replace(item, path=path, origin=item.path, patient=person) for path in targets]
    if frames == "channels":
        yield replace(
            volumes[0], images=dict(zip(list(endings)[1:], volumes[1:], strict=True)), base=item.name
        )
        return
    for number, volume in enumerate(volumes, start=1):
        yield replace(volume, name=f"{item.name}_t{number:02}", labels=None, doubt=_doubt(item))


def _doubt(item: Found) -> str | None:
    if item.labels is None:
        return item.doubt
    return f"The labels {item.labels.name} were not used: they do not say of which time point they are."


def _require_sensible(header: NiftiHeader, frames: Frames, endings: Endings) -> None:
    name = header.path.name
    most = MOST_CASES if frames == "cases" else MOST_CHANNELS
    if header.frames > most:
        raise StudyError(f"{name} holds {header.frames} volumes; as {frames}, up to {most} can be taken.")
    if frames == "channels" and header.frames != len(endings):
        raise StudyError(
            f"{name} holds {header.frames} volumes, and a case of this study has {len(endings)} images "
            f"({', '.join(endings)}); import it into a study of its own, or as cases."
        )


def _targets(study: Study, item: Found, frames: int) -> list[Path]:
    """Free paths for the volumes of a file."""
    folder, start = study.path / "scans", naming.slug(stem(item.path))
    folder.mkdir(parents=True, exist_ok=True)
    names = chain([start], (f"{start}_{number}" for number in count(2)))
    free = next(name for name in names if not any(folder.glob(f"{name}-t*")))
    return [folder / f"{free}-t{number:03}.nii.gz" for number in range(1, frames + 1)]


def _in_use(study: Study) -> Iterator[Path]:
    for case in study.cases:
        for channel in ("", *case.images):
            with suppress(StudyError):  # a path of another system
                yield study.scan_path(case.id, channel)
