"""Whether DICOM images form one evenly spaced block of grey values of one patient.

The numbers follow 3D Slicer's scalar volume reader. SliceThickness and InstanceNumber are not trusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from napari_dycon.io.dicom_slices import GREY, INVERTED, SliceHeader, depths_mm, slice_affine, sort_slices
from napari_dycon.io.geometry import affine_fault
from napari_dycon.io.limits import FARTHEST_MM, SPACING_MM

GAP_TOLERANCE_MM = 0.01
GAP_TOLERANCE_SHARE = 0.01
DRIFT_TOLERANCE_MM = 0.01
ORIENTATION_TOLERANCE = 1e-4
DIRECTION_TOLERANCE = 1e-3
LEAST_SLOPE = 1e-25
FEWEST_SLICES = 3
MOST_LOCALIZERS = 3
_LISTED = 3


def without_localizers(members: list[SliceHeader]) -> tuple[list[SliceHeader], int]:
    """Leave out a few images of another orientation than most."""
    groups: list[list[SliceHeader]] = []
    for item in members:
        group = next((group for group in groups if _parallel(group[0], item)), None)
        if group is None:
            groups.append([item])
        else:
            group.append(item)
    main = max(groups, key=len)
    others = len(members) - len(main)
    placed = all(item.is_placed for item in members)
    return (main, others) if placed and others <= MOST_LOCALIZERS < len(main) else (members, 0)


def _parallel(a: SliceHeader, b: SliceHeader) -> bool:
    return bool(np.abs(a.orientation - b.orientation).max() <= ORIENTATION_TOLERANCE)


def find_problem(slices: list[SliceHeader]) -> str | None:
    """First reason not to use slices as one volume, or None."""
    for check in (_kind_problem, _mixture_problem, _placement_problem, _gap_problem, _grid_problem):
        with np.errstate(over="ignore", invalid="ignore"):
            problem = check(slices)
        if problem:
            return problem
    return None


def _kind_problem(slices: list[SliceHeader]) -> str | None:
    if any(item.modality == "SEG" for item in slices):
        return "it is a segmentation, not a scan; give its folder as that of the labels to use it."
    if any(item.is_mosaic for item in slices):
        return "its images are mosaics of many slices; convert them to NIfTI with dcm2niix first."
    if any(item.frames > 1 for item in slices):
        return (
            "it is multi-frame DICOM that does not say of each image where it lies; convert it to NIfTI with "
            "dcm2niix first."
        )
    if any(item.samples > 1 for item in slices):
        return "it holds colour images; a grey-value series is needed."
    if others := {item.colours for item in slices} - {GREY, INVERTED}:
        return _colour_problem(slices, others)
    tables = sum(item.has_table for item in slices)
    if tables:
        return (
            f"{tables} of {len(slices)} images turn stored into real values by a table (Modality LUT), which "
            "is not supported; convert it to NIfTI with dcm2niix first."
        )
    shifted = sum(item.is_shifted for item in slices)
    if shifted:
        return (
            f"{shifted} of {len(slices)} images store their values in other bits than the lowest (HighBit), "
            "which is not supported; convert it to NIfTI with dcm2niix first."
        )
    unplaced = [item for item in slices if not item.is_placed]
    if unplaced:
        return (
            f"{len(unplaced)} of {len(slices)} images do not state position, orientation or pixel spacing; "
            "export the original series."
        )
    if any(min(item.size) < 1 for item in slices):
        return "its images have no rows or columns; export it again."
    flat = sum(not _has_possible_scale(item) for item in slices)
    if flat:
        return (
            f"{flat} of {len(slices)} images have a RescaleSlope of 0 or an intensity scale beyond reason; "
            "export it again."
        )
    if len(slices) < FEWEST_SLICES:
        return f"it has only {len(slices)} image(s); a 3D scan needs at least {FEWEST_SLICES}."
    return None


def _colour_problem(slices: list[SliceHeader], others: set[str]) -> str:
    """Images whose stored values are indices of colours, or mean nothing that is stated."""
    stated = sorted(others - {""})
    if not stated:
        count = sum(not item.colours for item in slices)
        return (
            f"{count} of {len(slices)} images do not state what their values mean "
            "(PhotometricInterpretation); export the original series."
        )
    return (
        f"its values are colours and not grey values (PhotometricInterpretation {list_some(stated)}); export "
        "the grey-value series from which they were made."
    )


def _mixture_problem(slices: list[SliceHeader]) -> str | None:
    sizes = Counter(f"{item.size[0]} x {item.size[1]} pixels" for item in slices)
    spacings = Counter("{:.4g} x {:.4g} mm pixels".format(*item.pixel_spacing) for item in slices)
    modalities = Counter(item.modality for item in slices if item.modality)
    components = Counter(f"the kind {item.component}" for item in slices if item.component)
    scaled = sum(item.states_scale for item in slices)
    frames = {item.frame_of_reference for item in slices} - {""}
    turned = sum(not _parallel(slices[0], item) for item in slices)
    if len(patients(slices)) > 1:
        return "it mixes images of several patients; export each patient's scan by itself."
    if len({item.colours for item in slices}) > 1:
        return (
            f"it mixes images in which white is the highest value ({GREY}) and the lowest ({INVERTED}); "
            "export one kind."
        )
    for kinds in (sizes, spacings, modalities, components):
        if len(kinds) > 1:
            return f"it mixes images of {_counts(kinds)}; export one scan per series."
    if 0 < scaled < len(slices) and any((item.slope, item.intercept) != (1, 0) for item in slices):
        return (
            f"{len(slices) - scaled} of {len(slices)} images lack the RescaleSlope and RescaleIntercept that "
            "the others state, so their values would not fit; export the original series."
        )
    if turned:
        return f"it mixes images of several orientations ({turned} of {len(slices)} differ); export one scan."
    return (
        "its images were taken in several frames of reference; export one scan." if len(frames) > 1 else None
    )


def patients(slices: Sequence[SliceHeader]) -> set[str]:
    """Identifiers of the patients, or their names where no image states one; what is empty is nobody else."""
    identifiers = {item.patient for item in slices} - {""}
    return identifiers or {item.patient_name for item in slices} - {""}


def what_is_odd(slices: Sequence[SliceHeader]) -> tuple[str, ...]:
    """Sentences about what is odd but usable."""
    notes = []
    unnamed = sum(not item.patient for item in slices)
    if 0 < unnamed < len(slices):
        notes.append(f"{unnamed} of {len(slices)} images state no patient; they are taken as of the same.")
    if all(item.colours == INVERTED for item in slices):
        notes.append(
            f"The grey values are meant to be shown inverted ({INVERTED}: white is the lowest value); they "
            "are kept as stored, so the scan looks like a negative."
        )
    return tuple(notes)


def _placement_problem(slices: list[SliceHeader]) -> str | None:
    """Degenerate directions, and more than one image at a position (phases, echoes)."""
    across = slices[0].normal
    why = next(filter(None, map(_impossible, slices)), None) or affine_fault(slice_affine(slices[0], across))
    if why:
        return f"its orientation or pixel spacing is impossible ({why}); export the original series."
    depths = depths_mm(sort_slices(slices))
    double = np.flatnonzero(np.diff(depths) < GAP_TOLERANCE_MM)
    if len(double):
        places = list_some([f"{depths[index]:.2f} mm" for index in double])
        return (
            f"{len(double)} slice positions hold more than one image ({places}), as with several phases or "
            "echoes; export one phase as its own series."
        )
    return None


def _has_possible_scale(item: SliceHeader) -> bool:
    most = 1 / LEAST_SLOPE
    return LEAST_SLOPE <= abs(item.slope) <= most and abs(item.intercept) <= most


def _grid_problem(slices: list[SliceHeader]) -> str | None:
    """Distances that no body has, so that a grid cannot be made of them."""
    ordered = sort_slices(slices)
    positions = np.stack([item.position for item in ordered])
    step = float(np.linalg.norm(positions[-1] - positions[0])) / (len(ordered) - 1)
    least, largest = SPACING_MM
    if not least <= step <= largest:
        return f"its slices are {step:.3g} mm apart, which cannot be right; export it again."
    far = float(np.abs(positions).max())
    if far > FARTHEST_MM:
        return f"it lies kilometres from its origin ({far:.3g} mm), which cannot be; export it again."
    return None


def _impossible(item: SliceHeader) -> str | None:
    """Say why rows and columns are not perpendicular unit vectors, or pixels of no possible size."""
    rows, columns = item.orientation[:3], item.orientation[3:]
    least, largest = SPACING_MM
    if not (least <= item.pixel_spacing.min() and item.pixel_spacing.max() <= largest):
        return "pixels of {:.4g} x {:.4g} mm".format(*item.pixel_spacing)
    for name, direction in (("rows", rows), ("columns", columns)):
        length = float(np.linalg.norm(direction))
        if not abs(length - 1) <= DIRECTION_TOLERANCE:
            return f"the direction of its {name} has the length {length:.4g} instead of 1"
    if not abs(rows @ columns) <= DIRECTION_TOLERANCE:
        angle = np.degrees(np.arccos(np.clip(rows @ columns, -1, 1)))
        return f"its rows and columns are {angle:.1f} degrees apart instead of 90"
    return None


def _gap_problem(slices: list[SliceHeader]) -> str | None:
    """Uneven gaps (missing slices, mixed thickness) and slices that drift sideways (gantry tilt)."""
    ordered = sort_slices(slices)
    gaps = np.diff(depths_mm(ordered))
    usual = float(np.median(gaps))
    uneven = np.flatnonzero(np.abs(gaps - usual) > max(GAP_TOLERANCE_MM, GAP_TOLERANCE_SHARE * usual))
    if len(uneven):
        places = list_some(
            [f"{gaps[index]:.2f} mm between slices {index + 1} and {index + 2}" for index in uneven]
        )
        return f"its slices are {usual:.2f} mm apart, but {places}; slices are missing or of mixed spacing."
    positions = np.stack([item.position for item in ordered])
    across = ordered[0].normal
    offsets = positions - positions[0]
    sideways = np.linalg.norm(offsets - np.outer(offsets @ across, across), axis=1).max()
    if sideways > max(DRIFT_TOLERANCE_MM, 1e-4 * float(gaps.sum())):
        angle = np.degrees(np.arctan2(sideways, gaps.sum()))
        return (
            f"its slices shift sideways by {sideways:.2f} mm from first to last (gantry tilt of {angle:.1f} "
            "degrees); have the tilt corrected by the scanner's software."
        )
    return None


def _counts(kinds: Counter[str]) -> str:
    return " and ".join(f"{kind} ({count})" for kind, count in kinds.most_common())


def list_some(items: Sequence[str]) -> str:
    """First few items and how many more there are."""
    more = len(items) - _LISTED
    return ", ".join(items[:_LISTED]) + (f" and {more} more" if more > 0 else "")
