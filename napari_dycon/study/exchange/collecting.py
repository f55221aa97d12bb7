"""Which scans a list of files and folders stands for, and which label map belongs to each."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_dycon.errors import DyconError, StudyError
from napari_dycon.io.dicom import Series, find_series, patient_id, why_no_images
from napari_dycon.io.dicom_labels import DicomLabels
from napari_dycon.io.dicomdir import is_directory
from napari_dycon.io.volumes import find_volumes, is_volume, stem
from napari_dycon.study.exchange.channels import Endings, channel_of_file, channel_of_series
from napari_dycon.study.exchange.pairing import (
    Place,
    is_named_like_a_sequence,
    is_named_like_labels,
    is_named_like_prediction,
    pair,
)
from napari_dycon.study.exchange.referring import by_series, find_labels
from napari_dycon.study.store.files import OWN_FOLDERS
from napari_dycon.study.store.naming import fold
from napari_dycon.study.store.studyfile import is_study

DICOM_SUFFIXES = {"", ".dcm", ".ima"}
_FOLDER_OF_IMAGES = {"labels": "images", "labelsTr": "imagesTr", "labelsTs": "imagesTs", "masks": "images"}
_LISTED = 6


@dataclass(frozen=True, slots=True)
class Found:
    """One scan to import: a file or a DICOM series, or a sentence why there is none.

    Attributes
    ----------
    path, root
        The file or folder, and the folder that the user named.
    name
        What the user calls it: its stem, with the folders above it where that alone is not unique.
    labels
        Its label map.
    named
        Whether the user named this very file and nothing else.
    labels_by_name
        Whether it is called like a label map, and belongs to no scan.
    problem
        Why there is nothing to import.
    patient
        Folder that stands for a person, where folders do.
    doubt
        Why no label map was taken though there are some that could be meant.
    pairs
        ``(scan, label map)`` that could belong together, where only a person can tell.
    images
        Its further images, by channel.
    base
        Its name without what tells its channel, where it is one of several images; of DICOM series the
        name of the case.
    values
        Which structure's value a value of its labels means, where a person says so.
    origin
        The file that it was taken out of, where it is one of several volumes.
    """

    path: Path
    root: Path
    name: str
    labels: Path | None = None
    series: Series | None = None
    named: bool = False
    labels_by_name: bool = False
    problem: str | None = None
    patient: str = ""
    doubt: str | None = None
    pairs: tuple[tuple[Path, Path], ...] = ()
    images: Mapping[str, Found] = field(default_factory=dict)
    base: str = ""
    values: Mapping[int, int] = field(default_factory=dict)
    origin: Path | None = None

    @property
    def source(self) -> Path:
        """The file or folder that a person knows it by."""
        return self.origin or self.path

    @property
    def key(self) -> str:
        """Name it apart from everything else that is found, as often as it is looked for."""
        return str(self.path) if self.series is None else self.series.key

    @property
    def place(self) -> Place:
        """Where it lies below the folder that the user named."""
        if self.series is not None:
            folder = self.path.relative_to(self.root).parent if self.path != self.root else Path()
            return Place.of(folder.parts, self.path.name, self.root.parts)
        return _place(self.path.with_name(f"{self.base}.nii") if self.base else self.path, self.root)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was found: scans in the order given, each once, and label maps that belong to none of them."""

    scans: tuple[Found, ...]
    unused_labels: tuple[Path, ...]


