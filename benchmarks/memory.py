"""How much memory a training on many large scans takes: preparing, training, and predicting one of them.

    python benchmarks/memory.py ct --scans 40 --iterations 30

Makes a study of CT phantoms of 512 x 512 x 300 voxels (see `lesions.py`; few are drawn, the others are copies
that differ in a corner), of which a fifth is labelled. Each stage is a process of its own; GB, the most that
it ever had in memory.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import nibabel as nib
import numpy as np
from lesions import SHAPE, SPACING, ct
from numpy.typing import NDArray

from napari_dycon.engine.events import RunStarted
from napari_dycon.engine.inference import predict
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

DRAWN = 3
VOLUME_GB = float(np.prod(SHAPE)) * np.dtype(np.int16).itemsize / 2**30


def make(folder: Path, wish: argparse.Namespace) -> None:
    """Write scans and their study."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    sizes = [float(size) for size in wish.sizes.split(",")]
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    with Study.create(folder / "study", [Structure(value=1, name="lesion", color="#e6550d")]) as study:
        for index in range(wish.scans):
            if index < DRAWN:
                drawn, lesions = ct(0, index, sizes, 6)
                nib.save(nib.Nifti1Image(lesions.clip(max=1), affine), folder / "labels" / f"{index}.nii.gz")
            scan = folder / "images" / f"scan-{index:02d}.nii"
            _write(scan, folder / "images" / f"scan-{index % DRAWN:02d}.nii", drawn, affine, index)
            labelled = index < max(1, wish.scans // 5)
            importing.add_scan(
                study, scan, labels=folder / "labels" / f"{index % DRAWN}.nii.gz" if labelled else None
            )


def _write(path: Path, like: Path, drawn: NDArray[np.int16], affine: NDArray[np.float64], index: int) -> None:
    if index >= DRAWN:
        drawn = np.asarray(nib.load(like).dataobj)
        drawn[:4, :4, 0] = -1000 + index
    nib.save(nib.Nifti1Image(drawn, affine), path)


def train_study(folder: Path, wish: argparse.Namespace) -> None:
    """Prepare and train, as `dycon train` does."""
    with Study.open(folder / "study") as study:
        trainer = Trainer(
            study,
            wish.method,
            iterations=wish.iterations,
            threads=wish.threads,
            overrides=json.loads(wish.override),
            device="cpu",
        )
        for event in trainer.run():
            if isinstance(event, RunStarted):
                print("spacing", event.plan["spacing"], "patch", event.plan["patch_size"], flush=True)


def predict_study(folder: Path, wish: argparse.Namespace) -> None:
    """Predict one scan with the model."""
    with Study.open(folder / "study") as study:
        for _ in predict(study, study.runs()[-1], [study.cases[-1].id], device="cpu", threads=wish.threads):
            pass


def _alone(work: Callable[[Path, argparse.Namespace], None], wish: argparse.Namespace) -> float:
    """Peak memory in GB of a piece of work in a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue: SimpleQueue[float] = context.SimpleQueue()
    process = context.Process(target=_measured, args=(work, wish, queue))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(process.exitcode)
    return float(queue.get())


def _measured(
    work: Callable[[Path, argparse.Namespace], None], wish: argparse.Namespace, queue: SimpleQueue[float]
) -> None:
    work(wish.folder, wish)
    queue.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def main() -> None:
    wish = _arguments()
    if not (wish.folder / "study").exists():
        make(wish.folder, wish)
    stages = {"train": train_study, "predict": predict_study}
    peaks = {name: round(_alone(work, wish), 2) for name, work in stages.items()}
    print(json.dumps({"scans": wish.scans, "one volume": round(VOLUME_GB, 2), **peaks}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scans", type=int, default=40)
    parser.add_argument("--sizes", default="5")
    parser.add_argument("--method", default="dycon")
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--override", default="{}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
