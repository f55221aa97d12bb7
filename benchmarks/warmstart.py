"""What is gained by continuing from the last model after new labels, instead of starting again.

A study of 64 atrium scans, 4 of them labelled, is trained; then two more are labelled. From there the
training is continued, started anew as long as the first, and started anew as short as the continuation; each
is tested on 16 scans that no training ever saw.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from common import ATRIA, atrium_study

from napari_dycon.engine.evaluation import evaluate_masks
from napari_dycon.engine.events import RunFinished
from napari_dycon.engine.inference import Predictor
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.io.atomic import write_text_atomic
from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import read_volume
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation

TRAINING_SCANS, BEFORE, AFTER = 64, 4, 6


def main() -> None:
    arguments = _arguments()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in arguments.seeds:
        study = atrium_study(arguments.folder / f"seed-{seed}", TRAINING_SCANS, BEFORE)
        options = {"method": arguments.method, "seed": seed, "threads": arguments.threads}
        rows.append(_row(study, "4 labels", arguments.full, warm_start=False, **options))
        _label(study, BEFORE, AFTER)
        rows.append(_row(study, "6 labels, continued", arguments.short, warm_start=True, **options))
        for name, length in (("6 labels, anew", arguments.full), ("6 labels, anew, short", arguments.short)):
            rows.append(_row(study, name, length, warm_start=False, **options))
    write_text_atomic(arguments.json, json.dumps({"rows": rows}, indent=1) + "\n")


def _row(
    study: Study, name: str, iterations: int, *, warm_start: bool, **options: object
) -> dict[str, object]:
    started = time.perf_counter()
    trainer = Trainer(study, iterations=iterations, warm_start=warm_start, holdout=False, **options)  # type: ignore[arg-type]
    end = [event for event in trainer.run() if isinstance(event, RunFinished)][-1]
    seconds = time.perf_counter() - started
    dice = _test(study, end.run)
    print(f"{name}: {iterations} iterations, {seconds:.0f} s, Dice {100 * dice:.1f} %", flush=True)
    seed = options["seed"]
    return {
        "name": name,
        "seed": seed,
        "iterations": iterations,
        "seconds": seconds,
        "dice": dice,
        "run": end.run,
    }


def _label(study: Study, first: int, last: int) -> None:
    for record in study.cases[first:last]:
        volume = study.volume(record.id)
        mask = read_mask(ATRIA / "labels" / f"{record.id}.nii.gz", volume.geometry)
        study.save_annotation(record.id, Annotation.full(mask), reason="import")


def _test(study: Study, run: str) -> float:
    predictor = Predictor.load(study, run)
    scans = sorted((ATRIA / "images").glob("*.nii.gz"))[TRAINING_SCANS:]
    scores = []
    for scan in scans:
        volume = read_volume(scan)
        truth = read_mask(ATRIA / "labels" / scan.name, volume.geometry)
        found = predictor.volume(volume, probabilities=False).mask
        scores.append(evaluate_masks(found, truth, volume.geometry.spacing, [1])[0].dice)
    return sum(scores) / len(scores)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="new folder for the studies")
    parser.add_argument("--method", default="dycon")
    parser.add_argument("--full", type=int, default=1500, help="iterations of a training from the start")
    parser.add_argument("--short", type=int, default=300, help="iterations of a continuation")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", type=Path, default=Path("warmstart.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