def collect(
    paths: Sequence[Path],
    labels_dir: Path | None,
    converted: Collection[Path] = (),
    endings: Endings | None = None,
    only: Collection[str] | None = None,
) -> Collected:
    """List the scans of files and folders.

    Parameters
    ----------
    paths
        Absolute files and folders.
    labels_dir
        Folder of label maps, the one label map of a single scan, or None to look for them among the files.
    converted
        Files that the study has made from DICOM; they are no scans to import. Nor is what any study keeps in
        folders of its own, when a folder around them is searched.
    endings
        What tells several images of a case from each other, see `channels`; each file is a case by default.
    only
        Keys of the scans that are wanted, and of series that are further images of one; all by default.

    Raises
    ------
    StudyError
        If `labels_dir` is no folder.
    """
    if labels_dir is not None and labels_dir.is_file():
        return Collected((_explicit(paths, labels_dir, {*converted, labels_dir}),), ())
    if labels_dir is not None and not labels_dir.is_dir():
        raise StudyError(f"{labels_dir} is not a folder; choose the folder that holds the label maps.")
    objects = [] if labels_dir is None else find_labels(labels_dir)
    no_scans = {*converted, *(one.path for one in objects)}
    items: dict[Path | tuple[Path, str], Found] = {}
    for path in dict.fromkeys(paths):
        for item in _found_at(path, no_scans):
            key = item.path if item.series is None else (item.path, item.series.key)
            items.setdefault(key, item)
    found = list(items.values()) if len(set(paths)) == 1 else _below_one_root(items.values(), paths)
    if only is not None:
        found = [item for item in found if item.series is None or item.key in only]
    if endings:
        found = _gather_series(_gather(found, endings), endings)
    if labels_dir is None:
        with_labels = _with_labels_beside(found)
    else:
        with_labels = _refer(_with_labels_of(found, labels_dir), objects)
    scans = tuple(_tell_apart(with_labels.scans))
    if only is not None:
        scans = tuple(item for item in scans if item.key in only)
    return Collected(scans, with_labels.unused_labels)


def _explicit(paths: Sequence[Path], labels: Path, no_scans: Collection[Path]) -> Found:
    """Pair one scan with the label map that the user names for it."""
    all_found = [item for path in dict.fromkeys(paths) for item in _found_at(path, no_scans)]
    found = [item for item in all_found if not _is_no_scan(item)] or all_found
    if len(found) != 1:
        raise StudyError(
            f"{labels.name} is one label map, and there are {len(found)} scans; name the one it belongs to."
        )
    return replace(found[0], labels=labels)


def _is_no_scan(item: Found) -> bool:
    """Whether it is a segmentation, or tells what a folder holds beside scans."""
    return item.path.is_dir() if item.series is None else item.series.modality == "SEG"


def _below_one_root(found: Iterable[Found], paths: Sequence[Path]) -> list[Found]:
    """Look at what several paths gave as parts of one folder: in which of them a file lies tells it apart."""
    try:
        root = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in paths]))
    except ValueError:  # on several drives
        return [replace(item, named=False) for item in found]
    return [replace(item, root=root, named=False) for item in found]


def _found_at(path: Path, no_scans: Collection[Path]) -> list[Found]:
    if path.is_dir():
        volumes = _not_of_a_study(file for file in find_volumes(path) if file not in no_scans)
        found = [*(Found(file, path, stem(file)) for file in volumes), *_series_of(path, no_scans)]
    elif is_directory(path):
        found = list(_series_of(path, no_scans))
        if found:
            return found
    elif not is_volume(path) and path.suffix.lower() in DICOM_SUFFIXES and path.is_file():
        near = list(_series_of(path.parent, no_scans))
        found = [one for one in near if one.series is None or path in one.series.files]
    else:
        found = [Found(path, path.parent, stem(path), named=True)]
    instead = why_no_images(path, no_scans)
    if found:
        return [*found, *([Found(path, path, path.name, problem=f"{path}: {instead}")] if instead else [])]
    nothing = f"{path} holds no scans (NIfTI, NRRD, MHA, MHD or DICOM). {instead}".strip()
    return [Found(path, path, path.name, problem=nothing)]


def _not_of_a_study(files: Iterable[Path]) -> Iterator[Path]:
    """Leave out what a study keeps about its scans; scans that lie beside it or in ``scans`` stay."""
    kept: dict[Path, bool] = {}
    for file in files:
        folder = file.parent
        if folder not in kept:
            kept[folder] = any(map(_is_kept_by_a_study, (folder, *folder.parents, folder.resolve())))
        if not kept[folder]:
            yield file


def _is_kept_by_a_study(folder: Path) -> bool:
    own = folder.name in OWN_FOLDERS and folder.name != "scans"
    return own and is_study(folder.parent)


