"""What is known of an earlier exam, carried over to a later one of the same patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from napari_dycon.errors import StudyError
from napari_dycon.io.registration import Registration, RegistrationStep, Stop, register
from napari_dycon.study.store.schema import CaseRecord
from napari_dycon.study.study import Study
from napari_dycon.study.truth.annotations import Annotation
from napari_dycon.study.truth.carrying import Carried, carry


@dataclass(frozen=True, eq=False)
class CarriedOver:
    """Labels of an earlier case on the grid of a later one, and how well both scans lie on each other.

    Attributes
    ----------
    earlier, later
        Ids of the cases.
    carried
        The labels; nothing is changed until their edit is applied.
    registration
        How the scans lie to each other.
    """

    earlier: str
    later: str
    carried: Carried
    registration: Registration

    def in_words(self, study: Study, now: Annotation) -> str:
        """Say how good it is, in a few words; ``now`` is what is known of the later scan."""
        found = self.registration
        words = f"similarity {found.before:.2f} before, {found.after:.2f} after"
        agreed = self.agreement(study, now)
        if agreed:
            scores = ", ".join(f"{name} {dice:.2f}" for name, dice in agreed.items())
            words += f"; Dice with what you labelled: {scores}"
        return words

    def agreement(self, study: Study, now: Annotation) -> dict[str, float]:
        """Dice of each structure where both scans are labelled, by name; see `Carried.agreement`."""
        scores = self.carried.agreement(now)
        return {each.name: scores[each.value] for each in study.structures if each.value in scores}

    def facts(self) -> dict[str, Any]:
        """Return the figures of the registration as they stand in a JSON result."""
        found = self.registration
        return {
            "from": self.earlier,
            "to": self.later,
            "similarity_before": found.before,
            "similarity_after": found.after,
            "overlap": found.overlap,
            "moved_mm": found.moved_mm,
            "bent": found.bent,
        }


def other_exams(study: Study, case_id: str) -> list[CaseRecord]:
    """Cases of the same patient of which something is known, in the order of the study."""
    patient = study.case(case_id).patient
    return [
        case for case in study.cases if case.patient == patient and case.id != case_id and case.label_voxels
    ]


def carry_over(
    study: Study, earlier: str, later: str, *, bend: bool = False, stop: Stop = lambda: False
) -> Iterator[RegistrationStep | CarriedOver]:
    """Work out what an earlier case says of a later one; nothing is changed.

    Parameters
    ----------
    study
        The study.
    earlier, later
        Ids of the cases; which of the exams came first does not matter.
    bend, stop
        See `registration.register`.

    Yields
    ------
    RegistrationStep
        After each step.
    CarriedOver
        Last, unless it was stopped.

    Raises
    ------
    StudyError
        If the cases are of different patients, or there is nothing to carry over.
    VolumeError
        If the scans could not be brought onto each other, or one is damaged.
    """
    cases = study.case(earlier), study.case(later)
    _require_one_patient(*cases)
    if not cases[0].label_voxels:
        raise StudyError(f"No structure is labelled in {cases[0].name}; label it first.")
    name = f"Labels of {cases[0].name}"
    scan, annotation = study.unchanged_volume(later), study.annotation(earlier)
    values = [structure.value for structure in study.structures]
    for event in register(scan, study.unchanged_volume(earlier), bend=bend, stop=stop):
        yield (
            event
            if isinstance(event, RegistrationStep)
            else CarriedOver(
                earlier, later, carry(annotation, event.carry, scan.geometry.spacing, values, name), event
            )
        )


def _require_one_patient(earlier: CaseRecord, later: CaseRecord) -> None:
    if earlier.id == later.id:
        raise StudyError(f"{later.name} is one and the same case; name two exams of one patient.")
    known = [case.patient for case in (earlier, later) if case.patient != case.id]
    if len(known) == 2 and known[0] != known[1]:
        raise StudyError(
            f"{earlier.name} and {later.name} are exams of different patients; labels are only carried over "
            "between exams of one patient."
        )
