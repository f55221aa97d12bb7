r"""nnU-Net v2 beside `dycon benchmark`: the same scans, labels and seconds, with nnU-Net's own plan.

nnU-Net runs in an environment of its own and learns from the labelled scans alone, all of them. Its rows have
the form of those of `dycon benchmark`, their masks are measured by the same function, and both programs can
write into one file. Rows that are in it are kept; a training or preprocessing that was completed is not made
again after an interruption, one that was cut is.

    python -m venv nnunet && nnunet/bin/pip install nnunetv2
    python benchmarks/peers.py --images images --labels labels --test-images test-images \
        --test-labels test-labels --labelled 7 --minutes 20 --python nnunet/bin/python --json cardiac.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from napari_dycon.benchmark.protocol import Pair, Protocol, Split, split_scans
from napari_dycon.benchmark.rows import CaseScore, Row, add_row, load_rows, row_key, summary_table
from napari_dycon.benchmark.scoring import means_of, score_scan, structures_of
from napari_dycon.io.atomic import write_text_atomic
from napari_dycon.io.masks import read_mask, write_mask
from napari_dycon.io.volumes import read_geometry, read_volume
from napari_dycon.study.store.schema import Structure

TIMED = Path(__file__).with_name("nnunet_timed.py")
DATA_SET, NUMBER = "Dataset001_benchmark", "1"
LINES_OF_AN_ERROR = 15
ALSO_TOLD = ("patch_size", "batch_size", "parameters", "nnunetv2", "torch")


@dataclass(frozen=True)
class Home:
    """nnU-Net's environment, and a folder for its data sets, plans and models."""

    python: Path
    folder: Path
    threads: int
    workers: int

    def run(self, command: Sequence[str | Path], model: str = "") -> None:
        """Run a command of the environment; what it says goes to a file, of which an error shows the end."""
        log = self.folder / "log.txt"
        with log.open("a", encoding="utf-8") as file:
            print(*command, file=file, flush=True)
            ended = subprocess.run(
                [str(part) for part in command],
                env=self._variables(model),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        if ended.returncode:
            end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_OF_AN_ERROR:]
            raise SystemExit("\n".join([*end, f"nnU-Net ended with an error; all it said is in {log}."]))

    def timed(self, *command: str | Path, report: Path, model: str) -> dict[str, Any]:
        """What `nnunet_timed.py` reports; it does not run again when the report is there."""
        if not report.exists():
            report.parent.mkdir(parents=True, exist_ok=True)
            threads = ("--threads", str(self.threads))
            self.run([self.python, TIMED, *command, *threads, "--report", report], model)
        return dict(json.loads(report.read_text(encoding="utf-8")))

    def program(self, name: str) -> str:
        """A program of nnU-Net, which pip puts beside Python."""
        found = shutil.which(name, path=str(self.python.parent))
        if found is None:
            raise SystemExit(f"There is no {name} beside {self.python}; make it: pip install nnunetv2")
        return found

    def _variables(self, model: str) -> dict[str, str]:
        threads = str(self.threads)
        ours = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return ours | {
            "nnUNet_raw": str(self.folder / "raw"),
            "nnUNet_preprocessed": str(self.folder / "preprocessed"),
            "nnUNet_results": str(self.folder / (model or "results")),
            # the planner takes it for threads and refuses 0
            "nnUNet_n_proc_DA": str(self.workers) if model else threads,
            "nnUNet_def_n_proc": threads,
            "nnUNet_compile": "f",
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
        }


