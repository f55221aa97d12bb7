"""What would make training fail or mislead, said before the first step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from napari_dycon.errors import DyconError
from napari_dycon.study.store.scans import NO_AIR, looks_like_ct, replaced_note
from napari_dycon.study.store.schema import CaseRecord, Structure

FEWEST_SLICES = 4
FEW_LABELLED = 3
HUGE_VALUE = 1e9
SPACING_RATIO = 4.0
CONTRAST_RATIO = 20.0
CPU_VOXELS = 96 * 96 * 64
"""Into so many voxels a scan is divided on a processor without a graphics card."""
MOST_CPU_VOXELS = 80 * CPU_VOXELS
"""At most so many where a small structure needs it: a prediction glances at most of them only."""
FEWEST_VOXELS = 8
"""A structure of fewer voxels of the grid can hardly be learned."""


class _Checked(Protocol):
    """What is asked of a study."""

    @property
    def cases(self) -> tuple[CaseRecord, ...]: ...
    @property
    def structures(self) -> tuple[Structure, ...]: ...
    def case(self, case_id: str) -> CaseRecord: ...
    def scan_path(self, case_id: str) -> Path: ...
    def scan_has_changed(self, case_id: str, *, thorough: bool = True) -> bool: ...


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong or worth knowing before training.

    Attributes
    ----------
    case
        The case; None where the study as a whole is meant.
    message
        One sentence for the user.
    fatal
        With a case: it must be left out. Without: nothing can be trained.
    """

    case: str | None
    message: str
    fatal: bool


def check(study: _Checked, case_ids: Sequence[str] | None = None) -> list[Problem]:
    """Look for bad training inputs; reads no voxels, only records and file times.

    Parameters
    ----------
    study
        The study.
    case_ids
        Cases that are to be used; all by default.

    Returns
    -------
    list of Problem
        Fatal ones first.
    """
    cases = study.cases if case_ids is None else tuple(study.case(case_id) for case_id in case_ids)
    problems = [problem for case in cases for problem in _check_case(study, case)]
    refused = {problem.case for problem in problems if problem.fatal}
    usable = [case for case in cases if case.id not in refused]
    problems += _check_labels(study, usable, bool(cases))
    problems += _compare(usable)
    return sorted(problems, key=lambda problem: not problem.fatal)


def reasons_to_leave_out(study: _Checked, case: CaseRecord) -> Iterator[str]:
    """Yield why a case must be left out of training, in sentences; nothing where it can be used."""
    return (problem.message for problem in _check_case(study, case) if problem.fatal)


def _check_case(study: _Checked, case: CaseRecord) -> Iterator[Problem]:
    yield from _check_file(study, case)
    yield from _check_values(case)
    slices = min(case.shape)
    if slices < FEWEST_SLICES:
        yield Problem(
            case.id,
            f"{case.id} has {slices} slice{'s' * (slices > 1)}; 3D training needs at least {FEWEST_SLICES}.",
            True,
        )
    named = {structure.value for structure in study.structures}
    foreign = {value: count for value, count in case.label_voxels.items() if value not in named}
    if foreign:
        listed = ", ".join(f"{value} ({count} voxels)" for value, count in sorted(foreign.items()))
        yield Problem(
            case.id,
            f"{case.id} is labelled with values that no structure has: {listed}; add the structure, or "
            "these voxels "
            "will not be learned from.",
            False,
        )
    if case.status != "unlabelled" and not case.label_voxels:
        yield Problem(
            case.id,
            f"{case.id} has known voxels but nothing is painted in it; it teaches that every structure is "
            "absent.",
            False,
        )


def _check_file(study: _Checked, case: CaseRecord) -> Iterator[Problem]:
    try:
        if study.scan_has_changed(case.id, thorough=False):
            yield Problem(case.id, replaced_note(case, study.scan_path(case.id)), True)
    except (DyconError, OSError) as error:
        yield Problem(case.id, str(error) if case.id in str(error) else f"{case.id}: {error}", True)


def _check_values(case: CaseRecord) -> Iterator[Problem]:
    facts = case.intensity
    if facts is None:
        return
    if facts.minimum == facts.maximum:
        yield Problem(
            case.id,
            f"{case.id} has the same value everywhere ({facts.minimum:g}); check that it is the right file.",
            True,
        )
    if facts.invalid:
        yield Problem(
            case.id,
            f"{case.id}: {facts.invalid} invalid (NaN or infinite) voxels will be replaced for training; "
            "the file is not "
            "changed.",
            False,
        )
    if max(abs(facts.minimum), abs(facts.maximum)) > HUGE_VALUE:
        yield Problem(
            case.id, f"Values in {case.id} go up to {facts.maximum:.3g}; check the units of the scan.", False
        )


