"""What a study looks like to the planner."""

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import ndimage

from napari_dycon.engine.anatomy import (
    LabelledShape,
    joint_structures,
    labelled_shapes,
    largest_size,
    places_tell_sides,
    single_structures,
    smallest_size,
    speck_volumes,
)
from napari_dycon.engine.control import Control
from napari_dycon.engine.intensity import (
    Channel,
    FloatArray,
    Intensity,
    StructureValues,
    common_window,
    looks_like_ct,
    needed_tail,
)
from napari_dycon.errors import DyconError
from napari_dycon.io.regridding import on_the_grid_of
from napari_dycon.learning.batch import IGNORE
from napari_dycon.study.store.scans import CT_AIR
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study

Triple = tuple[float, float, float]
SAMPLED_SCANS = 6
SAMPLED_LABELS = 40
SAMPLED_BOX = 2_000_000
FEWEST_VALUES = 8
RIM = 3
"""What surrounds a structure is looked at so many voxels deep."""


class CaseFingerprint(BaseModel):
    """Size and state of one case on the canonical (RAS) grid; spacing in mm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    shape: tuple[int, int, int]
    spacing: Triple
    known_fraction: float


class Fingerprint(BaseModel):
    """Everything about a study that a plan follows from.

    Parameters
    ----------
    wholes
        Values of the parts of each whole, by its name.
    further
        The images of a case beside the scan.
    incomplete
        Whether one of them is missing in some case.
    smallest, largest
        Size of the smallest and of the largest labelled structure, in mm; None where nothing is labelled.
    sided
        Whether the labels show that left and right are not alike.
    single
        Values of structures that the labels show to be one piece in every patient.
    joint
        Groups of structures that hang together, as one piece, in every patient.
    specks
        By the value of a structure that comes in pieces, the volume in mm³ of what is none yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: tuple[CaseFingerprint, ...]
    structures: tuple[tuple[int, str], ...]
    wholes: dict[str, tuple[int, ...]] = {}
    intensity: Intensity = Intensity()
    further: tuple[Channel, ...] = ()
    incomplete: bool = False
    smallest: float | None = None
    largest: float | None = None
    sided: bool = False
    single: tuple[int, ...] = ()
    joint: tuple[tuple[int, ...], ...] = ()
    specks: dict[int, float] = {}

    @property
    def median_spacing(self) -> Triple:
        """Median voxel size by canonical axis, in mm."""
        return _median([case.spacing for case in self.cases])

    @property
    def median_extent(self) -> Triple:
        """Median size of a scan by canonical axis, in mm."""
        return _median([_product(case.shape, case.spacing) for case in self.cases])


def fingerprint_study(
    study: Study, case_ids: Collection[str] | None = None, control: Control | None = None
) -> Fingerprint:
    """Describe a study; reads a few scans, those with labels first, to tell CT from MR.

    Only voxels known to a person are looked at through labels. Scans that cannot be read are passed over.

    Parameters
    ----------
    case_ids
        All cases by default.
    control
        To stop between any two scans.

    Raises
    ------
    Stopped
        When the control says so.
    """
    control = control or Control()
    records = [record for record in study.cases if case_ids is None or record.id in case_ids]
    cases = [_case(record) for record in records]
    structures = tuple((structure.value, structure.name) for structure in study.structures)
    ranked = sorted(records, key=lambda record: -record.known_fraction)
    labelled = [record for record in ranked if record.known_fraction > 0]
    further = study.record.channels[1:]
    shapes = _shapes(study, labelled[:SAMPLED_LABELS], control)
    return Fingerprint(
        cases=tuple(cases),
        structures=structures,
        wholes={whole.name: whole.parts for whole in study.record.wholes},
        intensity=_intensity(study, ranked, control),
        further=tuple(
            Channel(name=name, intensity=_intensity(study, ranked, control, name)) for name in further
        ),
        incomplete=any(name not in record.images for record in records for name in further),
        smallest=smallest_size(shapes, dict(structures)),
        largest=largest_size(shapes),
        sided=places_tell_sides(shapes),
        single=single_structures(shapes, dict(structures)),
        joint=joint_structures(shapes, dict(structures)),
        specks=speck_volumes(shapes),
    )