class Peer:
    """nnU-Net as a method of a benchmark: prepared, trained, tested and scored, row by row."""

    def __init__(self, wish: argparse.Namespace) -> None:
        self.wish = wish
        self.protocol = Protocol(
            images=wish.images,
            labels=wish.labels,
            test_images=wish.test_images,
            test_labels=wish.test_labels,
            labelled=wish.labelled,
            labelled_scans=wish.labelled_scans,
            minutes=wish.minutes,
            device=wish.device,
        )
        self.split = split_scans(self.protocol)
        self.data = self.split.fingerprint
        self.structures = structures_of((*self.split.labelled, *self.split.test))
        self.method = f"nnunetv2 {wish.configuration}"
        self.variant = "no-mirroring" if wish.no_mirroring else ""
        self.settings: dict[str, Any] = {"mirroring": False} if wish.no_mirroring else {}
        work = wish.work or wish.json.with_name(f"{wish.json.stem}.peers")
        folder = (work / self.data.split()[-1]).resolve()
        self.home = Home(wish.python.absolute(), folder, wish.threads, wish.workers)

    def row(self, seed: int) -> Row:
        """The row of a seed, from the file if it is there."""
        p, labelled = self.protocol, len(self.split.labelled)
        same = (self.method, seed, labelled, None, p.budget, {}, self.data, p.device)
        kept = load_rows(self.wish.json).get(row_key(*same, self.variant, self.settings))
        return kept or self._measured(seed)

    def _measured(self, seed: int) -> Row:
        preparation = self._prepare()
        model = f"{self.wish.configuration}-{self.protocol.budget.replace(' ', '-')}-seed-{seed}"
        trained = self._train(model, seed)
        masks, tested = self._predict(model, trained["model"])
        more = {name: trained[name] for name in ALSO_TOLD if name in trained}
        more |= {"threads": self.wish.threads, "preparation_seconds": round(preparation, 2)}
        return self._row(seed, trained, tested, means_of(self._scores(masks)) | more)

    def _prepare(self) -> float:
        """Write the data set, let nnU-Net plan and preprocess it; seconds of the latter."""
        done = self.home.folder / f"prepared-{self.wish.configuration}.json"
        if not done.exists():
            write_data_set(
                self.split, self.structures, self.home.folder / "raw" / DATA_SET, self.wish.channel
            )
            processes = str(self.wish.threads)
            command = [self.home.program("nnUNetv2_plan_and_preprocess"), "-d", NUMBER, "--no_pbar"]
            command += ["-c", self.wish.configuration, "-np", processes, "-npfp", processes]
            started = time.perf_counter()
            self.home.run([*command, "--verify_dataset_integrity", "--clean"])
            write_text_atomic(done, json.dumps({"seconds": time.perf_counter() - started}) + "\n")
        return float(json.loads(done.read_text(encoding="utf-8"))["seconds"])

    def _train(self, model: str, seed: int) -> dict[str, Any]:
        length = ("--seconds", str(60 * self.wish.minutes), "--seed", str(seed), "--device", self.wish.device)
        report = self.home.folder / model / "trained.json"
        command = ("train", NUMBER, self.wish.configuration, *length)
        return self.home.timed(*command, report=report, model=model)

    def _predict(self, model: str, weights: str) -> tuple[Path, dict[str, Any]]:
        masks = self.home.folder / model / f"masks{'-no-mirroring' if self.wish.no_mirroring else ''}"
        options = ["--device", self.wish.device, *(["--no-mirroring"] if self.wish.no_mirroring else [])]
        scans = self.home.folder / "raw" / DATA_SET / "imagesTs"
        report = masks.with_suffix(".json")
        return masks, self.home.timed("predict", weights, scans, masks, *options, report=report, model=model)

    def _scores(self, masks: Path) -> list[CaseScore]:
        values = np.array([0, *(structure.value for structure in self.structures)], dtype=np.uint8)
        scores: list[CaseScore] = []
        for index, pair in enumerate(self.split.test):
            geometry = read_geometry(pair.image)
            found = values[read_mask(masks / f"{case(index, pair)}.nii.gz", geometry)]
            scores += score_scan(pair, found, geometry, self.structures)
        return scores

    def _row(self, seed: int, trained: dict[str, Any], tested: dict[str, Any], more: dict[str, Any]) -> Row:
        return Row(
            method=self.method,
            seed=seed,
            labelled=len(self.split.labelled),
            labelled_scans=tuple(pair.name for pair in self.split.labelled),
            slices=None,
            iterations=trained["iterations"],
            seconds=round(trained["seconds"], 2),
            iterations_per_second=round(trained["iterations"] / trained["seconds"], 4),
            peak_memory_mb=round(trained["peak_memory_mb"], 1),
            device=self.wish.device,
            budget=self.protocol.budget,
            overrides={},
            data=self.data,
            variant=self.variant,
            variant_settings=self.settings,
            test_seconds=round(tested["seconds"], 2),
            **more,
        )


