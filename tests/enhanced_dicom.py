"""Enhanced multi-frame objects of a made-up patient: one file, oblique, frames in no order in space."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedCTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian

from tests.dicom_series import CANARIES, COLUMNS, FRAME, GAP, ORIGIN, PIXEL_SPACING, ROWS, SERIES, directions

DEPTHS = (3, 0, 4, 1, 5, 2)
"""Place of each frame of a stack in slices from the first."""


def item(**values: object) -> list[Dataset]:
    """A sequence with one item."""
    one = Dataset()
    for name, value in values.items():
        setattr(one, name, value)
    return [one]


def frame(depth: float, *, turn: float = 12.0, stack: str = "1", **groups: object) -> Dataset:
    """Groups of one frame that lies ``depth`` slices above the first."""
    row, column, normal = directions(turn)
    own = Dataset()
    place = ORIGIN + normal * GAP * depth
    own.PlanePositionSequence = item(ImagePositionPatient=[f"{value:.8f}" for value in place])
    own.PlaneOrientationSequence = item(
        ImageOrientationPatient=[f"{value:.10f}" for value in (*row, *column)]
    )
    own.FrameContentSequence = item(StackID=stack, InStackPositionNumber=round(depth) + 1)
    for name, value in groups.items():
        setattr(own, name, value)
    return own


def pixels(count: int) -> np.ndarray:
    """Stored values (frames, rows, columns)."""
    return np.random.default_rng(4).integers(0, 900, (count, ROWS, COLUMNS)).astype(np.uint16)


def make_object(frames: Sequence[Dataset], kind: str = "MR", **changes: object) -> FileDataset:
    """An enhanced CT or MR object; ``None`` takes an attribute away."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = EnhancedMRImageStorage if kind == "MR" else EnhancedCTImageStorage
    meta.MediaStorageSOPInstanceUID = f"{SERIES}.9"
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.SeriesInstanceUID, image.SeriesDescription, image.Modality = SERIES, "Enhanced", kind
    image.FrameOfReferenceUID, image.PositionReferenceIndicator = FRAME, ""
    image.InstanceNumber = 1
    image.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    image.NumberOfFrames, image.Rows, image.Columns = len(frames), ROWS, COLUMNS
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    shared = Dataset()
    shared.PixelMeasuresSequence = item(PixelSpacing=list(PIXEL_SPACING), SliceThickness=99)
    image.SharedFunctionalGroupsSequence = [shared]
    image.PerFrameFunctionalGroupsSequence = list(frames)
    image.PixelData = pixels(len(frames)).tobytes()
    for name, value in {**CANARIES, **changes}.items():
        if value is not None:
            setattr(image, name, value)
        elif name in image:
            delattr(image, name)
    return image


def write_object(path: Path, image: FileDataset) -> Path:
    """Write an object as one file; gives its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path.parent