def _case(record: CaseRecord) -> CaseFingerprint:
    codes = {"L": 0, "R": 0, "P": 1, "A": 1, "I": 2, "S": 2}
    source = [0, 0, 0]
    for axis, code in enumerate(record.orientation):
        source[codes[code]] = axis
    shape, spacing = record.shape, record.spacing
    return CaseFingerprint(
        case=record.id,
        shape=(shape[source[0]], shape[source[1]], shape[source[2]]),
        spacing=(spacing[source[0]], spacing[source[1]], spacing[source[2]]),
        known_fraction=record.known_fraction,
    )


def _shapes(study: Study, records: Sequence[CaseRecord], control: Control) -> list[dict[int, LabelledShape]]:
    values = [structure.value for structure in study.structures]
    found = []
    for record in records:
        control.raise_if_stopped()
        try:
            annotation, geometry = study.annotation(record.id), study.geometry(record.id)
        except DyconError:
            continue
        found.append(labelled_shapes(annotation, geometry, record.patient, values))
    return found


def _intensity(study: Study, records: Sequence[CaseRecord], control: Control, channel: str = "") -> Intensity:
    """How the scans, or other images of the cases, are scaled, by the first few of them."""
    everywhere, hounsfield, values = list[FloatArray](), list[bool](), list[StructureValues]()
    for record in [record for record in records if not channel or channel in record.images][:SAMPLED_SCANS]:
        control.raise_if_stopped()
        try:
            volume = study.volume(record.id, channel)
            array = on_the_grid_of(study.geometry(record.id), volume) if channel else volume.array
        except DyconError:
            continue
        sample = array[::2, ::2, ::2].astype(np.float32)
        sample = sample[np.isfinite(sample)]
        hounsfield.append(looks_like_ct(sample))
        if hounsfield[-1]:
            everywhere.append(sample[sample > CT_AIR])
        if record.known_fraction > 0:
            values += _structure_values(study, record.id, array, sample)
    if sum(hounsfield) * 2 > len(hounsfield):
        in_ct = [entry for entry in values if entry.hounsfield]
        return common_window(in_ct or [StructureValues(np.concatenate(everywhere))])
    return Intensity(tail=needed_tail(values))


def _structure_values(
    study: Study, case: str, array: NDArray[np.generic], sample: FloatArray
) -> list[StructureValues]:
    """What the known structures of a case look like, and what lies around them."""
    structures = [structure.value for structure in study.structures]
    target = study.annotation(case).training_target(structures)
    target[target >= IGNORE] = 0
    hounsfield = looks_like_ct(sample)
    found = []
    for value, box in enumerate(ndimage.find_objects(target), start=1):
        if box is not None:
            inside, around = _inside_and_around(array, target, value, box)
            found.append(StructureValues(inside, around, sample, hounsfield))
    return [entry for entry in found if entry.inside.size >= FEWEST_VALUES]


def _inside_and_around(
    array: NDArray[np.generic], target: NDArray[np.uint8], value: int, box: tuple[slice, ...]
) -> tuple[FloatArray, FloatArray]:
    """Values of a structure and of a rim around it; of a large one not every voxel is looked at."""
    step = max(1, round((math.prod(part.stop - part.start for part in box) / SAMPLED_BOX) ** (1 / 3)))
    wide = tuple(slice(max(0, part.start - RIM * step), part.stop + RIM * step, step) for part in box)
    values, mask = array[wide].astype(np.float32), target[wide] == value
    finite = np.isfinite(values)
    around = ndimage.binary_dilation(mask, iterations=RIM) & (target[wide] != value)
    return values[mask & finite], values[around & finite]


def _median(rows: Sequence[Triple]) -> Triple:
    x, y, z = np.median(np.array(rows, dtype=float), axis=0).tolist()
    return x, y, z


def _product(a: Sequence[float], b: Sequence[float]) -> Triple:
    return a[0] * b[0], a[1] * b[1], a[2] * b[2]
