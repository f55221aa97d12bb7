"""Which label map belongs to which scan: by the whole path below the folders given, never by a bare guess.

Relations are tried from the surest to the loosest. A pair is made where one label map and one scan point to
each other alone; what points to several is told with all candidates, and never looked at more loosely.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from napari_dycon.io.volumes import stem
from napari_dycon.study.store.naming import fold

Names = tuple[str, ...]

_LABEL_WORDS = (
    "labels?|labelmap|seg|segs|segm|segmentation|segmentations|dseg|probseg|masks?|msk|gt|groundtruth|"
    "ground_truth|annotations?|lesions?|pred|preds|predictions?|contours?|aseg|aparc|rois?"
)
_LABEL_TOKEN = re.compile(rf"(?:^|[^a-z0-9])(?:{_LABEL_WORDS})\d*(?:[^a-z0-9]|$)")
_LABEL_SUFFIX = re.compile(rf"(?:^|[-_. ]+)(?:{_LABEL_WORDS})$")
_LABEL_PREFIX = re.compile(rf"^(?:{_LABEL_WORDS})(?:[-_. ]+|(?=\d))")
_BIDS_ENTITY = re.compile(r"_(?:atlas|den|desc|label|res|seg|space)-[a-z0-9]+(?=_|$)")
_PREDICTION_TOKEN = re.compile(r"(?:^|[^a-z0-9])(?:preds?|predictions?|probseg)(?:[^a-z0-9]|$)")
_SCAN_WORDS = (
    "images?|img|imgs|scans?|vol|volumes?|orig|raw|ct|cta|cect|mr|mri|pet|t1|t1w|t1c|t1ce|t1gd|t1post|t1n|"
    "t2|t2w|t2f|t2star|flair|dwi|adc|bold|swi|pd|pdw"
)
_SCAN_SUFFIX = re.compile(rf"[-_. ]+(?:{_SCAN_WORDS})$")
_SCAN_PREFIX = re.compile(rf"^(?:{_SCAN_WORDS})(?:[-_. ]+|(?=\d))")
_CHANNEL = re.compile(r"_\d{4}$")
_SEPARATORS = re.compile(r"[-_. ]+")
_ROLES = frozenset(
    {
        *("images", "imagestr", "imagests", "image", "img", "imgs", "scans", "scan", "volumes", "volume"),
        *("nifti", "rawdata", "sourcedata", "raw", "labels", "labelstr", "labelsts", "label", "masks"),
        *("segmentations", "segmentation", "seg", "segs", "annotations", "annotation", "derivatives"),
        *("mask", "manual", "gt", "groundtruth", "predictions"),
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """A file or DICOM series as the user's folders name it.

    Attributes
    ----------
    folders
        Folders between the one that was given and the file, those that only say what lies in them left out.
    stem
        File name without suffix; both without regard to upper case and Unicode form.
    above
        Folders above the one that was given.
    """

    folders: Names
    stem: str
    above: Names = ()

    @classmethod
    def below(cls, file: Path, root: Path) -> Place:
        """Place of a file below a folder that was given."""
        return cls.of(file.parent.relative_to(root).parts, stem(file), root.parts)

    @classmethod
    def of(cls, folders: Iterable[str], stem: str, above: Iterable[str] = ()) -> Place:
        """Build a place from names as they are on disk."""
        return cls(_telling(folders), fold(stem), _telling(above))


@dataclass(slots=True)
class Pairs:
    """Indices of what belongs together.

    Attributes
    ----------
    label_of
        Label map of each scan that has one.
    doubtful
        Label maps that a scan could have, where these or the scans are several, or their folders differ.
    unused
        Label maps that point to no scan.
    """

    label_of: dict[int, int] = field(default_factory=dict)
    doubtful: dict[int, list[int]] = field(default_factory=dict)
    unused: list[int] = field(default_factory=list)


def pair(scans: Sequence[Place], labels: Sequence[Place], *, strict: bool = False) -> Pairs:
    """Find the label map of each scan.

    Parameters
    ----------
    scans, labels
        What there is.
    strict
        Take only the surest relation: the same path, but for words that say what a file is.
    """
    pairs = Pairs()
    scans, labels = _unwrap(scans), _unwrap(labels)
    open_scans, open_labels = set(range(len(scans))), set(range(len(labels)))
    for relation in _RELATIONS[:1] if strict else _RELATIONS:
        of_scan, of_label = relation(scans, labels, open_scans, open_labels)
        for scan, found in of_scan.items():
            if len(found) == 1 and len(of_label[found[0]]) == 1:
                pairs.label_of[scan] = found[0]
            else:
                pairs.doubtful[scan] = found
        open_scans -= of_scan.keys()
        open_labels -= of_label.keys()
    if not strict:
        of_scan, of_label = _SAME_STEM(scans, labels, open_scans, open_labels)
        pairs.doubtful |= of_scan
        open_labels -= of_label.keys()
    pairs.unused = sorted(open_labels)
    return pairs


def _telling(folders: Iterable[str]) -> Names:
    return tuple(folder for folder in map(fold, folders) if folder not in _ROLES)


def _unwrap(places: Sequence[Place]) -> list[Place]:
    """Leave out leading folders that all share, where several lie below: they tell nothing apart."""
    shared = 0
    while len({place.folders[: shared + 1] for place in places}) == 1 and len(places[0].folders) > shared:
        shared += 1
    if len({place.folders[shared : shared + 1] for place in places}) < 2:
        return list(places)
    return [
        replace(place, folders=place.folders[shared:], above=place.above + place.folders[:shared])
        for place in places
    ]


def is_named_like_prediction(stem: str) -> bool:
    """Tell whether a file's name says that its labels are a machine's."""
    return _PREDICTION_TOKEN.search(fold(stem)) is not None


def is_named_like_labels(stem: str) -> bool:
    """Tell whether a file's name says that it holds labels and no scan."""
    return _LABEL_TOKEN.search(fold(stem)) is not None


