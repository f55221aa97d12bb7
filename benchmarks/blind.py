"""What a mask has that was made without looking at any image: how much of a Dice the cropping gives away.

    python -m benchmarks.blind --labels labels --labelled 4 --test-labels test-labels

The masks of the labelled scans, each stretched to the size of the test scan, are averaged; a voxel gets the
structure, or background, that most of them have there (a tie goes to the structure).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.engine.evaluation import evaluate_masks
from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import read_volume


def main() -> None:
    """Print the mean Dice, all structures and each."""
    arguments = _arguments()
    known = [_mask(path)[0] for path in _files(arguments.labels)[: arguments.labelled]]
    values = sorted({int(value) for mask in known for value in np.unique(mask)} - {0})
    found = []
    for path in _files(arguments.test_labels):
        truth, spacing = _mask(path)
        scores = evaluate_masks(_blind(known, values, truth.shape), truth, spacing, values)
        found.append([score.dice for score in scores])
    dice = 100 * np.array(found, dtype=float)
    each = ", ".join(
        f"{value}: {one:.1f}" for value, one in zip(values, np.nanmean(dice, axis=0), strict=True)
    )
    print(f"Dice {np.nanmean(dice):.1f} % of {len(dice)} scans (structure {each})")


def _blind(known: list[NDArray[np.uint8]], values: list[int], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    votes = np.zeros((len(values), *shape), np.float32)
    for mask in known:
        zoom = [wanted / side for wanted, side in zip(shape, mask.shape, strict=True)]
        for index, value in enumerate(values):
            votes[index] += ndimage.zoom(
                (mask == value).astype(np.float32), zoom, order=1, grid_mode=True, mode="nearest"
            )
    inside = votes.sum(axis=0) >= len(known) / 2
    return np.where(inside, np.array(values, np.uint8)[votes.argmax(axis=0)], 0).astype(np.uint8)


def _mask(path: Path) -> tuple[NDArray[np.uint8], tuple[float, float, float]]:
    geometry = read_volume(path).geometry
    return read_mask(path, geometry), geometry.spacing


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.nii.gz"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--labelled", type=int, default=4)
    parser.add_argument("--test-labels", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
