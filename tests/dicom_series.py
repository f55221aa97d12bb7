"""A small oblique DICOM series of a made-up patient, for tests of several folders."""

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

COLUMNS, ROWS, SLICES = 14, 11, 8
PIXEL_SPACING = (0.9, 0.7)  # between rows, between columns
GAP = 2.5
ORIGIN = np.array([-20.5, 13.25, 40.0])
STUDY, SERIES, FRAME = "1.2.77001.1", "1.2.77001.2", "1.2.77001.3"
CANARIES = {
    "PatientName": "CANARY^Tweety=カナリア",
    "PatientID": "CANARY-4711",
    "PatientBirthDate": "19500102",
    "PatientSex": "F",
    "StudyInstanceUID": STUDY,
    "StudyID": "CANARY7",
    "StudyDate": "20200121",
    "StudyTime": "101500",
    "AccessionNumber": "CANARYACC",
    "ReferringPhysicianName": "CANARY^Doctor",
    "StudyDescription": "CANARY follow-up",
}


def directions(degrees: float = 12.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions of columns, rows and slices, LPS."""
    angle = np.radians(degrees)
    row = np.array([np.cos(0.3), np.sin(0.3), 0])
    column = np.cross([0, -np.sin(angle), np.cos(angle)], row)
    column /= np.linalg.norm(column)
    return row, column, np.cross(row, column)


def make_image(index: int, **changes: object) -> FileDataset:
    """One slice; ``None`` takes an attribute away."""
    row, column, normal = directions()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = f"{SERIES}.{index + 1}"
    image = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    image.SeriesInstanceUID, image.SeriesDescription, image.Modality = SERIES, "T1 axial", "MR"
    image.FrameOfReferenceUID, image.PositionReferenceIndicator = FRAME, ""
    image.InstanceNumber = SLICES - index  # not the order in space
    image.ImageOrientationPatient = [f"{value:.10f}" for value in (*row, *column)]
    image.ImagePositionPatient = [f"{value:.8f}" for value in ORIGIN + normal * GAP * index]
    image.PixelSpacing, image.SliceThickness = list(PIXEL_SPACING), 99
    image.Rows, image.Columns, image.SamplesPerPixel = ROWS, COLUMNS, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    pixels = np.random.default_rng(index).integers(0, 900, (ROWS, COLUMNS))
    image.PixelData = pixels.astype(np.uint16).tobytes()
    for name, value in {**CANARIES, **changes}.items():
        if value is not None:
            setattr(image, name, value)
        elif name in image:
            delattr(image, name)
    return image


def write_series(folder: Path, **changes: object) -> Path:
    """Write all slices, in an order that is not that in space."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(SLICES):
        image = make_image(index, **changes)
        image.save_as(folder / f"{(index * 5) % SLICES:03d}.dcm", enforce_file_format=True)
    return folder
