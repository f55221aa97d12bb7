"""Damage headers at random and read them: no signal, and no error but those meant for the user.

    python -m benchmarks.fuzz [MINUTES] [SEED]

One good file of each kind (NIfTI-1 and -2, NRRD, MetaImage, DICOM) is changed in a few bytes, cut, or has a
number of its header replaced, as ``tests/io/damage.py`` does it; each is read in a child process, so that a
crash of a native reader is seen. Takes ten minutes by default and prints a table: files read, refused with a
sentence, raw errors, signals.
"""

import json
import multiprocessing
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom

from napari_dycon.errors import DyconError
from tests.io.damage import damaged, good_files, read, surrounded

MINUTES = 10.0
BATCH = 200
BATCH_SECONDS = 120


def batch(name: str, good: bytes, seed: int, found: str) -> None:
    """Read so many damaged files, and note what came of each as it happens."""
    warnings.simplefilter("ignore", UserWarning)
    warnings.simplefilter("error", RuntimeWarning)
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, open(found, "a", encoding="utf-8") as notes:
        path = surrounded(Path(folder) / "in" / name)
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
