"""Does the entropy tell the truth? A finished run against test scans with labels.

    python benchmarks/uncertainty.py STUDY --images DIR --labels DIR --out DIR

Scans of the images folder that are cases of the study are left out. Writes ``uncertainty.json``,
``uncertainty.md`` and ``uncertainty.png``. Errors are voxels of the mask that differ from the label. Every
figure is given near structures (within 10 mm of the label or the mask, where a person would look) and over
all voxels; at most 100,000 voxels of a scan are drawn, with a fixed seed. Sureness is 1 less the mean entropy
in the mask; agreement is the Dice of the mask of the other networks. Last comes what the outlook in the case
table is worth once 4, 9 or 19 of the test scans are completed, over 500 draws of these.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from napari_dycon.benchmark.protocol import Pair, find_pairs
from napari_dycon.benchmark.reliability import Agreement, Calibration, CheckedQuality, auroc, reliability
from napari_dycon.engine.calibration import (
    NEAR_MM,
    entropy,
    expected_dice,
    fit_temperature,
    mutual_information,
    near_structures,
    temper,
)
from napari_dycon.engine.device import configure_threads
from napari_dycon.engine.inference import Predictor
from napari_dycon.engine.readiness import read_quality
from napari_dycon.engine.runs import RunFolder
from napari_dycon.guidance.quality import Check
from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import read_volume
from napari_dycon.study.study import Study

VOXELS = 100_000
THINNED = 5
CHECKED = (4, 9, 19)
"""So many test scans are taken as completed, where there are more."""
MAPS = ("committee entropy", "decider entropy", "disagreement")
SHOWN = "committee entropy"
REGIONS = ("near", "all")
QUALITIES = ("expected Dice", "expected Dice without temperature", "agreement of networks", "sureness")


@dataclass
class Voxels:
    """Drawn voxels of one scan in one region."""

    maps: dict[str, NDArray[np.float32]]
    probabilities: NDArray[np.float32]
    found: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Where the mask differs from the label."""
        return np.asarray(self.found != self.labels)


@dataclass
class Case:
    """One test scan: its voxels by region, and its structures with true and predicted quality."""

    name: str
    voxels: dict[str, Voxels]
    structures: list[dict[str, Any]] = field(default_factory=list)


def look(predictor: Predictor, pair: Pair, seed: int) -> Case:
    """Predict one scan and compare."""
    volume = read_volume(pair.image)
    prediction, members = predictor.volume(volume, probabilities=False), predictor.members(volume)
    values = (0, *predictor.plan.structure_values)
    labels = read_mask(pair.truth, volume.geometry)
    truth = sum((labels == value) * np.uint8(index) for index, value in enumerate(values))
    found = sum((prediction.mask == value) * np.uint8(index) for index, value in enumerate(values))
    own, mean = members[predictor.deciding].mean(axis=0), members.mean(axis=0)
    calibrated = temper(own, predictor.temperature)
    maps = {
        "committee entropy": entropy(temper(mean, predictor.temperature)),
        "decider entropy": entropy(calibrated),
        "disagreement": mutual_information(members),
    }
    np.testing.assert_allclose(maps[SHOWN], prediction.entropy, atol=1e-3)
    near = near_structures((truth > 0) | (found > 0), volume.geometry.spacing)
    voxels = {}
    for region, inside in (("near", near), ("all", np.ones_like(near))):
        places = np.flatnonzero(inside)
        if places.size > VOXELS:
            places = np.random.default_rng(seed).choice(places, VOXELS, replace=False)
        voxels[region] = Voxels(
            {name: map_.ravel()[places] for name, map_ in maps.items()},
            own.reshape(len(own), -1)[:, places],
            found.ravel()[places],
            truth.ravel()[places],
        )
    others = [i for i in range(len(members)) if i not in predictor.deciding] or predictor.deciding
    second = members[others].mean(axis=0).argmax(axis=0)
    plain = expected_dice(own, found, volume.geometry.spacing)
    case = Case(pair.name, voxels)
    for index, name in enumerate(predictor.plan.structure_names, start=1):
        a, b = found == index, truth == index
        if not b.any():
            continue
        case.structures.append(
            {
                "case": pair.name,
                "structure": name,
                "dice": dice(a, b),
                "expected Dice": prediction.expected_dice[index - 1],
                "expected Dice without temperature": plain[index - 1],
                "agreement of networks": dice(a, second == index) if a.any() else None,
                "sureness": 1 - float(prediction.entropy[a].mean()) if a.any() else None,
            }
        )
    return case


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Overlap of two masks of which one is not empty."""
    return 2 * int((a & b).sum()) / (int(a.sum()) + int(b.sum()))


def detection(cases: Sequence[Case], region: str) -> dict[str, Any]:
    """AUROC of every map for errors: mean and worst over scans, of all scans pooled, and how often best."""
    result: dict[str, Any] = {}
    by_case = {
        name: [auroc(case.voxels[region].maps[name], case.voxels[region].wrong) for case in cases]
        for name in MAPS
    }
    wrong = np.concatenate([case.voxels[region].wrong for case in cases])
    best = [max(values) if None not in values else None for values in zip(*by_case.values(), strict=True)]
    for name, values in by_case.items():
        known = [value for value in values if value is not None]
        pooled = np.concatenate([case.voxels[region].maps[name] for case in cases])
        result[name] = {
            "mean": fmean(known) if known else None,
            "worst": min(known, default=None),
            "pooled": auroc(pooled, wrong),
            "won": sum(v is not None and v == top for v, top in zip(values, best, strict=True)),
        }
    return result


def pool(cases: Iterable[Case], region: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Untempered probabilities (class, voxel) and labels of several scans."""
    parts = [case.voxels[region] for case in cases]
    return np.concatenate([p.probabilities for p in parts], axis=1), np.concatenate([p.labels for p in parts])


