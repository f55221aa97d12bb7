"""What one training step of each method costs, before and after the unlabelled scans join in.

    python benchmarks/steps.py --methods supervised,dycon --threads 1

A study of 16 atrium scans, 4 of them labelled, with the plan that this machine gets, and as many images a
case as asked for (noise beside the scan). Milliseconds, the median
of the steps made: patches of a late batch, a step at the start of a training, a step at 80 % of it, and of
the latter what the networks take alone, forward and backward, with the inputs that they were given and a loss
that costs nothing; in brackets their share, the late step alone and with its patches.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import nibabel as nib
import numpy as np
import torch
from common import atrium_study
from torch import Tensor, nn

from napari_dycon.engine.control import Control
from napari_dycon.engine.device import configure_threads
from napari_dycon.engine.optimisation import Optimisation
from napari_dycon.engine.request import Request
from napari_dycon.engine.setup import prepare
from napari_dycon.engine.start import make_start
from napari_dycon.engine.steps import finish
from napari_dycon.learning.batch import Batch
from napari_dycon.learning.networks import SegmentationNetwork
from napari_dycon.study.exchange import importing
from napari_dycon.study.study import Study

EARLY, LATE = 0.0, 0.8
UNCOUNTED = 3


def main() -> None:
    arguments = _arguments()
    configure_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder, atrium_study(Path(folder) / "study", 16, 4) as study:
        _add_images(study, Path(folder), arguments.images)
        print("method          patches   early    late networks   (ms)")
        for method in arguments.methods.split(","):
            patches, early, late, networks = _measure(study, method, arguments)
            share = f"({networks / late:.0%}, {networks / (late + patches):.0%})"
            print(
                f"{method:15s} {patches:7.0f} {early:7.0f} {late:7.0f} {networks:8.0f}   {share}", flush=True
            )


def _add_images(study: Study, folder: Path, images: int) -> None:
    """Give every case so many images."""
    names = [f"noise {number}" for number in range(1, images)]
    for case in study.cases if names else ():
        for number, name in enumerate(names):
            noise = np.random.default_rng(number).normal(size=case.shape).astype(np.float32)
            path = folder / "images" / case.id
            path.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(noise, study.geometry(case.id).affine), path / f"{name}.nii")
            scan = path / f"scan{''.join(study.scan_path(case.id).suffixes)}"
            if not scan.exists():
                scan.symlink_to(study.scan_path(case.id))
    if names:
        endings = {"scan": "scan"} | {name: name for name in names}
        list(importing.add_scans(study, [folder / "images"], endings=endings))
        assert all(len(case.images) == len(names) for case in study.cases)


def _measure(study: Study, method: str, arguments: argparse.Namespace) -> tuple[float, float, float, float]:
    settings = {"method_settings": json.loads(arguments.settings)}
    request = Request(
        method=method, iterations=1000, device="cpu", warm_start=False, holdout=False, overrides=settings
    )
    steps = arguments.steps
    prepared = make_start(finish(prepare(study, request, Control())))
    sampler = prepared.sampler()
    optimisation = Optimisation(prepared.method, prepared.plan, prepared.device, 0)
    wanted = {progress: prepared.method.patches(progress, *sampler.planned) for progress in (EARLY, LATE)}
    batches = {progress: sampler.batch(0, patches) for progress, patches in wanted.items()}
    return (
        _median(lambda i: sampler.batch(i, wanted[LATE]), steps),
        _median(lambda i: optimisation.step(batches[EARLY], i, EARLY), steps),
        _median(lambda i: optimisation.step(batches[LATE], i, LATE), steps),
        _median(_networks(optimisation, batches[LATE], prepared.plan.precision == "bf16-mixed"), steps),
    )


def _networks(optimisation: Optimisation, batch: Batch, mixed: bool) -> Callable[[int], None]:
    """Return what asks the networks of a late step again, and sends any gradient back."""
    method, seen = optimisation.method, []

    def remember(network: nn.Module, inputs: tuple[Tensor, ...], options: dict[str, bool]) -> None:
        seen.append((network, inputs[0], options, torch.is_grad_enabled()))

    networks = [part for part in method.modules() if isinstance(part, SegmentationNetwork)]
    hooks = [network.register_forward_pre_hook(remember, with_kwargs=True) for network in networks]
    optimisation.step(batch, 0, LATE)
    for hook in hooks:
        hook.remove()

    def ask(_: int) -> None:
        for network, image, options, learns in seen:
            with torch.set_grad_enabled(learns), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                output = network(image, **options)
            if learns:
                found = [one for one in output if one is not None]
                torch.autograd.backward(found, [torch.ones_like(one) for one in found])

    return ask


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
    parser.add_argument("--images", type=int, default=1, help="images a case")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--settings", default="{}", help="settings of the method, JSON")
    parser.add_argument("--threads", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    main()
