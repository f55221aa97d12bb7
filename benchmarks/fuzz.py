"""Damage headers at random and read them: no signal, and no error but those meant for the user.

    python benchmarks/fuzz.py [MINUTES] [SEED]

One good file of each kind (NIfTI-1 and -2, NRRD, MetaImage, DICOM) is changed in a few bytes, cut, or has a
number of its header replaced; each is read in a child process, so that a crash of a native reader is seen.
Takes ten minutes by default and prints a table: files read, refused with a sentence, raw errors, signals.
"""

import io
import json
import multiprocessing
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from napari_dycon.errors import DyconError
from napari_dycon.io.dicom import convert_series, find_series
from napari_dycon.io.volumes import read_volume

MINUTES = 10.0
BATCH = 200
BATCH_SECONDS = 120
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
    voxels = np.random.default_rng(0).integers(0, 900, (9, 8, 7)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([1, 1.1, 2.5, 1])), folder / "one.nii")
    nib.save(nib.Nifti2Image(voxels, np.diag([1, 1.1, 2.5, 1])), folder / "two.nii")
    for name in ("a.nrrd", "a.mha"):
        sitk.WriteImage(sitk.GetImageFromArray(voxels.T), str(folder / name), False)
    sitk.WriteImage(sitk.GetImageFromArray(voxels.T), str(folder / "z.nrrd"), True)
    (folder / "slice0.dcm").write_bytes(placed_slice(voxels[:, :, 0], 0))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


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
    if path.suffix != ".dcm":
        read_volume(path)
        return
    for series in find_series(path.parent):
        convert_series(series, path.parent.parent / "converted.nii")


def batch(name: str, good: bytes, seed: int, found: str) -> None:
    """Read so many damaged files, and note what came of each as it happens."""
    warnings.simplefilter("ignore", UserWarning)
    warnings.simplefilter("error", RuntimeWarning)
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, open(found, "a", encoding="utf-8") as notes:
        path = Path(folder) / "in" / name
        path.parent.mkdir()
        for index in range(1, SLICES if path.suffix == ".dcm" else 1):
            neighbour = placed_slice(np.full((9, 8), index, np.int16), index)
            path.with_name(f"slice{index}.dcm").write_bytes(neighbour)
        for number in range(BATCH):
            path.write_bytes(damaged(good, path.suffix, random))
            try:
                read(path)
                outcome = "read"
            except DyconError:
                outcome = "sentence"
            except Exception as error:  # noqa: BLE001 - these are what is looked for
                outcome = f"raw {type(error).__name__}"
            print(json.dumps([number, outcome]), file=notes, flush=True)


def main() -> None:
    """Fuzz until the time is over, and print the table."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    context = multiprocessing.get_context("fork")
    counts: dict[str, Counter[str]] = {}
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "good"
        place.mkdir()
        files = good_files(place)
        while time.monotonic() < end:
            for name, good in files.items():
                notes = Path(folder) / "notes"
                notes.write_text("")
                child = context.Process(target=batch, args=(name, good, seed, str(notes)))
                child.start()
                child.join(BATCH_SECONDS)
                tally = counts.setdefault(name, Counter())
                tally.update(json.loads(line)[1] for line in notes.read_text().splitlines())
                if child.is_alive():
                    child.kill()
                    tally["time-out"] += 1
                elif child.exitcode:
                    tally[f"signal or exit {child.exitcode} (seed {seed})"] += 1
                seed += 1
    for name, tally in counts.items():
        print(f"{name:10}", dict(sorted(tally.items())))


if __name__ == "__main__":
    main()
