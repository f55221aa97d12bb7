"""Predictions shared out among workers: complete and byte-equal while workers are killed, and how fast.

python benchmarks/cluster.py WORK [--cases 200] [--kill-every 20] [--workers 2] [--side 64]

Makes a study of phantoms, trains it for a moment, predicts it here, then with workers of which one is killed
at random every so many seconds, and says how many cases were written how often and whether their bytes are
those of before. With --kill-every 0 nobody is killed; compare its seconds with one worker and with two on an
otherwise idle machine.
"""

import argparse
import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np

from napari_dycon.engine.cluster import join_cluster, predict_on
from napari_dycon.engine.events import CasePredicted
from napari_dycon.engine.inference import predict
from napari_dycon.engine.runners.here import Trainer
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation


def make_study(work: Path, cases: int, side: int) -> Study:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    study = Study.create(work / "study", [Structure(value=1, name="ball")])
    for index in range(cases):
        random_numbers = np.random.default_rng(index)
        centre = side / 2 + random_numbers.uniform(-side / 8, side / 8, 3)
        distance = ((np.indices((side,) * 3) - centre[:, None, None, None]) ** 2).sum(axis=0)
        labels = (distance < (side / 5) ** 2).astype(np.uint8)
        image = (100 + 80 * labels + 15 * random_numbers.normal(size=labels.shape)).astype(np.int16)
        path = work / f"scan-{index:03d}.nii.gz"
        nib.save(nib.Nifti1Image(image, np.diag([-1.0, -1.0, 1.0, 1.0])), path)
        record = importing.add_scan(study, path)
        if index < 2:
            study.save_annotation(record.id, Annotation.full(labels), "import")
    for _ in Trainer(study, "supervised", iterations=30, device="cpu", threads=1).run():
        pass
    return study


def files(study: Study) -> dict[str, bytes]:
    folder = study.path / "predictions" / str(study.active_run)
    return {path.name: path.read_bytes() for path in folder.glob("*.nii.gz")}


def kill_now_and_then(client: object, every: float, ended: threading.Event, killed: list[int]) -> None:
    while not ended.wait(every):
        workers = list(client.run(os.getpid).values())
        if workers:  # those of before may not be back yet
            killed.append(random.choice(workers))
            os.kill(killed[-1], signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--kill-every", type=float, default=20.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--side", type=int, default=64)
    wish = parser.parse_args()
    study = make_study(wish.work, wish.cases, wish.side)
    run, began = str(study.active_run), time.perf_counter()
    for _ in predict(study, run, device="cpu", threads=1):
        pass
    print(f"here: {wish.cases} cases in {time.perf_counter() - began:.1f} s", flush=True)
    wanted = files(study)
    shutil.rmtree(study.path / "predictions")
    told, killed, ended = Counter[str](), list[int](), threading.Event()
    with join_cluster(f"local:{wish.workers}") as client:
        client.run(os.getpid)
        if wish.kill_every:
            killing = (client, wish.kill_every, ended, killed)
            threading.Thread(target=kill_now_and_then, args=killing, daemon=True).start()
        began = time.perf_counter()
        for event in predict_on(client, study, run, device="cpu", threads=1):
            told.update([event.case] if isinstance(event, CasePredicted) else [])
        seconds = time.perf_counter() - began
        ended.set()
    print(f"{wish.workers} workers: {len(told)} cases in {seconds:.1f} s, {len(killed)} killed")
    print(
        f"told more than once: {sum(count > 1 for count in told.values())}; equal: {files(study) == wanted}"
    )
    study.close()


if __name__ == "__main__":
    main()
