"""The labelled scans of a study as a data set of nnU-Net v2, which then plans and trains by itself."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_dycon.errors import DyconError, StudyError
from napari_dycon.io.atomic import in_plain_words
from napari_dycon.io.json_files import write_json
from napari_dycon.io.masks import write_mask
from napari_dycon.io.regridding import on_the_grid_of
from napari_dycon.study.store.naming import pseudonyms
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation, Known

FOLDS = 5
AIR_HU = -500
"""A scan with lower values is a CT: nnU-Net then keeps them and clips all scans alike."""
ENDING = ".nii.gz"
_TAKEN = ("background", "ignore")
_NAME = re.compile(r"Dataset\d{3}_\w+")


@dataclass(frozen=True, slots=True)
class DatasetCase:
    """A case was written, or why it was not.

    Attributes
    ----------
    case
        Id of the case.
    problem
        Why it was left out; empty where it is there.
    done, total
        Cases dealt with so far, and in all.
    """

    case: str
    problem: str
    done: int
    total: int


def export_dataset(study: Study, out: Path, *, without_names: bool = False) -> Iterator[DatasetCase]:
    """Write the scans with labels, their labels, ``dataset.json`` and splits by patient, whole or not at all.

    What nobody has spoken about, and what is not to be learned from, has the *ignore* label of nnU-Net.
    Images of a case that lie on another grid than its scan are resampled to that.

    Parameters
    ----------
    study
        The study.
    out
        Folder to make, called as nnU-Net wants it: ``Dataset101_Heart``.
    without_names
        Call cases by names that say nothing.

    Yields
    ------
    DatasetCase
        After each case that has labels.

    Raises
    ------
    StudyError
        If the folder cannot be called or made so, or no case could be written.
    VolumeError
        If the disk is full or write-protected; nothing is left then.
    """
    out = Path(out).absolute()
    if _NAME.fullmatch(out.name) is None:
        raise StudyError(f"nnU-Net wants its data sets called like Dataset101_Heart, not {out.name}.")
    if out.exists():
        raise StudyError(f"{out} is there already; choose another number or name.")
    part = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        with in_plain_words(out):
            for folder in ("imagesTr", "labelsTr"):
                (part / folder).mkdir(parents=True)
            yield from _write(study, part, without_names)
            part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(study: Study, out: Path, without_names: bool) -> Iterator[DatasetCase]:
    cases = [case for case in study.cases if case.known_fraction > 0]
    names = pseudonyms(study.cases, study.secret) if without_names else {case.id: case.id for case in cases}
    there = list[CaseRecord]()
    for done, case in enumerate(cases, start=1):
        problem = ""
        try:
            _write_case(study, case, out, names[case.id])
            there.append(case)
        except DyconError as error:
            problem = str(error)
            for path in out.rglob(f"{names[case.id]}*"):
                path.unlink()
        yield DatasetCase(case.id, problem, done, len(cases))
    if not there:
        raise StudyError("No data set was written: no case has labels and all its images.")
    write_json(out / "dataset.json", _description(study, there))
    splits = _splits(there, names)
    if splits:
        write_json(out / "splits_final.json", splits)


def _write_case(study: Study, case: CaseRecord, out: Path, name: str) -> None:
    channels = study.record.channels or ("",)
    absent = [channel for channel in channels[1:] if channel not in case.images]
    if absent:
        raise StudyError(f"{case.name} has no image {', '.join(absent)}, and nnU-Net wants all of them.")
    scan = study.unchanged_volume(case.id)
    for number, channel in enumerate(channels):
        volume = study.unchanged_volume(case.id, channel) if number else scan
        voxels = on_the_grid_of(scan.geometry, volume) if number else volume.array
        image = nib.Nifti1Image(np.asarray(voxels, np.float32), scan.geometry.affine)
        image.header.set_xyzt_units("mm")
        nib.save(image, out / "imagesTr" / f"{name}_{number:04d}{ENDING}")
    labels = _number_labels(study.annotation(case.id), [each.value for each in study.structures])
    write_mask(out / "labelsTr" / f"{name}{ENDING}", labels, out / "imagesTr" / f"{name}_0000{ENDING}")


def _number_labels(annotation: Annotation, values: Sequence[int]) -> NDArray[np.uint8]:
    """Labels numbered from 1, and the greatest number where there is nothing to learn."""
    table = np.full(256, len(values) + 1, np.uint8)
    table[0] = 0
    table[list(values)] = np.arange(1, len(values) + 1)
    silent = np.isin(annotation.known, (Known.UNKNOWN, Known.IGNORE))
    return np.where(silent, np.uint8(len(values) + 1), table[annotation.labels])


def _description(study: Study, cases: Sequence[CaseRecord]) -> dict[str, Any]:
    names = study.record.channels or ("image",)
    first = "CT" if all(case.intensity and case.intensity.minimum < AIR_HU for case in cases) else names[0]
    meant = [f"{each.name} {each.value}" if each.name in _TAKEN else each.name for each in study.structures]
    labels = {"background": 0, **{name: number for number, name in enumerate(meant, start=1)}}
    return {
        "channel_names": {str(number): name for number, name in enumerate((first, *names[1:]))},
        "labels": {**labels, "ignore": len(labels)},
        "numTraining": len(cases),
        "file_ending": ENDING,
        "overwrite_image_reader_writer": "SimpleITKIO",
    }


def _splits(cases: Sequence[CaseRecord], names: dict[str, str]) -> list[dict[str, list[str]]]:
    """Folds in which no patient stands on both sides; none where there are fewer than two patients."""
    patients = sorted({case.patient for case in cases})
    Random(0).shuffle(patients)
    folds = min(FOLDS, len(patients)) if len(patients) > 1 else 0
    apart = [set(patients[fold::folds]) for fold in range(folds)]
    return [
        {
            "train": sorted(names[case.id] for case in cases if case.patient not in held),
            "val": sorted(names[case.id] for case in cases if case.patient in held),
        }
        for held in apart
    ]
