"""What an import would find, told before anything is imported: nothing is converted, and no file is made."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.errors import DyconError, VolumeError
from napari_dycon.io.dicom import Series, middle_image, patient_id
from napari_dycon.io.dicom_identity import find_identity
from napari_dycon.io.volumes import read_geometry
from napari_dycon.study.exchange.channels import Endings
from napari_dycon.study.exchange.collecting import Found, collect
from napari_dycon.study.exchange.frames import count_volumes
from napari_dycon.study.exchange.importing import files_from_dicom
from napari_dycon.study.exchange.packed import unpack_archives
from napari_dycon.study.store.files import sha256_of
from napari_dycon.study.store.naming import patient_pseudonym
from napari_dycon.study.study import Study

Verdict = Literal["new", "already there", "refused"]

SIDE = 96
"""Pixels of a picture's longer side."""
_SEEN = (1.0, 99.0)
"""Percentiles of the grey values that are black and white."""


@dataclass(frozen=True, eq=False)
class Listed:
    """One scan that was found.

    Attributes
    ----------
    key
        Names it for `add_scans`; it may show identifiers of its files, and is for no eye.
    path, name
        Where it lies, and what its case would be called.
    description
        Of a DICOM series.
    patient
        Pseudonym in the study; empty where the files state none.
    day
        Days from the first exam of the patient here; None where no date is stated. The date is kept nowhere.
    shape, spacing
        Voxels and mm; zeros where not known.
    verdict, reason
        Whether it would be imported, and why not.
    exam
        Number of the exam that a series belongs to, one study of one patient; 0 where that is not known.
    images
        Keys of its further images.
    wanted
        Whether it is likely to be wanted: new, and not taken to plan others.
    is_dicom
        Whether it is a DICOM series.
    volumes
        How many there are in a 4D file, which is refused as long as nobody says what they are; else 0.
    picture
        Its middle image, uint8 ``(rows, columns)``, where asked for.
    """

    key: str
    path: Path
    name: str
    verdict: Verdict
    reason: str = ""
    description: str = ""
    patient: str = ""
    day: int | None = None
    shape: tuple[int, int, int] = (0, 0, 0)
    spacing: tuple[float, float, float] = (0.0, 0.0, 0.0)
    exam: int = 0
    images: tuple[str, ...] = ()
    wanted: bool = False
    is_dicom: bool = False
    volumes: int = 0
    picture: NDArray[np.uint8] | None = None


def list_scans(
    study: Study,
    paths: Iterable[Path | str],
    labels_dir: Path | str | None = None,
    endings: Endings | None = None,
    *,
    pictures: bool = False,
) -> Generator[Listed]:
    """Say what `add_scans` would find, one scan after the other.

    Parameters
    ----------
    study
        The study; it is not changed.
    paths, labels_dir, endings
        As for `add_scans`.
    pictures
        Whether to decode an image of each series.
    """
    labels = None if labels_dir is None else Path(labels_dir).absolute()
    with unpack_archives([Path(path).absolute() for path in paths], labels) as unpacking:
        found = collect(
            unpacking.paths, unpacking.labels, files_from_dicom(study), endings or study.record.endings
        )
        known, exams = _Known(study), _Exams(study, found.scans)
        for item in found.scans:
            listed = exams.add_to(_look_at(item, known), item)
            if pictures and item.series is not None and listed.verdict != "refused":
                listed = replace(listed, picture=_picture(item.series))
            yield replace(listed, path=unpacking.origin(item.path), reason=unpacking.say(listed.reason))
        for path, problem in unpacking.problems:
            yield Listed(str(path), path, path.name, "refused", problem)


def _look_at(item: Found, known: _Known) -> Listed:
    """Look at what a header says; voxels are looked at when the scan is imported."""
    listed = Listed(item.key, item.path, item.name, "new", is_dicom=item.series is not None)
    if item.series is not None:
        series = item.series
        called = " + ".join((series.title, *(one.series.title for one in item.images.values() if one.series)))
        further = tuple(one.key for one in item.images.values())
        listed = replace(
            listed, description=called, shape=series.shape, spacing=series.spacing, images=further
        )
        there = not item.problem and known.has_series(series)
    elif not item.problem:
        try:
            geometry = read_geometry(item.path)
            listed = replace(listed, shape=geometry.shape, spacing=geometry.spacing)
            there = known.has_file(item.path)
        except (DyconError, OSError) as error:
            return replace(listed, verdict="refused", reason=str(error), volumes=count_volumes(item))
    if item.problem:
        return replace(listed, verdict="refused", reason=item.problem)
    if there:
        return replace(listed, verdict="already there")
    return replace(listed, wanted=item.series is None or not item.series.is_localizer)


