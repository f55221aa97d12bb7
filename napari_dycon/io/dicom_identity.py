"""Whose a DICOM series is and which images it has: kept beside its scan, so that masks can go back to it."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydicom.config import disable_value_validation
from pydicom.multival import MultiValue

from napari_dycon.errors import GridMismatchError, VolumeError
from napari_dycon.io.dicom import Series, headers_of
from napari_dycon.io.geometry import LPS_TO_RAS, Geometry
from napari_dycon.io.json_files import write_model
from napari_dycon.io.volumes import stem

SUFFIX = ".dicom.json"

STATED_ALWAYS = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID"),
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
)
"""What every object of a study states about patient and study, if only that it is not known."""
STATED_WHERE_KNOWN = ("IssuerOfPatientID", "StudyDescription")
_OF_THE_SERIES = (
    *("SeriesInstanceUID", "FrameOfReferenceUID", "PositionReferenceIndicator", "Modality"),
    *("SOPClassUID", "SOPInstanceUID"),
)


class DicomSlice(BaseModel):
    """One image: its class and identifier, and the centre of its first pixel in mm, LPS.

    Attributes
    ----------
    frame
        Which frame of its object it is, counted from 1; None where the object is one image.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    sop_class: str
    instance: str
    position: tuple[float, float, float]
    frame: int | None = None


