"""Lesions of a few millimetres in large scans: how many are found, and how many are made up.

    python benchmarks/lesions.py measure ct5 --sizes 5 --minutes 15
    python benchmarks/lesions.py measure ct --sizes 3,5,8 --minutes 15
    python benchmarks/lesions.py measure cine --into cardiac --sizes 5,8 --minutes 15

Each makes scans in its folder, trains on the first of them, predicts the last and writes `--json`. By default
a scan is a phantom CT of 512 x 512 x 300 voxels of 0.75 x 0.75 x 1 mm: a body with fat, muscle, spine, gas, a
bright organ of 98 HU with vessels, and noise of 18 HU. Lesions are round, 55 HU, inside the organ, and
labelled; nodes of the same size and value lie in the fat, and are not. With `--into cardiac` bright lesions
are put into the wall of the left ventricle of real cine stacks instead, with the grain of the scan:
semi-synthetic.

A lesion is found when a predicted voxel lies in it; a piece of a prediction that touches no lesion is a false
alarm. Every scan is of another patient.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from common import DATA
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.engine.control import Control
from napari_dycon.engine.events import RunFinished, RunStarted
from napari_dycon.engine.inference import predict
from napari_dycon.engine.request import Request
from napari_dycon.engine.setup import prepare
from napari_dycon.engine.steps import finish
from napari_dycon.engine.trainer import train
from napari_dycon.study.exchange import importing
from napari_dycon.study.store.schema import Structure
from napari_dycon.study.study import Study

Field = NDArray[np.float32]

SHAPE, SPACING = (512, 512, 300), (0.75, 0.75, 1.0)
AIR, FAT, MUSCLE, ORGAN, LESION, VESSEL, BONE, GAS = -1000, -100, 50, 98, 55, 150, 420, -900
NOISE = 18.0
COARSE = 3
"""Large organs are drawn on a grid so many times as coarse."""
MARGIN_MM = 4.0
APART_MM = 8.0
MYOCARDIUM = 2


@dataclass(frozen=True)
class Found:
    """What came of the test scans; lesions by size in mm."""

    lesions: dict[str, int]
    found: dict[str, int]
    false_alarms: list[int]
    median_voxels_of_a_false_alarm: float


def ct(
    seed: int, index: int, sizes: Sequence[float], each: int, shape: tuple[int, int, int] = SHAPE
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Make a phantom CT.

    Returns
    -------
    image : int16 (x, y, z) in HU
    lesions : uint8 (x, y, z), each with a value of its own from 1
    """
    rng = np.random.default_rng((seed, index))
    small = tuple(-(-side // COARSE) for side in shape)
    points = np.indices(small, dtype=np.float32)
    for axis in range(3):
        middle = SHAPE[axis] * SPACING[axis] / 2 if axis < 2 else shape[2] * SPACING[2] / 2
        points[axis] = (points[axis] + 0.5) * COARSE * SPACING[axis] - middle
    coarse, fat, organ = _anatomy(points, rng)
    image = _enlarged(coarse, shape)
    places = _places(organ < -MARGIN_MM, sizes, each, rng)
    labels = np.zeros(shape, np.uint8)
    for value, (size, place) in enumerate(places, start=1):
        _round(image, labels, place, size, LESION, value)
    for size, place in _places(fat < -MARGIN_MM, sizes, each, rng):
        _round(image, None, place, size, LESION, 0)
    image += _noise(shape, rng)
    return np.rint(image).astype(np.int16), labels


def _anatomy(points: Field, rng: np.random.Generator) -> tuple[Field, Field, Field]:
    """Values, and distances in mm to the fat inside the body and to the organ; negative inside."""
    half = np.array([155.0, 112.0, 1e4]) * rng.uniform(0.9, 1.05)
    skin = _ellipsoid(points, np.zeros(3), half) + 3 * _waves(points, rng, 90)
    image = np.full(points.shape[1:], AIR, np.float32)
    for distance, value in (
        (skin, FAT),
        (skin + rng.uniform(10, 18) + 2 * _waves(points, rng, 60), MUSCLE),
        (cavity := skin + rng.uniform(28, 36) + 3 * _waves(points, rng, 50), FAT),
        (_ellipsoid(points, np.array([0, 75, 0.0]), np.array([26, 22, 1e4])), BONE),
        (bowel := _ellipsoid(points, np.array([70, -20, -60.0]), np.array([40, 35, 70])), MUSCLE),
        (bowel + 12 + 6 * _waves(points, rng, 25), GAS),
        (spleen := _ellipsoid(points, np.array([85, 35, 60.0]), np.array([28, 36, 50])), ORGAN + 15),
    ):
        image = _painted(image, distance, value)
    centre = np.array([-55, -5, 20.0]) + rng.normal(0, 6, 3)
    organ = _ellipsoid(points, centre, np.array([65, 58, 75]) * rng.uniform(0.88, 1.08, 3))
    organ += 5 * _waves(points, rng, 60)
    image = _painted(image, organ, ORGAN + rng.normal(0, 5))
    for _ in range(6):
        tube = _tube(points, centre + rng.normal(0, 22, 3), rng, rng.uniform(2, 4))
        image = _painted(image, np.maximum(tube, organ + 3), VESSEL)
    other = np.minimum.reduce([organ, spleen, bowel])
    return image, np.maximum(cavity, 2 - other), np.maximum(organ, cavity)


def _painted(image: Field, distance: Field, value: float) -> Field:
    share = 1 / (1 + np.exp(np.clip(distance / 1.2, -30, 30)))
    return np.asarray(image + share * (value - image), dtype=np.float32)


def _ellipsoid(points: Field, centre: NDArray[np.float64], radii: NDArray[np.float64]) -> Field:
    scaled = sum(((points[axis] - centre[axis]) / radii[axis]) ** 2 for axis in range(3))
    return np.asarray((np.sqrt(scaled) - 1) * radii.min(), dtype=np.float32)


def _tube(points: Field, at: NDArray[np.float64], rng: np.random.Generator, radius: float) -> Field:
    """Distance to a swaying tube in some direction."""
    axes = rng.permutation(3)
    along = points[axes[0]] / rng.uniform(25, 45)
    first = points[axes[1]] - at[axes[1]] - 8 * np.sin(along)
    second = points[axes[2]] - at[axes[2]] - 8 * np.cos(0.8 * along)
    return np.asarray(np.hypot(first, second) - radius, dtype=np.float32)


def _waves(points: Field, rng: np.random.Generator, wavelength: float) -> Field:
    """Smooth random field of about unit size."""
    total = np.zeros(points.shape[1:], np.float32)
    for _ in range(3):
        direction = rng.normal(size=3)
        direction *= 2 * np.pi / (wavelength * np.linalg.norm(direction))
        total += np.sin(np.tensordot(direction.astype(np.float32), points, axes=1) + rng.uniform(0, 6.3))
    return total / np.float32(np.sqrt(1.5))


def _enlarged(array: Field, shape: Sequence[int]) -> Field:
    zoomed = ndimage.zoom(array, COARSE, order=1, grid_mode=True, mode="nearest")
    return np.asarray(zoomed[: shape[0], : shape[1], : shape[2]], dtype=np.float32)


def _places(
    free: NDArray[np.bool_],
    sizes: Sequence[float],
    each: int,
    rng: np.random.Generator,
    factor: int = COARSE,
    spacing: Sequence[float] = SPACING,
) -> list[tuple[float, NDArray[np.int64]]]:
    """Centres of `each` lesions of every size, well apart, on a grid so many times as fine."""
    candidates = factor * np.argwhere(free)
    found: list[tuple[float, NDArray[np.int64]]] = []
    for size in np.repeat(sorted(sizes, reverse=True), each).tolist():
        for _ in range(1000):
            place = candidates[int(rng.integers(len(candidates)))]
            gaps = [
                float(np.linalg.norm((place - other) * spacing)) - (size + own) / 2 for own, other in found
            ]
            if min(gaps, default=APART_MM) >= APART_MM:
                found.append((size, place))
                break
        else:
            raise SystemExit("There is no room for so many lesions.")
    return found


def _round(
    image: Field,
    labels: NDArray[np.uint8] | None,
    place: NDArray[np.int64],
    size: float,
    value: float,
    number: int,
    spacing: Sequence[float] = SPACING,
) -> None:
    """Put in a ball with an edge as soft as a voxel."""
    reach = [int(size / step) + 2 for step in spacing]
    box = tuple(
        slice(max(0, p - r), min(n, p + r + 1)) for p, r, n in zip(place, reach, image.shape, strict=True)
    )
    offsets = np.meshgrid(
        *(
            (np.arange(part.start, part.stop) - p) * step
            for part, p, step in zip(box, place, spacing, strict=True)
        ),
        indexing="ij",
    )
    distance = np.sqrt(sum(offset**2 for offset in offsets)) - size / 2
    share = 1 / (1 + np.exp(np.clip(distance / 0.4, -30, 30)))
    image[box] += share * (value - image[box])
    if labels is not None:
        labels[box][(distance <= 0) & (labels[box] == 0)] = number


def _noise(shape: Sequence[int], rng: np.random.Generator) -> Field:
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 0.6, truncate=2)
    return np.asarray(noise * (NOISE / noise.std()), dtype=np.float32)


def cardiac(
    index: int, sizes: Sequence[float], each: int, seed: int
) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.float64], tuple[float, ...]]:
    """A real cine stack with dark lesions in the wall of the left ventricle."""
    path = sorted((DATA / "cardiac_cine" / "images").glob("*.nii.gz"))[index]
    nifti = nib.load(path)
    image = np.asarray(nifti.dataobj, dtype=np.float32)
    wall = np.asarray(nib.load(DATA / "cardiac_cine" / "labels" / path.name).dataobj) == MYOCARDIUM
    spacing = tuple(float(step) for step in nifti.header.get_zooms()[:3])
    rng = np.random.default_rng((seed, index))
    labels = np.zeros(image.shape, np.uint8)
    blood = float(np.percentile(image[wall], 97))
    grain = image - ndimage.gaussian_filter(image, (1, 1, 0))
    for value, (size, place) in enumerate(_places(wall, sizes, each, rng, 1, spacing), start=1):
        _round(image, labels, place, size, 1.6 * blood, value, spacing)
    image[labels > 0] += grain[labels > 0]
    return np.rint(image).astype(np.int16), labels, nifti.affine, spacing