def _series_of(source: Path, no_scans: Collection[Path]) -> Iterator[Found]:
    """Series of a folder, or those that a DICOMDIR lists."""
    folder = source if source.is_dir() else source.parent
    try:
        series = [one for one in find_series(source) if not one.files or not {*one.files} <= {*no_scans}]
    except DyconError as error:
        yield Found(source, folder, folder.name, problem=str(error))
        return
    except Exception as error:  # noqa: BLE001 - what one folder holds must not end the others' import
        problem = f"The DICOM files of {source} could not be read ({type(error).__name__}: {error})."
        yield Found(source, folder, folder.name, problem=problem)
        return
    for one in series:
        place = one.files[0].parent if one.files else folder
        alone = sum(bool(other.files) and other.files[0].parent == place for other in series) == 1
        name = place.name if alone else f"{place.name} {one.title}".strip()
        yield Found(place, folder, name, series=one, problem=one.problem)


def _gather(found: Sequence[Found], endings: Endings) -> list[Found]:
    """Make one scan with further images of the files that differ by their endings alone.

    The first channel's file becomes the scan. Files called by the ending alone, such as ``anna/t1`` and
    ``anna/flair``, belong to their folder. What ends in none of them stays a scan by itself.
    """
    images: dict[tuple[Path, str], dict[str, Found]] = {}
    kept: list[Found] = []
    for item in found:
        plain = item.series is None and item.problem is None
        told = channel_of_file(stem(item.path), endings) if plain else None
        if told is None:
            kept.append(item)
            continue
        channel, base = told
        of_case = images.setdefault((item.path.parent, fold(base)), {})
        if channel in of_case:
            other = of_case[channel].path.name
            kept.append(replace(item, problem=f"{item.path} and {other} are the same image of one case."))
        else:
            of_case[channel] = replace(item, name=base or item.path.parent.name, base=base)
    return [*(_case(by_channel, endings) for by_channel in images.values()), *kept]


def _case(by_channel: Mapping[str, Found], endings: Endings) -> Found:
    first, *others = endings
    if first not in by_channel:
        item = next(iter(by_channel.values()))
        return replace(
            item,
            problem=f"{item.name} has no image {first} ({endings[first]}), on whose grid the others lie; add "
            "it, or name first an image that every case has.",
        )
    images = {channel: by_channel[channel] for channel in others if channel in by_channel}
    return replace(by_channel[first], images=images)


def _gather_series(found: Sequence[Found], endings: Endings) -> list[Found]:
    """Make one scan with further images of the series of one exam that are called after channels.

    An exam is a study of one patient. What is called after no channel stays a scan by itself.
    """
    exams: dict[tuple[str, str], dict[str, Found]] = {}
    kept: list[Found] = []
    for item in found:
        series = item.series
        usable = series is not None and item.problem is None and series.study
        channel = channel_of_series(series.title, endings) if series is not None and usable else None
        if series is None or channel is None:
            kept.append(item)
            continue
        of_exam = exams.setdefault((patient_id(series), series.study), {})
        if channel in of_exam:
            problem = (
                f"{item.name} and {of_exam[channel].name} could both be the {channel} image of one exam; "
                "say which with a narrower pattern in --channels."
            )
            kept.append(replace(item, problem=problem))
        else:
            of_exam[channel] = item
    folders = Counter(_folder_of(by_channel) for by_channel in exams.values())
    cases = (
        item
        for by_channel in exams.values()
        for item in _exam(by_channel, endings, alone=folders[_folder_of(by_channel)] == 1)
    )
    return [*cases, *kept]


def _folder_of(by_channel: Mapping[str, Found]) -> Path:
    return Path(os.path.commonpath([item.path for item in by_channel.values()]))


def _exam(by_channel: Mapping[str, Found], endings: Endings, *, alone: bool) -> Iterator[Found]:
    """Yield the case that series of one exam make, and those of them that cannot belong to it."""
    first = next(iter(endings))
    if first not in by_channel:
        for item in by_channel.values():
            problem = (
                f"{item.name} has no series {first} ({endings[first]}) in its exam, on whose grid the others "
                "lie; add it, or name first an image that every exam has."
            )
            yield replace(item, problem=problem)
        return
    scan, images = by_channel[first], {}
    for channel in list(endings)[1:]:
        if channel in by_channel:
            if _in_one_frame(scan, by_channel[channel]):
                images[channel] = by_channel[channel]
            else:
                yield replace(by_channel[channel], problem=_elsewhere(by_channel[channel], scan))
    name = _folder_of(by_channel).name if alone and images else scan.name
    yield replace(scan, name=name, base=name, images=images)


