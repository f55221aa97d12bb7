"""A piece from strokes on real scans: Dice after each stroke, against other ways to grow one.

    python benchmarks/growing.py [--tune] [--json FILE]

A stroke inside is drawn on the slice with the largest section of a structure: through its middle, along its
length. The second one is half a ring 4 mm outside on the same slice. Each further one lies on the largest
connected error, up to 30 mm long. The scans of ``--tune`` are those on which parameters were chosen.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from common import DATA
from scipy import ndimage
from skimage.graph import MCP_Geometric
from skimage.morphology import skeletonize
from skimage.segmentation import random_walker

from napari_dycon.study.truth import growth, walker
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.growth import Stroke, grow
from napari_dycon.study.truth.regions import select

STROKES = 5
SHOWN = (1, 2, 3, 5)
RING_MM = 4.0
HALF_STROKE_MM = 15.0


@dataclass(frozen=True)
class Task:
    """A structure of a data set, and which scans of it are for tuning and which for the report."""

    name: str
    folder: str
    value: int
    tune: tuple[int, ...]
    report: tuple[int, ...]


@dataclass(frozen=True)
class Named:
    """What grows."""

    value: int
    name: str


TASKS = (
    Task("atrium, 1.25 mm", "left_atrium_1.25mm", 1, tuple(range(6)), tuple(range(64, 80))),
    Task("atrium, 0.625 mm", "left_atrium_0.625mm", 1, (), tuple(range(64, 72))),
    Task("left ventricle, cine", "cardiac_cine", 3, tuple(range(6)), tuple(range(54, 70))),
    Task("right ventricle, cine", "cardiac_cine", 1, tuple(range(6)), tuple(range(54, 70))),
)


def scan(task: Task, index: int) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Return intensities, the mask of the structure and the voxel size of a scan."""
    path = sorted((DATA / task.folder / "images").glob("*.nii.gz"))[index]
    image = nibabel.load(path)
    labels = nibabel.load(DATA / task.folder / "labels" / path.name)
    spacing = tuple(float(size) for size in image.header.get_zooms()[:3])
    return np.asarray(image.dataobj), np.asarray(labels.dataobj) == task.value, spacing


# ---- strokes ---------------------------------------------------------------------------------


def line(section: np.ndarray, most: float | None = None) -> np.ndarray:
    """Return a stroke in a section: its middle line and, without ``most`` (voxels), its length too."""
    depth = ndimage.distance_transform_edt(np.pad(section, 1))[1:-1, 1:-1]
    core = depth >= max(1, 0.3 * depth.max())
    parts, _ = ndimage.label(core, np.ones((3, 3)))
    middle = np.array(np.unravel_index(depth.argmax(), depth.shape))
    core &= parts == parts[tuple(middle)]
    stroke = skeletonize(core)
    stroke[tuple(middle)] = True
    if most is None:
        places = np.argwhere(core)
        along = np.linalg.svd(places - places.mean(axis=0), full_matrices=False)[2][0]
        for t in np.arange(-400, 400, 0.25):
            at = np.rint(middle + t * along).astype(int)
            if (at >= 0).all() and (at < section.shape).all() and core[tuple(at)]:
                stroke[tuple(at)] = True
    else:
        far = np.abs(np.indices(section.shape) - middle[:, None, None]).max(axis=0) > most
        stroke[far] = False
    return ndimage.binary_dilation(stroke) & section


def in_slice(shape: tuple[int, ...], index: int, section: np.ndarray, inside: bool) -> Stroke:
    """Return a stroke on an axial slice."""
    mask = np.zeros(shape, bool)
    mask[:, :, index] = section
    return Stroke(select(shape, mask), inside)


def first(truth: np.ndarray) -> Stroke:
    """Return the stroke inside."""
    index = int(truth.sum(axis=(0, 1)).argmax())
    return in_slice(truth.shape, index, line(truth[:, :, index]), True)


def ring(truth: np.ndarray, spacing: Sequence[float]) -> Stroke:
    """Return the stroke outside."""
    index = int(truth.sum(axis=(0, 1)).argmax())
    section = truth[:, :, index]
    away = ndimage.distance_transform_edt(~section, sampling=spacing[:2])
    rows, columns = np.indices(section.shape) - np.argwhere(section).mean(axis=0)[:, None, None]
    band = (away > RING_MM) & (away < RING_MM + 1.5 * spacing[0]) & (rows + columns < 0)
    return in_slice(truth.shape, index, band, False)


