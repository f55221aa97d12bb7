"""Where the work begins when a person has chosen a folder, whichever it is."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_documents_path

from napari_dycon.io.volumes import is_volume
from napari_dycon.study.store.studyfile import is_study

STUDY_FOLDER = "dycon-study"
MOST_LOOKED_AT = 3000
MOST_OPENED = 20
DICOM_SUFFIXES = (".dcm", ".ima")
DICOM_MAGIC, MAGIC_AT = b"DICM", 128


@dataclass(frozen=True)
class Beginning:
    """A study to open, or to make.

    Attributes
    ----------
    study
        Its folder.
    exists
        Whether there is a study in it.
    scans
        What to add to it at once.
    sentence
        What is going to happen, for the person who has to agree to it.
    """

    study: Path
    exists: bool
    scans: tuple[Path, ...] = ()
    sentence: str = ""


def name_of(study: Path) -> str:
    """Return what a study is called: like the scans around it, where its folder has no name of its own."""
    own = study.name.rstrip("-0123456789") == STUDY_FOLDER
    return (study.parent.name if own else study.name.removesuffix(f"-{STUDY_FOLDER}")) or study.name


def begin_at(chosen: Path, scans: Sequence[Path] = ()) -> Beginning:
    """Return what to do with a folder or file that a person has chosen for a study.

    Parameters
    ----------
    chosen
        A study, its ``study.json``, a folder in one or around one, a folder of scans, a scan, or any other.
    scans
        What the person wants in the study, besides the scans in ``chosen``.
    """
    folder = chosen if chosen.is_dir() else chosen.parent
    study = _study_at(folder)
    if study is not None:
        return Beginning(study, True, tuple(scans))
    if not scans:
        scans = (chosen,) if not chosen.is_dir() or holds_scans(folder) else ()
    return _new(folder, tuple(scans))


def holds_scans(folder: Path) -> bool:
    """Return whether there seem to be scans in ``folder``; of a large one only the beginning is looked at."""
    opened = 0
    for path in _files(folder):
        if is_volume(path) or path.suffix.lower() in DICOM_SUFFIXES:
            return True
        if not path.suffix and opened < MOST_OPENED:
            opened += 1
            if _is_dicom(path):
                return True
    return False


def _study_at(folder: Path) -> Path | None:
    """Return the study in ``folder``, the one made beside its scans, or the one it is a part of."""
    around = [part for part in (folder.parent, folder.parent.parent) if folder.name in _parts_of_a_study()]
    return next((place for place in (folder, folder / STUDY_FOLDER, *around) if is_study(place)), None)


def _parts_of_a_study() -> tuple[str, ...]:
    return "annotations", "predictions", "runs", "history", "scans"


def _new(folder: Path, scans: tuple[Path, ...]) -> Beginning:
    study = _place(folder)
    if scans:
        return Beginning(study, False, scans, f"The scans stay where they are. The study is kept in\n{study}")
    if study == folder:
        return Beginning(study, False, (), f"Add scans next to the empty study in\n{study}")
    sentence = f"No scans were found in {folder}; add scans next to the study in\n{study}"
    return Beginning(study, False, (), sentence)


def _place(folder: Path) -> Path:
    """Return where a study goes: an empty folder itself, else into it, beside it or into the documents."""
    if can_write(folder):
        return _free(folder / STUDY_FOLDER) if _visible(folder) else folder
    beside = folder.parent / f"{folder.name}-{STUDY_FOLDER}"
    if folder.parent != folder and can_write(folder.parent):
        return _free(beside)
    return _free(Path(user_documents_path()) / "DyCON" / (folder.name or STUDY_FOLDER))


def _free(folder: Path) -> Path:
    """Return ``folder``, or that name with a number where something is there."""
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000))
    return next(place for place in (folder, *numbered) if not place.exists() or not any(place.iterdir()))


def _visible(folder: Path) -> bool:
    """Return whether a person would see anything in ``folder``."""
    with os.scandir(folder) as entries:
        return any(not entry.name.startswith(".") for entry in entries)


def can_write(folder: Path) -> bool:
    """Return whether files can be made in ``folder``: the only sure way is to make one."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _files(folder: Path) -> Iterator[Path]:
    seen = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            seen += 1
            if seen > MOST_LOOKED_AT:
                return
            if not name.startswith("."):
                yield Path(place, name)
        seen += len(folders)


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(MAGIC_AT)
            return file.read(len(DICOM_MAGIC)) == DICOM_MAGIC
    except OSError:
        return False