def _in_one_frame(scan: Found, other: Found) -> bool:
    frames = {item.series.frame_of_reference for item in (scan, other) if item.series is not None}
    return len(frames - {""}) < 2


def _elsewhere(item: Found, scan: Found) -> str:
    return (
        f"{item.name} was taken in another frame of reference than {scan.name}, so how they lie to each "
        "other is not known; register it, or import it as a scan of its own."
    )


def _with_labels_of(found: Sequence[Found], labels_dir: Path) -> Collected:
    """Match the label maps of a folder; scans that lie in it too are told from them by place or name."""
    folder = labels_dir.resolve()
    inside = [item.path.resolve().is_relative_to(folder) for item in found]
    elsewhere = not all(inside)
    scans = [
        item
        for item, within in zip(found, inside, strict=True)
        if not within or item.series is not None or not (elsewhere or is_named_like_labels(item.name))
    ]
    taken = {item.path.resolve() for item in scans}
    labels = [file for file in find_volumes(labels_dir) if file.resolve() not in taken]
    return _match(scans, labels, labels_dir, strict=False)


def _refer(matched: Collected, objects: Sequence[DicomLabels]) -> Collected:
    """Give series the segments or contours that refer to them; none where there are several."""
    series = {index: item.series for index, item in enumerate(matched.scans) if item.series is not None}
    of_series, scans = by_series(objects, series), list(matched.scans)
    for index, paths in of_series.items():
        item = scans[index]
        could = [*paths, *((item.labels,) if item.labels else ())]
        doubt = None if len(could) == 1 else _several(item, could)
        scans[index] = replace(item, labels=None if doubt else could[0], doubt=doubt)
    used = {path for paths in of_series.values() for path in paths}
    left = (one.path for one in objects if one.path not in used)
    return Collected(tuple(scans), (*matched.unused_labels, *left))


def _several(item: Found, labels: Sequence[Path]) -> str:
    return (
        f"Several label files could belong to {item.name}: {_list_texts([str(path) for path in labels])}. "
        f"None was taken; import {item.path.name} again with a folder that holds the right one alone."
    )


def _with_labels_beside(found: Sequence[Found]) -> Collected:
    """Match label maps among the files themselves: ``x_seg`` beside ``x``, ``labels/x`` for ``images/x``."""
    images = {item.path.parent: _is_beside_images(item.path.parent) for item in found}
    labels: list[Found] = []
    scans: list[Found] = []
    for item in found:
        own = item.named or item.series is not None or item.problem is not None
        called = images[item.path.parent] or is_named_like_labels(item.name)
        (labels if called and not own else scans).append(item)
    drawn = [item for item in labels if not is_named_like_prediction(item.name)]
    matched = _match(scans, [item.path for item in drawn], None, strict=True, roots=drawn)
    unused = {item.path for item in labels} - {item.path for item in drawn} | set(matched.unused_labels)
    left = _suppose_pairs(matched.scans, [item for item in labels if item.path in unused])
    return Collected((*matched.scans, *left), ())


def _suppose_pairs(scans: Sequence[Found], left: Sequence[Found]) -> list[Found]:
    """Note on label maps by name which scans they may belong to, by a looser look at the names."""
    pairs = pair([item.place for item in scans], [item.place for item in left])
    of_label: dict[int, list[Path]] = {}
    for scan, labels in (*((s, [label]) for s, label in pairs.label_of.items()), *pairs.doubtful.items()):
        for label in labels:
            of_label.setdefault(label, []).append(scans[scan].path)
    return [
        replace(item, labels_by_name=True, pairs=tuple((scan, item.path) for scan in of_label.get(index, ())))
        for index, item in enumerate(left)
    ]


def _is_beside_images(folder: Path) -> bool:
    """Tell whether a folder is called after labels and has one of images beside it."""
    images = _FOLDER_OF_IMAGES.get(folder.name)
    return images is not None and (folder.parent / images).is_dir()


