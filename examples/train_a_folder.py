"""Train on a folder of scans of which some are labelled, and write a mask of every scan.

    python examples/train_a_folder.py IMAGES LABELS OUT --minutes 30

A label map belongs to the scan of the same name; scans without one are learned from all the same. What `dycon
new`, `import`, `train`, `predict` and `export` do in five commands is one function here.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_dycon.engine.events import CasePredicted, RunFinished, StepFinished
from napari_dycon.engine.inference import predict
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.study.exchange.exporting import Exported, ExportRequest, export_all
from napari_dycon.study.exchange.importing import ImportEvent, add_scans
from napari_dycon.study.study import Study


def segment(images: Path, labels: Path, out: Path, **budget: Any) -> Exported:
    """Make a study in `out`, train on it, and export masks and volumes into ``out/masks``."""
    with Study.create(out / "study", structures=[]) as study:  # label values become structures
        for event in add_scans(study, [images], labels_dir=labels):
            if isinstance(event, ImportEvent) and event.problem is not None:
                print(f"{event.path.name}: {event.problem}")
        run = learn(study, budget)
        for event in predict(study, run):
            if isinstance(event, CasePredicted):
                print(f"{event.case}: {event.volumes_ml} ml, mean entropy {event.mean_entropy:.2f}")
        return export_all(study, ExportRequest(out / "masks", run=run, not_ready=True))


def learn(study: Study, budget: Mapping[str, Any]) -> str:
    """Train, say how it goes, and return the name of the run."""
    trainer = Trainer(study, "dycon", **budget)
    for event in trainer.run():
        if isinstance(event, StepFinished) and event.iteration % 100 == 0:
            losses = ", ".join(f"{name} {value:.3f}" for name, value in event.losses.items())
            print(f"step {event.iteration}, {event.progress:.0%}: {losses}")
        elif isinstance(event, RunFinished):
            print(event.message)
    assert trainer.run_id is not None
    return trainer.run_id


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("images", "labels", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    wish = parser.parse_args()
    print(segment(wish.images, wish.labels, wish.out, minutes=wish.minutes).summary)
