"""How well a mask agrees with a reference: overlap, distances in millimetres, misses."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dycon.errors import DyconError, TrainingError
from napari_dycon.io.geometry import Geometry
from napari_dycon.io.masks import label_counts, read_labels
from napari_dycon.io.volumes import find_volumes, stem
from napari_dycon.study.exchange.label_values import meanings
from napari_dycon.study.exchange.pairing import Place, pair
from napari_dycon.study.store.naming import file_stems, fold
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StructureScore:
    """Agreement of one structure in one scan.

    Attributes
    ----------
    value : label value of the structure; 0 of a whole
    dice, jaccard : 0 to 1; 1 when the structure is in neither mask
    hd95_mm : 95th percentile of the distances between both surfaces, in both directions together
    asd_mm : mean of these distances; both are None when one mask lacks the structure
    volume_error : (found - true) / true volume; None when the structure is not there
    missed : the structure is there and nothing of it was found
    """

    value: int
    dice: float
    jaccard: float
    hd95_mm: float | None
    asd_mm: float | None
    volume_error: float | None
    missed: bool


@dataclass(frozen=True, slots=True)
class CaseScores:
    """Scores of one case by structure, in the order of the study, and of each whole by its name."""

    case: str
    scores: tuple[StructureScore, ...]
    wholes: dict[str, StructureScore] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of all cases with a reference, and what could not be compared.

    Attributes
    ----------
    without_prediction : cases with a reference that were not predicted
    left_out : by case, why its reference, scan or prediction could not be used
    unnamed : by case, how many voxels of its reference have a value that no structure has
    """

    run: str
    cases: tuple[CaseScores, ...]
    without_prediction: tuple[str, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    unnamed: dict[str, dict[int, int]] = field(default_factory=dict)


def evaluate_masks(
    found: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    spacing: Sequence[float],
    values: Sequence[int],
) -> list[StructureScore]:
    """Compare two masks of one shape structure by structure; `spacing` in mm by array axis."""
    return [_score(found == value, truth == value, spacing, value) for value in values]


def evaluate(
    study: Study, run: str | None, reference_dir: Path, case_ids: Collection[str] | None = None
) -> Evaluation:
    """Compare the predictions of a run with reference masks of the same file name as the scans.

    A case whose reference, scan or prediction cannot be used is left out and named.

    Parameters
    ----------
    run
        The active run by default.

    Raises
    ------
    TrainingError
        When there is no run, or no reference belongs to a case.
    """
    run = run or study.active_run
    if run is None:
        raise TrainingError("This study has no trained model yet; train and predict first.")
    references, left_out = _references(study, Path(reference_dir))
    values = [structure.value for structure in study.structures]
    cases, absent = list[CaseScores](), list[str]()
    unnamed = dict[str, dict[int, int]]()
    for record in study.cases:
        path = references.get(record.id)
        if path is None or (case_ids is not None and record.id not in case_ids):
            continue
        try:
            found, geometry = study.predictions.mask(run, record.id), study.geometry(record.id)
            truth, foreign = _reference(study, path, geometry)
        except (DyconError, OSError, MemoryError) as error:
            left_out[record.id] = str(error) or type(error).__name__
            continue
        if foreign:
            unnamed[record.id] = foreign
        if found is None:
            absent.append(record.id)
            continue
        spacing = geometry.spacing
        scores = tuple(evaluate_masks(found, truth, spacing, values))
        wholes = {
            whole.name: _score(np.isin(found, whole.parts), np.isin(truth, whole.parts), spacing, 0)
            for whole in study.record.wholes
        }
        cases.append(CaseScores(record.id, scores, wholes))
    if not cases and not absent and not left_out:
        raise TrainingError(f"No mask in {reference_dir} has the file name of a scan in this study.")
    return Evaluation(run, tuple(cases), tuple(absent), left_out, unnamed)


def _references(study: Study, folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Reference mask of each case by its id, and why a case has none though some are called like it."""
    files = find_volumes(folder)
    own = {fold(name): case for case, name in file_stems(study.cases).items()}
    own |= {fold(case.id): case.id for case in study.cases}
    found = {own[fold(stem(path))]: path for path in files if fold(stem(path)) in own}
    rest, cases = [p for p in files if p not in found.values()], [c for c in study.cases if c.id not in found]
    pairs = pair([_place(study, case) for case in cases], [Place.below(path, folder) for path in rest])
    found |= {cases[scan].id: rest[mask] for scan, mask in pairs.label_of.items()}
    doubt = {
        cases[
            scan
        ].id: f"{rest[masks[0]]} may be the reference of {cases[scan].name} or of another scan; put it "
        "into a folder, or give it a name, that says whose it is."
        for scan, masks in pairs.doubtful.items()
    }
    return found, doubt


def _reference(study: Study, path: Path, geometry: Geometry) -> tuple[NDArray[np.uint8], dict[int, int]]:
    """Read a reference in the values of the study, and count voxels of values that no structure has."""
    labels = read_labels(path, geometry)
    counts = {value: n for value, n in enumerate(label_counts(labels.array).tolist()) if n and value}
    meant = meanings(study.structures, counts, labels.names)
    table = np.zeros(256, dtype=np.uint8)
    for value, structure in meant.items():
        table[value] = structure or 0
    return table[labels.array], {value: counts[value] for value, found in meant.items() if found is None}


def _place(study: Study, case: CaseRecord) -> Place:
    *folders, name = case.name.split("/")
    above = study.scan_path(case.id).parent.parts if study.has_scan(case.id) else ()
    return Place.of(folders, name, above[: len(above) - len(folders)])


def _score(found: Mask, truth: Mask, spacing: Sequence[float], value: int) -> StructureScore:
    a, b, both = int(found.sum()), int(truth.sum()), int((found & truth).sum())
    if a + b == 0:
        return StructureScore(value, 1.0, 1.0, None, None, None, False)
    distances = _surface_distances(found, truth, spacing) if a and b else None
    return StructureScore(
        value=value,
        dice=2 * both / (a + b),
        jaccard=both / (a + b - both),
        hd95_mm=None if distances is None else float(np.percentile(distances, 95)),
        asd_mm=None if distances is None else float(distances.mean()),
        volume_error=(a - b) / b if b else None,
        missed=b > 0 and a == 0,
    )


def _surface_distances(a: Mask, b: Mask, spacing: Sequence[float]) -> NDArray[np.float64]:
    """Distances in mm from each surface voxel of one mask to the other's surface, both ways."""
    window = ndimage.find_objects((a | b).astype(np.uint8))[0]
    a, b = (np.pad(mask[window], 1) for mask in (a, b))
    surface_a, surface_b = _surface(a), _surface(b)
    to_a = ndimage.distance_transform_edt(~surface_a, sampling=spacing)
    to_b = ndimage.distance_transform_edt(~surface_b, sampling=spacing)
    return np.concatenate([to_b[surface_a], to_a[surface_b]])


def _surface(mask: Mask) -> Mask:
    """Voxels of a mask with a face neighbour outside it."""
    return mask & ~ndimage.binary_erosion(mask)
