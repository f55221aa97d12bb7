"""Headers of DICOM images, and the grid of sorted slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.config import disable_value_validation

from napari_dycon.errors import VolumeError
from napari_dycon.io.dicom_frames import Frame, frames_of, is_enhanced
from napari_dycon.io.geometry import LPS_TO_RAS, Geometry

GREY, INVERTED = "MONOCHROME2", "MONOCHROME1"

_BARE_SUFFIXES = ("", ".dcm", ".ima", ".img")
_TAGS = [
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SeriesDescription",
    "Modality",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "NumberOfFrames",
    "PatientID",
    "PatientName",
    "PhotometricInterpretation",
    "ModalityLUTSequence",
    "ImageType",
    "RescaleSlope",
    "RescaleIntercept",
    "BitsStored",
    "HighBit",
    "StudyInstanceUID",
    "StudyDate",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "DimensionIndexSequence",
]


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """What the header of one image says; numbers are NaN where it does not say them.

    Attributes
    ----------
    orientation : ndarray, shape (6,)
        Directions in which columns and rows are counted, LPS.
    position : ndarray, shape (3,)
        Centre of the first pixel in mm, LPS.
    pixel_spacing : ndarray, shape (2,)
        mm between rows, then between columns.
    size : tuple of int
        Columns, rows.
    patient, patient_name : str
        To notice images of another patient, empty where not stated; they are shown nowhere.
    colours : str
        What stored values mean, ``MONOCHROME2`` or another PhotometricInterpretation.
    has_table : bool
        Whether real values come from a table and not from a slope.
    is_mosaic : bool
        Whether the image shows all slices of a volume side by side.
    component : str
        Third value of ImageType: what of a signal is shown, such as ``M`` (magnitude) or ``P`` (phase).
    slope, intercept : float
        From stored to real values.
    states_scale : bool
        Whether the image itself states them.
    is_shifted : bool
        Whether the stored values do not begin at the lowest bit.
    frames : int
        How many images the file holds that it does not describe one by one.
    frame : int or None
        Which image of its file it is, counted from 1; None where the file holds one.
    marks : mapping
        What may tell it from images of other volumes in one file, see `dicom_frames`.
    study : str
        StudyInstanceUID.
    study_date : str
        As stated, ``YYYYMMDD``; it is shown nowhere.
    is_localizer : bool
        Whether the image itself says that it was taken to plan others.
    """

    file: Path
    instance: str
    series: str
    frame_of_reference: str
    description: str
    modality: str
    orientation: NDArray[np.float64]
    position: NDArray[np.float64]
    pixel_spacing: NDArray[np.float64]
    size: tuple[int, int]
    samples: int
    frames: int
    patient: str = ""
    patient_name: str = ""
    colours: str = GREY
    has_table: bool = False
    is_mosaic: bool = False
    component: str = ""
    slope: float = 1.0
    intercept: float = 0.0
    states_scale: bool = False
    is_shifted: bool = False
    frame: int | None = None
    marks: Mapping[str, str] = field(default_factory=dict)
    study: str = ""
    study_date: str = ""
    is_localizer: bool = False

    @property
    def is_placed(self) -> bool:
        """Whether position, orientation and pixel spacing are all stated."""
        return bool(np.isfinite((*self.orientation, *self.position, *self.pixel_spacing)).all())

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit normal of the image, LPS."""
        with np.errstate(over="ignore", invalid="ignore"):  # what is impossible is found later, and told
            normal = np.cross(self.orientation[:3], self.orientation[3:])
            return np.asarray(normal / max(float(np.linalg.norm(normal)), 1e-12))


class DamagedFileError(VolumeError):
    """A file that is DICOM by its first bytes and cannot be read."""


def read_slices(file: Path) -> list[SliceHeader]:
    """Headers of the images in a file, mostly one; empty for anything that is no DICOM image.

    Raises
    ------
    DamagedFileError
        If the file claims to be a DICOM image and does not hold one.
    """
    marked = _is_marked(file)
    if not marked and file.suffix.lower() not in _BARE_SUFFIXES:
        return []
    try:
        with disable_value_validation():
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=not marked)
            if "Rows" in dataset and "SeriesInstanceUID" in dataset:
                return [_slice(file, dataset, frame) for frame in frames_of(dataset)]
    except Exception as error:  # pydicom raises many kinds for damaged files and for what is no DICOM
        if marked or _is_named(file):
            raise _damage_error(file) from error
        return []
    if _claims_image(file, dataset):
        raise _damage_error(file)
    return []


