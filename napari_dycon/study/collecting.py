"""Which scans a list of files and folders stands for, and which label map belongs to each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from napari_dycon.errors import DyconError, StudyError
from napari_dycon.io.dicom import Series, find_series
from napari_dycon.io.volumes import find_volumes, is_volume, stem

LABEL_SUFFIXES = tuple(
    joint + word
    for word in ("label", "labels", "seg", "segmentation", "mask", "gt")
    for joint in ("_", "-", ".")
)
LABEL_FOLDERS = {"images": "labels", "imagesTr": "labelsTr"}
DICOM_SUFFIXES = {"", ".dcm", ".ima"}
_CHANNEL = re.compile(r"_0000$")


@dataclass(frozen=True, slots=True)
class Found:
    """One scan to import: a file or a DICOM series, or a sentence why there is none."""

    path: Path
    name: str
    labels: Path | None = None
    series: Series | None = None
    problem: str | None = None


class LabelIndex:
    """Label maps by the lower-case stem of their file."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in files:
            self._by_stem[stem(path).lower()].append(path)

    def of(self, name: str, *, itself: bool) -> Path | None:
        """Label map of a scan; with `itself`, one of the very same stem counts too.

        Raises
        ------
        StudyError
            If several could be meant.
        """
        names = dict.fromkeys((name.lower(), _CHANNEL.sub("", name.lower())))
        for base in names:
            for suffix in ("", *LABEL_SUFFIXES) if itself else LABEL_SUFFIXES:
                found = self._by_stem.get(base + suffix, [])
                if len(found) > 1:
                    listed = ", ".join(str(path) for path in found[:3])
                    raise StudyError(
                        f"Several label files could belong to {name}: {listed}; import them one by one."
                    )
                if found:
                    return found[0]
        return None


def collect(paths: list[Path], labels_dir: Path | None, study: Path) -> list[Found]:
    """List the scans of files and folders, in the order given, each once.

    Parameters
    ----------
    paths
        Absolute files and folders.
    labels_dir
        Folder of label maps, or None to look for them among the files.
    study
        The study folder; what lies in it is no scan to import when a folder around it is searched.

    Raises
    ------
    StudyError
        If `labels_dir` is no folder.
    """
    if labels_dir is not None and not labels_dir.is_dir():
        raise StudyError(f"{labels_dir} is not a folder; choose the folder that holds the label maps.")
    found = dict.fromkeys(item for path in dict.fromkeys(paths) for item in _scans_of(path, study))
    if labels_dir is not None:
        index, folder = LabelIndex(find_volumes(labels_dir)), labels_dir.resolve()
        return [_labelled(item, index, itself=True) for item in found if not _is_label(item, folder, found)]
    return _paired(list(found), paths)


def _scans_of(path: Path, study: Path) -> list[Found]:
    if path.is_dir():
        volumes = [file for file in find_volumes(path) if not file.is_relative_to(study)]
        found = [*(Found(file, stem(file)) for file in volumes), *_series_of(path)]
    elif not is_volume(path) and path.suffix.lower() in DICOM_SUFFIXES and path.is_file():
        found = list(_series_of(path.parent))
    else:
        found = [Found(path, stem(path))]
    nothing = f"{path} holds no scans (NIfTI, NRRD, MHA, MHD or DICOM)."
    return found or [Found(path, path.name, problem=nothing)]


def _series_of(folder: Path) -> Iterator[Found]:
    try:
        series = find_series(folder)
    except DyconError as error:
        yield Found(folder, folder.name, problem=str(error))
        return
    for one in series:
        place = one.files[0].parent if one.files else folder
        alone = sum(bool(other.files) and other.files[0].parent == place for other in series) == 1
        name = place.name if alone else one.description or place.name
        yield Found(place, _slug(name), series=one, problem=one.problem)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-") or "series"


def _labelled(item: Found, index: LabelIndex, *, itself: bool) -> Found:
    try:
        return replace(item, labels=index.of(item.name, itself=itself))
    except DyconError as error:
        return replace(item, problem=str(error))


def _is_label(item: Found, folder: Path, found: Iterable[Found]) -> bool:
    """Tell whether a file that was found is a label map in the folder of label maps."""
    if not item.path.resolve().is_relative_to(folder):
        return False
    scans_elsewhere = any(not other.path.resolve().is_relative_to(folder) for other in found)
    return scans_elsewhere or _label_base(item.name) is not None


def _label_base(name: str) -> str | None:
    """Stem of the scan that a label map's name points to; None where it is no label map's name."""
    for suffix in LABEL_SUFFIXES:
        if name.lower().endswith(suffix):
            return name.lower()[: -len(suffix)]
    return None


def _paired(found: list[Found], paths: list[Path]) -> list[Found]:
    """Match labels among the files: ``x_seg`` beside ``x``, and ``labels/x`` for ``images/x``."""
    folders = [path / labels for path in paths for labels in LABEL_FOLDERS.values() if path.is_dir()]
    beside = {
        path.resolve() for path in folders if path.is_dir() and (path.parent / _images_of(path)).is_dir()
    }
    inside = [item for item in found if any(item.path.resolve().is_relative_to(folder) for folder in beside)]
    index = LabelIndex(item.path for item in inside)
    rest = [_labelled(item, index, itself=True) for item in found if item not in inside]
    files = defaultdict(list)
    for item in rest:
        files[item.path.parent].append(item.path)
    by_folder = {folder: LabelIndex(members) for folder, members in files.items()}
    matched = [
        item if item.labels else _labelled(item, by_folder[item.path.parent], itself=False) for item in rest
    ]
    used = {item.labels for item in matched}
    return [item for item in matched if item.path not in used]


def _images_of(labels: Path) -> str:
    return next(images for images, name in LABEL_FOLDERS.items() if name == labels.name)
