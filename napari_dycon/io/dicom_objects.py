"""What DICOM objects have in common that are written for a series: patient and study, labels, one file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.config import disable_value_validation

from napari_dycon.errors import VolumeError
from napari_dycon.io.atomic import atomic_path, make_folder, require_space
from napari_dycon.io.dicom_identity import STATED_ALWAYS, DicomIdentity

MANUFACTURER = "napari-dycon"
LONGEST_LABEL = 64
"""Letters that a long string (LO) of DICOM may have."""


@contextmanager
def in_silence(out: Path) -> Iterator[None]:
    """Build an object without a word of pydicom or highdicom: theirs show the values of the patient.

    Raises
    ------
    VolumeError
        With one sentence of ours, if the object cannot be built.
    """
    try:
        with disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        raise VolumeError(
            f"{out.name} could not be written: what the DICOM files of the scan state does not fit together "
            f"({type(error).__name__}); choose another format."
        ) from None


def state_identity(dataset: Any, identity: DicomIdentity) -> None:
    """Give an object patient, study and frame of reference of a series."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword, text in identity.patient_and_study.items():
        if text or keyword in STATED_ALWAYS:
            setattr(dataset, keyword, text)
    dataset.FrameOfReferenceUID = identity.frame_of_reference
    dataset.PositionReferenceIndicator = identity.position_reference


def labels(names: Sequence[str]) -> list[str]:
    """Return names as labels of DICOM: short, without a backslash, and each one alone."""
    found: list[str] = []
    for name in names:
        plain, number = name.replace("\\", "/").strip(), 1
        label = plain[:LONGEST_LABEL].strip()
        while label in found:
            number += 1
            label = f"{plain[: LONGEST_LABEL - 4].strip()} {number}"
        found.append(label)
    return found


def save(dataset: Any, out: Path) -> None:
    """Write an object as a file, whole or not at all.

    Raises
    ------
    VolumeError
        If it cannot be encoded, or the file cannot be written or does not read back.
    """
    content = io.BytesIO()
    with in_silence(out):
        dataset.save_as(content, enforce_file_format=True)
    make_folder(out.parent)
    require_space(out, content.tell())
    with atomic_path(out) as temporary:
        temporary.write_bytes(content.getvalue())
        if temporary.read_bytes() != content.getvalue():
            raise VolumeError(f"{out.name} did not read back as it was written; check the disk.")