def _damage_error(file: Path) -> DamagedFileError:
    return DamagedFileError(f"{file.name} is damaged and cannot be read; copy it again.")


def _claims_image(file: Path, dataset: Any) -> bool:
    try:
        kind = dataset.file_meta.get("MediaStorageSOPClassUID")
        return str(kind.name).endswith("Image Storage") if kind else _is_named(file)
    except Exception:  # noqa: BLE001 - pydicom raises many kinds for a damaged file header
        return True


def _is_named(file: Path) -> bool:
    return file.suffix.lower() in (".dcm", ".ima")


def _is_marked(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:  # one file that cannot be opened says nothing of those beside it
        return False


def _slice(file: Path, dataset: Any, frame: Frame) -> SliceHeader:
    kinds = [str(kind) for kind in np.atleast_1d(dataset.get("ImageType") or ())]
    bits, high = dataset.get("BitsStored"), dataset.get("HighBit")
    own = kinds[2].strip() if len(kinds) > 2 else ""
    return SliceHeader(
        file=file,
        instance=str(dataset.get("SOPInstanceUID", "")),
        series=str(dataset.SeriesInstanceUID),
        frame_of_reference=str(dataset.get("FrameOfReferenceUID", "")),
        description=str(dataset.get("SeriesDescription", "")),
        modality=str(dataset.get("Modality", "")),
        orientation=frame.orientation,
        position=frame.position,
        pixel_spacing=frame.pixel_spacing,
        size=(int(dataset.Columns), int(dataset.Rows)),
        samples=int(dataset.get("SamplesPerPixel", 1) or 1),
        frames=1 if is_enhanced(dataset) else int(dataset.get("NumberOfFrames", 1) or 1),
        patient=_text(dataset, "PatientID"),
        patient_name=_text(dataset, "PatientName"),
        colours=_text(dataset, "PhotometricInterpretation").upper(),
        has_table=bool(dataset.get("ModalityLUTSequence")),
        is_mosaic="MOSAIC" in kinds,
        component=frame.component if is_enhanced(dataset) else own,
        slope=frame.slope,
        intercept=frame.intercept,
        states_scale=frame.states_scale,
        is_shifted=bits is not None and high is not None and int(high) != int(bits) - 1,
        frame=frame.number,
        marks=frame.marks,
        study=_text(dataset, "StudyInstanceUID"),
        study_date=_text(dataset, "StudyDate"),
        is_localizer="LOCALIZER" in kinds,
    )


def _text(dataset: Any, name: str) -> str:
    return str(dataset.get(name, "") or "").strip(" \0")


def depths_mm(slices: list[SliceHeader]) -> NDArray[np.float64]:
    """Positions in mm along the normal of the first image."""
    across = slices[0].normal
    with np.errstate(over="ignore", invalid="ignore"):
        return np.array([item.position @ across for item in slices])


def sort_slices(slices: list[SliceHeader]) -> list[SliceHeader]:
    """Sort by position along the normal of the first; unchanged where a position is missing."""
    if not all(item.is_placed for item in slices):
        return slices
    depths = depths_mm(slices)
    return [slices[index] for index in np.argsort(depths, kind="stable")]


def slice_affine(first: SliceHeader, step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Voxel (column, row, slice) to RAS mm: DICOM PS3.3 equation C.7.6.2.1-1 and the step between slices."""
    lps = np.eye(4)
    lps[:3, 0] = first.orientation[:3] * first.pixel_spacing[1]
    lps[:3, 1] = first.orientation[3:] * first.pixel_spacing[0]
    lps[:3, 2] = step
    lps[:3, 3] = first.position
    return np.asarray(LPS_TO_RAS @ lps)


def series_geometry(ordered: list[SliceHeader]) -> Geometry:
    """Grid of evenly spaced, sorted slices; axes are columns, rows, slices."""
    first, last = ordered[0].position, ordered[-1].position
    step = (last - first) / (len(ordered) - 1)
    return Geometry((*ordered[0].size, len(ordered)), slice_affine(ordered[0], step))
