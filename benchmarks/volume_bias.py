"""What the Dice of a model would be if it drew everything a little larger or smaller.

    python benchmarks/volume_bias.py STUDY --run RUN --images DIR --labels DIR

Scans of the images folder that are cases of the study are left out. In each of the others the threshold on
the probability of the first structure is moved until the mask has a given share of the volume that it has at
0.5. The mean Dice by share tells what a bias of the labels costs that a model learned from, and whether
another threshold would help. The volume is that of the masks against that of the labels, all scans together.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dycon.benchmark.protocol import find_pairs
from napari_dycon.engine.device import configure_threads
from napari_dycon.engine.inference import Predictor
from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import read_volume
from napari_dycon.study.study import Study

SHARES = (0.84, 0.88, 0.92, 0.96, 1.0, 1.04, 1.08, 1.12, 1.16)


def main() -> None:
    arguments = _arguments()
    configure_threads()
    with Study.open(arguments.study, read_only=True) as study:
        scans = list(_scans(study, Predictor.load(study, arguments.run), arguments.images, arguments.labels))
    print("share of its own volume   Dice %   volume against the labels")
    for share in SHARES:
        masks = [_resized(probability, share) for probability, _ in scans]
        pairs = [(mask, truth) for mask, (_, truth) in zip(masks, scans, strict=True)]
        dice = np.mean([2 * (mask & truth).sum() / (mask.sum() + truth.sum()) for mask, truth in pairs])
        volume = sum(mask.sum() for mask, _ in pairs) / sum(truth.sum() for _, truth in pairs) - 1
        print(f"{share:23.2f} {100 * dice:8.1f} {100 * volume:+22.1f} %")


def _scans(
    study: Study, predictor: Predictor, images: Path, labels: Path
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Probability and truth of the structure in each scan that the study does not have."""
    known, value = {record.id for record in study.cases}, predictor.plan.structure_values[0]
    for pair in find_pairs(images, labels):
        if pair.name in known:
            continue
        volume = read_volume(pair.image)
        deciding = predictor.members(volume)[np.asarray(predictor.deciding)].mean(axis=0)
        yield deciding[1].astype(np.float32), read_mask(pair.truth, volume.geometry) == value


def _resized(probability: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """The most probable voxels, as many as a share of those above 0.5."""
    count = round(share * int((probability > 0.5).sum()))
    if count == 0:
        return np.zeros(probability.shape, dtype=bool)
    return np.asarray(probability >= np.partition(probability, -count, axis=None)[-count])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--run", required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