def correction(truth: np.ndarray, got: np.ndarray, spacing: Sequence[float]) -> Stroke | None:
    """Return a stroke on the largest connected error; None where there is none."""
    found = []
    for wrong, inside in ((truth & ~got, True), (got & ~truth, False)):
        parts, count = ndimage.label(wrong)
        if count:
            sizes = np.bincount(parts.ravel())[1:]
            found.append((int(sizes.max()), parts == sizes.argmax() + 1, inside))
    if not found:
        return None
    _, part, inside = max(found, key=lambda one: one[0])
    index = int(part.sum(axis=(0, 1)).argmax())
    return in_slice(truth.shape, index, line(part[:, :, index], HALF_STROKE_MM / spacing[0]), inside)


# ---- ways to grow ----------------------------------------------------------------------------

Walk = Callable[..., np.ndarray]


def plain_walk(beta: float) -> Walk:
    """Return scikit-image's random walker, without expectations."""

    def walk(image, spacing, inside, outside, expected, look_up):
        seeds = np.where(inside, 1, np.where(outside, 2, 0)).astype(np.int8)
        if not outside.any():
            return inside.astype(np.float32)
        settings = {"beta": beta, "mode": "cg_j", "tol": 1e-3, "spacing": spacing}
        return random_walker(image, seeds, return_full_prob=True, **settings)[0].astype(np.float32)

    return walk


def geodesic(image, spacing, inside, outside, expected, look_up):
    """Compare distances to the strokes inside and outside, along which steps of intensity cost."""
    smooth = ndimage.gaussian_filter(image, 0.7)
    slopes = [np.gradient(smooth, axis=axis) for axis in range(3) if image.shape[axis] > 1]
    cost = 0.05 + 8 * np.sqrt(sum(slope**2 for slope in slopes)) / max(float(smooth.std()), 1e-6)
    steps = tuple(float(size / min(spacing)) for size in spacing)
    near, far = (
        MCP_Geometric(cost, sampling=steps).find_costs(np.argwhere(seeds))[0] if seeds.any() else np.inf
        for seeds in (inside, outside)
    )
    return np.asarray(far / (near + far + 1e-9), np.float32) if outside.any() else inside.astype(np.float32)


WAYS: dict[str, Walk] = {
    "ours": walker.walk,
    "random walker, beta 130": plain_walk(130),
    "random walker, beta 1000": plain_walk(1000),
    "geodesic distance": geodesic,
}


def dice(first_mask: np.ndarray, second: np.ndarray) -> float:
    """Return the overlap of two masks, 0 to 1."""
    return float(2 * (first_mask & second).sum() / max(1, first_mask.sum() + second.sum()))


def session(task: Task, index: int, way: Walk) -> tuple[list[float], list[float]]:
    """Return Dice and seconds of the processor after each stroke on a scan."""
    image, truth, spacing = scan(task, index)
    annotation, strokes = Annotation.empty(truth.shape), [first(truth)]
    scores, seconds, got = [], [], np.zeros(truth.shape, bool)
    growth.walk = way
    for number in range(1, STROKES + 1):
        if number == 2:
            strokes.append(ring(truth, spacing))
        elif number > 2:
            more = correction(truth, got, spacing)
            strokes += [] if more is None else [more]
        start = time.process_time()
        grown = grow(image, spacing, annotation, Named(1, "structure"), strokes)
        seconds.append(time.process_time() - start)
        got = np.zeros(truth.shape, bool)
        got[grown.box] = grown.piece
        scores.append(dice(got, truth))
    return scores, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tune", action="store_true", help="the scans on which parameters were chosen")
    parser.add_argument("--json", type=Path, help="write every row there")
    options = parser.parse_args()
    rows = []
    for task in TASKS:
        for name, way in WAYS.items():
            found = [session(task, index, way) for index in (task.tune if options.tune else task.report)]
            if not found:
                continue
            scores, seconds = (np.array([one[part] for one in found]) for part in (0, 1))
            means = " ".join(f"{100 * scores[:, n - 1].mean():5.1f}" for n in SHOWN)
            print(
                f"{task.name:22s} {name:25s} Dice after {SHOWN} strokes: {means} "
                f"worst {100 * scores[:, SHOWN[-1] - 1].min():5.1f}  {seconds.mean():.2f} s",
                flush=True,
            )
            rows.append(
                {"task": task.name, "way": name, "dice": scores.tolist(), "seconds": seconds.tolist()}
            )
    if options.json:
        options.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