class DicomIdentity(BaseModel):
    """What a mask needs to be written for a series; it holds the name of the patient.

    Attributes
    ----------
    patient_and_study
        Attributes of patient and study by DICOM keyword, as the images state them.
    series, frame_of_reference, position_reference, modality
        Of the series; empty where not stated.
    columns, rows, pixel_spacing, orientation
        Grid of each image: mm between rows, then between columns; directions of columns and rows, LPS.
    slices
        In the order of the volume's last axis.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_version: int = 1
    patient_and_study: dict[str, str]
    series: str
    frame_of_reference: str = ""
    position_reference: str = ""
    modality: str = ""
    columns: int
    rows: int
    pixel_spacing: tuple[float, float]
    orientation: tuple[float, float, float, float, float, float]
    slices: tuple[DicomSlice, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _lies_somewhere(self) -> DicomIdentity:
        _ = self.geometry
        return self

    @property
    def slice_spacing(self) -> float:
        """Distance in mm from one slice to the next."""
        first, last = (np.array(self.slices[index].position) for index in (0, -1))
        return float(np.linalg.norm(last - first) / (len(self.slices) - 1))

    @property
    def geometry(self) -> Geometry:
        """Grid of columns, rows and slices; DICOM PS3.3 equation C.7.6.2.1-1."""
        lps = np.eye(4)
        first, last = (np.array(self.slices[index].position) for index in (0, -1))
        lps[:3, 0] = np.array(self.orientation[:3]) * self.pixel_spacing[1]
        lps[:3, 1] = np.array(self.orientation[3:]) * self.pixel_spacing[0]
        lps[:3, 2] = (last - first) / (len(self.slices) - 1)
        lps[:3, 3] = first
        return Geometry((self.columns, self.rows, len(self.slices)), LPS_TO_RAS @ lps)

    def lay(self, mask: NDArray[np.uint8], grid: Geometry) -> NDArray[np.uint8]:
        """Return a mask (x, y, z) on a grid as (columns, rows, slices) of the series.

        Raises
        ------
        GridMismatchError
            If the grid is not that of the series.
        """
        placement = self.geometry.placement(grid)
        if placement is None or not placement.is_whole(self.geometry):
            raise GridMismatchError(
                "The scan does not lie where its DICOM series does any more; import the series again."
            )
        return np.asarray(placement.put(mask, self.geometry))


def identity_path(scan: Path) -> Path:
    """Where the identity of a converted scan is kept."""
    return scan.with_name(f"{stem(scan)}{SUFFIX}")


def read_identity(series: Series) -> DicomIdentity:
    """Read from the files of a series what is needed to write masks for it; what is not stated is empty.

    Raises
    ------
    VolumeError
        If a file cannot be read any more.
    """
    heads = {file: _head(file) for file in series.files}
    slices, images = headers_of(series), list(heads.values())
    first, lies = images[0], slices[0]
    return DicomIdentity(
        patient_and_study={
            keyword: next((text for image in images if (text := _text(image, keyword))), "")
            for keyword in (*STATED_ALWAYS, *STATED_WHERE_KNOWN)
        },
        series=_text(first, "SeriesInstanceUID"),
        frame_of_reference=_text(first, "FrameOfReferenceUID"),
        position_reference=_text(first, "PositionReferenceIndicator"),
        modality=_text(first, "Modality"),
        columns=lies.size[0],
        rows=lies.size[1],
        pixel_spacing=_numbers(lies.pixel_spacing),
        orientation=_numbers(lies.orientation),
        slices=tuple(
            DicomSlice(
                sop_class=_text(heads[item.file], "SOPClassUID"),
                instance=_text(heads[item.file], "SOPInstanceUID"),
                position=_numbers(item.position),
                frame=item.frame,
            )
            for item in slices
        ),
    )


def write_identity(scan: Path, identity: DicomIdentity) -> None:
    """Keep the identity of a series beside its converted scan, whole or not at all."""
    write_model(identity_path(scan), identity)


def find_identity(scan: Path) -> DicomIdentity | None:
    """Return the identity that is kept of a scan, complete or not; None where none is, or it is damaged."""
    with contextlib.suppress(OSError, ValidationError):
        return DicomIdentity.model_validate_json(identity_path(scan).read_bytes())
    return None


def identity_of(scan: Path) -> DicomIdentity:
    """Return the identity that is kept of a scan, complete enough to write DICOM objects with it.

    Raises
    ------
    VolumeError
        If none is kept, it is damaged, or the images did not state what such an object needs.
    """
    path = identity_path(scan)
    try:
        identity = DicomIdentity.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise VolumeError(
            f"No DICOM identifiers are kept for {scan.name}: import its DICOM series again, which adds them, "
            "or choose another format if it did not come from DICOM."
        ) from None
    except (OSError, ValidationError):  # whose words would show what the file holds
        raise VolumeError(
            f"The DICOM identifiers that are kept for {scan.name} cannot be read; remove {path.name} and "
            "import its DICOM series again."
        ) from None
    _require_complete(scan, identity)
    return identity


def _require_complete(scan: Path, identity: DicomIdentity) -> None:
    instances = {(item.instance, item.frame) for item in identity.slices}
    missing = {
        "study": not identity.patient_and_study.get("StudyInstanceUID"),
        "series": not identity.series,
        "frame of reference": not identity.frame_of_reference,
        "images": not all(item.instance and item.sop_class for item in identity.slices),
    }
    lacking = " and ".join(name for name, lacks in missing.items() if lacks)
    if lacking:
        raise VolumeError(
            f"The DICOM files of {scan.name} state no identifier of their {lacking}, so nothing can refer to "
            "them; choose another format."
        )
    if len(instances) < len(identity.slices):
        raise VolumeError(
            f"Several DICOM images of {scan.name} have one identifier, so nothing can refer to them; choose "
            "another format."
        )


def _head(file: Path) -> Any:
    tags = [*STATED_ALWAYS, *STATED_WHERE_KNOWN, *_OF_THE_SERIES]
    try:
        with disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which would show the values they are about
            image = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=tags, force=True)
            image.decode()
    except Exception as error:  # pydicom raises many kinds for damaged files
        raise VolumeError(f"{file.name} cannot be read any more; import its series again.") from error
    return image


def _text(image: Any, keyword: str) -> str:
    value = image.get(keyword)
    parts = value if isinstance(value, MultiValue) else [value]
    text = "\\".join("" if part is None else str(part) for part in parts).strip(" \0")
    return text.encode("utf-8", errors="replace").decode()


def _numbers(values: Any) -> Any:
    return tuple(float(value) for value in values)
