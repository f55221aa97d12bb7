"""How long an import of many scans with their labels in the same folder takes: to the first scan, and in all.

    python benchmarks/importing.py --counts 250,500,1000

The scans are tiny, so that what is measured is what grows with their number: searching, pairing, records. The
time for one scan must not grow with the number of scans.
"""

import argparse
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np

from napari_dycon.study.exchange import importing
from napari_dycon.study.exchange.importing import ImportEvent
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

SHAPE = (12, 10, 8)


def write_folder(folder: Path, count: int) -> None:
    """Write `count` scans, each with a label map beside it."""
    rng = np.random.default_rng(0)
    mask = np.zeros(SHAPE, np.uint8)
    mask[3:7, 3:7, 3:6] = 1
    for number in range(count):
        voxels = rng.integers(0, 900, SHAPE).astype(np.int16)
        for name, array in ((f"case_{number:04d}", voxels), (f"case_{number:04d}_seg", mask)):
            nib.save(nib.Nifti1Image(array, np.eye(4)), folder / f"{name}.nii.gz")


def measure(folder: Path, study_path: Path, labels: Path | None) -> tuple[float, float, int]:
    """Return seconds to the first scan and in all, and how many scans are labelled at the end."""
    with Study.create(study_path, [Structure(value=1, name="organ")]) as study:
        start, first = time.perf_counter(), None
        for event in importing.add_scans(study, [folder], labels):
            if first is None and isinstance(event, ImportEvent):
                first = time.perf_counter() - start
        labelled = sum(case.status == "complete" for case in study.cases)
    return first or 0.0, time.perf_counter() - start, labelled


def main() -> None:
    """Print one row a count, with the labels found beside the scans and with their folder named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", default="250,500,1000")
    counts = [int(text) for text in parser.parse_args().counts.split(",")]
    print("scans  labels   first s  total s  ms a scan  labelled")
    for count in counts:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "scans"
            folder.mkdir()
            write_folder(folder, count)
            for how, labels in (("beside", None), ("named", folder)):
                first, total, labelled = measure(folder, Path(scratch) / how, labels)
                print(
                    f"{count:5}  {how:6}  {first:8.2f} {total:8.1f} {1e3 * total / count:10.1f} {labelled:9}"
                )


if __name__ == "__main__":
    main()