def is_named_like_a_sequence(name: str) -> bool:
    """Tell whether a file or folder is called after what it shows and nobody: ``T1``, ``flair``, ``ct``."""
    return re.fullmatch(_SCAN_WORDS, fold(name)) is not None


Candidates = dict[int, list[int]]
Relation = Callable[[Sequence[Place], Sequence[Place], set[int], set[int]], tuple[Candidates, Candidates]]


def _by_keys(
    scan_keys: Callable[[Place], Iterable[Hashable]], label_keys: Callable[[Place], Iterable[Hashable]]
) -> Relation:
    """Relation of scans and label maps that have a key in common."""

    def relate(
        scans: Sequence[Place], labels: Sequence[Place], open_scans: set[int], open_labels: set[int]
    ) -> tuple[Candidates, Candidates]:
        by_key: dict[Hashable, list[int]] = defaultdict(list)
        for label in sorted(open_labels):
            for key in dict.fromkeys(label_keys(labels[label])):
                by_key[key].append(label)
        of_scan: Candidates = {}
        of_label: Candidates = defaultdict(list)
        for scan in sorted(open_scans):
            keys = dict.fromkeys(scan_keys(scans[scan]))
            found = list(dict.fromkeys(chain.from_iterable(by_key.get(key, ()) for key in keys)))
            if found:
                of_scan[scan] = found
            for label in found:
                of_label[label].append(scan)
        return of_scan, of_label

    return relate


def _trailing(scan_bases: Callable[[str], Names], label_bases: Callable[[str], Names]) -> Relation:
    """Relation by the end of the path: the folders of the label map are the last ones above the scan.

    ``anna/T1`` and ``T1`` both are the end of ``/data/anna/T1``; ``bert/T1`` is not, wherever a folder was
    given.
    """
    return _by_keys(
        lambda place: (
            (folders[start:], base)
            for folders in [place.above + place.folders]
            for start in range(len(folders) + 1)
            for base in scan_bases(place.stem)
        ),
        lambda place: ((place.folders, base) for base in label_bases(place.stem)),
    )


def _alone_in_folder(
    scans: Sequence[Place], labels: Sequence[Place], open_scans: set[int], open_labels: set[int]
) -> tuple[Candidates, Candidates]:
    """Relation of the only scan of a folder and what is called like that folder, or is its only label map."""
    crowd = Counter(place.folders for place in scans)
    label_crowd = Counter(place.folders for place in labels)

    def scan_keys(place: Place) -> Iterable[Names]:
        return [place.folders] if place.folders and crowd[place.folders] == 1 else []

    def label_keys(place: Place) -> Iterable[Names]:
        named = [(*place.folders, base) for base in _label_bases(place.stem) if base]
        says_nothing = not any(_label_bases(place.stem)[1:]) and is_named_like_labels(place.stem)
        alone = bool(place.folders) and label_crowd[place.folders] == 1 and says_nothing
        return [*named, *([place.folders] if alone else [])]

    return _by_keys(scan_keys, label_keys)(scans, labels, open_scans, open_labels)


def _scan_bases(stem: str) -> Names:
    return tuple(dict.fromkeys((stem, _CHANNEL.sub("", stem))))


def _label_bases(stem: str) -> Names:
    shorter = [pattern.sub("", stem) for pattern in (_LABEL_SUFFIX, _LABEL_PREFIX)]
    plain = [_BIDS_ENTITY.sub("", base) for base in shorter if base != stem]
    return tuple(dict.fromkeys((stem, *(base for base in (*shorter, *plain) if base))))


def _scan_cores(stem: str) -> Names:
    bases = _scan_bases(stem)
    shorter = (pattern.sub("", base) for base in bases for pattern in (_SCAN_SUFFIX, _SCAN_PREFIX))
    return tuple(dict.fromkeys((*bases, *(core for core in shorter if core))))


def _flat(place: Place, bases: Iterable[str]) -> Iterable[str]:
    return (_SEPARATORS.sub("_", "_".join((*place.folders, base))) for base in bases)


_RELATIONS: tuple[Relation, ...] = (
    _by_keys(
        lambda place: ((place.folders, base) for base in _scan_bases(place.stem)),
        lambda place: ((place.folders, base) for base in _label_bases(place.stem)),
    ),
    _by_keys(
        lambda place: _flat(place, _scan_bases(place.stem)),
        lambda place: _flat(place, _label_bases(place.stem)),
    ),
    _trailing(_scan_bases, _label_bases),
    _alone_in_folder,
    _trailing(_scan_cores, _label_bases),
)

_SAME_STEM = _by_keys(
    lambda place: _scan_bases(place.stem),
    lambda place: _label_bases(place.stem),
)
"""Names alone, which make no pair: ``anna/T1`` and ``bert/T1`` are two patients'."""