def left_out_temperatures(cases: Sequence[Case]) -> list[float]:
    """For each scan the temperature fitted near the structures of all other test scans."""
    pools = [pool([case], "near") for case in cases]
    found = []
    for index in range(len(cases)):
        others = pools[:index] + pools[index + 1 :] or pools
        probabilities = np.concatenate([p[:, ::THINNED] for p, _ in others], axis=1)
        found.append(fit_temperature(probabilities, np.concatenate([y[::THINNED] for _, y in others])) or 1.0)
    return found


def calibrations(
    cases: Sequence[Case], region: str, fitted: float, refitted: Sequence[float]
) -> dict[str, Calibration]:
    """Calibration without a temperature, with that of the run, and with those fitted on other test scans."""
    raw, labels = pool(cases, region)
    single = [temper(pool([case], region)[0], t) for case, t in zip(cases, refitted, strict=True)]
    return {
        "none": Calibration.measure(raw, labels, 1.0),
        "run": Calibration.measure(temper(raw, fitted), labels, fitted),
        "other test scans": Calibration.measure(np.concatenate(single, axis=1), labels, fmean(refitted)),
    }


def agreements(cases: Iterable[Case]) -> dict[str, Agreement]:
    """How each predicted quality follows the true Dice; structures of which nothing was found left out."""
    rows = [row for case in cases for row in case.structures if row["expected Dice"] is not None]
    true = [row["dice"] for row in rows]
    return {name: Agreement.measure([row[name] for row in rows], true) for name in QUALITIES}


