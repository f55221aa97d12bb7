"""What one training step of each method costs, before and after the unlabelled scans join in.

    python benchmarks/steps.py --methods supervised,dycon --threads 1

A study of 16 atrium scans, 4 of them labelled, with the plan that this machine gets. Milliseconds, the median
of the steps made: patches of a late batch, a step at the start of a training, a step at 80 % of it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from common import atrium_study

from napari_dycon.engine.control import Control
from napari_dycon.engine.device import configure_threads
from napari_dycon.engine.optimisation import Optimisation
from napari_dycon.engine.request import Request
from napari_dycon.engine.setup import prepare
from napari_dycon.engine.start import make_start
from napari_dycon.engine.steps import finish
from napari_dycon.study.study import Study

EARLY, LATE = 0.0, 0.8
UNCOUNTED = 3


def main() -> None:
    arguments = _arguments()
    configure_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder, atrium_study(Path(folder) / "study", 16, 4) as study:
        print("method          patches   early    late   (ms)")
        for method in arguments.methods.split(","):
            patches, early, late = _measure(study, method, arguments.steps)
            print(f"{method:15s} {patches:7.0f} {early:7.0f} {late:7.0f}", flush=True)


def _measure(study: Study, method: str, steps: int) -> tuple[float, float, float]:
    request = Request(method=method, iterations=1000, device="cpu", warm_start=False, holdout=False)
    prepared = make_start(finish(prepare(study, request, Control())))
    sampler = prepared.sampler()
    optimisation = Optimisation(prepared.method, prepared.plan, prepared.device, 0)
    wanted = {progress: prepared.method.patches(progress, *sampler.planned) for progress in (EARLY, LATE)}
    batches = {progress: sampler.batch(0, patches) for progress, patches in wanted.items()}
    return (
        _median(lambda i: sampler.batch(i, wanted[LATE]), steps),
        _median(lambda i: optimisation.step(batches[EARLY], i, EARLY), steps),
        _median(lambda i: optimisation.step(batches[LATE], i, LATE), steps),
    )


def _median(work: Callable[[int], object], times: int) -> float:
    """Milliseconds; the first few do not count."""
    found = []
    for index in range(UNCOUNTED + times):
        started = time.perf_counter()
        work(index)
        found.append(1000 * (time.perf_counter() - started))
    return median(found[UNCOUNTED:])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default="supervised,mean_teacher,dycon")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    main()
