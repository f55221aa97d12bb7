"""What a model of an earlier study is worth in a new one: a minute from it beside minutes from the start.

A donor is trained in a study of its own. The new study has other patients, few of them labelled; its
trainings begin with the donor's model or anew, and are tested on patients that neither study knows. Atria:
the donor learned at 1.25 mm, the new scans have 0.625 mm. Hearts: cine stacks in both.

    python benchmarks/last_model.py atria FOLDER --json atria.json
    python benchmarks/last_model.py hearts FOLDER --json hearts.json
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common import DATA

from napari_dycon.engine.evaluation import evaluate_masks
from napari_dycon.engine.events import RunFinished
from napari_dycon.engine.inference import Predictor
from napari_dycon.engine.models.adoption import adopt_model, lend_model
from napari_dycon.engine.models.library import open_model
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.io.atomic import write_text_atomic
from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import read_volume
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

COLOURS = "#e6550d", "#3182bd", "#31a354"


@dataclass(frozen=True)
class Task:
    """Where the scans are, and which of them, in the order of their names, are for what."""

    donor: str
    new: str
    structures: tuple[str, ...]
    donor_scans: slice
    donor_labelled: int
    new_scans: slice
    new_labelled: int
    tested: slice


TASKS = {
    "atria": Task(
        "left_atrium_1.25mm",
        "left_atrium_0.625mm",
        ("left atrium",),
        slice(40),
        4,
        slice(40, 60),
        4,
        slice(60, 70),
    ),
    "hearts": Task(
        "cardiac_cine",
        "cardiac_cine",
        ("right ventricle", "myocardium", "left ventricle"),
        slice(40),
        7,
        slice(40, 55),
        3,
        slice(55, 70),
    ),
}


def main() -> None:
    """Train the donor unless that was done, then every way to begin, and write a row for each."""
    wish = _arguments()
    task = TASKS[wish.task]
    donor = wish.folder / "donor"
    if not donor.exists():
        with _study(donor, task, task.donor, task.donor_scans, task.donor_labelled) as study:
            _train(study, wish, iterations=wish.donor_iterations)
    rows = [_row(wish, task, donor, "the model as it is", 0.0, True)]
    for minutes in wish.minutes:
        rows.append(_row(wish, task, donor, "from the model", minutes, True))
    for minutes in wish.anew:
        rows.append(_row(wish, task, donor, "anew", minutes, False))
    write_text_atomic(wish.json, json.dumps({"rows": rows}, indent=1) + "\n")


def _row(
    wish: argparse.Namespace, task: Task, donor: Path, name: str, minutes: float, from_donor: bool
) -> dict[str, object]:
    folder = wish.folder / f"{name.replace(' ', '-')}-{minutes:g}-{wish.seed}"
    steps = 0
    with _study(folder, task, task.new, task.new_scans, task.new_labelled) as study:
        if not minutes:
            run = adopt_model(study, open_model(str(donor))).run
        elif from_donor:
            with lend_model(study, open_model(str(donor))) as lent:
                end = _train(study, wish, minutes=minutes, begin_with=lent.run)
        else:
            end = _train(study, wish, minutes=minutes)
        if minutes:
            run, steps = end.run, end.iteration
        dice = _test(study, task, run)
    print(f"{name}, {minutes:g} min: {steps} steps, Dice {100 * dice:.1f} %", flush=True)
    return {"name": name, "minutes": minutes, "seed": wish.seed, "steps": steps, "dice": dice}


def _study(folder: Path, task: Task, data: str, scans: slice, labelled: int) -> Study:
    named = zip(task.structures, COLOURS, strict=False)
    study = Study.create(
        folder, [Structure(value=n, name=name, color=color) for n, (name, color) in enumerate(named, 1)]
    )
    for index, scan in enumerate(_scans(data)[scans]):
        labels = DATA / data / "labels" / scan.name
        importing.add_scan(study, scan, labels=labels if index < labelled else None)
    return study


def _scans(data: str) -> Sequence[Path]:
    return sorted((DATA / data / "images").glob("*.nii.gz"))


def _train(study: Study, wish: argparse.Namespace, **length: object) -> RunFinished:
    trainer = Trainer(study, method="dycon", seed=wish.seed, threads=wish.threads, holdout=False, **length)  # type: ignore[arg-type]
    return [event for event in trainer.run() if isinstance(event, RunFinished)][-1]


def _test(study: Study, task: Task, run: str) -> float:
    predictor, values = Predictor.load(study, run), range(1, len(task.structures) + 1)
    scores = []
    for scan in _scans(task.new)[task.tested]:
        volume = read_volume(scan)
        truth = read_mask(DATA / task.new / "labels" / scan.name, volume.geometry)
        found = predictor.volume(volume, probabilities=False).mask
        scores += [one.dice for one in evaluate_masks(found, truth, volume.geometry.spacing, [*values])]
    return statistics.mean(scores)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("folder", type=Path, help="new folder for the studies; a donor in it is used again")
    parser.add_argument("--donor-iterations", type=int, default=1000)
    parser.add_argument("--minutes", type=float, nargs="*", default=[1.0], help="trainings from the model")
    parser.add_argument("--anew", type=float, nargs="*", default=[1.0, 5.0], help="trainings from the start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", type=Path, default=Path("last_model.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