def main() -> None:
    wish = _arguments()
    peer = Peer(wish)
    rows = []
    for seed in wish.seeds:
        row = peer.row(seed)
        add_row(wish.json, row)
        rows.append(row)
        print(f"{row.method}, seed {seed}: {row.iterations} iterations in {row.seconds:.0f} s", flush=True)
    for line in summary_table(rows):
        print("  ".join(line))


def write_data_set(split: Split, structures: Sequence[Structure], folder: Path, channel: str) -> None:
    """Write the labelled and the test scans as nnU-Net wants them; its values run from 1 without a gap."""
    shutil.rmtree(folder, ignore_errors=True)
    values = [structure.value for structure in structures]
    to_theirs = np.zeros(256, dtype=np.uint8)
    to_theirs[values] = np.arange(1, len(values) + 1)
    for index, pair in enumerate(split.labelled):
        name = case(index, pair)
        image = _write_image(pair, folder / "imagesTr" / f"{name}_0000.nii.gz")
        mask = to_theirs[read_mask(pair.truth, read_geometry(pair.image))]
        _write_labels(folder / "labelsTr" / f"{name}.nii.gz", mask, image)
    for index, pair in enumerate(split.test):
        _write_image(pair, folder / "imagesTs" / f"{case(index, pair)}_0000.nii.gz")
    description = {
        "channel_names": {"0": channel},
        "labels": {"background": 0} | {s.name: number for number, s in enumerate(structures, start=1)},
        "numTraining": len(split.labelled),
        "file_ending": ".nii.gz",
    }
    write_text_atomic(folder / "dataset.json", json.dumps(description, indent=1) + "\n")


def case(index: int, pair: Pair) -> str:
    """Name of a scan in nnU-Net's folders: no two are alike, and they are in the order of the split."""
    return f"{index:04d}_{pair.name}"


def _write_image(pair: Pair, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    volume = read_volume(pair.image)
    nib.save(nib.Nifti1Image(volume.array, volume.geometry.affine), path)
    return path


def _write_labels(path: Path, mask: NDArray[np.uint8], image: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mask(path, mask, image)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, needed in (("images", True), ("labels", True), ("test-images", False), ("test-labels", False)):
        parser.add_argument(f"--{name}", type=Path, required=needed, help="as for dycon benchmark")
    parser.add_argument("--labelled", type=int, default=4, help="as for dycon benchmark")
    parser.add_argument("--labelled-scans", type=_list(str), default=(), help="as for dycon benchmark")
    parser.add_argument("--minutes", type=float, required=True, help="seconds of training, as minutes")
    parser.add_argument("--seeds", type=_list(int), default=(0,), help="such as 0,1,2")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    parser.add_argument("--workers", type=int, default=0, help="more processes, which prepare patches")
    parser.add_argument("--configuration", default="3d_fullres", choices=("2d", "3d_fullres", "3d_lowres"))
    parser.add_argument("--channel", default="MR", help="kind of image; CT is normalised as such")
    parser.add_argument("--no-mirroring", action="store_true", help="predict each scan in one view alone")
    parser.add_argument("--python", type=Path, required=True, help="of the environment with nnunetv2")
    parser.add_argument("--work", type=Path, help="folder for data sets and models; beside --json by default")
    parser.add_argument("--json", type=Path, required=True, help="file of the rows; those in it are kept")
    return parser.parse_args()


def _list(kind: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    return lambda text: tuple(kind(part) for part in text.split(","))


if __name__ == "__main__":
    main()
