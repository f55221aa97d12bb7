"""What it brings to a training when structures also count together as one more.

The atrium in two halves (`python benchmarks/coarse.py halves`), four scans labelled, with and without the
whole atrium as a term of the loss; Dice of both halves and of their union on the test scans.

    python benchmarks/wholes.py halves FOLDER --seeds 0 1 2 --json wholes.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from napari_dycon.engine.evaluation import evaluate_masks
from napari_dycon.engine.events import RunFinished
from napari_dycon.engine.inference import Predictor
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.io.atomic import write_text_atomic
from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import read_volume
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure, Whole
from napari_dycon.study.store.wholes import add_wholes
from napari_dycon.study.study import Study

LABELLED = 4
STRUCTURES = (
    Structure(value=1, name="first half", color="#e6550d"),
    Structure(value=2, name="second half", color="#3182bd"),
)
PLAN = {
    "patch_size": [48, 32, 24],
    "network": {"strides": [[2, 2, 2]] * 3, "widths": [16, 32, 64, 128]},
}


def main() -> None:
    """Train with and without the whole, seed by seed, and write a row for each."""
    wish = _arguments()
    rows = []
    for seed in wish.seeds:
        for whole in (False, True):
            with _study(wish.folder / f"{seed}-{whole}", wish.halves, whole) as study:
                trainer = Trainer(
                    study, iterations=wish.iterations, seed=seed, overrides=PLAN, holdout=False, threads=1
                )
                end = [event for event in trainer.run() if isinstance(event, RunFinished)][-1]
                dice = _test(study, end.run, wish.halves)
            rows.append({"seed": seed, "whole": whole, "dice": dice})
            print(f"seed {seed}, whole {whole}: {[round(100 * part, 1) for part in dice]}", flush=True)
    write_text_atomic(wish.json, json.dumps({"rows": rows}, indent=1) + "\n")


def _study(folder: Path, halves: Path, whole: bool) -> Study:
    study = Study.create(folder, list(STRUCTURES))
    if whole:
        add_wholes(study, [Whole(name="atrium", parts=(1, 2))])
    for index, scan in enumerate(sorted((halves / "images").glob("*.nii.gz"))):
        labels = halves / "labels" / scan.name
        importing.add_scan(study, scan, labels=labels if index < LABELLED else None)
    return study


def _test(study: Study, run: str, halves: Path) -> list[float]:
    """Mean Dice of the first half, of the second and of both together."""
    predictor, scores = Predictor.load(study, run), []
    for scan in sorted((halves / "test-images").glob("*.nii.gz")):
        volume = read_volume(scan)
        truth = read_mask(halves / "test-labels" / scan.name, volume.geometry)
        found = predictor.volume(volume, probabilities=False).mask
        spacing = volume.geometry.spacing
        parts = evaluate_masks(found, truth, spacing, [1, 2])
        union = evaluate_masks((found > 0).astype(np.uint8), (truth > 0).astype(np.uint8), spacing, [1])
        scores.append([one.dice for one in (*parts, *union)])
    return [float(mean) for mean in np.mean(scores, axis=0)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("halves", type=Path, help="what coarse.py made")
    parser.add_argument("folder", type=Path, help="new folder for the studies")
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--json", type=Path, default=Path("wholes.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