def _check_labels(study: _Checked, cases: Sequence[CaseRecord], any_case: bool) -> Iterator[Problem]:
    """Yield the one reason why nothing can be trained, or what the labels will not teach."""
    labelled = [case for case in cases if case.status != "unlabelled"]
    totals = {s.name: sum(case.label_voxels.get(s.value, 0) for case in labelled) for s in study.structures}
    reason = _reason_to_refuse(study, cases, any_case, totals)
    if reason is not None:
        yield Problem(None, reason, True)
        return
    for name in (name for name, voxels in totals.items() if voxels == 0):
        yield Problem(None, f"'{name}' is not painted in any case; it will not be learned.", False)
    yield from _check_sizes(study, [case for case in labelled if case.status == "complete"])
    if len(labelled) < FEW_LABELLED:
        number = f"{len(labelled)} labelled case{'s' * (len(labelled) > 1)}"
        yield Problem(
            None,
            f"Training from {number}: how good it is on others cannot be estimated; 3 are advised.",
            False,
        )
    if all(case.status == "complete" for case in cases):
        yield Problem(None, "Every case is complete: training without an unlabelled part.", False)


def _check_sizes(study: _Checked, cases: Sequence[CaseRecord]) -> Iterator[Problem]:
    """Yield which structures are too small for the finest grid that a processor can afford."""
    for structure in study.structures:
        small = [(*found, case) for case in cases if (found := _too_small(case, structure.value)) is not None]
        if not small:
            continue
        size, step, case = min(small, key=lambda entry: entry[0])
        more = f" and {len(small) - 1} more" if len(small) > 1 else ""
        yield Problem(
            None,
            f"'{structure.name}' measures only {size:.1f} mm in {case.id}{more}. Without a graphics card a "
            f"scan of this size is looked at in steps of {step:.1f} mm, so it can hardly be learned: cut the "
            "scans to the region around it before you import them, or train with a graphics card.",
            False,
        )


def _too_small(case: CaseRecord, value: int) -> tuple[float, float] | None:
    """Size of a structure and step of the grid, both in mm; None where it is large enough or not there."""
    voxel = 1000 * case.voxel_ml
    volume, scan = voxel * case.label_voxels.get(value, 0), voxel * math.prod(case.shape)
    step = scan / MOST_CPU_VOXELS
    if not volume or step <= voxel or volume >= FEWEST_VOXELS * step:
        return None
    return (6 * volume / math.pi) ** (1 / 3), step ** (1 / 3)


def _reason_to_refuse(
    study: _Checked, cases: Sequence[CaseRecord], any_case: bool, totals: dict[str, int]
) -> str | None:
    if not any_case:
        return "Add at least one scan."
    if not cases:
        return "None of the scans can be used for training; see the reason beside each."
    if not study.structures:
        return "Nothing to learn from yet: the study has no structure; add one and paint it."
    if not any(totals.values()):
        return "Nothing to learn from yet: no case has a label. Paint at least one structure in one case."
    if not any(_known_background(case) > 0 for case in cases):
        return (
            "Nothing says yet where the structures are not: mark a slice as complete once everything in "
            "it is painted."
        )
    return None


def _known_background(case: CaseRecord) -> int:
    voxels = case.shape[0] * case.shape[1] * case.shape[2]
    return round(case.known_fraction * voxels) - sum(case.label_voxels.values())


def _compare(cases: Sequence[CaseRecord]) -> Iterator[Problem]:
    """Yield what makes scans of one study unlike each other."""
    if len(cases) < 2:
        return
    finest = min(min(case.spacing) for case in cases)
    coarsest = max(min(case.spacing) for case in cases)
    if coarsest > SPACING_RATIO * finest:
        yield Problem(
            None,
            f"Voxel sizes vary from {finest:.3g} to {coarsest:.3g} mm; all scans are resampled to one for "
            "training.",
            False,
        )
    yield from _compare_kinds(cases)
    spread = {
        case.id: facts.std for case in cases if (facts := case.intensity) and 0 < facts.std < HUGE_VALUE
    }
    typical = median(spread.values()) if spread else 0.0
    for case_id, std in spread.items():
        if not typical / CONTRAST_RATIO <= std <= typical * CONTRAST_RATIO:
            yield Problem(
                case_id,
                f"{case_id} looks different from the other scans (contrast {std:.3g}, typical "
                f"{typical:.3g}); mixed "
                "modalities make training unreliable.",
                False,
            )


def _compare_kinds(cases: Sequence[CaseRecord]) -> Iterator[Problem]:
    """Yield that CT and others are mixed, with the names of the fewer ones."""
    known = [case for case in cases if case.intensity is not None and case.intensity.minimum > NO_AIR]
    ct = [case.id for case in known if case.intensity and looks_like_ct(case.intensity)]
    other = [case.id for case in known if case.id not in ct]
    if not ct or not other:
        return
    few, kind, rest = (other, "no CT", "are") if len(other) <= len(ct) else (ct, "a CT", "are not")
    yield Problem(
        None,
        f"{', '.join(few)}: by the values {kind}, while the other {len(known) - len(few)} scans {rest}. Each "
        "kind is scaled by itself; a study of one kind of scan trains more reliably.",
        False,
    )
