"""nnU-Net's own trainer and predictor, with a training of so many seconds; `peers.py` runs it.

Needs nnunetv2 and nothing of napari_dycon, so that it runs in an environment of its own. Where data sets,
plans and models are is told by nnU-Net's own variables (`nnUNet_raw` and so on).

    python benchmarks/nnunet_timed.py train 1 3d_fullres --seconds 1200 --report trained.json
    python benchmarks/nnunet_timed.py predict MODEL SCANS MASKS --report tested.json

Of the training only its end differs from `nnUNetv2_train DATASET CONFIGURATION all`: the polynomial learning
rate falls with the seconds used instead of with the epochs, and as nothing is chosen by it, the validation on
patches of the scans trained on is left out, which changes no weight and would cost time.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024
SAY_EVERY_SECONDS = 30


def main() -> None:
    wish = _arguments()
    torch.set_num_threads(wish.threads)
    report = wish.action(wish)
    report |= {"nnunetv2": version("nnunetv2"), "torch": torch.__version__}
    wish.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def train(wish: argparse.Namespace) -> dict[str, object]:
    """Train on all scans of the data set and write the last weights where nnU-Net looks for them."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(wish.seed)
    trainer = get_trainer_from_args(wish.dataset, wish.configuration, "all", device=torch.device(wish.device))
    trainer.on_train_start()
    iterations, seconds = _steps(trainer, wish.seconds)
    trainer.on_train_end()
    return {
        "model": trainer.output_folder_base,
        "iterations": iterations,
        "seconds": seconds,
        "peak_memory_mb": _peak_memory_mb(),
        "patch_size": list(trainer.configuration_manager.patch_size),
        "batch_size": trainer.configuration_manager.batch_size,
        "parameters": sum(weights.numel() for weights in trainer.network.parameters()),
    }


def _steps(trainer: nnUNetTrainer, budget: float) -> tuple[int, float]:
    """Make steps until the seconds are used, the last one whole; their number and seconds."""
    schedule = PolyLRScheduler(trainer.optimizer, trainer.initial_lr, budget)
    trainer.network.train()
    iterations, said, started = 0, 0.0, time.perf_counter()
    while (seconds := time.perf_counter() - started) < budget:
        schedule.step(seconds)
        loss = trainer.train_step(next(trainer.dataloader_train))["loss"]
        iterations += 1
        if seconds - said > SAY_EVERY_SECONDS:
            said = seconds
            print(f"iteration {iterations}, {seconds:.0f} s, loss {loss:.3f}", flush=True)
    return iterations, seconds


def predict(wish: argparse.Namespace) -> dict[str, object]:
    """Predict every scan of a folder with the last weights of a training."""
    predictor = nnUNetPredictor(
        use_mirroring=not wish.no_mirroring,
        device=torch.device(wish.device),
        allow_tqdm=False,
    )
    predictor.initialize_from_trained_model_folder(str(wish.model), ("all",))
    wish.masks.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    predictor.predict_from_files_sequential(str(wish.scans), str(wish.masks))
    return {"seconds": time.perf_counter() - started}


def _peak_memory_mb() -> float:
    """Of the graphics card when one works, else of this process."""
    if torch.cuda.is_available() and (card := torch.cuda.max_memory_allocated()):
        return card / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_OF_MAXRSS / 2**20


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--threads", type=int, default=1)
    common.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    common.add_argument("--report", type=Path, required=True, help="JSON file for what was measured")
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("train", parents=[common], help=train.__doc__)
    training.add_argument("dataset", help="number of nnU-Net's data set")
    training.add_argument("configuration", help="2d, 3d_fullres or 3d_lowres")
    training.add_argument("--seconds", type=float, required=True)
    training.add_argument("--seed", type=int, default=0)
    training.set_defaults(action=train)
    prediction = commands.add_parser("predict", parents=[common], help=predict.__doc__)
    for folder in ("model", "scans", "masks"):
        prediction.add_argument(folder, type=Path)
    prediction.add_argument("--no-mirroring", action="store_true")
    prediction.set_defaults(action=predict)
    return parser.parse_args()


if __name__ == "__main__":
    main()
