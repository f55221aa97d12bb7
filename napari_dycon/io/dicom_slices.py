"""Headers of DICOM images, and the grid of sorted slices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.config import disable_value_validation

from napari_dycon.errors import VolumeError
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


def read_slice(file: Path) -> list[SliceHeader]:
    """Header of an image file; empty for anything that is no DICOM image.

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
                return [_slice(file, dataset)]
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


def _slice(file: Path, dataset: Any) -> SliceHeader:
    slope, intercept = rescaling(dataset)
    kinds = [str(kind) for kind in np.atleast_1d(dataset.get("ImageType") or ())]
    bits, high = dataset.get("BitsStored"), dataset.get("HighBit")
    return SliceHeader(
        file=file,
        instance=str(dataset.get("SOPInstanceUID", "")),
        series=str(dataset.SeriesInstanceUID),
        frame_of_reference=str(dataset.get("FrameOfReferenceUID", "")),
        description=str(dataset.get("SeriesDescription", "")),
        modality=str(dataset.get("Modality", "")),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6),
        position=_numbers(dataset, "ImagePositionPatient", 3),
        pixel_spacing=_numbers(dataset, "PixelSpacing", 2),
        size=(int(dataset.Columns), int(dataset.Rows)),
        samples=int(dataset.get("SamplesPerPixel", 1) or 1),
        frames=int(dataset.get("NumberOfFrames", 1) or 1),
        patient=_text(dataset, "PatientID"),
        patient_name=_text(dataset, "PatientName"),
        colours=_text(dataset, "PhotometricInterpretation").upper(),
        has_table=bool(dataset.get("ModalityLUTSequence")),
        is_mosaic="MOSAIC" in kinds,
        component=kinds[2].strip() if len(kinds) > 2 else "",
        slope=slope,
        intercept=intercept,
        states_scale=any(dataset.get(f"Rescale{name}") not in (None, "") for name in ("Slope", "Intercept")),
        is_shifted=bits is not None and high is not None and int(high) != int(bits) - 1,
    )


def _text(dataset: Any, name: str) -> str:
    return str(dataset.get(name, "") or "").strip(" \0")


def rescaling(dataset: Any) -> tuple[float, float]:
    """Slope and intercept from stored to real values; 1 and 0 where they are not stated."""
    stated = ((dataset.get("RescaleSlope"), 1.0), (dataset.get("RescaleIntercept"), 0.0))
    slope, intercept = (default if value in (None, "") else float(value) for value, default in stated)
    return slope, intercept


def _numbers(dataset: Any, name: str, count: int) -> NDArray[np.float64]:
    value = dataset.get(name)
    if value is None or len(value) != count:
        return np.full(count, np.nan)
    return np.array([float(item) for item in value])


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