class _Known:
    """What is in the study already, told without decoding anything."""

    def __init__(self, study: Study) -> None:
        self._files = {(case.file_size, case.sha256) for case in study.cases}
        identities = (find_identity(path) for path in files_from_dicom(study))
        self._series = {
            (one.series, tuple(item.frame for item in one.slices)) for one in identities if one is not None
        }

    def has_series(self, series: Series) -> bool:
        return (series.uid, tuple(image.frame for image in series.images)) in self._series

    def has_file(self, path: Path) -> bool:
        size = path.stat().st_size
        return any(size == known for known, _ in self._files) and (size, sha256_of(path)) in self._files


class _Exams:
    """Whose the series are, and how many days lie between their exams."""

    def __init__(self, study: Study, found: Collection[Found]) -> None:
        series = {item.key: item.series for item in found if item.series is not None}
        ids = {key: patient_id(one) for key, one in series.items()}
        self._patients = {
            key: patient_pseudonym(one, study.secret) if one else "" for key, one in ids.items()
        }
        self._dates = {key: day for key, one in series.items() if (day := _date(one.study_date))}
        studies = {key: (ids[key], one.study) for key, one in series.items() if one.study}
        numbers = {study: number for number, study in enumerate(dict.fromkeys(studies.values()), start=1)}
        self._numbers = {key: numbers[study] for key, study in studies.items()}
        self._first: dict[str, date] = {}
        for key, day in self._dates.items():
            patient = self._patients[key]
            self._first[patient] = min(day, self._first.get(patient, day))

    def add_to(self, listed: Listed, item: Found) -> Listed:
        """Add whose it is, and when it was taken."""
        patient = self._patients.get(item.key, item.patient)
        day = self._dates.get(item.key)
        first = self._first.get(patient)
        offset = (day - first).days if day and first and patient else None
        return replace(listed, patient=patient, day=offset, exam=self._numbers.get(item.key, 0))


def _date(text: str) -> date | None:
    with suppress(ValueError):
        return datetime.strptime(text[:8], "%Y%m%d").date()
    return None


def _picture(series: Series) -> NDArray[np.uint8] | None:
    try:
        image = middle_image(series)
    except VolumeError:
        return None
    sides = np.array(image.shape) * (series.spacing[1] or 1.0, series.spacing[0] or 1.0)
    target = np.maximum(1, np.round(sides / sides.max() * SIDE))
    small = ndimage.zoom(image, target / image.shape, order=1, grid_mode=True, mode="nearest")
    low, high = np.percentile(image, _SEEN)
    return np.asarray(np.clip((small - low) / max(high - low, 1e-9), 0, 1) * 255, dtype=np.uint8)


def size_in_words(listed: Listed) -> str:
    """Voxels along each axis; empty where not known."""
    return " x ".join(map(str, listed.shape)) if all(listed.shape) else ""


def spacing_in_words(listed: Listed) -> str:
    """Millimetres along each axis; empty where not known."""
    return " x ".join(f"{size:.3g}" for size in listed.spacing) if all(listed.spacing) else ""


def day_in_words(listed: Listed, found: Iterable[Listed]) -> str:
    """When the exam was, counted from the first of the patient; empty where all are of one day."""
    if listed.day is None or not any(one.day for one in found if one.patient == listed.patient):
        return ""
    return "first exam" if listed.day == 0 else f"{listed.day} days later"


def verdict_in_words(listed: Listed) -> str:
    """What would become of it, with the reason where it is refused."""
    if listed.verdict == "refused":
        return listed.reason
    if listed.verdict == "already there":
        return "already there"
    return "can be added" if listed.wanted else "looks like a localizer"


def in_order(found: Iterable[Listed]) -> list[Listed]:
    """Sort scans for a person to choose from: what is likely to be wanted first, what cannot be had last."""
    ranks = {"new": 1, "already there": 2, "refused": 3}
    return sorted(found, key=lambda one: (0 if one.wanted else ranks[one.verdict], one.patient, one.day or 0))
