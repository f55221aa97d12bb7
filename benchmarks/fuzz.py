"""Damage headers at random and read them: no signal, and no error but those meant for the user.

    python benchmarks/fuzz.py [MINUTES] [SEED]

One good file of each kind (NIfTI-1 and -2, NRRD, MetaImage, DICOM) is changed in a few bytes, cut, or has a
number of its header replaced; each is read in a child process, so that a crash of a native reader is seen.
Takes ten minutes by default and prints a table: files read, refused with a sentence, raw errors, signals.
"""

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
import SimpleITK as sitk

from napari_dycon.errors import DyconError
from napari_dycon.io.dicom import convert_series, find_series
from napari_dycon.io.volumes import read_volume

MINUTES = 10.0
BATCH = 200
BATCH_SECONDS = 120
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
    sitk.WriteImage(sitk.GetImageFromArray(voxels[:, :, 0].T), str(folder / "slice.dcm"))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def damaged(good: bytes, suffix: str, random: np.random.Generator) -> bytes:
    """The file with bytes or a number of its header changed, or its end cut off."""
    header = min(len(good), HEADER_BYTES.get(suffix, 600))
    choice = random.random()
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


def read(path: Path) -> None:
    """Read a file by the reader of its kind."""
    if path.suffix != ".dcm":
        read_volume(path)
        return
    for series in find_series(path.parent):
        convert_series(series, path.parent.parent / "converted.nii")


def batch(name: str, good: bytes, seed: int, found: str) -> None:
    """Read so many damaged files, and note what came of each as it happens."""
    warnings.simplefilter("ignore")
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, open(found, "a", encoding="utf-8") as notes:
        path = Path(folder) / "in" / name
        path.parent.mkdir()
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
