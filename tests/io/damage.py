"""Small sound files of each kind that is read, and damage to them as strangers and disks do it.

Shared by the short test beside this file and by ``benchmarks/fuzz.py``, its long form.
"""

import io
import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from napari_dycon.io.dicom import convert_series, find_series
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.masks import read_labels
from napari_dycon.io.volumes import read_volume

SHAPE = (9, 8, 7)
SLICES = 4
GRID_FIELDS = [
    *("Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("RescaleSlope", "RescaleIntercept"),
]
STRANGE_NUMBERS = ["0", "-1", "nan", "inf", "1e300", "-1e300", "1e-300", "1e9", "2"]
HEADER_BYTES = {".nii": 352, ".dcm": 1200}
STRANGE = [
    b"-1",
    b"0",
    b"nan",
    b"inf",
    b"1e308",
    b"-1e308",
    b"99999999999",
    b"2.5",
    b"",
    b"x",
    b"()",
    b"\xff",
]
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def good_files(folder: Path) -> dict[str, bytes]:
    """One small sound file of each kind, by its name."""
    voxels = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([1, 1.1, 2.5, 1])), folder / "one.nii")
    nib.save(nib.Nifti2Image(voxels, np.diag([1, 1.1, 2.5, 1])), folder / "two.nii")
    for name in ("a.nrrd", "a.mha"):
        sitk.WriteImage(sitk.GetImageFromArray(voxels.T), str(folder / name), False)
    sitk.WriteImage(sitk.GetImageFromArray(voxels.T), str(folder / "z.nrrd"), True)
    (folder / "layers.seg.nrrd").write_bytes(layered_segments())
    (folder / "slice0.dcm").write_bytes(placed_slice(voxels[:, :, 0], 0))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def layered_segments() -> bytes:
    """A segmentation of two layers, its names as 3D Slicer and as MITK write them."""
    voxels = np.zeros((2, *SHAPE), np.uint8)
    voxels[0, 2:5, 2:5, 2], voxels[1, 2:5, 2:5, 4] = 1, 1
    groups = [{"labels": [{"name": name, "value": 1}]} for name in ("liver", "tumour")]
    lines = [
        *("NRRD0004", "type: uint8", "dimension: 4", "space: left-posterior-superior", "sizes: 2 9 8 7"),
        *("space directions: none (1,0,0) (0,1.1,0) (0,0,2.5)", "kinds: list domain domain domain"),
        *("encoding: raw", "space origin: (0,0,0)"),
        *("Segment0_Name:=liver", "Segment0_LabelValue:=1", "Segment0_Layer:=0"),
        *("Segment1_Name:=tumour", "Segment1_LabelValue:=1", "Segment1_Layer:=1"),
        f"org.mitk.multilabel.segmentation.labelgroups:={json.dumps(groups)}",
    ]
    return "\n".join(lines).encode() + b"\n\n" + voxels.tobytes(order="F")


def placed_slice(pixels: NDArray[np.int16], index: int) -> bytes:
    """One image of an axial MR series, which converts as long as nothing is changed in it."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = MRImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = f"1.2.3.{index}"
    image.SeriesInstanceUID, image.FrameOfReferenceUID, image.Modality = "1.2.3", "1.2.4", "MR"
    image.PatientID, image.RescaleSlope, image.RescaleIntercept = "P", "1", "0"
    image.ImageOrientationPatient, image.PixelSpacing = [1, 0, 0, 0, 1, 0], [1.0, 1.0]
    image.ImagePositionPatient = [0, 0, 2.5 * index]
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation, image.PixelData = 15, 1, pixels.tobytes()
    content = io.BytesIO()
    image.save_as(content, enforce_file_format=True)
    return content.getvalue()


def surrounded(path: Path) -> Path:
    """Make the folder of a file, and beside an image the others of its series."""
    path.parent.mkdir()
    for index in range(1, SLICES if path.suffix == ".dcm" else 1):
        neighbour = placed_slice(np.full(SHAPE[:2], index, np.int16), index)
        path.with_name(f"slice{index}.dcm").write_bytes(neighbour)
    return path


def damaged(good: bytes, suffix: str, random: np.random.Generator) -> bytes:
    """The file with bytes or a number of its header changed, or its end cut off."""
    header = min(len(good), HEADER_BYTES.get(suffix, 600))
    choice = random.random()
    if choice < 0.3 and suffix == ".dcm":
        return strange_dicom(good, random)
    if choice < 0.1:
        return good[: random.integers(0, len(good))]
    if choice < 0.5 and suffix in (".nrrd", ".mha"):
        numbers = list(NUMBER.finditer(good[:header]))
        found = numbers[random.integers(len(numbers))]
        return good[: found.start()] + STRANGE[random.integers(len(STRANGE))] + good[found.end() :]
    content = bytearray(good)
    for place in random.integers(0, header, random.integers(1, 6)):
        content[place] = random.integers(256)
    return bytes(content)


def strange_dicom(good: bytes, random: np.random.Generator) -> bytes:
    """The image with a value that no scanner writes in one of the fields that make a grid."""
    image = pydicom.dcmread(io.BytesIO(good))
    name = GRID_FIELDS[random.integers(len(GRID_FIELDS))]
    value = STRANGE_NUMBERS[random.integers(len(STRANGE_NUMBERS))]
    if name in ("Rows", "Columns"):
        setattr(image, name, int(random.integers(0, 20)))
    elif isinstance(image[name].value, MultiValue):
        image[name].value[int(random.integers(len(image[name].value)))] = value
    else:
        image[name].value = value
    content = io.BytesIO()
    image.save_as(content, enforce_file_format=True)
    return content.getvalue()


def read(path: Path) -> None:
    """Read a file by the reader of its kind."""
    if path.name.endswith(".seg.nrrd"):
        read_labels(path, Geometry(SHAPE, np.diag([-1, -1.1, 2.5, 1])))
        return
    if path.suffix != ".dcm":
        read_volume(path)
        return
    for series in find_series(path.parent):
        convert_series(series, path.parent.parent / "converted.nii")
