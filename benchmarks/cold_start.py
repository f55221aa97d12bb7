"""Whether scans that are far apart in cheap features have label maps that are: without any training.

    python benchmarks/cold_start.py FOLDER [FOLDER ...] --counts 4,8

Each folder holds ``images`` and ``labels`` of the same names. Of all scans a few are chosen: by k-medoids or
farthest-first over simple features (the scan brought to a small grid, in ranks of its intensities; its size),
by their order, or by chance. Printed is how well the label maps of the chosen ones stand for those of the
others: the mean over all others of the Dice with the most similar chosen label map (on the small grid), and
of the logarithm of the ratio of volumes to the nearest one; for chance the mean and the range of 90 % of the
draws.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import read_volume

GRID = 10
DRAWS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--counts", default="4,8")
    wanted = parser.parse_args()
    for folder in wanted.folders:
        features, maps, volumes = _read(folder)
        distances = np.linalg.norm(features[:, None] - features[None], axis=2)
        dice = _dices(maps)
        ratio = np.abs(np.log(volumes[:, None] / volumes[None]))
        for count in map(int, wanted.counts.split(",")):
            print(f"{folder.name}, {count} of {len(features)}:   Dice to the nearest   |log volume ratio|")
            rng = np.random.default_rng(0)
            chosen = {
                "k-medoids": medoids(distances, count),
                "farthest first": farthest(distances, count),
                "in order": list(range(count)),
                "spread in order": [int(len(features) * _halves(turn)) for turn in range(1, count + 1)],
            }
            draws = [rng.permutation(len(features))[:count] for _ in range(DRAWS)]
            by_chance = np.array([_worth(dice, ratio, draw) for draw in draws])
            for name, some in chosen.items():
                found = _worth(dice, ratio, some)
                better = (by_chance[:, 0] < found[0]).mean(), (by_chance[:, 1] > found[1]).mean()
                print(
                    f"  {name:15} {found[0]:.3f} (better than {100 * better[0]:.0f} % of the draws)   "
                    f"{found[1]:.3f} ({100 * better[1]:.0f} %)"
                )
            low, high = np.percentile(by_chance, (5, 95), axis=0)
            mean = by_chance.mean(axis=0)
            print(
                f"  {'chance':15} {mean[0]:.3f} ({low[0]:.3f} to {high[0]:.3f})   "
                f"{mean[1]:.3f} ({low[1]:.3f} to {high[1]:.3f})",
                flush=True,
            )


def _read(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = list(_rows(folder))
    features = np.array([row[0] for row in rows])
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    return features, np.array([row[1] for row in rows]), np.array([row[2] for row in rows])


def _rows(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    for path in sorted((folder / "images").glob("*.nii.gz")):
        volume = read_volume(path)
        labels = read_mask(folder / "labels" / path.name, volume.geometry)
        size = np.log(np.multiply(volume.geometry.shape, volume.geometry.spacing))
        values = _small(volume.array.astype(np.float32)).ravel()
        ranks = values.argsort().argsort() / values.size
        weighed = np.concatenate([ranks, np.repeat(size, len(ranks) // 12)])
        yield weighed, _small((labels > 0).astype(np.float32)), float((labels > 0).sum())


def _small(values: np.ndarray) -> np.ndarray:
    """Mean over the cells of a small grid."""
    sizes = [max(1, round(length / GRID)) for length in values.shape]
    smooth = ndimage.uniform_filter(values, sizes)
    places = [(np.arange(GRID) + 0.5) * length / GRID - 0.5 for length in values.shape]
    return ndimage.map_coordinates(smooth, np.meshgrid(*places, indexing="ij"), order=1)


def _dices(maps: np.ndarray) -> np.ndarray:
    flat = maps.reshape(len(maps), -1)
    both = np.minimum(flat[:, None], flat[None]).sum(axis=2)
    return 2 * both / (flat.sum(axis=1)[:, None] + flat.sum(axis=1)[None])


def _worth(dice: np.ndarray, ratio: np.ndarray, chosen: list[int]) -> tuple[float, float]:
    others = np.setdiff1d(np.arange(len(dice)), chosen)
    return dice[np.ix_(others, chosen)].max(axis=1).mean(), ratio[np.ix_(others, chosen)].min(axis=1).mean()


def _halves(number: int) -> float:
    """Place in the sequence of van der Corput: 1/2, 1/4, 3/4, 1/8, ..."""
    place, step = 0.0, 0.5
    while number:
        place, number, step = place + step * (number % 2), number // 2, step / 2
    return place


def farthest(distances: np.ndarray, count: int) -> list[int]:
    chosen = [int(distances.sum(axis=1).argmin())]
    while len(chosen) < count:
        chosen.append(int(distances[:, chosen].min(axis=1).argmax()))
    return chosen


def medoids(distances: np.ndarray, count: int) -> list[int]:
    """Greedy start, then swaps as long as they help (PAM; Kaufman and Rousseeuw 1990)."""
    chosen: list[int] = []
    for _ in range(count):
        costs = [
            distances[:, [*chosen, new]].min(axis=1).sum() if new not in chosen else np.inf
            for new in range(len(distances))
        ]
        chosen.append(int(np.argmin(costs)))
    best, changed = distances[:, chosen].min(axis=1).sum(), True
    while changed:
        changed = False
        for place in range(count):
            for new in set(range(len(distances))) - set(chosen):
                swapped = [*chosen[:place], new, *chosen[place + 1 :]]
                cost = distances[:, swapped].min(axis=1).sum()
                if cost < best - 1e-9:
                    chosen, best, changed = swapped, cost, True
    return chosen


if __name__ == "__main__":
    main()