def _match(
    scans: Sequence[Found],
    labels: Sequence[Path],
    labels_dir: Path | None,
    *,
    strict: bool,
    roots: Sequence[Found] = (),
) -> Collected:
    """Pair scans and label maps, these below `labels_dir` or below where each was found."""
    below = [labels_dir] * len(labels) if labels_dir is not None else [item.root for item in roots]
    places = [_place(path, root or path.parent) for path, root in zip(labels, below, strict=True)]
    pairs = pair([item.place for item in scans], places, strict=strict)
    told = [
        replace(
            item,
            labels=labels[pairs.label_of[index]] if index in pairs.label_of else None,
            doubt=_doubt(item, index, pairs.doubtful, scans, labels),
            pairs=tuple((item.path, labels[label]) for label in pairs.doubtful.get(index, ())),
        )
        for index, item in enumerate(scans)
    ]
    return Collected(tuple(told), tuple(labels[index] for index in pairs.unused))


def _doubt(
    item: Found,
    index: int,
    doubtful: dict[int, list[int]],
    scans: Sequence[Found],
    labels: Sequence[Path],
) -> str | None:
    """Say which label maps a scan could have, or which other scans its label map could belong to."""
    if index not in doubtful:
        return None
    found = doubtful[index]
    if len(found) > 1:
        return _several(item, [labels[label] for label in found])
    others = [str(scans[scan].path) for scan, could in doubtful.items() if found[0] in could]
    if len(others) == 1:
        return (
            f"The label file {labels[found[0]]} has the name of {item.path} but lies in another folder. It "
            f"was not used; if it is the right one, import that scan again with --labels {labels[found[0]]}."
        )
    return (
        f"The label file {labels[found[0]]} could belong to several scans: {_list_texts(others)}. It was not "
        "used; put it into a folder, or give it a name, that says whose it is."
    )


def _tell_apart(scans: Sequence[Found]) -> Iterator[Found]:
    """Give scans of one name as much of their path as tells them apart, and those of one person the same one.

    Folders in which scans called after a sequence recur (``anna/T1``, ``bert/T1``) are taken for persons.
    """
    by_name: dict[str, list[Found]] = {}
    for item in scans:
        by_name.setdefault(fold(item.name), []).append(item)
    longer: dict[int, str] = {}
    persons: dict[Path, str] = {}
    for same in by_name.values():
        for item, above in zip(same, _telling_folders(same), strict=True):
            longer[id(item)] = "/".join((*above, item.name))
            if above and is_named_like_a_sequence(item.name) and not is_named_like_a_sequence(above[-1]):
                persons[item.path.parent] = "/".join(above)
        shared = Counter(longer[id(item)] for item in same)
        for item in same:
            if item.series is None and shared[longer[id(item)]] > 1:  # p.nii beside p.nii.gz
                longer[id(item)] = longer[id(item)].removesuffix(item.name) + item.path.name
    for item in scans:
        patient = "" if item.series is not None else persons.get(item.path.parent, "")
        yield replace(item, name=longer[id(item)], patient=patient)


def _telling_folders(same: Sequence[Found]) -> list[tuple[str, ...]]:
    """For each of several scans of one name, as many of its folders as no other shares; none for a single."""
    folders = [_folders(item) for item in same]
    found: list[tuple[str, ...]] = [()] * len(same)
    open_ones = list(range(len(same))) if len(same) > 1 else []
    for count in range(1, max(map(len, folders), default=0) + 1):
        tails = Counter(above[-count:] for above in folders)
        for index in open_ones:
            if tails[folders[index][-count:]] == 1:
                found[index] = folders[index][-count:]
        open_ones = [index for index in open_ones if not found[index]]
    return found


def _folders(item: Found) -> tuple[str, ...]:
    parts = item.path.parent.parts
    return tuple(part for part in parts if not re.fullmatch(r"[\\/]|[A-Za-z]:\\?", part))


def _place(path: Path, root: Path) -> Place:
    folder = path.parent.relative_to(root) if path.parent.is_relative_to(root) else Path()
    return Place.of(folder.parts, stem(path), root.parts)


def _list_texts(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more
