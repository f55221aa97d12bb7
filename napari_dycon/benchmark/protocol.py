"""What a benchmark compares, and which scans and slices it labels."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_dycon.errors import DyconError, VolumeError
from napari_dycon.io.geometry import Geometry, plane_axis
from napari_dycon.io.volumes import find_volumes, stem
from napari_dycon.study.exchange.pairing import Place, pair

SLICE_MARGIN = 0.15
CHANNEL_SUFFIX = "_0000"
_NAMED = re.compile(
    r"(?:^|(?<=[^a-z]))(?:sub-[a-z0-9]+|(?:subject|subj|patient|pat)[-_ ]?\d+)", re.IGNORECASE
)
_ONE_OF_SEVERAL = re.compile(
    r"(?:[-_. ](?:ed|es|frame\d+|(?:ses|run|visit|scan|tp|fu|followup)[-_]?\d*"
    r"|t\d|t[12]w|t1ce|t1gd|flair|dwi|adc|pre|post|baseline))+$",
    re.IGNORECASE,
)


class Places(BaseModel):
    """Where the data is that something is measured on.

    Parameters
    ----------
    images, labels : Path
        Folders of scans and of label maps with the same file names (``_0000`` at the end of a scan's name is
        ignored).
    test_images, test_labels : Path, optional
        The scans to test on; without them the last fifth of ``images``, which then is not trained on, nor are
        other scans of a patient in it, as far as file names tell (see `patient_of`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: Path
    labels: Path
    test_images: Path | None = None
    test_labels: Path | None = None

    def absolute(self) -> Self:
        """Say the same wherever somebody stands."""
        names = ("images", "labels", "test_images", "test_labels")
        found = {name: getattr(self, name) for name in names}
        return self.model_copy(update={name: path.absolute() for name, path in found.items() if path})


class Protocol(Places):
    """What is compared: data, how much of it is labelled, methods, budget and seeds.

    Parameters
    ----------
    labelled : int
        The first so many scans, by file name, are labelled; the rest is unlabelled.
    labelled_scans : tuple of str
        Names of the scans to label instead of the first ones; which they are can matter more than the method.
    slices : int, optional
        Only so many slices of each labelled scan are labelled, evenly spread.
    variants : tuple of str
        Ablations of the methods that have some, see :mod:`napari_dycon.benchmark.variants`.
    minutes, iterations : float or int
        Training budget; exactly one of them.
    recipe : str
        Name and split of the recipe that the data was prepared by.
    """

    labelled: int = Field(default=4, ge=1)
    labelled_scans: tuple[str, ...] = ()
    slices: int | None = Field(default=None, ge=1)
    methods: tuple[str, ...] = ("supervised", "dycon")
    variants: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    minutes: float | None = Field(default=None, gt=0)
    iterations: int | None = Field(default=None, ge=1)
    device: str = "auto"
    overrides: dict[str, Any] = {}
    recipe: str = ""

    @property
    def budget(self) -> str:
        """The training budget in words; part of what makes a measurement the same."""
        if (self.minutes is None) == (self.iterations is None):
            raise DyconError("Give the training budget either as --minutes or as --iterations.")
        return f"{self.minutes:g} minutes" if self.iterations is None else f"{self.iterations} iterations"


@dataclass(frozen=True, slots=True)
class Pair:
    """A scan and, where there is one, its label map."""

    name: str
    image: Path
    label: Path | None

    @property
    def truth(self) -> Path:
        """The label map, or an error that names the scan without one."""
        if self.label is None:
            raise VolumeError(
                f"{self.image} has no label map of the same name; add it or take the scan away."
            )
        return self.label


@dataclass(frozen=True)
class Split:
    """Which scans train with their label map, which without, and which are only tested on."""

    labelled: tuple[Pair, ...]
    unlabelled: tuple[Pair, ...]
    test: tuple[Pair, ...]

    @property
    def fingerprint(self) -> str:
        """Short text that changes with the scans or the labels used; the same on every machine."""
        known = [(pair, (pair.image, pair.truth)) for pair in (*self.labelled, *self.test)]
        parts = [(pair, (pair.image,)) for pair in self.unlabelled]
        contents = [f"{pair.name}:{_content(*paths)}" for pair, paths in (*known, *parts)]
        digest = hashlib.sha256("\n".join(contents).encode()).hexdigest()[:8]
        return f"{len(self.labelled) + len(self.unlabelled)} scans, {len(self.test)} tested, {digest}"


def split_scans(protocol: Protocol) -> Split:
    """Divide the scans of a protocol; every labelled and every test scan has a label map."""
    train, test = train_and_test(protocol)
    labelled = _scans_to_label(train, protocol)
    for item in (*labelled, *test):
        _ = item.truth
    return Split(labelled, tuple(item for item in train if item not in labelled), tuple(test))


def train_and_test(places: Places) -> tuple[list[Pair], list[Pair]]:
    """Return the scans to train on and those to test on, which are of other patients as far as names tell."""
    train = find_pairs(places.images, places.labels)
    if places.test_images is not None and places.test_labels is not None:
        test = find_pairs(places.test_images, places.test_labels)
    elif places.test_images is None and places.test_labels is None:
        train, test = _last_fifth(train)
    else:
        raise DyconError("Give --test-images and --test-labels together.")
    both = {pair.image.resolve() for pair in train} & {pair.image.resolve() for pair in test}
    if both:
        raise DyconError(f"{sorted(both)[0].name} is in both --images and --test-images; take it out of one.")
    return train, test


def _last_fifth(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Scans to train on, and the last fifth with all scans of its patients; by scan if all are of one."""
    held_back = max(1, len(pairs) // 5)
    patients = {patient_of(pair.name) for pair in pairs[-held_back:]}
    train = [pair for pair in pairs if patient_of(pair.name) not in patients]
    if not train:
        return list(pairs[:-held_back]), list(pairs[-held_back:])
    return train, [pair for pair in pairs if patient_of(pair.name) in patients]


def patient_of(name: str) -> str:
    """Whose scan it is, as far as a file name tells; the whole name where it tells nothing.

    ``sub-01_ses-2_T1w`` and ``patient007_frame01`` name the patient; of ``LA_003_pre`` and ``LA_003_post``
    what is said about one of several scans is left out.
    """
    named = _NAMED.search(name)
    return named.group().lower() if named else _ONE_OF_SEVERAL.sub("", name)


def _scans_to_label(train: Sequence[Pair], protocol: Protocol) -> tuple[Pair, ...]:
    """Return the scans to label: those that are named, or the first ones."""
    missing = sorted(set(protocol.labelled_scans) - {pair.name for pair in train})
    if missing:
        raise VolumeError(
            f"There is no scan {missing[0]} to train on in {protocol.images}; correct --labelled-scans."
        )
    if protocol.labelled_scans:
        return tuple(pair for pair in train if pair.name in protocol.labelled_scans)
    if len(train) < protocol.labelled:
        raise VolumeError(
            f"Only {len(train)} scans in {protocol.images} can be trained on, but {protocol.labelled} shall "
            "be labelled; add scans or lower --labelled."
        )
    return tuple(train[: protocol.labelled])


def _content(*paths: Path) -> str:
    return ":".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)


def find_pairs(images: Path, labels: Path) -> list[Pair]:
    """Scans of a folder by file name, each with the label map that belongs to it if there is one.

    Raises
    ------
    VolumeError
        If a label map could belong to several scans, or a scan have several.
    """
    scans, masks = sorted(_volumes(images), key=stem), list(_volumes(labels))
    found = pair([Place.below(path, images) for path in scans], [Place.below(path, labels) for path in masks])
    for scan, candidates in found.doubtful.items():
        listed = ", ".join(str(masks[mask]) for mask in candidates[:3])
        raise VolumeError(
            f"It is not sure which labels belong to {scans[scan]}: {listed}; give them one name."
        )
    return [
        Pair(
            stem(path).removesuffix(CHANNEL_SUFFIX),
            path,
            masks[found.label_of[index]] if index in found.label_of else None,
        )
        for index, path in enumerate(scans)
    ]


def _volumes(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        raise VolumeError(f"There is no folder {folder}; check the path.")
    found = [path for path in find_volumes(folder) if not path.name.startswith(".")]
    if not found:
        raise VolumeError(f"There is no scan (NIfTI, NRRD, MHA or MHD) in {folder}.")
    return found


def spread_slices(mask: NDArray[np.uint8], geometry: Geometry, count: int) -> tuple[int, list[int]]:
    """Choose evenly spread slices of a label map, as a person would who labels a few.

    They lie across the axis of the largest spacing (axial when all are alike) and cover the labelled extent
    and 15 % of it on either side, so that the background beyond the ends is seen too.

    Parameters
    ----------
    mask : uint8 array, shape (x, y, z)
    geometry : Geometry
        Of the same grid.
    count : int

    Returns
    -------
    axis : int
        Source axis perpendicular to the slices.
    indices : list of int
        At most ``count`` of them, rising.
    """
    axial = plane_axis(geometry, "axial")
    axis = max(range(3), key=lambda a: (round(geometry.spacing[a], 3), a == axial))
    present = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
    first, last = (int(present[0]), int(present[-1])) if present.size else (0, mask.shape[axis] - 1)
    margin = SLICE_MARGIN * (last - first + 1)
    low, high = max(0.0, first - margin), min(float(mask.shape[axis]), last + 1 + margin)
    steps = low + (np.arange(count) + 0.5) * (high - low) / count
    return axis, sorted({int(step) for step in steps})
