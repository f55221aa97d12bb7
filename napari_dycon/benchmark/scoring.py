"""What a benchmark measures on its test scans, the same for every method, of this program or another."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dycon.benchmark.protocol import Pair
from napari_dycon.benchmark.rows import CaseScore, finite, mean_of
from napari_dycon.engine.evaluation import evaluate_masks
from napari_dycon.errors import VolumeError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.masks import read_mask
from napari_dycon.io.volumes import read_geometry
from napari_dycon.study.store.schema import DEFAULT_COLORS, Structure


def structures_of(pairs: Sequence[Pair]) -> tuple[Structure, ...]:
    """Return a structure for each value in the label maps of some scans.

    Raises
    ------
    VolumeError
        When these label maps are all empty.
    """
    values: set[int] = set()
    for pair in pairs:
        values.update(np.unique(read_mask(pair.truth, read_geometry(pair.image))).tolist())
    colors = [DEFAULT_COLORS[i % len(DEFAULT_COLORS)] for i in range(len(values))]
    found = tuple(
        Structure(value=value, name=f"structure {value}", color=color)
        for value, color in zip(sorted(values - {0}), colors, strict=False)
    )
    if not found:
        folder = pairs[0].truth.parent
        raise VolumeError(f"The label maps in {folder} are all empty; nothing can be learned.")
    return found


def score_scan(
    pair: Pair, found: NDArray[np.uint8], geometry: Geometry, structures: Iterable[Structure]
) -> list[CaseScore]:
    """Compare a mask with the label map of its scan, structure by structure.

    Parameters
    ----------
    found : uint8 array, shape (x, y, z)
        In the source order of the scan.
    geometry : Geometry
        Of the scan.
    """
    names = {structure.value: structure.name for structure in structures}
    truth = read_mask(pair.truth, geometry)
    results = evaluate_masks(found, truth, geometry.spacing, list(names))
    return [
        CaseScore(
            case=pair.name,
            structure=name,
            dice=finite(score.dice),
            jaccard=finite(score.jaccard),
            hd95_mm=finite(score.hd95_mm),
            asd_mm=finite(score.asd_mm),
            volume_error=finite(score.volume_error),
            missed=score.missed,
        )
        for name, score in zip(names.values(), results, strict=True)
    ]


def means_of(scores: Sequence[CaseScore]) -> dict[str, Any]:
    """Return what a row says of all its test scans and structures, by the names of its fields."""
    return {
        "mean_dice": mean_of(score.dice for score in scores),
        "mean_jaccard": mean_of(score.jaccard for score in scores),
        "mean_hd95_mm": mean_of(score.hd95_mm for score in scores),
        "mean_asd_mm": mean_of(score.asd_mm for score in scores),
        "missed": sum(score.missed for score in scores),
        "cases": list(scores),
    }