def checked(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """What the outlook is worth with some test scans completed, drawn by chance; a scan is a patient."""
    checks = [
        Check(row["case"], row["case"], row["structure"], row["expected Dice"], row["dice"], 1.0, 1.0)
        for row in rows
        if row["expected Dice"] is not None
    ]
    found = {count: CheckedQuality.measure(checks, count) for count in CHECKED}
    return {str(count): asdict(quality) for count, quality in found.items() if quality is not None}


def report(cases: Sequence[Case], study: Study, run: str, temperature: float | None) -> dict[str, Any]:
    """Everything as plain values."""
    folder = RunFolder(study.run_dir(run))
    rows = [row for case in cases for row in case.structures]
    refitted = left_out_temperatures(cases)
    return {
        "run": run,
        "method": folder.config().method,
        "iterations": folder.checkpoints.iterations[0],
        "scans": len(cases),
        "near_mm": NEAR_MM,
        "voxels_of_a_scan": VOXELS,
        "shown": SHOWN,
        "temperature": temperature,
        "temperatures_of_other_scans": refitted,
        "error_share": {
            region: float(fmean(c.voxels[region].wrong.mean() for c in cases)) for region in REGIONS
        },
        "auroc": {region: detection(cases, region) for region in REGIONS},
        "calibration": {
            region: {
                n: asdict(c) for n, c in calibrations(cases, region, temperature or 1.0, refitted).items()
            }
            for region in REGIONS
        },
        "quality": {name: agreement.to_dict() for name, agreement in agreements(cases).items()},
        "checked": checked(rows),
        "missed": sum(row["expected Dice"] is None for row in rows),
        "cases": rows,
    }


def markdown(result: dict[str, Any]) -> str:
    """The tables of the report."""
    near, everywhere = (result["auroc"][region] for region in REGIONS)
    wrong = 100 * result["error_share"]["near"]
    setting = (
        f"`{result['method']}`, {result['iterations']} iterations, {result['scans']} test scans. "
        f"Near: within {result['near_mm']:g} mm of label or mask; {wrong:.1f} % of it is wrong."
    )
    lines = [
        setting,
        "",
        "| map | AUROC near, mean | worst scan | pooled | best on | AUROC all voxels, mean |",
        "|---|---|---|---|---|---|",
    ]
    for name in MAPS:
        row, shown = near[name], " (shown)" if name == result["shown"] else ""
        lines.append(
            f"| {name}{shown} | {number(row['mean'])} | {number(row['worst'])} | {number(row['pooled'])} | "
            f"{row['won']} of {result['scans']} | {number(everywhere[name]['mean'])} |"
        )
    lines += [
        "",
        "| temperature from | T | ECE near % | confidence - accuracy near % | NLL near | ECE all voxels % |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in result["calibration"]["near"].items():
        if name == "run" and result["temperature"] is None:
            continue
        source = {"none": "none", "run": "held-out labels of the run"}.get(name, name)
        lines.append(
            f"| {source} | {row['temperature']:.2f} | {100 * row['ece']:.2f} | "
            f"{100 * row['overconfidence']:+.2f} | {row['nll']:.4f} | "
            f"{100 * result['calibration']['all'][name]['ece']:.2f} |"
        )
    lines += ["", "| against the true Dice | Spearman | Pearson | error | bias |", "|---|---|---|---|---|"]
    for name, row in result["quality"].items():
        cells = [number(row[key]) for key in ("spearman", "pearson", "mean_absolute_error", "bias")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "| scans completed | error | uncorrected | of their mean | 80 % range holds | its width |",
        "|---|---|---|---|---|---|",
    ]
    for count, row in result["checked"].items():
        values = [number(row[key]) for key in ("error", "uncorrected", "constant")]
        held = f"{100 * row['coverage']:.0f} %"
        lines.append(f"| {count} | {' | '.join(values)} | {held} | {number(row['width'])} |")
    return "\n".join(lines) + "\n"


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def draw(cases: Sequence[Case], temperature: float | None, path: Path) -> None:
    """Reliability before and after, and expected against true Dice."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.6), layout="constrained")
    raw, labels = pool(cases, "near")
    curves = {"without temperature": raw}
    if temperature is not None:
        curves[f"T = {temperature:.2f} of the run"] = temper(raw, temperature)
    for name, probabilities in curves.items():
        found = reliability(probabilities, labels)
        some = found.share > 0
        error = 100 * found.expected_calibration_error
        left.plot(
            found.confidence[some], found.accuracy[some], "o-", ms=4, label=f"{name}: ECE {error:.2f} %"
        )
    left.set(xlabel="confidence", ylabel="accuracy", title=f"within {NEAR_MM:g} mm of label or mask")
    rows = [row for case in cases for row in case.structures if row["expected Dice"] is not None]
    for name in dict.fromkeys(row["structure"] for row in rows):
        chosen = [row for row in rows if row["structure"] == name]
        right.scatter([r["expected Dice"] for r in chosen], [r["dice"] for r in chosen], s=18, label=name)
    right.set(xlabel="expected Dice", ylabel="true Dice", title="by scan and structure")
    lowest = min([0.5, *(row["dice"] for row in rows), *(row["expected Dice"] for row in rows)])
    for axes, first in ((left, 1 / len(raw)), (right, lowest)):
        axes.plot([first, 1], [first, 1], color="grey", lw=0.8, ls="--")
        axes.set_aspect("equal")
        axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--run", help="the active run by default")
    parser.add_argument("--out", type=Path, default=Path("uncertainty"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    wish = parser.parse_args()
    configure_threads(wish.threads)
    with Study.open(wish.study, read_only=True) as study:
        run = wish.run or study.active_run
        if run is None:
            parser.error("this study has no trained model; train one first")
        seen = {record.name for record in study.cases}
        pairs = [
            pair for pair in find_pairs(wish.images, wish.labels) if pair.name not in seen and pair.label
        ]
        if not pairs:
            parser.error("every scan with a label is a case of the study; nothing is left to test on")
        predictor = Predictor.load(study, run, wish.device)
        folder = RunFolder(study.run_dir(run))
        quality = read_quality(folder.path, folder.checkpoints.iterations[0])
        cases = []
        for index, pair in enumerate(pairs):
            cases.append(look(predictor, pair, index))
            scores = ", ".join(f"{row['structure']} {row['dice']:.3f}" for row in cases[-1].structures)
            print(f"{pair.name}: Dice {scores}", flush=True)
        fitted = quality.temperature if quality else None
        result = report(cases, study, run, fitted)
    wish.out.mkdir(parents=True, exist_ok=True)
    (wish.out / "uncertainty.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (wish.out / "uncertainty.md").write_text(markdown(result), encoding="utf-8")
    draw(cases, fitted, wish.out / "uncertainty.png")
    print(markdown(result))


if __name__ == "__main__":
    main()