def make(folder: Path, wish: argparse.Namespace) -> None:
    """Write scans, labels of one value, and lesions with a value each."""
    sizes = [float(size) for size in wish.sizes.split(",")]
    for kind in ("images", "labels", "lesions"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for index in range(wish.labelled + wish.unlabelled + wish.test):
        name = f"scan-{index:02d}.nii"
        if (folder / "labels" / f"{name}.gz").exists():
            continue
        if wish.into == "cardiac":
            image, lesions, affine, _ = cardiac(index, sizes, wish.each, wish.seed)
        else:
            affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
            image, lesions = ct(wish.seed, index, sizes, wish.each)
        for kind, array in (
            ("images", image),
            ("lesions", lesions),
            ("labels", (lesions > 0).astype(np.uint8)),
        ):
            nifti = nib.Nifti1Image(array, affine)
            nifti.header.set_xyzt_units("mm", "sec")
            nib.save(nifti, folder / kind / (name if kind == "images" else f"{name}.gz"))


def measure(folder: Path, wish: argparse.Namespace) -> dict[str, object]:
    """Train on the first scans and look for the lesions of the last."""
    make(folder, wish)
    scans = sorted((folder / "images").glob("*.nii"))
    seconds: dict[str, float] = {}
    facts: dict[str, object] = {}
    started = time.perf_counter()
    path = folder / f"study-{time.strftime('%H%M%S')}"
    with Study.create(path, [Structure(value=1, name="lesion", color="#e6550d")]) as study:
        ids = []
        for index, scan in enumerate(scans):
            labels = folder / "labels" / f"{scan.name}.gz" if index < wish.labelled else None
            ids.append(importing.add_scan(study, scan, labels=labels).id)
        test = ids[wish.labelled + wish.unlabelled :]
        seconds["import"] = time.perf_counter() - started
        started = time.perf_counter()
        request = Request(
            method=wish.method,
            minutes=wish.minutes,
            iterations=wish.iterations,
            device="cpu",
            threads=wish.threads,
            seed=wish.seed,
            overrides=json.loads(wish.override),
        )
        bundle = finish(prepare(study, request, Control()))
        seconds["prepare"] = time.perf_counter() - started
        started = time.perf_counter()
        for event in train(bundle, Control()):
            if isinstance(event, RunStarted):
                facts |= {key: event.plan[key] for key in ("spacing", "patch_size", "intensity", "network")}
                print(json.dumps(facts), flush=True)
            if isinstance(event, RunFinished):
                facts["iterations"] = event.iteration
        run = bundle.run.run
        seconds["train"] = time.perf_counter() - started
        started = time.perf_counter()
        for _ in predict(study, run, test, device="cpu", threads=wish.threads):
            pass
        seconds["predict"] = (time.perf_counter() - started) / len(test)
        wished = sorted((float(size) for size in wish.sizes.split(",")), reverse=True)
        found = count(
            folder, study, run, dict(zip(test, scans[-len(test) :], strict=True)), wished, wish.each
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "wish": vars(wish) | {"folder": str(folder)},
        "facts": facts,
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "peak_memory_gb": round(memory, 2),
        **asdict(found),
    }


def count(
    folder: Path, study: Study, run: str, scans: Mapping[str, Path], sizes: Sequence[float], each: int
) -> Found:
    """Compare the masks of a run with the lesions, which are numbered by size, the largest first."""
    lesions: dict[str, int] = {}
    found: dict[str, int] = {}
    alarms, voxels = list[int](), list[int]()
    for case, scan in scans.items():
        truth = np.asarray(nib.load(folder / "lesions" / f"{scan.name}.gz").dataobj)
        mask = np.asarray(nib.load(study.path / "predictions" / run / f"{case}.nii.gz").dataobj) > 0
        for value, box in enumerate(ndimage.find_objects(truth)):
            if box is not None:
                size = f"{sizes[value // each]:g} mm"
                lesions[size] = lesions.get(size, 0) + 1
                found[size] = found.get(size, 0) + bool(mask[box][truth[box] == value + 1].any())
        pieces, many = ndimage.label(mask, structure=np.ones((3, 3, 3)))
        own = np.bincount(pieces.ravel(), minlength=many + 1)
        false = [int(own[piece]) for piece in set(range(1, many + 1)) - set(pieces[truth > 0].tolist())]
        alarms.append(len(false))
        voxels += false
    return Found(lesions, found, alarms, float(np.median(voxels)) if voxels else 0.0)


def main() -> None:
    wish = _arguments()
    if wish.do == "make":
        make(wish.folder, wish)
        return
    result = measure(wish.folder, wish)
    wish.json.write_text(json.dumps(result, indent=1, default=str))
    print(json.dumps(result, default=str))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("do", choices=("make", "measure"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--into", choices=("phantom", "cardiac"), default="phantom")
    parser.add_argument("--sizes", default="5", help="diameters in mm")
    parser.add_argument("--each", type=int, default=6, help="lesions of each size in a scan")
    parser.add_argument("--labelled", type=int, default=5)
    parser.add_argument("--unlabelled", type=int, default=3)
    parser.add_argument("--test", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", default="dycon")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--override", default="{}", help="JSON of fields of the plan")
    parser.add_argument("--json", type=Path, default=Path("lesions.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
